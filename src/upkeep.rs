//! What the store and the archive need now and then, beside the road of events: the log is emptied, what is old leaves.
//!
//! A turn is short, and only what it deletes holds up a commit. A turn that the disk refuses is counted, said once and
//! taken again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use connect::clock::Clock;
use engine::time::{Span, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::archive;
use crate::config::Config;
use crate::metrics::METRICS;
use crate::store::{Emptier, Left, Limits, Reader, Store, Sweep};

/// From one turn to the next: 32 alerts or 128 messages may leave in each, 27 million alerts a day.
const TURN: Duration = Duration::from_millis(100);
/// From the end of one walk over what is kept to the next.
const REST: Duration = Duration::from_secs(60);
/// What [`METRICS`] calls what left.
const WHAT: [&str; 5] = ["alert", "delivery", "dead_letter", "dead_record", "event"];

/// Everything that upkeep needs.
#[derive(Debug)]
pub(crate) struct Upkeep {
    store: Arc<Store>,
    reader: Reader,
    emptier: Emptier,
    config: Settings,
    clock: Clock,
    work: Work,
    /// Whether the last turn failed, or all of it is above the size and must stay: said once.
    failing: [bool; 3],
}

#[derive(Debug)]
struct Settings {
    archive: PathBuf,
    archive_bytes_max: u64,
    archive_age_max: Duration,
    bytes_max: u64,
    ages: [Duration; 3],
}

/// What the next turn goes on with.
#[derive(Debug)]
enum Work {
    Rest(Instant),
    Sweep(Sweep),
    /// Segments that leave, the next one last.
    Segments(Vec<u64>),
}

impl Upkeep {
    /// Of this store, as the configuration says.
    ///
    /// # Errors
    /// When the store cannot be opened once more.
    pub(crate) fn open(store: &Arc<Store>, config: &Config, clock: Clock) -> anyhow::Result<Self> {
        for what in WHAT {
            METRICS.retired.with_label_values(&[what]).inc_by(0);
        }
        let mib = |number: u64| number.saturating_mul(1 << 20);
        let settings = Settings {
            archive: config.data.join("archive"),
            archive_bytes_max: mib(config.archive.mib_max),
            archive_age_max: config.archive.age_max,
            bytes_max: mib(config.retention.mib_max),
            ages: [config.retention.alerts, config.retention.deliveries, config.retention.dead_letters],
        };
        let (reader, emptier) = (store.reader()?, Emptier::open(store)?);
        let work = Work::Rest(Instant::now());
        Ok(Self { store: store.clone(), reader, emptier, config: settings, clock, work, failing: [false; 3] })
    }

    fn turn(&mut self) {
        let emptied = self.emptier.look(&self.store);
        if emptied.is_err() {
            METRICS.checkpoint_errors.inc();
        }
        say(&mut self.failing[0], "log of the store not emptied: it grows until this works", emptied);
        let swept = self.sweep();
        if swept.is_err() {
            METRICS.retention_errors.inc();
            self.work = Work::Rest(Instant::now() + REST);
        }
        say(&mut self.failing[1], "what is old was not removed", swept);
    }

    fn sweep(&mut self) -> anyhow::Result<()> {
        self.work = match &mut self.work {
            Work::Rest(until) if *until > Instant::now() => return Ok(()),
            Work::Rest(_) => Work::Sweep(Sweep::new(self.limits())),
            Work::Sweep(sweep) => {
                count(self.store.retain(&self.reader, sweep)?);
                if !sweep.is_done() {
                    return Ok(());
                }
                let kept = self.store.kept_bytes()?;
                METRICS.kept_bytes.set(i64::try_from(kept).unwrap_or(i64::MAX));
                let full = if kept > self.config.bytes_max { Err(anyhow::anyhow!("{kept} bytes")) } else { Ok(()) };
                say(&mut self.failing[2], "above retention.mib_max: all that is left is still to be told", full);
                let Settings { archive, archive_bytes_max, archive_age_max, .. } = &self.config;
                let oldest = SystemTime::now().checked_sub(*archive_age_max).unwrap_or(SystemTime::UNIX_EPOCH);
                let mut segments = archive::leaving(archive, *archive_bytes_max, oldest)?;
                segments.reverse();
                Work::Segments(segments)
            }
            Work::Segments(segments) => {
                let Some(segment) = segments.last() else {
                    self.work = Work::Rest(Instant::now() + REST);
                    return Ok(());
                };
                // Places first: what the store knows can always be read.
                let forgotten = self.store.forget_places(*segment)?;
                METRICS.retired.with_label_values(&["event"]).inc_by(forgotten);
                if forgotten == 0 {
                    // And for good: what forgot them may still wait for its sync, and the file is gone at once.
                    self.store.sync()?;
                    archive::remove(&self.config.archive, *segment)?;
                    tracing::info!(segment, "archive segment left by age or size");
                    segments.pop();
                }
                return Ok(());
            }
        };
        Ok(())
    }

    fn limits(&self) -> Limits {
        let now = self.clock.now();
        let ago = |age: Duration| {
            let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.micros().saturating_sub(Span::from_micros(micros).micros()))
        };
        let [alerts, deliveries, dead_letters] = self.config.ages.map(ago);
        Limits { alerts, deliveries, dead_letters, bytes_max: self.config.bytes_max }
    }
}

/// Takes turns until told to stop.
pub(crate) async fn run(mut upkeep: Upkeep, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TURN);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let turn = tokio::task::spawn_blocking(move || {
            upkeep.turn();
            upkeep
        });
        upkeep = turn.await.expect("upkeep does not panic");
    }
}

fn count(left: Left) {
    let Left { alerts, deliveries, dead_letters, dead_records } = left;
    for (what, number) in WHAT.iter().zip([alerts, deliveries, dead_letters, dead_records]) {
        METRICS.retired.with_label_values(&[what]).inc_by(number);
    }
}

fn say(failing: &mut bool, words: &'static str, result: anyhow::Result<()>) {
    match result {
        Ok(()) => *failing = false,
        Err(error) => {
            if !std::mem::replace(failing, true) {
                tracing::warn!(error = format!("{error:#}"), "{words}");
            }
        }
    }
}
