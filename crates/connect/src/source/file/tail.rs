//! Reads one path: the file that stands there, and those that rotation has moved away from it.
//!
//! Plain synchronous code. Nothing is kept but open files and a position: what a step returns is what the
//! position covers.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Settings;
use super::content::Content;
use super::place::Place;
use super::reading::{Filled, Reading};
use super::rotated::{self, Rotated};
use crate::source::lines::Framing;
use crate::source::{Batch, Gap, Mark, Record, Remedy, SourceError};

/// Polls without news before a file that another has replaced is left: its writer may still hold it open.
const QUIET_POLLS_BEFORE_LEAVING: u32 = 2;

/// Polls without news before a document that does not look complete is taken as it is.
const QUIET_POLLS_BEFORE_TAKING: u32 = 20;

/// What one step of reading gave.
#[derive(Debug)]
pub(super) enum Step {
    Batch(Batch),
    /// Call again at once.
    More,
    /// Call again after a while: there may be more of what is already here.
    Wait,
    /// Call again after a while: all that was there has been handed over.
    Idle,
    /// There will be no more.
    Done,
}

/// How the records of a path are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) framing: Framing,
    /// Whether the framing was guessed from the name and may turn out to be lines.
    pub(super) guessed: bool,
    pub(super) bytes_max: usize,
}

/// One path.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    follow: bool,
    cut: Cut,
    /// Where to go on, until the first file is open.
    restored: Option<Place>,
    current: Option<Reading>,
    /// Rotated files to read before what stands at the path now. Open, since rotation may rename them.
    queue: VecDeque<Reading>,
    /// Of the next file to be opened at the path.
    generation: u64,
    /// What was cut off or taken away before it was read, until a batch says so.
    gaps: Vec<Gap>,
    /// Whether the log already says that there is no file.
    missing: bool,
    done: bool,
}

impl Tail {
    pub(super) fn new(path: &Path, settings: &Settings, mark: &Mark) -> Self {
        let restored = mark.0.get(&*path.to_string_lossy()).and_then(|text| {
            let place = serde_json::from_str(text);
            place.inspect_err(|error| tracing::warn!(?path, %error, "position not understood, reading anew")).ok()
        });
        Self {
            path: path.to_owned(),
            follow: settings.follow,
            cut: Cut::of(path, settings),
            restored,
            current: None,
            queue: VecDeque::new(),
            generation: 0,
            gaps: Vec::new(),
            missing: false,
            done: false,
        }
    }

    /// Reads on, for a bounded time.
    pub(super) fn step(&mut self) -> Result<Step, SourceError> {
        if self.done {
            return Ok(Step::Done);
        }
        self.advance().map_err(|error| self.failed(error))
    }

    fn advance(&mut self) -> io::Result<Step> {
        let Some(reading) = self.current.take() else {
            return self.open();
        };
        if !self.gaps.is_empty() {
            let step = self.batch(&reading, Vec::new());
            self.current = Some(reading);
            return Ok(step);
        }
        let before = reading.place();
        self.read_on(reading, &before).inspect_err(|_| {
            // Nothing of this step has been handed over: begin it anew from the position alone.
            self.restored = Some(before);
            self.queue.clear();
        })
    }

    fn read_on(&mut self, mut reading: Reading, before: &Place) -> io::Result<Step> {
        let mut records = Vec::new();
        let filled = reading.fill(&mut records)?;
        if !reading.is_intact()? {
            // The records may mix old and new bytes; they go no further.
            self.replaced(before)?;
            return Ok(Step::More);
        }
        if matches!(filled, Filled::End | Filled::Unfinished) && records.is_empty() {
            return self.at_end(reading, &filled);
        }
        Ok(self.yielded(reading, records))
    }

    /// Hands over what was read, and keeps reading there.
    fn yielded(&mut self, reading: Reading, records: Vec<Record>) -> Step {
        let step = if records.is_empty() { Step::More } else { self.batch(&reading, records) };
        self.current = Some(reading);
        step
    }

    fn batch(&mut self, reading: &Reading, records: Vec<Record>) -> Step {
        let partition = self.path.to_string_lossy().into_owned();
        let mark = Mark([(partition, reading.place().text())].into());
        Step::Batch(Batch { records, mark, gaps: std::mem::take(&mut self.gaps), ..Batch::default() })
    }

    /// Nothing more stands in the file now: waits, or takes what is left and goes on to the next file.
    fn at_end(&mut self, mut reading: Reading, filled: &Filled) -> io::Result<Step> {
        let superseded = !self.follow || !self.queue.is_empty() || self.stands_another(&reading)?;
        if self.follow && superseded && reading.quiet_polls < QUIET_POLLS_BEFORE_LEAVING {
            self.current = Some(reading);
            return Ok(Step::Wait);
        }
        let document_ended = reading.document_ended() || reading.quiet_polls >= QUIET_POLLS_BEFORE_TAKING;
        let packed_ended = !reading.content.is_plain() && matches!(filled, Filled::End);
        let whole_document = reading.lines.framing() == Framing::Document && document_ended;
        if (superseded || packed_ended || whole_document)
            && let Some(record) = reading.last_record(filled)
        {
            return Ok(self.yielded(reading, vec![record]));
        }
        if !superseded {
            self.current = Some(reading);
            return Ok(Step::Idle);
        }
        if !self.follow {
            self.done = true;
            return Ok(Step::Done);
        }
        if self.queue.is_empty() {
            let later = rotated::after(&self.path, &reading.content)?;
            self.enqueue(later, None)?;
        }
        Ok(Step::More)
    }

