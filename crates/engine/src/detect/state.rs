//! What is remembered between events, and who owns it: one thread, in order.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

use serde::{Deserialize, Serialize};

use super::anomaly::Group;
use super::anomaly::Reliability;
use super::desk::Desk;
use super::evidence::Evidence;
use super::keys::{Gone, Is, Keyed, Keys};
use super::level::Levels;
use super::progress::{Borders, Pace, Progress, Reach};
use super::shape::Counted;
use super::table::{Hash, Tick};
use super::window::{Arrival, Asked, Lasting, Ripple, TooLate};
use super::{Change, Count, Shape, Sighting, Standing, decimal};
use crate::alert::Alert;
use crate::event::Kinds;
use crate::hash::Seed;
use crate::rule::{RuleId, RuleNumber, RuleSet};
use crate::time::{Span, Timestamp};

mod advance;
mod choose;
mod deadlines;
mod report;
mod saved;

pub use saved::RestoreError;

use deadlines::{Deadlines, Due};

/// Limits of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Keys over all rules; the least recent leaves first.
    pub keys_max: usize,
    /// Bytes of all windows, and of what they remember of events for the people who will read the alert; the least
    /// recent keys leave first. At least a few segments of 64 KiB.
    pub bytes_max: usize,
    /// How late, in event time, an event may come and still be counted, where its source does not say.
    pub lateness: Span,
    /// Under which keys and values are hashed; a restored state goes on with its own. Whoever knows it can
    /// prepare keys that slow us down.
    pub seed: Seed,
}

/// One step of the stream: how far partitions have come, and with which event, if rules matched it. All that state
/// takes in, and what a journal keeps: the same steps come to the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// How far they have come with it.
    pub reached: Vec<Reach>,
    /// What rules matched.
    pub sighting: Option<Sighting>,
}

/// What was remembered for a rule that asks something else by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Which rule.
    pub rule: RuleId,
    /// How many keys it had.
    pub keys: usize,
}

/// What a rule has learnt.
#[derive(Clone, Copy, Debug)]
pub struct Habits<'s> {
    /// Which rule.
    pub rule: &'s RuleId,
    /// How far its ranks keep what they promise.
    pub reliability: &'s Reliability,
    /// Keys that are known.
    pub keys: usize,
    /// What is kept of them.
    pub bytes: usize,
}

/// Windows of all rules.
#[derive(Debug)]
pub struct State {
    caps: Caps,
    seeds: [Seed; 2],
    progress: Progress,
    /// While windows are judged one after the other: how far that has come.
    judging: Timestamp,
    /// The newest event. Times in the future do not come here: [`Sighting::clamp`].
    clock: Timestamp,
    /// Findings of correlations that are events of others, and whether they happened.
    derived: VecDeque<(Sighting, Is)>,
    evidence: Evidence,
    /// Alerts that wait to be chosen among.
    desk: Desk,
    rules: Vec<Remembered>,
    /// Windows that wait to be judged.
    deadlines: Deadlines,
    /// Bytes of all keys, which are what changes with each event.
    bytes: usize,
    /// Where the rules of the set that was used last stand among `rules`.
    places: Places,
    /// The partition of those who name none.
    only: Reach,
    keys: usize,
    evicted: u64,
    late: u64,
    forgotten: Vec<Forgotten>,
    /// The rule whose keys were looked at last for those that may leave.
    turn: usize,
    /// Whether rules that are only counted are told of, too.
    tells_all: bool,
    ripples: Vec<Ripple>,
}

/// What is remembered for one rule.
#[derive(Debug)]
struct Remembered {
    rule: RuleId,
    /// Its number in the set that was used last: where to look first.
    number: RuleNumber,
    window: Span,
    /// How long after its last event no other one can be counted with it, lateness left out.
    memory: Span,
    /// What the rule asked when this was counted.
    asked: u64,
    /// The logs that it is counted over.
    kinds: Kinds,
    keys: Keys,
    /// Where brief windows are laid out.
    scratch: Lasting,
}

/// From numbers of rules to places in a state.
#[derive(Debug, Default)]
struct Places {
    /// The rule set that these are the numbers of.
    set: u64,
    by_number: Vec<Option<usize>>,
}

/// A rule of a set, and what it asks.
#[derive(Clone, Copy)]
struct Asking<'r> {
    rules: &'r RuleSet,
    number: RuleNumber,
    shape: &'r Shape,
}

impl Default for Caps {
    /// A million keys, a gigabyte, 20 minutes: the bound of the slowest source that people use.
    fn default() -> Self {
        Self { keys_max: 1_000_000, bytes_max: 1 << 30, lateness: Span::seconds(20 * 60), seed: Seed::default() }
    }
}

