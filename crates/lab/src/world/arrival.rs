//! In which order sources would deliver the records: each source is late in its own way, and within that lateness
//! records overtake each other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use engine::event::Kind;
use engine::time::{Span, Timestamp};

use super::Record;
use super::draw::Draw;

/// A record and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When its source delivered it.
    pub at: Timestamp,
    /// What it delivered.
    pub record: Record,
}

/// Records in the order of their arrival.
pub struct Arrivals<I> {
    records: std::iter::Fuse<I>,
    draw: Draw,
    /// Under way, by time of arrival and number.
    waiting: BinaryHeap<Reverse<(Timestamp, u64)>>,
    held: HashMap<u64, Record>,
    number: u64,
    /// Nothing that is still to come happened before.
    now: Option<Timestamp>,
}

/// Delays records of a world by what their sources delay them. Memory: what happens in the longest delay, 15 minutes.
pub fn arrivals<I: Iterator<Item = Record>>(records: I, seed: u64) -> Arrivals<I> {
    Arrivals {
        records: records.fuse(),
        draw: Draw::of(seed, "arrivals", 0, 0),
        waiting: BinaryHeap::new(),
        held: HashMap::new(),
        number: 0,
        now: None,
    }
}

/// Seconds from what happens to its delivery: least, usually at most, at most.
fn delay_seconds(kind: Kind) -> (u64, u64, u64) {
    match kind {
        Kind::AwsCloudtrail => (90, 360, 900),
        Kind::GithubAudit => (15, 120, 600),
        Kind::GitlabAudit => (2, 20, 90),
        Kind::OktaSystem => (1, 30, 120),
        Kind::GcpAudit => (2, 20, 180),
        Kind::KubernetesAudit | Kind::VaultAudit => (1, 10, 60),
        Kind::AwsEventbridge | Kind::GithubWebhook | Kind::GitlabWebhook => (0, 4, 30),
        Kind::Json | Kind::AwsGuardduty | Kind::AzureActivity | Kind::AzureSignin | Kind::AzureAudit | Kind::CiLog => {
            (0, 0, 0)
        }
    }
}

impl<I: Iterator<Item = Record>> Iterator for Arrivals<I> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            if let Some(Reverse((at, number))) = self.waiting.peek().copied()
                && self.now.is_none_or(|now| at <= now)
            {
                self.waiting.pop();
                return self.held.remove(&number).map(|record| Arrival { at, record });
            }
            let Some(record) = self.records.next() else {
                if self.waiting.is_empty() {
                    return None;
                }
                self.now = None;
                continue;
            };
            let (least, usual, most) = delay_seconds(record.kind);
            let longest = if self.draw.percent(97) { usual } else { most };
            let micros = self.draw.between(least * 1_000_000, longest * 1_000_000);
            let at = record.time.plus(Span::from_micros(i64::try_from(micros).unwrap_or(0)));
            self.now = Some(record.time);
            self.waiting.push(Reverse((at, self.number)));
            self.held.insert(self.number, record);
            self.number += 1;
        }
    }
}
