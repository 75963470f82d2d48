//! CloudTrail's digests: the proof that no log file was deleted or altered, checked as it comes.
//!
//! Each hour CloudTrail writes a digest for each trail, account and region. It holds the hashes of the hour's log files and
//! of the digest before, and is signed, so digests are a chain ([`walk`]). Whatever is missing, altered or unsigned is a
//! gap. A digest is passed only once all that it vouches for was looked at, and the mark of its chain holds what the next
//! one has to say of it; what cannot be read for want of rights or by a failure is waited for.

mod digest;
mod keys;
mod logs;
mod probe;
mod settings;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_config::SdkConfig;
use engine::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use self::digest::Link;
use self::keys::Keys;
pub use self::probe::probe;
pub use self::settings::Settings;
use self::walk::{Step, Walk};
use super::aws::Access;
use super::aws::object::{self, Objects};
use super::{Batch, Mark, Next, Remedy, Source, SourceError};
use crate::clock::Clock;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a mark calls the moment that verifying began with. Names of chains hold a slash.
const SINCE: &str = "since";

/// The digests of one bucket.
pub struct Digests {
    clock: Clock,
    poll: Span,
    since: Timestamp,
    /// Whether no mark has said since when.
    is_new: bool,
    due: Timestamp,
    turn: Turn,
}

/// Who walks: a step outlives a dropped `next`, and the following one finds what it came to.
enum Turn {
    Here(Option<Box<Walk>>),
    Walking(Pin<Box<dyn Future<Output = Walked> + Send>>),
}

type Walked = (Box<Walk>, Result<Step, SourceError>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    since_ms: i64,
}

impl Digests {
    /// Goes on from `stored`, or from `settings.start` for chains that it does not name.
    ///
    /// # Errors
    /// [`SourceError`] if no region is configured or the stored mark is not one of this source.
    pub async fn open(settings: &Settings, stored: &Mark, clock: Clock) -> Result<Self, SourceError> {
        Self::with(settings, stored, clock, load(settings).await?)
    }

    fn with(settings: &Settings, stored: &Mark, clock: Clock, loaded: SdkConfig) -> Result<Self, SourceError> {
        let now = clock.now();
        let since = match stored.0.get(SINCE) {
            None => settings.start.moment(now),
            Some(value) => Timestamp::from_millis(read::<Since>(SINCE, value)?.since_ms),
        };
        let mut chains = BTreeMap::new();
        for (name, value) in stored.0.iter().filter(|(name, _)| *name != SINCE) {
            chains.insert(name.clone(), read::<Link>(name, value)?);
        }
        let client = object::client(&loaded, settings.endpoint_url.as_deref());
        let walk = Walk {
            objects: Objects { client, record_bytes_max: 0, object_bytes_max: 0 },
            keys: Keys::new(loaded, settings.cloudtrail_endpoint_url.clone()),
            bucket: settings.bucket.clone(),
            patterns: settings.prefixes.all().to_vec(),
            since,
            overdue: span(settings.overdue),
            chains,
            round: None,
            silent: BTreeMap::new(),
        };
        let (is_new, turn) = (!stored.0.contains_key(SINCE), Turn::Here(Some(Box::new(walk))));
        Ok(Self { clock, poll: span(settings.poll), since, is_new, due: now, turn })
    }

    async fn step(&mut self) -> Result<Step, SourceError> {
        if let Turn::Here(walk) = &mut self.turn {
            let (mut walk, now) = (walk.take().expect("it is only absent within this function"), self.clock.now());
            self.turn = Turn::Walking(Box::pin(async move {
                let step = walk.step(now).await;
                (walk, step)
            }));
        }
        let Turn::Walking(walking) = &mut self.turn else {
            unreachable!("walking was just begun");
        };
        let (walk, step) = walking.as_mut().await;
        self.turn = Turn::Here(Some(walk));
        step
    }
}

impl Source for Digests {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            // A clock that was put back holds up nobody.
            self.due = self.due.min(self.clock.now().plus(self.poll));
            self.clock.sleep_until(self.due).await;
            match self.step().await? {
                Step::More => {}
                Step::Told { gaps, moved } => {
                    let mut mark = Mark::default();
                    if let Some((name, link)) = moved {
                        mark.0.insert(name, written(&link));
                    }
                    if std::mem::take(&mut self.is_new) {
                        mark.0.insert(SINCE.to_owned(), written(&Since { since_ms: self.since.millis() }));
                    }
                    return Ok(Next::Batch(Batch { gaps, mark, ..Batch::default() }));
                }
                Step::Rest => {
                    self.due = self.clock.now().plus(self.poll);
                    return Ok(Next::Idle);
                }
            }
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        // The store's position is the only one.
        Ok(())
    }
}

async fn load(settings: &Settings) -> Result<SdkConfig, SourceError> {
    let (region, role) = (settings.region.as_deref(), settings.role.as_ref());
    Access { region, role, timeout: ANSWER_TIMEOUT }.load().await
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers are always JSON")
}

fn read<'a, T: Deserialize<'a>>(name: &str, value: &'a str) -> Result<T, SourceError> {
    serde_json::from_str(value).map_err(|error| SourceError {
        doing: format!("read the stored mark {value:?} of {name}"),
        remedy: Remedy::Person,
        source: Some(error.into()),
    })
}

fn span(duration: Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