impl State {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        let another = Seed::new(caps.seed.hash_one(1_u64), caps.seed.hash_one(2_u64));
        let pace = Pace { delay: caps.lateness, lateness: caps.lateness };
        Self {
            caps,
            seeds: [caps.seed, another],
            progress: Progress::default(),
            judging: Timestamp::LATEST,
            clock: Timestamp::EARLIEST,
            derived: VecDeque::new(),
            evidence: Evidence::new(caps.seed),
            desk: Desk::default(),
            rules: Vec::new(),
            deadlines: Deadlines::default(),
            bytes: 0,
            places: Places::default(),
            only: Reach::new("", pace),
            keys: 0,
            evicted: 0,
            late: 0,
            forgotten: Vec::new(),
            turn: 0,
            tells_all: false,
            ripples: Vec::new(),
        }
    }

    /// Tells of rules as well that are there to be counted by others: what `lapwing test` asks for.
    #[must_use]
    pub fn telling_all(self) -> Self {
        Self { tells_all: true, ..self }
    }

    /// Takes in one step and appends what it changed. Findings of rules that `rules` does not hold are passed over:
    /// they were made by a set that has been replaced.
    ///
    /// Windows that end before the watermark to which the step takes their rule are judged first, so that it shows
    /// nowhere which events came in one batch.
    ///
    /// Costs what it changes: a search among the partitions, one look a set of kinds that rules read, and the windows of
    /// the keys that it counts for; all partitions only where the slowest one goes on or another than time changes.
    pub fn step(&mut self, rules: &RuleSet, step: &Step, changes: &mut Vec<Change>) {
        self.take_step(rules, &step.reached, step.sighting.as_ref(), changes);
    }

    /// Takes in a sighting of a stream that has one partition only.
    pub fn apply(&mut self, rules: &RuleSet, sighting: &Sighting, changes: &mut Vec<Change>) {
        // A wrong clock says nothing of how far the stream has come.
        let time = if sighting.clamped { Timestamp::EARLIEST } else { sighting.time };
        self.stream(rules, time, sighting.kind.into(), Some(sighting), changes);
    }

    /// A stream that has one partition only has come this far, with an event that no rule matched.
    pub fn pass(&mut self, rules: &RuleSet, time: Timestamp, changes: &mut Vec<Change>) {
        self.stream(rules, time, Kinds::default(), None, changes);
    }

    /// Nothing more comes: judges every window that still waits, earliest first, and appends what follows.
    pub fn finish(&mut self, rules: &RuleSet, changes: &mut Vec<Change>) {
        self.use_rules(rules);
        self.judge_all(rules, changes);
    }

    fn stream(
        &mut self,
        rules: &RuleSet,
        time: Timestamp,
        kinds: Kinds,
        sighting: Option<&Sighting>,
        changes: &mut Vec<Change>,
    ) {
        self.only.newest = self.only.newest.max(time);
        self.only.kinds = self.only.kinds.and(kinds);
        let reach = self.only.clone();
        self.take_step(rules, std::slice::from_ref(&reach), sighting, changes);
    }

    fn take_step(
        &mut self,
        rules: &RuleSet,
        reached: &[Reach],
        sighting: Option<&Sighting>,
        changes: &mut Vec<Change>,
    ) {
        self.use_rules(rules);
        for reach in reached {
            self.progress.hear(reach);
            // One that brings no logs says nothing of how far they have come.
            if !reach.kinds.is_empty() {
                self.clock = self.clock.max(reach.newest);
            }
        }
        self.progress.refresh();
        // Before keys leave: what waits to be judged is judged first.
        self.advance(rules, changes);
        self.expire();
        if let Some(sighting) = sighting {
            self.take(rules, sighting, Is::Happened, changes);
            self.take_derived(rules, changes);
        }
    }

    /// Takes in what follows from findings of correlations, until nothing follows.
    fn take_derived(&mut self, rules: &RuleSet, changes: &mut Vec<Change>) {
        while let Some((sighting, is)) = self.derived.pop_front() {
            self.take(rules, &sighting, is, changes);
        }
    }

    fn take(&mut self, rules: &RuleSet, sighting: &Sighting, is: Is, changes: &mut Vec<Change>) {
        let mut kept = None;
        for finding in &sighting.findings {
            let Some(number) = rules.number(&finding.rule, finding.number) else { continue };
            match (&finding.count, rules.shape(number)) {
                (Count::Alone, _) => changes.push(Change {
                    alert: Alert::alone(rules.rule(number), sighting),
                    revision: 1,
                    tell: true,
                    standing: Standing::Open,
                }),
                (Count::Within { reading, base, key, values }, Some(shape)) if *reading == shape.reading => {
                    let marks = self.marks(&shape.counted, *base, values);
                    // Most of what a rule learns from is nothing new, and nothing of it is kept.
                    if shape.learning.is_some() && self.has_looked(number, shape, key, sighting.time, &marks) {
                        continue;
                    }
                    let evidence = *kept.get_or_insert_with(|| self.evidence.keep(sighting));
                    // Its values were no numbers.
                    if shape.counted.has_marks() && marks.is_empty() {
                        continue;
                    }
                    let arrival = Arrival {
                        time: sighting.time,
                        uid: &sighting.uid,
                        evidence,
                        marks: &marks,
                        values,
                        group: None,
                    };
                    self.count(Asking { rules, number, shape }, key, arrival, is, changes);
                }
                // The rule reads something else since the sighting was made, or lost its `dedup`.
                (Count::Within { .. }, _) => {}
            }
        }
    }

    /// What of an event's values is kept.
    fn marks(&self, counted: &Counted, base: u16, values: &[String]) -> Vec<u64> {
        match counted {
            Counted::Moments | Counted::Events => Vec::new(),
            Counted::Values(_) | Counted::Unusual => {
                values.iter().map(|value| self.caps.seed.hash_one(value)).collect()
            }
            Counted::Sum(_) | Counted::Average(_) | Counted::Percentile(..) => {
                values.iter().filter_map(|value| decimal::packed(value)).collect()
            }
            Counted::Rules(_) | Counted::Sequence => vec![base.into()],
        }
    }

    /// Whether a rule that learns has looked at all that this event brings.
    fn has_looked(
        &mut self,
        number: RuleNumber,
        shape: &Shape,
        key: &[Option<String>],
        time: Timestamp,
        marks: &[u64],
    ) -> bool {
        let Some(place) = self.places.by_number[number.0 as usize] else { return false };
        let hash = self.hash(shape.split(key).0);
        let has_looked = self.rules[place].keys.has_looked(hash, shape, time, marks);
        if has_looked {
            self.rules[place].keys.see(hash, Tick::of(self.clock));
        }
        has_looked
    }

    fn count(
        &mut self,
        asking: Asking<'_>,
        values: &[Option<String>],
        arrival: Arrival<'_>,
        is: Is,
        changes: &mut Vec<Change>,
    ) {
        let place = self.place(asking);
        let shape = asking.shape;
        let (values, peers) = shape.split(values);
        let group = Group::of(peers, |peers| self.hash(peers)[0]);
        let arrival = &Arrival { group: group.as_ref(), ..arrival };
        let hash = self.hash(values);
        let borders = self.borders(place);
        let now = Tick::of(self.clock);
        let Self { rules: remembered, evidence, ripples, .. } = self;
        let Remembered { keys, scratch, .. } = &mut remembered[place];
        let (before, bytes, deadline) = (keys.len(), keys.bytes(), keys.deadline(hash, shape.window));
        ripples.clear();
        let counted = match is {
            Is::Happened => {
                keys.count(Keyed { hash, values, now }, arrival, Asked { shape, borders }, scratch, evidence, ripples)
            }
            Is::TakenBack => {
                keys.take_back(hash, now, arrival, shape, evidence, ripples);
                Ok(())
            }
        };
        self.keys += keys.len() - before;
        self.bytes = self.bytes + keys.bytes() - bytes;
        self.late += u64::from(counted == Err(TooLate));
        self.wait(place, hash, deadline);
        self.report(asking, place, hash, values, changes);
        self.evict();
    }

    fn borders(&self, place: usize) -> Borders {
        let borders = self.progress.borders(self.rules[place].kinds);
        Borders { watermark: borders.watermark.min(self.judging), ..borders }
    }

    /// Gets ready for rules that are not those of the last call. What was counted for a rule that asks something else by
    /// now is forgotten. Windows of a rule that was away for a while could not be judged when their time came, and wait
    /// again.
    fn use_rules(&mut self, rules: &RuleSet) {
        if self.places.set == rules.fingerprint() && self.places.by_number.len() == rules.rules().len() {
            return;
        }
        self.places = Places { set: rules.fingerprint(), by_number: vec![None; rules.rules().len()] };
        for place in 0..self.rules.len() {
            let Remembered { rule, number, .. } = &self.rules[place];
            let Some(number) = rules.number(rule, *number) else { continue };
            let Some(shape) = rules.shape(number) else { continue };
            self.renew(Asking { rules, number, shape }, place);
        }
        self.renew_desk(rules);
        self.wait_again();
    }

    /// Puts down all windows that wait, by what their rules read now.
    fn wait_again(&mut self) {
        self.deadlines = Deadlines::default();
        self.progress.unwatch();
        for (place, rule) in self.rules.iter().enumerate() {
            self.progress.watch(rule.kinds);
            for (end, hash) in rule.keys.deadlines(rule.window) {
                self.deadlines.insert(rule.kinds, Due { end, place, hash });
            }
        }
        self.progress.watch(self.desk.kinds);
        self.wait_for_desk(None);
    }

    /// Where what is remembered for this rule stands.
    fn place(&mut self, asking: Asking<'_>) -> usize {
        let number = asking.number.0 as usize;
        if let Some(place) = self.places.by_number[number] {
            return place;
        }
        let remembered = Remembered::new(asking);
        self.progress.watch(remembered.kinds);
        self.rules.push(remembered);
        self.places.by_number[number] = Some(self.rules.len() - 1);
        self.rules.len() - 1
    }

    /// What is remembered at this place is that of the rule as it is now; emptied if it asks something else.
    fn renew(&mut self, asking: Asking<'_>, place: usize) {
        let remembered = &mut self.rules[place];
        if remembered.asked != asking.shape.asked {
            let (rule, keys) = (remembered.rule.clone(), remembered.keys.len());
            self.keys -= keys;
            self.bytes -= remembered.keys.bytes();
            remembered.keys.clear(&mut self.evidence);
            self.forgotten.push(Forgotten { rule, keys });
            *remembered = Remembered::new(asking);
        }
        (remembered.number, remembered.kinds) = (asking.number, asking.rules.kinds(asking.number));
        self.places.by_number[asking.number.0 as usize] = Some(place);
    }

    /// Lets the least recent keys go while there are too many.
    fn evict(&mut self) {
        while self.keys > self.caps.keys_max || self.bytes() > self.caps.bytes_max {
            let rules = self.rules.iter().enumerate().filter(|(_, rule)| rule.keys.len() > 0);
            let Some((place, _)) = rules.min_by_key(|(_, rule)| rule.keys.turn()) else { return };
            let rule = &mut self.rules[place];
            let before = rule.keys.bytes();
            if let Some(gone) = rule.keys.evict(rule.window, &mut self.evidence) {
                self.left(place, before, &gone);
                self.evicted += 1;
            }
        }
    }

    /// A key of the rule at this place has left, whose keys took so many bytes before.
    fn left(&mut self, place: usize, before: usize, gone: &Gone) {
        let rule = &self.rules[place];
        self.bytes = self.bytes + rule.keys.bytes() - before;
        self.keys -= 1;
        if let Some((end, hash)) = gone.deadline {
            self.deadlines.remove(rule.kinds, Due { end, place, hash });
        }
    }

    fn hash(&self, key: &[Option<String>]) -> Hash {
        self.seeds.map(|seed| {
            let mut hasher = seed.build_hasher();
            for part in key {
                match part {
                    None => hasher.write_u8(0xff),
                    Some(text) => {
                        hasher.write_u64(text.len() as u64);
                        hasher.write(text.as_bytes());
                    }
                }
            }
            hasher.finish()
        })
    }

    /// When the next window can be judged that waits for partitions which bring logs of these kinds: before that the
    /// course of time makes no difference.
    #[must_use]
    pub fn deadline(&self, kinds: Kinds) -> Option<Timestamp> {
        self.deadlines.first(kinds)
    }

    /// Keys that are remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// Bytes of all that is remembered, without what the allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.evidence.bytes() + self.bytes + self.desk.bytes()
    }

    /// Keys that had to leave since the beginning.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Events that came too late to be counted in a window since the beginning.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How far each partition has come, as far as it was said.
    pub fn partitions(&self) -> impl Iterator<Item = &Reach> + Clone {
        self.progress.partitions()
    }

    /// Of each rule that learns: how far its ranks keep what they promise.
    pub fn learnt(&self) -> impl Iterator<Item = Habits<'_>> {
        self.rules.iter().filter_map(|rule| {
            let (reliability, bytes) = rule.keys.reliability()?;
            Some(Habits { rule: &rule.rule, reliability, keys: rule.keys.len(), bytes })
        })
    }

    /// What was forgotten since the last call, because its rule asks something else by now.
    pub fn take_forgotten(&mut self) -> Vec<Forgotten> {
        std::mem::take(&mut self.forgotten)
    }
}

impl Remembered {
    fn new(asking: Asking<'_>) -> Self {
        let Asking { rules, number, shape } = asking;
        Self {
            rule: rules.rule(number).id.clone(),
            number,
            window: shape.window,
            memory: shape.learning.as_ref().map_or(shape.window.plus(shape.quiet), |learning| learning.remember),
            asked: shape.asked,
            kinds: rules.kinds(number),
            keys: Keys::new(shape),
            scratch: Lasting::new(Levels::new(&shape.counted)),
        }
    }
}
