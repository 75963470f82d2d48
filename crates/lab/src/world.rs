//! A company that does not exist, with every log that it would leave, and intruders in it: **synthetic**.
//!
//! 200 people and 60 services over 30 days give more than a million raw records of the shapes that the vendors document.
//! Everything follows from a seed. The world was written without looking at any rule, detector or threshold, and has to
//! stay so: a world that knows what is looked for proves nothing. Real logs are odder than this; **every figure that comes
//! from here must say that it is from a synthetic world**.
//!
//! [`World`] gives the records in the order of their times and holds little more than one day of them. [`arrivals`] puts
//! them in the order in which sources would deliver them. What belongs to a story of [`World::stories`] carries a
//! [`Label`]; all else is an ordinary day, the odd ones too: an incident at night, a load test, keys that are changed, a
//! traveller, a job of the month, a weekend on which data moves, a role that gets another name.
//!
//! What is simpler than life: clocks have no summer time, nobody's address at home changes, a console session keeps one
//! key, Azure is absent.

mod arrival;
mod calendar;
mod company;
mod draw;
mod life;
mod log;
mod names;
mod network;
mod person;
mod record;
mod stories;
#[cfg(test)]
mod tests;
mod workload;

use std::sync::Arc;

use engine::event::Kind;
use engine::time::Timestamp;

pub use self::arrival::{Arrival, Arrivals, arrivals};
pub use self::network::{NETWORKS, Network, Use};
pub use self::stories::{Step, Story, Told};

use self::calendar::{Calendar, Day};
use self::company::Company;
use self::log::Log;

/// Which world is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Equal seeds give equal bytes.
    pub seed: u64,
    /// The first day. A Monday suits; the time of day is ignored.
    pub start: Timestamp,
    /// How many days. What the company has once in 30 days comes at the same part of fewer.
    pub days: u32,
    /// Size of the company in percent of 200 people and 60 services; at least 20.
    pub size_percent: u32,
    /// Who comes to do harm.
    pub attacks: Attacks,
}

/// Which stories are laid into the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attacks {
    /// None: a benign season.
    None,
    /// All that fit into the days.
    All,
    /// The one of this name.
    One(&'static str),
}

impl Default for Plan {
    fn default() -> Self {
        // A Monday.
        let start = Timestamp::from_millis(1_788_739_200_000);
        Self { seed: 1, start, days: 30, size_percent: 100, attacks: Attacks::All }
    }
}

/// A raw record, as it would come from its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the source declares it to be.
    pub kind: Kind,
    /// Name of the source.
    pub source: &'static str,
    /// The time that the record gives itself.
    pub time: Timestamp,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// The story that it belongs to; nothing if it is benign.
    pub label: Option<Label>,
}

/// Where in a story a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Number of the story in the list of all.
    pub story: usize,
    /// Number of the step, from 0.
    pub step: usize,
    /// Whether this step is what the attacker came for.
    pub goal: bool,
}

/// All records of a world in the order of their times. Memory: one day of records and what reaches into the next, 125 MB
/// at full size.
pub struct World {
    company: Arc<Company>,
    stories: Vec<Told>,
    /// Records of the stories that are still to come, the last first.
    attacks: Vec<Record>,
    /// Records that have been written, the last first.
    ready: Vec<Record>,
    /// Records of days that have not begun.
    later: Vec<Record>,
    day: Day,
}

impl World {
    /// A world that has not begun.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let calendar = Calendar::new(plan.start, plan.days);
        let size = plan.size_percent.max(20) as usize;
        let company = Arc::new(Company::new(plan.seed, calendar, 200 * size / 100, 60 * size / 100));
        let stories = stories::lay(&company, plan.attacks);
        let mut attacks: Vec<Record> = stories.iter().flat_map(|told| told.records.iter().cloned()).collect();
        attacks.sort_by_key(|record| record.time);
        attacks.reverse();
        Self { company, stories, attacks, ready: Vec::new(), later: Vec::new(), day: 0 }
    }

    /// The stories that are laid into it.
    #[must_use]
    pub fn stories(&self) -> &[Told] {
        &self.stories
    }

    /// Writes the next day; what reaches into days after it waits.
    fn turn_day(&mut self) {
        let calendar = self.company.calendar;
        let mut log = Log::new(Arc::clone(&self.company), calendar.begin(self.day));
        life::day(&mut log, self.day);
        debug_assert!(
            log.records.iter().all(|record| record.time >= calendar.begin(self.day)),
            "a day begins with itself"
        );
        self.day += 1;
        let end = calendar.begin(self.day);
        let mut records = std::mem::take(&mut self.later);
        records.append(&mut log.records);
        while self.attacks.last().is_some_and(|record| record.time < end) {
            records.extend(self.attacks.pop());
        }
        // Stable, so that what was written first stays first within one instant.
        records.sort_by_key(|record| record.time);
        self.later = records.split_off(records.partition_point(|record| record.time < end));
        records.reverse();
        self.ready = records;
    }
}

impl Iterator for World {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while self.ready.is_empty() {
            if self.day >= self.company.calendar.days() {
                // What began on the last evening and ended after it is beyond the world.
                return None;
            }
            self.turn_day();
        }
        self.ready.pop()
    }
}
