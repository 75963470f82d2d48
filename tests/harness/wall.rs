//! A wall clock of the service's own that a test sets forward and back while it runs, by libfaketime.

use std::path::PathBuf;

use super::loudly;

/// Where Debian puts the library (package `faketime`), by machine.
const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

/// A clock that is so many seconds ahead of this machine's.
pub(crate) struct Wall {
    library: &'static str,
    file: PathBuf,
}

/// Which clocks of the process it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sets {
    /// The wall's only, as a person or NTP does.
    Wall,
    /// The steady one, too: the process lay still for that long.
    Everything,
}

impl Wall {
    /// A clock that goes right, or nothing where the library is missing. Says so loudly then; `CI=true` may miss nothing.
    pub(crate) fn new(file: PathBuf) -> Option<Self> {
        let Some(library) = LIBRARIES.into_iter().find(|path| std::path::Path::new(path).exists()) else {
            let missing = "libfaketime is missing (apt-get install --no-install-recommends faketime)";
            assert!(std::env::var("CI").is_err(), "{missing}");
            loudly(&format!("SKIPPED, clocks that are set: {missing}"));
            return None;
        };
        let wall = Self { library, file };
        wall.set(0);
        Some(wall)
    }

    /// What the service needs in its environment to go by this clock.
    pub(crate) fn variables(&self, sets: Sets) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
        ];
        if sets == Sets::Wall {
            variables.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()));
        }
        variables
    }

    /// From now on so many seconds ahead, or behind.
    pub(crate) fn set(&self, ahead_seconds: i64) {
        // In one step: whoever reads meanwhile finds one of the two.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{ahead_seconds:+}s\n")).expect("the clock's file can be written");
        std::fs::rename(&new, &self.file).expect("a file can be renamed");
    }
}
