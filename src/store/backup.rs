//! Copies of a whole store: taken while it is in use, brought back into an empty folder.
//!
//! The database is copied by `VACUUM INTO`: one read transaction, which holds up no commit, and a copy that is compact,
//! holds nothing of what was deleted, and whose every page was written anew. SQLite's page-by-page copy would be some
//! faster, but it starts over when a writer comes in between, or holds damage as it stands.

use std::fs::{File, OpenOptions};
use std::io::{Read, copy};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, OpenFlags};

use super::verify::{Contents, open, verify};
use super::{count, create_folder, lock, sql};
use crate::archive;

/// Where a restore puts the store together, in the data folder.
const COMING: &str = "restoring";

/// Files and folders of a store.
const PARTS: [&str; 4] = ["lapwing.db", "lapwing.db-wal", "lapwing.db-shm", "archive"];

/// What hears how far something has come: what it is, how much of how much.
pub(crate) type Progress<'p> = &'p mut dyn FnMut(&'static str, u64, u64);

/// What a copy came to.
#[derive(Clone, Debug)]
pub(crate) struct Copied {
    /// What is in it.
    pub contents: Contents,
    /// Archived events whose segments left by retention while the copy was made.
    pub left: u64,
}

/// Copies the store in `folder`, which may be in use, into the new folder `target`.
///
/// # Errors
/// When `target` is there, a disk refuses, or the copy is not sound; `target` is not there then.
pub(crate) fn backup(folder: &Path, target: &Path, progress: Progress<'_>) -> anyhow::Result<Copied> {
    let is_empty = std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        !target.exists() || is_empty,
        "{} is there already: a backup overwrites nothing, name another folder",
        target.display()
    );
    let mut name = target.file_name().context("name a folder for the backup")?.to_owned();
    name.push(".incomplete");
    let incomplete = target.with_file_name(name);
    ensure!(
        !incomplete.exists(),
        "{} is left of a backup that did not end: remove it, then try again",
        incomplete.display()
    );
    let made = make(folder, &incomplete, progress).and_then(|copied| {
        std::fs::rename(&incomplete, target).with_context(|| format!("name the backup {}", target.display()))?;
        sync(target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(copied)
    });
    made.inspect_err(|_| discard(&incomplete))
}

/// Half a copy is of no use to anybody. What went wrong is about to be said, so that nothing is added here.
fn discard(copy: &Path) {
    drop(std::fs::remove_dir_all(copy));
}

/// Brings the copy in `from` back into `folder`. What is there is moved aside if `replace` says so; answers where to.
///
/// # Errors
/// When the copy is not sound, the folder is in use or holds a store, or a disk refuses; the folder is as it was then.
pub(crate) fn restore(
    from: &Path,
    folder: &Path,
    replace: bool,
    stamp: &str,
    progress: Progress<'_>,
) -> anyhow::Result<(Copied, Option<PathBuf>)> {
    ensure!(from.is_dir(), "{} is not a folder: name the folder of a backup", from.display());
    create_folder(folder).with_context(|| format!("create data folder {}", folder.display()))?;
    let same = |path: &Path| path.canonicalize().with_context(|| format!("find {}", path.display()));
    ensure!(same(from)? != same(folder)?, "{} is the data folder itself", from.display());
    let _lock = lock(folder)?;
    let there: Vec<&str> = PARTS.into_iter().filter(|part| folder.join(part).exists()).collect();
    if !there.is_empty() && !replace {
        bail!("{} holds a store: `--replace` moves it aside, `--data` names another folder", folder.display());
    }
    let coming = folder.join(COMING);
    if coming.exists() {
        std::fs::remove_dir_all(&coming).context("remove what a restore that did not end left")?;
    }
    let copied = make(from, &coming, progress).context("copy the backup").inspect_err(|_| discard(&coming))?;
    let mut moves = Vec::new();
    let mut aside = None;
    if !there.is_empty() {
        let place = folder.join(format!("replaced-{stamp}"));
        create_folder(&place).with_context(|| format!("create {}", place.display()))?;
        moves.extend(there.into_iter().map(|part| (folder.join(part), place.join(part))));
        aside = Some(place);
    }
    // The database last: until it is there, nothing is, and no service starts (`no_restore_stopped_halfway`).
    moves.extend(["archive", "lapwing.db"].map(|part| (coming.join(part), folder.join(part))));
    exchange(&moves).inspect_err(|_| {
        discard(&coming);
        // Empty again; if it is not, it says what is in it.
        aside.iter().for_each(|place| drop(std::fs::remove_dir(place)));
    })?;
    if let Some(place) = &aside {
        sync(place)?;
    }
    std::fs::remove_dir(&coming).context("remove an empty folder")?;
    sync(folder)?;
    Ok((copied, aside))
}

/// Refuses a folder in which a restore was stopped between moving the old store aside and putting the new one in its
/// place: a service would begin with an empty store there, and say nothing.
pub(super) fn no_restore_stopped_halfway(folder: &Path) -> anyhow::Result<()> {
    let halfway = folder.join(COMING).join("lapwing.db").exists() && !folder.join("lapwing.db").exists();
    ensure!(
        !halfway,
        "a restore into {} did not end: run `lapwing store restore --replace FROM` again, or move what is in a folder \
         `replaced-…` there back and remove `{COMING}`",
        folder.display()
    );
    Ok(())
}

/// Moves each to its new place, or none.
fn exchange(moves: &[(PathBuf, PathBuf)]) -> anyhow::Result<()> {
    for (done, (from, to)) in moves.iter().enumerate() {
        let Err(error) = std::fs::rename(from, to) else { continue };
        let mut error = anyhow::Error::from(error).context(format!("move {} to {}", from.display(), to.display()));
        for (from, to) in moves[..done].iter().rev() {
            if let Err(again) = std::fs::rename(to, from) {
                error = error.context(format!("move {} back to {}: {again}", to.display(), from.display()));
            }
        }
        return Err(error);
    }
    Ok(())
}

/// Copies into a new folder, syncs it and looks at all of it.
fn make(folder: &Path, into: &Path, progress: Progress<'_>) -> anyhow::Result<Copied> {
    let source = open(folder)?;
    create_folder(&into.join("archive")).with_context(|| format!("create {}", into.display()))?;
    progress("copying the store", 0, 0);
    let path = into.join("lapwing.db");
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("create {}", path.display()))?;
    let name = path.to_str().context("the path of a backup must be text")?;
    source.execute("VACUUM INTO ?1", [name]).map_err(|error| super::damage(error.into())).context("copy the store")?;
    let left = segments(&path, &folder.join("archive"), &into.join("archive"), progress)?;
    file.sync_all().context("sync the copy")?;
    sync(&into.join("archive"))?;
    sync(into)?;
    let contents = verify(into, progress)?;
    if let Some(fault) = contents.unsound() {
        bail!("the copy is not sound, and so its original may not be: {fault}; `lapwing store verify` says more");
    }
    Ok(Copied { contents, left })
}

