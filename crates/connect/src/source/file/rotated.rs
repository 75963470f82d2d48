//! Finds the files that log rotation has made of a path.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::content::Content;
use super::place::Place;

/// A file that once stood at the path, open.
#[derive(Debug)]
pub(super) struct Rotated {
    pub(super) content: Content,
    pub(super) path: PathBuf,
    modified: SystemTime,
}

/// The rotated file that `place` speaks of and all later ones, oldest first. Empty if it is gone.
pub(super) fn since(path: &Path, place: &Place) -> io::Result<Vec<Rotated>> {
    let mut rotated = all(path)?;
    let mut found = None;
    for (index, file) in rotated.iter().enumerate() {
        if file.content.is_file(place.dev, place.ino) && file.content.holds(place)? {
            found = Some(index);
            break;
        }
        // A copy, or what compression made of it. Without any bytes known, only the inode can tell; of
        // several the latest is meant.
        if place.offset > 0 && file.content.holds(place)? {
            found = Some(index);
        }
    }
    Ok(found.map_or_else(Vec::new, |index| rotated.split_off(index)))
}

/// The rotated files that are later than `content`, oldest first.
pub(super) fn after(path: &Path, content: &Content) -> io::Result<Vec<Rotated>> {
    let modified = content.modified()?;
    let mut rotated = all(path)?;
    rotated.retain(|file| file.modified > modified && !file.content.is_file(content.dev, content.ino));
    Ok(rotated)
}

/// All of them, oldest first.
fn all(path: &Path) -> io::Result<Vec<Rotated>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in folder.read_dir()? {
        let other = entry?.file_name();
        if is_rotated(name, &other) {
            names.push(other);
        }
    }
    let mut rotated = Vec::new();
    for name in &names {
        // While a file is being compressed both stand there; the whole one is read.
        if Path::new(name).extension().is_some_and(is_packed)
            && names.iter().any(|other| Path::new(name).file_stem() == Some(other))
        {
            continue;
        }
        let path = folder.join(name);
        match Content::open(&path) {
            Ok(content) => rotated.push(Rotated { modified: content.modified()?, content, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // rotated on just now
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(path = %path.display(), "may not read this rotated file, leaving it out");
            }
            Err(error) => return Err(error),
        }
    }
    rotated.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
    Ok(rotated)
}

/// Whether `other` is a name that rotation gives: `name.1`, `name-20260102.gz`, `name.2026-01-02T03`, `name.old`.
fn is_rotated(name: &OsStr, other: &OsStr) -> bool {
    let Some(suffix) = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes()) else {
        return false;
    };
    let Some(b'.' | b'-') = suffix.first() else {
        return false;
    };
    let plain = suffix.strip_suffix(b".gz").or_else(|| suffix.strip_suffix(b".zst")).unwrap_or(suffix);
    let stamp = plain.get(1..).unwrap_or_default();
    stamp == b"old" || stamp.iter().all(|byte| byte.is_ascii_digit() || b".-_:TZ".contains(byte))
}

fn is_packed(extension: &OsStr) -> bool {
    extension == "gz" || extension == "zst"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_rotation_gives_are_rotated_files() {
        for (other, rotated) in [
            ("app.log.1", true),
            ("app.log.12.gz", true),
            ("app.log-20260102.zst", true),
            ("app.log.2026-01-02T03:04:05Z", true),
            ("app.log.old", true),
            ("app.log.gz", true),
            ("app.log", false),
            ("app.log.swp", false),
            ("app.log2", false),
            ("other.log.1", false),
        ] {
            assert_eq!(is_rotated(OsStr::new("app.log"), OsStr::new(other)), rotated, "{other}");
        }
    }
}
