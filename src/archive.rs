//! The archive: what left matching, redacted, in zstd segments on disk.
//!
//! Each commit appends one frame of JSON lines to the current segment and syncs it before the store
//! commits, so a place that the store knows is always readable; a frame that the store does not know, left
//! by a crash, is dead weight and goes with its segment. Segments leave by age and size, oldest first.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::event::Uid;
use engine::time::Timestamp;

/// A segment is closed at this size, so that retention can remove something.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Higher levels cost more than they save on frames of this size.
const ZSTD_LEVEL: i32 = 3;

/// Where an event is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which event.
    pub uid: Uid,
    /// When it happened.
    pub time: Timestamp,
    /// Number of the segment.
    pub segment: u64,
    /// Where its frame starts.
    pub offset: u64,
    /// How long the frame is.
    pub length: u64,
    /// Which line of the frame, from 0.
    pub line: u32,
}

/// An event to keep: one line of redacted JSON.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
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
        std::fs::create_dir_all(folder).with_context(|| format!("create archive folder {}", folder.display()))?;
        let segment = segments(folder)?.last().copied().unwrap_or(1);
        let (file, offset) = append(folder, segment)?;
        Ok(Self { folder: folder.to_owned(), segment, file, offset })
    }

    /// Appends one frame and returns once it is on disk.
    ///
    /// # Errors
    /// When the disk refuses; what was written in part is overtaken by the next frame.
    pub(crate) fn keep(&mut self, events: &[Kept]) -> anyhow::Result<Vec<Place>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        if self.offset >= SEGMENT_BYTES {
            (self.file, self.offset) = append(&self.folder, self.segment + 1)?;
            self.segment += 1;
        }
        let mut lines = Vec::new();
        for event in events {
            lines.extend_from_slice(event.json.as_bytes());
            lines.push(b'\n');
        }
        let frame = zstd::bulk::compress(&lines, ZSTD_LEVEL).context("compress archive frame")?;
        self.file.set_len(self.offset).context("cut archive segment")?;
        self.file.seek(SeekFrom::Start(self.offset)).context("seek archive segment")?;
        self.file.write_all(&frame).context("write archive frame")?;
        self.file.sync_data().context("sync archive segment")?;
        let (offset, length) = (self.offset, frame.len() as u64);
        self.offset += length;
        let place = |(event, line): (&Kept, u32)| Place {
            uid: event.uid.clone(),
            time: event.time,
            segment: self.segment,
            offset,
            length,
            line,
        };
        Ok(events.iter().zip(0..).map(place).collect())
    }

    /// Removes the oldest segments, never the current one, until at most `bytes_max` remain. Answers the
    /// numbers of those that went.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not be removed.
    pub(crate) fn trim(&self, bytes_max: u64) -> anyhow::Result<Vec<u64>> {
        let numbers = segments(&self.folder)?;
        let size = |number: &u64| std::fs::metadata(file_of(&self.folder, *number)).map_or(0, |meta| meta.len());
        let mut total: u64 = numbers.iter().map(size).sum();
        let mut gone = Vec::new();
        for number in numbers {
            if total <= bytes_max || number == self.segment {
                break;
            }
            total -= size(&number);
            std::fs::remove_file(file_of(&self.folder, number)).context("remove archive segment")?;
            gone.push(number);
        }
        Ok(gone)
    }
}

/// Reads one event back.
///
/// # Errors
/// When its segment has left or is damaged.
pub(crate) fn read(folder: &Path, place: &Place) -> anyhow::Result<String> {
    let mut file = File::open(file_of(folder, place.segment)).context("open archive segment")?;
    file.seek(SeekFrom::Start(place.offset)).context("seek archive segment")?;
    let mut frame = Vec::new();
    file.take(place.length).read_to_end(&mut frame).context("read archive frame")?;
    let lines = zstd::decode_all(frame.as_slice()).context("decompress archive frame")?;
    let line = lines.split(|&byte| byte == b'\n').nth(place.line as usize).context("find event in archive frame")?;
    String::from_utf8(line.to_vec()).context("read archived event")
}

fn file_of(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:010}.jsonl.zst"))
}

fn append(folder: &Path, segment: u64) -> anyhow::Result<(File, u64)> {
    let path = file_of(folder, segment);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("open archive segment {}", path.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).context("sync archive folder")?;
    let length = file.metadata().context("measure archive segment")?.len();
    Ok((file, length))
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
        Kept { uid, time: Timestamp::default(), json: format!(r#"{{"id":"{id}"}}"#) }
    }

    #[test]
    fn what_was_kept_is_read_back_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive.keep(&[kept("a"), kept("b")]).unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        let places = archive.keep(&[kept("c"), kept("d")]).unwrap();
        assert_eq!(read(folder.path(), &places[1]).unwrap(), r#"{"id":"d"}"#);
    }

    #[test]
    fn the_current_segment_is_never_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive.keep(&[kept("a")]).unwrap();
        assert_eq!(archive.trim(0).unwrap(), Vec::<u64>::new());
    }
}
