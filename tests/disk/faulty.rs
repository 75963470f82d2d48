//! Disks that fail: a small filesystem of its own, and a library that makes calls fail.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Home, loudly};

/// A filesystem in memory, mounted on a folder until this is dropped.
pub(crate) struct Small {
    folder: PathBuf,
}

impl Small {
    /// Mounts one; nothing, said loudly, where that is not allowed: only root may.
    pub(crate) fn mount(folder: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "tmpfs", text(folder)]);
        if !mounted {
            loudly("SKIPPED: a full and a read-only disk: mounting a tmpfs needs root (CAP_SYS_ADMIN)");
            return None;
        }
        Some(Self { folder: folder.to_owned() })
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("an empty file needs no room");
        for size in [1 << 20, 1 << 12, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("a file can be removed from a full disk");
    }

    /// Lets nobody write to it. Refused by the system while a file on it is open for writing.
    pub(crate) fn read_only(&self) {
        assert!(run("mount", &["-o", "remount,ro", text(&self.folder)]), "the disk can be made read-only");
    }

    /// Lets everybody write to it again.
    pub(crate) fn writable(&self) {
        assert!(run("mount", &["-o", "remount,rw", text(&self.folder)]), "the disk can be made writable");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a service that a failing test leaves behind may still hold files there.
        if !run("umount", &["-l", text(&self.folder)]) {
            loudly(&format!("{} stays mounted", self.folder.display()));
        }
    }
}

/// What fails while a [`Fault`] is on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// Nothing reaches the disk: `fsync` says EIO.
    Sync,
    /// Nothing can be written: EROFS, as after a remount by a system that found the disk broken.
    Write,
}

/// Makes the services of a home fail at what they do to their data folder, whenever a test says so.
pub(crate) struct Fault {
    control: PathBuf,
}

impl Fault {
    /// Builds the library and has the services of `home` load it; nothing, said loudly, without a C compiler.
    pub(crate) fn build(home: &mut Home) -> Option<Self> {
        let (library, control) = (home.path("fault.so"), home.path("fault"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/fault.c");
        if !run("cc", &["-shared", "-fPIC", "-O1", "-o", text(&library), text(&source), "-ldl"]) {
            loudly("SKIPPED: a disk that fails while it is used: cc cannot build tests/disk/fault.c");
            return None;
        }
        home.sets("LD_PRELOAD", library);
        home.sets("LAPWING_FAULT", control.clone());
        home.sets("LAPWING_FAULT_BELOW", home.path("data"));
        Some(Self { control })
    }

    /// From now on this fails.
    pub(crate) fn begin(&self, failing: Failing) {
        let letter = match failing {
            Failing::Sync => "S",
            Failing::Write => "W",
        };
        std::fs::write(&self.control, letter).expect("a file can be written");
    }

    /// From now on all works again.
    pub(crate) fn end(&self) {
        std::fs::remove_file(&self.control).expect("a file can be removed");
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}
