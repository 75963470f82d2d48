//! Everything that CloudWatch may do to its readers, at once and by chance, with crashes in between: nothing is lost, and
//! nothing comes twice in one life of the source.
//!
//! `LAPWING_RUNS` asks for another number of runs, `LAPWING_SEED` for one of them.

use std::collections::BTreeSet;

use engine::time::{Span, Timestamp};
use serde_json::json;

use super::budget::Budget;
use super::fake::{Fake, Shown, Unkind};
use super::{CloudWatch, Settings};
use crate::clock::{Clock, Hand};
use crate::source::{Batch, Mark, Next, Source};

/// In an ordinary run of the tests.
const RUNS: u64 = 20;

/// For as long events come; afterwards the last ones become readable.
const MINUTES: i64 = 40;

const GROUPS: [&str; 3] = ["trail", "app", "audit"];

/// Random numbers that a seed repeats (splitmix64).
struct Chance(u64);

impl Chance {
    /// From 0, below `limit`.
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit.unsigned_abs().max(1)) as i64
    }

    /// Never, or each so many.
    fn every(&mut self, least: i64, most: i64) -> u64 {
        match self.below(4) {
            0 => 0,
            _ => (least + self.below(most - least)).unsigned_abs(),
        }
    }
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn unkind(chance: &mut Chance) -> Unkind {
    let began = noon().millis() + chance.below(MINUTES) * 60_000;
    Unkind {
        page: chance.every(25, 80) as usize,
        empty_every: chance.every(3, 8),
        throttle_every: chance.every(4, 15),
        // Rarer than the pages of one scan, or none would ever end.
        refuse_every: chance.every(30, 90),
        reorder: chance.below(2) == 0,
        repeat_every: chance.every(1, 5),
        outage: (chance.below(2) == 0).then_some((began, began + 600_000)),
    }
}

/// Events in bursts, many of one moment, each shown at some time within the overlap.
fn shown(chance: &mut Chance) -> Vec<Shown> {
    let mut shown = Vec::new();
    for group in GROUPS {
        // At least one, as a group without any does not exist here.
        for number in 0..=chance.below(120) {
            let time_ms = noon().millis() - 300_000 + chance.below(MINUTES * 6) * 10_000;
            let delay_ms = match chance.below(3) {
                0 => 0,
                1 => chance.below(30_000),
                _ => chance.below(570_000),
            };
            shown.push(Shown { group, id: format!("{group}-{number:03}"), time_ms, visible_ms: time_ms + delay_ms });
        }
    }
    shown
}

/// What reached the disk over all lives.
#[derive(Debug, Default)]
struct Disk {
    mark: Mark,
    positions: BTreeSet<String>,
}

impl Disk {
    fn commit(&mut self, batch: Batch) {
        self.mark.0.extend(batch.mark.0);
        self.positions.extend(batch.records.into_iter().map(|record| record.position));
    }
}

/// One life: it ends by a crash after so many batches, of which the last few were not committed, or at the end.
async fn live(
    source: &mut CloudWatch,
    disk: &mut Disk,
    hand: &Hand,
    batches_max: i64,
    owed_max: usize,
    end: Timestamp,
) {
    let (mut owed, mut in_this_life) = (Vec::new(), BTreeSet::new());
    let mut batches = 0;
    while hand.now() < end && batches < batches_max {
        // The service waits a second and tries again.
        let Ok(next) = source.next().await else {
            hand.move_to(hand.now().plus(Span::seconds(1)));
            continue;
        };
        match next {
            Next::Batch(batch) => {
                batches += 1;
                for record in &batch.records {
                    assert!(in_this_life.insert(record.position.clone()), "{} came twice", record.position);
                }
                owed.push(batch);
            }
            Next::Idle => {}
            other => panic!("{other:?}"),
        }
        while owed.len() > owed_max {
            disk.commit(owed.remove(0));
        }
    }
    if hand.now() >= end {
        owed.into_iter().for_each(|batch| disk.commit(batch));
    }
}

async fn run(seed: u64) {
    let mut chance = Chance(seed);
    let hand = Hand::at(noon());
    let shown = shown(&mut chance);
    let fake = Fake::start(hand.clone(), unkind(&mut chance), shown.clone()).await;
    let settings: Settings = serde_json::from_value(json!({
        "log_groups": GROUPS, "poll": format!("{}s", 20 + chance.below(40)), "reconcile": "2m", "audit": "10m",
        "requests_per_second": 5.0,
    }))
    .unwrap();
    let mut disk = Disk::default();
    let end = noon().plus(Span::seconds((MINUTES as u32 + 30) * 60));
    while hand.now() < end {
        let budget = Budget::alone(settings.requests_per_second);
        let clock = Clock::Hand(hand.clone());
        let mut source = CloudWatch::with_client(&settings, &disk.mark, clock, fake.client.clone(), budget).unwrap();
        let (batches, owed) = (1 + chance.below(60), chance.below(5) as usize);
        live(&mut source, &mut disk, &hand, batches, owed, end).await;
    }
    let expected: BTreeSet<String> = shown.iter().map(|event| format!("{}/{}", event.group, event.id)).collect();
    let lost: Vec<_> = expected.difference(&disk.positions).collect();
    let invented: Vec<_> = disk.positions.difference(&expected).collect();
    assert!(lost.is_empty() && invented.is_empty(), "LAPWING_SEED={seed}: lost {lost:?}, invented {invented:?}");
}

#[tokio::test]
async fn whatever_cloudwatch_does_and_whenever_we_crash_nothing_is_lost_and_nothing_comes_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("LAPWING_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAPWING_RUNS").unwrap_or(RUNS),
    };
    for seed in seeds {
        // So that a failure says which.
        eprintln!("LAPWING_SEED={seed}");
        run(seed).await;
    }
}