    /// Whether the path now names another file than the one that is being read.
    fn stands_another(&self, reading: &Reading) -> io::Result<bool> {
        match std::fs::metadata(&self.path) {
            Ok(now) => Ok(!reading.content.is_file(now.dev(), now.ino())),
            // Moved away and nothing new yet: its writer may still write to it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens what is to be read next.
    fn open(&mut self) -> io::Result<Step> {
        if let Some(next) = self.queue.pop_front() {
            self.current = Some(next);
            return Ok(Step::More);
        }
        let content = match Content::open(&self.path) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.follow => None,
            Err(error) => return Err(error),
        };
        if let Some(place) = self.restored.clone() {
            return self.resume(place, content);
        }
        let Some(content) = content else {
            if !self.missing {
                tracing::info!(path = %self.path.display(), "no such file yet, waiting for it");
                self.missing = true;
            }
            let gaps = std::mem::take(&mut self.gaps);
            // The mark stays where it was: the next start finds the same gap again, and that is no other.
            return Ok(if gaps.is_empty() { Step::Idle } else { Step::Batch(Batch { gaps, ..Batch::default() }) });
        };
        self.missing = false;
        let reading = Reading::begin(content, self.generation, self.cut);
        // The first file's name is stored before anything in it is read: if the process dies and rotation moves
        // the file, the next run knows which one to look for. Later files follow from the one before.
        let step = if self.follow && self.generation == 0 { self.batch(&reading, Vec::new()) } else { Step::More };
        self.current = Some(reading);
        self.generation += 1;
        Ok(step)
    }

    /// Goes on at `place`: in the file at the path, or first in the rotated one that it speaks of.
    fn resume(&mut self, place: Place, content: Option<Content>) -> io::Result<Step> {
        if let Some(mut content) = content
            && content.is_file(place.dev, place.ino)
            && content.holds(&place)?
            && content.go_to(place.offset)?
        {
            self.generation = place.generation + 1;
            self.current = Some(Reading::resume(content, &place, self.cut)?);
        } else {
            self.replaced(&place)?;
        }
        self.restored = None;
        Ok(Step::More)
    }

    /// The content that `place` speaks of no longer stands at the path: finishes it where rotation has put
    /// it, if it can be found.
    fn replaced(&mut self, place: &Place) -> io::Result<()> {
        self.generation = place.generation;
        let rotated = if self.follow { rotated::since(&self.path, place)? } else { Vec::new() };
        if rotated.is_empty() {
            self.generation += 1;
            tracing::warn!(
                path = %self.path.display(),
                offset = place.offset,
                "the file was truncated or replaced and its earlier content is not found, reading from the start"
            );
            self.miss(place);
        }
        self.enqueue(rotated, Some(place))
    }

    /// Nobody can say whether lines stood behind this place that were never read, so people are told: who wants to hide
    /// something cuts its log. Of a file of which nothing was read nothing is claimed, nor of a document, which is written
    /// anew as a whole.
    fn miss(&mut self, place: &Place) {
        let Place { dev, ino, generation, offset, .. } = place;
        let path = self.path.display();
        let id = format!("{path}@{dev}:{ino}:{generation}:{offset}");
        let is_document = self.cut.framing == Framing::Document;
        if is_document || *offset == 0 || self.gaps.iter().any(|known| known.id == id) {
            return;
        }
        let what = format!(
            "{path} was truncated, replaced or deleted after {offset} bytes of it had been read, and no rotated file has that \
             content: what stood behind them is lost, if anything did"
        );
        self.gaps.push(Gap { id, what });
    }

    /// Plans to read `files` one after another, the first from `place` on.
    fn enqueue(&mut self, files: Vec<Rotated>, place: Option<&Place>) -> io::Result<()> {
        let mut place = place;
        for mut file in files {
            let reading = match place.take() {
                Some(place) if file.content.go_to(place.offset)? => {
                    let place = Place { generation: self.generation, ..place.clone() };
                    Reading::resume(file.content, &place, self.cut)?
                }
                _ => Reading::begin(file.content, self.generation, self.cut),
            };
            tracing::info!(path = %file.path.display(), "reading a rotated file first");
            self.queue.push_back(reading);
            self.generation += 1;
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> SourceError {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput => Remedy::Person,
            _ => Remedy::Wait,
        };
        SourceError { doing: format!("read {}", self.path.display()), remedy, source: Some(Box::new(error)) }
    }
}

impl Cut {
    /// As the settings say, and where they do not, as the name says.
    fn of(path: &Path, settings: &Settings) -> Self {
        let name = path.to_string_lossy().to_ascii_lowercase();
        let document = [".json", ".json.gz", ".json.zst"].iter().any(|ending| name.ends_with(ending));
        let framing = match settings.framing {
            Some(framing) => framing,
            None if document => Framing::Document,
            None => Framing::Lines,
        };
        let large = document || framing == Framing::Document;
        let bytes_max = settings.line_bytes_max.unwrap_or(if large { 64 << 20 } else { 1 << 20 });
        Self { framing, guessed: settings.framing.is_none(), bytes_max }
    }
}
