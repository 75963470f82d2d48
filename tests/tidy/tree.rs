//! The files of the repository, read once, and what none of them may contain.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A text file: its path from the repository root, with `/`, and what is in it.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    /// Code that people write and read.
    pub(crate) fn is_source(&self) -> bool {
        [".rs", ".ts", ".svelte"].iter().any(|ending| self.path.ends_with(ending))
    }

    pub(crate) fn is_manifest(&self) -> bool {
        self.path == "Cargo.toml" || (self.path.starts_with("crates/") && self.path.ends_with("/Cargo.toml"))
    }
}

static TREE: LazyLock<Vec<File>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    read_folder(root, root, &mut files);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
});

/// Every text file but what is built, fetched or kept by git itself.
pub(crate) fn tree() -> &'static [File] {
    &TREE
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).expect("the repository can be read");
    for path in entries.map(|entry| entry.expect("the repository can be read").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let built = ["target", "node_modules", "dist", "fuzz"].contains(&name.as_ref());
        let hidden = name.starts_with('.') && !name.starts_with(".ci") && !name.starts_with(".npmrc");
        if built || hidden || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            read_folder(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push(File { path, text });
        }
    }
}

/// Lines that name a folder of the machine the project was written or is being built on.
pub(crate) fn machine_paths(file: &File) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut machine: Vec<PathBuf> = vec![root.to_owned()];
    machine.extend(root.parent().map(|parent| parent.join("shared")));
    machine.extend(std::env::var_os("HOME").map(PathBuf::from));
    let machine = machine.into_iter().filter(|path| path.components().count() > 1);
    // What a log line or an example event says is the vendor's business, not ours.
    let quoted = ["rules/", "samples/"].iter().any(|folder| file.path.starts_with(folder));
    let usual = ["home", "Users", "root"].iter().filter(|_| !quoted).map(|folder| PathBuf::from(format!("/{folder}")));
    let wanted: Vec<String> = machine.chain(usual).map(|path| format!("{}/", path.display())).collect();
    offences(file, |line| wanted.iter().find(|path| starts_a_path(line, path)).cloned())
}

/// Whether `path` stands in `line` as the start of a path, not in the middle of an address or a longer one.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "/._-~}*$".contains(letter))
    })
}

/// Where a lock file or a tool's settings name another registry than the public one.
pub(crate) fn registries(file: &File) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let public: &[&str] = match name {
        "Cargo.lock" => &["registry+https://github.com/rust-lang/crates.io-index"],
        "package-lock.json" => &["https://registry.npmjs.org/"],
        ".npmrc" | "pip.conf" | "requirements.txt" => &[],
        _ => return Vec::new(),
    };
    offences(file, |line| {
        let names_one = match name {
            "Cargo.lock" => line.starts_with("source = "),
            "package-lock.json" => line.trim_start().starts_with("\"resolved\":"),
            _ => line.contains("://"),
        };
        (names_one && !public.iter().any(|host| line.contains(host))).then(|| line.trim().to_owned())
    })
}

fn offences(file: &File, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| Some(format!("{}:{}: {}", file.path, index + 1, find(line)?)));
    found.collect()
}

#[test]
fn a_path_is_found_at_its_start_only() {
    let home = ["/ho", "me/"].concat();
    assert!(starts_a_path(&format!("read {home}ana/key"), &home));
    assert!(!starts_a_path(&format!("https://example.com{home}page"), &home));
}

#[test]
fn a_private_registry_in_a_lock_file_is_found() {
    let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"registry+https://mirror.example\"\n";
    assert_eq!(registries(&File::new("Cargo.lock", lock)).len(), 1);
}
