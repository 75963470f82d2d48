//! Which files below a folder hold rules.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Larger than all public rules together in one file.
const BYTES_MAX: u64 = 64 << 20;

/// What could not be looked at, and why.
type Odd = Vec<(PathBuf, io::Error)>;

/// The rule files below a folder, or the one file that the path is, in the order of their paths; and what else was met
/// that could not be looked at, with the reason.
///
/// Names that begin with a dot are passed over, as a mounted ConfigMap is a folder `..data` and links into it. A folder
/// that links lead to again is visited once.
///
/// # Errors
/// When the folder itself cannot be read.
pub(crate) fn files(path: &Path) -> io::Result<(Vec<PathBuf>, Odd)> {
    let (mut found, mut odd) = (Vec::new(), Vec::new());
    if path.is_dir() {
        visit(path, &mut BTreeSet::new(), &mut found, &mut odd)?;
    } else {
        found.push(path.to_owned());
    }
    Ok((found, odd))
}

fn visit(folder: &Path, visited: &mut BTreeSet<PathBuf>, found: &mut Vec<PathBuf>, odd: &mut Odd) -> io::Result<()> {
    if !visited.insert(folder.canonicalize()?) {
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            inside.push(entry.path());
        }
    }
    inside.sort();
    for path in inside {
        if path.is_dir() {
            if let Err(error) = visit(&path, visited, found, odd) {
                odd.push((path, error));
            }
        } else if matches!(path.extension().and_then(|extension| extension.to_str()), Some("yml" | "yaml")) {
            found.push(path);
        }
    }
    Ok(())
}

/// The bytes of a rule file. A pipe or a device is not opened: it may never end, or never answer.
///
/// # Errors
/// When it is no regular file, too large, or cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder of this test's own, gone when it ends.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn folder(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("lapwing-rules-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn names(folder: &Folder) -> Vec<String> {
        let (found, odd) = files(&folder.0).unwrap();
        assert!(odd.is_empty(), "{odd:?}");
        found.iter().map(|path| path.strip_prefix(&folder.0).unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_mounted_config_map_holds_each_rule_once() {
        let folder = folder("map");
        fs::create_dir(folder.0.join("..2026_11_23")).unwrap();
        fs::write(folder.0.join("..2026_11_23/a.yml"), "a").unwrap();
        symlink("..2026_11_23", folder.0.join("..data")).unwrap();
        symlink("..data/a.yml", folder.0.join("a.yml")).unwrap();
        fs::write(folder.0.join(".hidden.yml"), "h").unwrap();
        assert_eq!(names(&folder), ["a.yml"]);
        assert_eq!(read(&folder.0.join("a.yml")).unwrap(), b"a");
    }

    #[test]
    fn folders_that_link_to_each_other_are_visited_once() {
        let folder = folder("loop");
        fs::create_dir(folder.0.join("b")).unwrap();
        fs::write(folder.0.join("b/x.yaml"), "x").unwrap();
        symlink("..", folder.0.join("b/up")).unwrap();
        symlink("b", folder.0.join("c")).unwrap();
        assert_eq!(names(&folder), ["b/x.yaml"]);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = folder("odd");
        symlink("/dev/zero", folder.0.join("zero.yml")).unwrap();
        symlink("gone", folder.0.join("gone.yml")).unwrap();
        assert_eq!(names(&folder), ["gone.yml", "zero.yml"]);
        assert!(read(&folder.0.join("zero.yml")).unwrap_err().to_string().contains("no regular file"));
        assert!(read(&folder.0.join("gone.yml")).is_err());
    }
}
