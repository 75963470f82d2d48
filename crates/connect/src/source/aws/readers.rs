//! Several objects read at once, each a batch and no further until its reader is told to go on.
//!
//! That is all that is held: `READERS_MAX` × (a batch of about 1 MiB, a record, and what was opened last).

use std::collections::BTreeMap;
use std::future::pending;

use tokio::task::JoinSet;

use super::object::{Named, Objects, Part, Reached, Reader, Unread};

/// Objects read at once: enough to hide the wait for S3, few enough for 8 × about 2 MiB.
pub(crate) const READERS_MAX: usize = 8;

/// Objects under way, each known by the number that it was started with.
pub(crate) struct Readers {
    objects: Objects,
    tasks: JoinSet<Turn>,
    /// Those that wait to be told to go on.
    parked: BTreeMap<u64, (Reader, Reached)>,
}

struct Turn {
    number: u64,
    reader: Option<Reader>,
    part: Result<Part, Unread>,
}

impl Readers {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, tasks: JoinSet::new(), parked: BTreeMap::new() }
    }

    /// Whether one more may be started.
    pub(crate) fn have_room(&self) -> bool {
        self.tasks.len() + self.parked.len() < READERS_MAX
    }

    pub(crate) fn are_idle(&self) -> bool {
        self.tasks.is_empty() && self.parked.is_empty()
    }

    /// Begins to read an object behind what was `reached` of it before.
    pub(crate) fn start(&mut self, number: u64, named: Named, reached: Reached) {
        let objects = self.objects.clone();
        self.tasks.spawn(async move {
            match objects.open(named).await {
                Ok(reader) => step(number, reader, reached).await,
                Err(unread) => Turn { number, reader: None, part: Err(unread) },
            }
        });
    }

    /// Reads an object on whose last part was taken.
    pub(crate) fn go_on(&mut self, number: u64) {
        if let Some((reader, reached)) = self.parked.remove(&number) {
            self.tasks.spawn(step(number, reader, reached));
        }
    }

    /// What one of them has brought; none ever, while none is being read. Cancel-safe.
    pub(crate) async fn next(&mut self) -> (u64, Result<Part, Unread>) {
        let Some(turn) = self.tasks.join_next().await else { return pending().await };
        let Turn { number, reader, part } = match turn {
            Ok(turn) => turn,
            Err(error) => match error.try_into_panic() {
                Ok(panicked) => std::panic::resume_unwind(panicked),
                // Only dropping them cancels them.
                Err(_) => return pending().await,
            },
        };
        if let (Some(reader), Ok(Part { reached, is_last: false, .. })) = (reader, &part) {
            self.parked.insert(number, (reader, reached.clone()));
        }
        (number, part)
    }
}

async fn step(number: u64, mut reader: Reader, reached: Reached) -> Turn {
    let part = reader.part(&reached).await;
    Turn { number, reader: Some(reader), part }
}
