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
    let mut rotated = all(path)?;
    if let Some(own) = rotated.iter().position(|file| file.content.is_file(content.dev, content.ino)) {
        return Ok(rotated.split_off(own + 1));
    }
    let modified = content.modified()?;
    rotated.retain(|file| file.modified > modified);
    Ok(rotated)
}

/// Oldest first. By their names where those agree, since compression may give an old file a new time:
/// numbers count up with age, dates down.
fn sort(rotated: &mut [Rotated], path: &Path) {
    let name = path.file_name().unwrap_or_default();
    let stamp = |file: &Rotated| stamp(name, file.path.file_name().unwrap_or_default()).unwrap_or_default().to_vec();
    if rotated.iter().all(|file| number(&stamp(file)).is_some()) {
        rotated.sort_by_key(|file| std::cmp::Reverse(number(&stamp(file))));
    } else if rotated.iter().all(|file| stamp(file).len() >= DATE_LENGTH) {
        rotated.sort_by_key(stamp);
    } else {
        rotated.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
    }
}

/// `20260102`, the shortest date.
const DATE_LENGTH: usize = 8;

fn number(stamp: &[u8]) -> Option<u32> {
    if stamp.len() >= DATE_LENGTH {
        return None;
    }
    std::str::from_utf8(stamp).ok()?.parse().ok()
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
        if stamp(name, &other).is_some() {
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
    sort(&mut rotated, path);
    Ok(rotated)
}

/// What rotation has added, if `other` is a name that it gives: `name.1`, `name-20260102.gz`,
/// `name.2026-01-02T03`, `name.old`.
fn stamp<'a>(name: &OsStr, other: &'a OsStr) -> Option<&'a [u8]> {
    let suffix = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?;
    let Some(b'.' | b'-') = suffix.first() else {
        return None;
    };
    let plain = suffix.strip_suffix(b".gz").or_else(|| suffix.strip_suffix(b".zst")).unwrap_or(suffix);
    let stamp = plain.get(1..).unwrap_or_default();
    let known = stamp == b"old" || stamp.iter().all(|byte| byte.is_ascii_digit() || b".-_:TZ".contains(byte));
    known.then_some(stamp)
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
            assert_eq!(stamp(OsStr::new("app.log"), OsStr::new(other)).is_some(), rotated, "{other}");
        }
    }
}
