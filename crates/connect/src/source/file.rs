//! Files: followed as they grow, rotate and are truncated, or read once; plain, gzip or zstd.
//!
//! Each path is a partition. Its position names the file by device, inode and the hash of its first bytes,
//! so that after a restart the right file is continued, wherever rotation has moved it.

mod content;
mod place;
mod probe;
mod reading;
mod rotated;
mod tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

pub use self::probe::probe;
pub use self::reading::GUESS_BYTES_MAX;
use self::tail::{Step, Tail};
pub use super::brackets::is_lines;
use super::lines::Framing;
use super::{Mark, Next, Source, SourceError};

/// `type: file`: log files on this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, or several; no patterns. Compression is told by the first bytes, not by the name.
    #[serde(deserialize_with = "one_or_more")]
    pub path: Vec<PathBuf>,
    /// Whether to wait for more: `true` follows the file through rotation and truncation, `false` reads it
    /// once.
    #[serde(default = "follow")]
    pub follow: bool,
    /// What one record is: `lines`, one a line, or `document`, the whole file. Without it names ending in
    /// `.json`, `.json.gz` or `.json.zst` are documents, unless a second line follows a whole first one;
    /// all other files are lines. What a document has appended to it later is lines.
    #[serde(default)]
    pub framing: Option<Framing>,
    /// Longest record in bytes; a longer one is refused alone. Default 1 MiB, and 64 MiB for the names that
    /// are documents.
    #[serde(default)]
    pub line_bytes_max: Option<usize>,
    /// How often to look for more, such as `"250ms"`.
    #[serde(default = "poll", with = "humantime_serde")]
    pub poll: Duration,
}

/// `path: /var/log/app.log`, or a list.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    struct OneOrMore;
    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<PathBuf>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a path or a list of paths")
        }

        fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<Self::Value, E> {
            Ok(vec![path.into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut paths: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(path) = paths.next_element()? {
                all.push(path);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(OneOrMore)
}

fn follow() -> bool {
    true
}

fn poll() -> Duration {
    Duration::from_millis(250)
}

/// Follows or reads files. File calls block, so they run on a thread of the runtime's blocking pool.
#[derive(Debug)]
pub struct File {
    poll: Duration,
    wake: Option<Instant>,
    turn: Turn,
}

/// Who holds the files: a dropped `next` leaves them with the thread, where the following one finds them.
#[derive(Debug)]
enum Turn {
    Here(Option<Box<Tails>>),
    Reading(JoinHandle<(Box<Tails>, Result<Step, SourceError>)>),
}

#[derive(Debug)]
struct Tails {
    tails: Vec<Tail>,
    /// Their paths, as marks name them.
    names: Vec<String>,
    /// Whose turn is next.
    next: usize,
}

impl File {
    /// Starts from `mark`: paths that it does not name start at their beginning.
    #[must_use]
    pub fn new(settings: &Settings, mark: &Mark) -> Self {
        let tails = settings.path.iter().map(|path| Tail::new(path, settings, mark)).collect();
        let names = settings.path.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let turn = Turn::Here(Some(Box::new(Tails { tails, names, next: 0 })));
        Self { poll: settings.poll, wake: None, turn }
    }

    /// One step of reading. Dropping it loses nothing: the step goes on and its result is found later.
    async fn step(&mut self) -> Result<Step, SourceError> {
        if let Turn::Here(tails) = &mut self.turn {
            let mut tails = tails.take().expect("they are only absent within this function");
            self.turn = Turn::Reading(tokio::task::spawn_blocking(move || {
                let step = tails.step();
                (tails, step)
            }));
        }
        let Turn::Reading(reading) = &mut self.turn else {
            unreachable!("reading was just begun");
        };
        let (tails, step) = match reading.await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        self.turn = Turn::Here(Some(tails));
        step
    }
}

impl Source for File {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(wake) = self.wake {
                sleep_until(wake).await;
                self.wake = None;
            }
            match self.step().await {
                Ok(Step::Batch(batch)) => return Ok(Next::Batch(batch)),
                Ok(Step::More) => {}
                Ok(Step::Wait) => self.wake = Some(Instant::now() + self.poll),
                Ok(Step::Idle) => {
                    self.wake = Some(Instant::now() + self.poll);
                    return Ok(Next::Idle);
                }
                Ok(Step::Done) => return Ok(Next::Exhausted),
                Err(error) => return Err(error),
            }
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        Ok(()) // the files know nothing of who reads them
    }
}

impl Tails {
    /// Asks each path in turn until one has a batch. A path that fails does not hold back the others.
    fn step(&mut self) -> Result<Step, SourceError> {
        let mut quietest = Step::Done;
        let mut failed = None;
        for _ in 0..self.tails.len() {
            let turn = self.next;
            self.next = (turn + 1) % self.tails.len();
            let step = match self.tails[turn].step() {
                Ok(step) => step,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            quietest = match (step, quietest) {
                (Step::Batch(batch), _) => {
                    let names = self.names.iter().map(String::as_str);
                    return Ok(Step::Batch(batch.of(&self.names[turn], names)));
                }
                (Step::More, _) | (_, Step::More) => Step::More,
                (Step::Wait, _) | (_, Step::Wait) => Step::Wait,
                (Step::Idle, _) | (_, Step::Idle) => Step::Idle,
                (Step::Done, quietest) => quietest,
            };
        }
        match (failed, &quietest) {
            (Some(error), Step::Wait | Step::Idle | Step::Done) => Err(error),
            _ => Ok(quietest),
        }
    }
}