/// Copies the segments that the copied store refers to, as far as it does. Answers how many events it had to forget.
fn segments(path: &Path, from: &Path, into: &Path, progress: Progress<'_>) -> anyhow::Result<u64> {
    let copied = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).context("open the copy")?;
    let wanted: Vec<(u64, u64)> = copied
        .prepare("SELECT segment, max(offset + length) FROM archived GROUP BY segment ORDER BY segment")?
        .query_map([], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?
        .collect::<Result<_, _>>()
        .context("read places of archived events")?;
    let total = wanted.iter().map(|(_, bytes)| bytes).sum();
    let (mut done, mut left) = (0, 0);
    for (segment, bytes) in wanted {
        progress("copying the archive", done, total);
        let name = archive::file_of(from, segment);
        let source = match File::open(&name) {
            Ok(source) => source,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let forgotten = copied.execute("DELETE FROM archived WHERE segment = ?1", [sql(segment)]);
                left += forgotten.context("forget a segment that left")? as u64;
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("open {}", name.display())),
        };
        let written = source.metadata().and_then(|meta| meta.modified()).context("read age of archive segment")?;
        let path = archive::file_of(into, segment);
        let target = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        let mut target = target.with_context(|| format!("create {}", path.display()))?;
        let copying = || format!("copy {} to {}", name.display(), path.display());
        copy(&mut source.take(bytes), &mut target).with_context(copying)?;
        // Retention counts from when a segment was last written to.
        target.set_modified(written).with_context(copying)?;
        target.sync_all().with_context(copying)?;
        done += bytes;
    }
    Ok(left)
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("sync {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn what_cannot_all_be_moved_stays_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["old", "new"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("archive"), "old").unwrap();
        std::fs::write(at("new/archive"), "new").unwrap();
        let moves = [("archive", "old/archive"), ("new/archive", "archive"), ("new/nothing", "lapwing.db")];
        let moves = moves.map(|(from, to)| (at(from), at(to)));
        let error = format!("{:#}", exchange(&moves).unwrap_err());
        assert!(error.contains("new/nothing to"), "{error}");
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        assert_eq!((read("archive").as_str(), read("new/archive").as_str()), ("old", "new"));
        exchange(&moves[..2]).unwrap();
        assert_eq!((read("old/archive").as_str(), read("archive").as_str()), ("old", "new"));
    }

    #[test]
    fn no_service_starts_where_a_restore_stopped_between_the_old_store_and_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
        drop(Store::open(&data).unwrap());
        crate::archive::Archive::open(&data.join("archive")).unwrap();
        backup(&data, &copy, &mut |_, _, _| {}).unwrap();
        // As a kill between the two leaves it.
        std::fs::create_dir_all(data.join("restoring")).unwrap();
        std::fs::copy(copy.join("lapwing.db"), data.join("restoring/lapwing.db")).unwrap();
        std::fs::create_dir(data.join("replaced-then")).unwrap();
        std::fs::rename(data.join("lapwing.db"), data.join("replaced-then/lapwing.db")).unwrap();
        let error = format!("{:#}", Store::open(&data).unwrap_err());
        assert!(error.contains("did not end: run `lapwing store restore --replace FROM` again"), "{error}");
        restore(&copy, &data, true, "now", &mut |_, _, _| {}).unwrap();
        drop(Store::open(&data).unwrap());
    }
}
