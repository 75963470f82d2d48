//! The archive: what left matching, redacted, in zstd segments on disk.
//!
//! Each commit appends frames of JSON lines to the current segment and syncs them before the store
//! commits, so a place that the store knows is always readable; a frame that the store does not know, left
//! by a crash, is dead weight and goes with its segment. Segments leave by age and size, oldest first.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use engine::event::{Kind, Uid};
use engine::time::Timestamp;

use crate::store;

/// A segment is closed at this size, so that retention can remove something.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Uncompressed size of a frame, unless one event alone is larger: what reading one event back costs.
const FRAME_BYTES_MAX: usize = 4 << 20;
/// Higher levels cost more than they save on frames of this size.
const ZSTD_LEVEL: i32 = 3;

/// Where an event is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the segment.
    pub segment: u64,
    /// Where its frame starts.
    pub offset: u64,
    /// How long the frame is.
    pub length: u64,
    /// Which line of the frame, from 0.
    pub line: u32,
}

/// An event that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archived {
    /// Which log it stood in.
    pub kind: Kind,
    /// Which event.
    pub uid: Uid,
    /// When it happened.
    pub time: Timestamp,
    /// Where it is.
    pub place: Place,
}

/// An event to keep: one line of redacted JSON.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Which log it stood in.
    pub kind: Kind,
    /// Which event.
    pub uid: Uid,
    /// When it happened.
    pub time: Timestamp,
    /// The vendor's document, redacted.
    pub json: String,
}

/// The writing side; one owner.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
    segment: u64,
    file: File,
    offset: u64,
}

impl Archive {
    /// Opens the folder and starts after whatever is there.
    ///
    /// # Errors
    /// When the folder or a segment cannot be written.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        store::create_folder(folder).with_context(|| format!("create archive folder {}", folder.display()))?;
        let segment = segments(folder)?.last().copied().unwrap_or(1);
        let (file, offset) = append(folder, segment)?;
        Ok(Self { folder: folder.to_owned(), segment, file, offset })
    }

    /// Appends frames and returns once they are on disk.
    ///
    /// # Errors
    /// When the disk refuses; what was written in part is overtaken by the next frame.
    pub(crate) fn keep(&mut self, events: &[Kept]) -> anyhow::Result<Vec<Archived>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        if self.offset >= SEGMENT_BYTES {
            (self.file, self.offset) = append(&self.folder, self.segment + 1)?;
            self.segment += 1;
        }
        self.file.set_len(self.offset).context("cut archive segment")?;
        self.file.seek(SeekFrom::Start(self.offset)).context("seek archive segment")?;
        let (mut archived, mut offset, mut rest) = (Vec::with_capacity(events.len()), self.offset, events);
        while !rest.is_empty() {
            let (frame, left) = rest.split_at(frame_events(rest));
            rest = left;
            let length = self.append_frame(frame)?;
            archived.extend(frame.iter().zip(0..).map(|(event, line)| Archived {
                kind: event.kind,
                uid: event.uid.clone(),
                time: event.time,
                place: Place { segment: self.segment, offset, length, line },
            }));
            offset += length;
        }
        self.file.sync_data().context("sync archive segment")?;
        self.offset = offset;
        Ok(archived)
    }

    fn append_frame(&mut self, events: &[Kept]) -> anyhow::Result<u64> {
        let mut lines = Vec::new();
        for event in events {
            lines.extend_from_slice(event.json.as_bytes());
            lines.push(b'\n');
        }
        let frame = zstd::bulk::compress(&lines, ZSTD_LEVEL).context("compress archive frame")?;
        self.file.write_all(&frame).context("write archive frame")?;
        Ok(frame.len() as u64)
    }
}

/// The segments that are to leave, oldest first: what is above `bytes_max` together, and what was last written before
/// `oldest`. Never one of the two newest: an event may just be on its way into them.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn leaving(folder: &Path, bytes_max: u64, oldest: SystemTime) -> anyhow::Result<Vec<u64>> {
    let mut found = Vec::new();
    for number in segments(folder)? {
        let meta = std::fs::metadata(file_of(folder, number)).context("measure archive segment")?;
        found.push((number, meta.len(), meta.modified().context("read age of archive segment")?));
    }
    let mut total: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
    found.truncate(found.len().saturating_sub(2));
    let mut leaving = Vec::new();
    for (number, bytes, written) in found {
        if total <= bytes_max && written >= oldest {
            break;
        }
        total -= bytes;
        leaving.push(number);
    }
    Ok(leaving)
}

/// Removes a segment.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn remove(folder: &Path, segment: u64) -> anyhow::Result<()> {
    std::fs::remove_file(file_of(folder, segment)).context("remove archive segment")
}

/// How many of these events, at least one, make a frame.
fn frame_events(events: &[Kept]) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        bytes += event.json.len() + 1;
        bytes <= FRAME_BYTES_MAX
    });
    fit.count().max(1)
}

