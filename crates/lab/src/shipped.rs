//! The rules that are shipped, read from their folder.

use std::io;
use std::path::{Path, PathBuf};

use engine::rule::RuleFile;

/// Every rule file in a folder of folders, in the order of their paths.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn rule_files(folder: &Path) -> io::Result<Vec<RuleFile>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(entry?.path())? {
            paths.push(file?.path());
        }
    }
    paths.sort();
    let read = |path: PathBuf| Ok(RuleFile { path: path.display().to_string(), text: std::fs::read_to_string(&path)? });
    paths.into_iter().map(read).collect()
}