/// Reads events back, in the order of their places; nothing for one whose segment has left or is damaged.
/// Cost: each frame is decompressed once, however many of its events are wanted.
pub(crate) fn read(folder: &Path, places: &[Place]) -> Vec<Option<String>> {
    let mut events = vec![None; places.len()];
    let mut frames: BTreeMap<(u64, u64, u64), Vec<usize>> = BTreeMap::new();
    for (wanted, place) in places.iter().enumerate() {
        frames.entry((place.segment, place.offset, place.length)).or_default().push(wanted);
    }
    for ((segment, offset, length), wanted) in frames {
        let Ok(frame) = read_frame(folder, segment, offset, length) else { continue };
        let lines: Vec<&[u8]> = frame.split(|&byte| byte == b'\n').collect();
        for event in wanted {
            let line = lines.get(places[event].line as usize);
            events[event] = line.and_then(|line| String::from_utf8(line.to_vec()).ok());
        }
    }
    events
}

/// How many lines the frame at this place holds. Cost: unpacks it.
///
/// # Errors
/// When its segment is gone, cut or damaged.
pub(crate) fn lines(folder: &Path, place: &Place) -> std::io::Result<u64> {
    let frame = read_frame(folder, place.segment, place.offset, place.length)?;
    Ok(frame.iter().filter(|&&byte| byte == b'\n').count() as u64)
}

fn read_frame(folder: &Path, segment: u64, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(file_of(folder, segment))?;
    file.seek(SeekFrom::Start(offset))?;
    zstd::decode_all(file.take(length))
}

/// Where a segment is.
pub(crate) fn file_of(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:010}.jsonl.zst"))
}

fn append(folder: &Path, segment: u64) -> anyhow::Result<(File, u64)> {
    let path = file_of(folder, segment);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("open archive segment {}", path.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).context("sync archive folder")?;
    let length = file.metadata().context("measure archive segment")?.len();
    Ok((file, length))
}

/// Whether anything was ever kept in this folder and is still there.
pub(crate) fn holds_events(folder: &Path) -> bool {
    let segments = segments(folder).unwrap_or_default();
    let bytes = |segment| std::fs::metadata(file_of(folder, segment)).map_or(0, |file| file.len());
    segments.into_iter().any(|segment| bytes(segment) > 0)
}

fn segments(folder: &Path) -> anyhow::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).context("list archive folder")? {
        let name = entry.context("list archive folder")?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_suffix(".jsonl.zst")).and_then(|name| name.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str) -> Kept {
        let uid = Uid { origin: String::new(), id: id.to_owned() };
        Kept { kind: Kind::Json, uid, time: Timestamp::default(), json: format!(r#"{{"id":"{id}"}}"#) }
    }

    #[test]
    fn what_was_kept_is_read_back_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive.keep(&[kept("a"), kept("b")]).unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        let archived = archive.keep(&[kept("c"), kept("d")]).unwrap();
        assert_eq!(read(folder.path(), &[archived[1].place]), [Some(r#"{"id":"d"}"#.to_owned())]);
    }

    #[test]
    fn many_events_go_into_several_frames_and_come_back_in_the_order_that_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        let large = |id: &str| Kept { json: format!("{id}{}", "x".repeat(FRAME_BYTES_MAX / 2)), ..kept(id) };
        let archived = archive.keep(&[kept("a"), large("b"), large("c"), kept("d")]).unwrap();
        let offsets: std::collections::BTreeSet<u64> = archived.iter().map(|event| event.place.offset).collect();
        assert_eq!(offsets.len(), 2);
        let gone = Place { segment: 9, ..archived[0].place };
        let found = read(folder.path(), &[archived[3].place, gone, archived[2].place, archived[0].place]);
        let heads: Vec<Option<&str>> = found.iter().map(|event| event.as_deref().map(|text| &text[..1])).collect();
        assert_eq!(heads, [Some("{"), None, Some("c"), Some("{")]);
        assert_eq!(found[0].as_deref(), Some(r#"{"id":"d"}"#));
    }

    #[test]
    fn the_oldest_segments_leave_by_size_and_age_and_the_two_newest_never() {
        let folder = tempfile::tempdir().unwrap();
        let hours = |hours: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(hours * 3_600);
        for number in 1..=5 {
            let file = File::create(file_of(folder.path(), number)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(hours(number)).unwrap();
        }
        for (bytes_max, oldest, left, why) in [
            (500, hours(1), vec![], "all of it may stay"),
            (499, hours(1), vec![1], "one is enough"),
            (250, hours(1), vec![1, 2, 3], "by size"),
            (500, hours(3), vec![1, 2], "by age"),
            (0, hours(9), vec![1, 2, 3], "the newest two are still written to"),
        ] {
            assert_eq!(leaving(folder.path(), bytes_max, oldest).unwrap(), left, "{why}");
        }
        remove(folder.path(), 1).unwrap();
        assert_eq!(segments(folder.path()).unwrap(), [2, 3, 4, 5]);
    }
}
