//! What is remembered between events, and who owns it: one thread, in order.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hasher};

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::keys::{Borders, Keys, Standing as Is};
use super::level::Levels;
use super::shape::Counted;
use super::table::{Hash, Tick};
use super::window::{Arrival, Lasting, Ripple, TooLate};
use super::{Count, Shape, Sighting, decimal, sight};
use crate::alert::{Alert, AlertId};
use crate::hash::Seed;
use crate::rule::{Rule, RuleId, RuleNumber, RuleSet};
use crate::time::{Span, Timestamp};

/// Written in front of every saved state; one that is not ours is refused.
const VERSION: u8 = 3;

/// Keys that leave at a time at most, and rules whose keys are looked at, so that no event waits for many.
const EXPIRE_MAX: usize = 64;
const EXPIRE_RULES_MAX: usize = 16;

/// Limits of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Keys over all rules; the least recent leaves first.
    pub keys_max: usize,
    /// Bytes of what windows remember of events for the people who will read the alert; the least recent keys leave
    /// first. At least a few segments of 64 KiB.
    pub evidence_bytes_max: usize,
    /// How late, in event time, an event may come and still be counted.
    pub lateness: Span,
    /// Under which keys and values are hashed; a restored state goes on with its own. Whoever knows it can
    /// prepare keys that slow us down.
    pub seed: Seed,
}

/// Windows of all rules.
#[derive(Debug)]
pub struct State {
    caps: Caps,
    seeds: [Seed; 2],
    /// The newest event. Times in the future do not come here: [`Sighting::clamp`].
    clock: Timestamp,
    /// All events before this moment are there, as far as anybody can say.
    watermark: Timestamp,
    /// Windows that wait to be judged, by their ends.
    deadlines: BTreeSet<(Timestamp, usize, Hash)>,
    /// Findings of correlations that are events of others, and whether they happened.
    derived: VecDeque<(Sighting, Is)>,
    evidence: Evidence,
    rules: Vec<Remembered>,
    /// Where the rules of the set that was used last stand among `rules`.
    places: Places,
    keys: usize,
    evicted: u64,
    late: u64,
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

/// Something happened to an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The alert as it is now.
    pub alert: Alert,
    /// Counts up each time people are told; with the id it names a notification.
    pub revision: u64,
    /// Whether people are told: when it is new, each time it has doubled, and when a late event moved it.
    pub tell: bool,
    /// Whether it stands.
    pub standing: Standing,
}

/// Whether an alert stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does.
    Open,
    /// A late event moved its beginning; `by` is the alert that took its place.
    Superseded {
        /// Its successor, if the condition still holds at all.
        by: Option<AlertId>,
    },
}

/// A saved state that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version.
    #[error("saved state has version {found}, this build reads {VERSION}")]
    Version {
        /// Its version byte.
        found: u8,
    },
    /// Cut short or damaged.
    #[error("saved state is damaged")]
    Damaged(#[source] postcard::Error),
}

/// One rule of a state on disk: what [`Remembered`] holds, in its order.
type SavedRule = (RuleId, RuleNumber, (Span, Span), u64, Levels, Keys);

/// A state on disk.
#[derive(Serialize, Deserialize)]
struct Saved<R, E> {
    seed: Seed,
    clock: Timestamp,
    watermark: Timestamp,
    evidence: E,
    rules: R,
    evicted: u64,
    late: u64,
}

impl Default for Caps {
    /// A million keys, a gigabyte, 20 minutes: the bound of the slowest source that people use.
    fn default() -> Self {
        Self {
            keys_max: 1_000_000,
            evidence_bytes_max: 1 << 30,
            lateness: Span::seconds(20 * 60),
            seed: Seed::default(),
        }
    }
}

impl State {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        let another = Seed::new(caps.seed.hash_one(1_u64), caps.seed.hash_one(2_u64));
        Self {
            caps,
            seeds: [caps.seed, another],
            clock: Timestamp::EARLIEST,
            watermark: Timestamp::EARLIEST,
            deadlines: BTreeSet::new(),
            derived: VecDeque::new(),
            evidence: Evidence::new(caps.seed),
            rules: Vec::new(),
            places: Places::default(),
            keys: 0,
            evicted: 0,
            late: 0,
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

    /// Takes in one sighting and appends what it changed. Findings of rules that `rules` does not hold are
    /// passed over: they were made by a set that has been replaced.
    ///
    /// Windows that end further back than the lateness are judged first, as if [`State::advance`] were called, so
    /// that it shows nowhere which events came in one batch.
    pub fn apply(&mut self, rules: &RuleSet, sighting: &Sighting, changes: &mut Vec<Change>) {
        self.use_rules(rules);
        self.clock = self.clock.max(sighting.time);
        // Before keys leave: what waits to be judged is judged first.
        self.advance(rules, self.clock.minus(self.caps.lateness), changes);
        self.expire();
        self.take(rules, sighting, Is::Happened, changes);
        self.settle(rules, changes);
    }

    /// The watermark has come to this moment: no event before it is to be expected. Judges the windows that end
    /// here or before, earliest first, and appends what follows. At the end of all input, with
    /// [`Timestamp::LATEST`], every window.
    pub fn advance(&mut self, rules: &RuleSet, watermark: Timestamp, changes: &mut Vec<Change>) {
        self.use_rules(rules);
        while let Some(&(end, place, hash)) = self.deadlines.first()
            && end <= watermark
        {
            self.deadlines.pop_first();
            self.watermark = self.watermark.max(end);
            self.judge(rules, place, hash, changes);
            self.settle(rules, changes);
        }
        self.watermark = self.watermark.max(watermark);
    }

    /// Takes in what follows from findings of correlations, until nothing follows.
    fn settle(&mut self, rules: &RuleSet, changes: &mut Vec<Change>) {
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
                    let evidence = *kept.get_or_insert_with(|| self.evidence.keep(sighting));
                    let marks = self.marks(&shape.counted, *base, values);
                    // Its values were no numbers.
                    if shape.counted.has_marks() && marks.is_empty() {
                        continue;
                    }
                    let arrival = Arrival { time: sighting.time, uid: &sighting.uid, evidence, marks: &marks };
                    self.count((rules, number, shape), key, (&arrival, is), changes);
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
            Counted::Values(_) => values.iter().map(|value| self.caps.seed.hash_one(value)).collect(),
            Counted::Sum(_) | Counted::Average(_) | Counted::Percentile(..) => {
                values.iter().filter_map(|value| decimal::packed(value)).collect()
            }
            Counted::Rules(_) | Counted::Sequence => vec![base.into()],
        }
    }

    fn count(
        &mut self,
        (rules, number, shape): (&RuleSet, RuleNumber, &Shape),
        key: &[Option<String>],
        arrival: (&Arrival<'_>, Is),
        changes: &mut Vec<Change>,
    ) {
        let place = self.place(rules, number, shape);
        let hash = self.hash(key);
        let borders = Borders { lateness: self.caps.lateness, watermark: self.watermark };
        let now = Tick::of(self.clock);
        let Self { rules: remembered, evidence, ripples, .. } = self;
        let Remembered { keys, scratch, .. } = &mut remembered[place];
        let (before, deadline) = (keys.len(), keys.deadline(hash, shape.window));
        ripples.clear();
        let counted = keys.count((hash, key, now), arrival, (shape, borders), scratch, evidence, ripples);
        self.keys += keys.len() - before;
        self.late += u64::from(counted == Err(TooLate));
        self.wait(place, hash, shape, deadline);
        self.report((rules, number, shape), place, (hash, key), changes);
        self.evict();
    }

    /// The window whose end has come is judged.
    fn judge(&mut self, rules: &RuleSet, place: usize, hash: Hash, changes: &mut Vec<Change>) {
        let Self { rules: remembered, evidence, ripples, .. } = self;
        let rule = &mut remembered[place];
        let Some(number) = rules.number(&rule.rule, rule.number) else { return };
        let Some(shape) = rules.shape(number).filter(|shape| shape.asked == rule.asked) else { return };
        ripples.clear();
        let found = rule.keys.judge(hash, shape, evidence);
        self.wait(place, hash, shape, None);
        if let Some((ripple, key)) = found {
            self.ripples.push(ripple);
            self.report((rules, number, shape), place, (hash, &key), changes);
        }
    }

    /// Puts down when the next window of this key can be judged, in place of what was put down `before`.
    fn wait(&mut self, place: usize, hash: Hash, shape: &Shape, before: Option<Timestamp>) {
        let now = self.rules[place].keys.deadline(hash, shape.window);
        if now != before {
            before.map(|end| self.deadlines.remove(&(end, place, hash)));
            self.deadlines.extend(now.map(|end| (end, place, hash)));
        }
    }

    /// Says what became of alerts, and hands on what is an event of other correlations.
    fn report(
        &mut self,
        (rules, number, shape): (&RuleSet, RuleNumber, &Shape),
        place: usize,
        (hash, key): (Hash, &[Option<String>]),
        changes: &mut Vec<Change>,
    ) {
        if self.ripples.is_empty() {
            return;
        }
        let Self { rules: remembered, evidence, ripples, derived, tells_all, .. } = self;
        let Remembered { keys, scratch, .. } = &remembered[place];
        let episodes = keys.episodes(hash, scratch);
        let rule = rules.rule(number);
        let key = shape.key_of(key);
        let alert = |of: &super::episode::Episode| Alert::of_episode(rule, shape, &key, of.account(evidence));
        let is_counted = !rules.correlations_of(number).is_empty();
        for ripple in ripples.drain(..) {
            if let Ripple::Reopened(place) = ripple {
                if is_counted {
                    let now = alert(&episodes[place]);
                    let event = sight::of_alert(rules, number, &now, now.time);
                    derived.extend([(event.clone(), Is::TakenBack), (event, Is::Happened)]);
                }
                continue;
            }
            let change = match &ripple {
                Ripple::Tell(place) | Ripple::Note(place) | Ripple::Moved(place, _) | Ripple::Reopened(place) => {
                    Change {
                        alert: alert(&episodes[*place]),
                        revision: episodes[*place].revision,
                        tell: !matches!(ripple, Ripple::Note(_)),
                        standing: Standing::Open,
                    }
                }
                Ripple::Gone(old, heir) => Change {
                    alert: alert(old),
                    revision: old.revision + 1,
                    tell: true,
                    standing: Standing::Superseded { by: heir.map(|place| alert(&episodes[place]).id) },
                },
            };
            if is_counted {
                let now = |at| sight::of_alert(rules, number, &change.alert, at);
                match ripple {
                    Ripple::Tell(_) if change.revision == 1 => {
                        derived.push_back((now(change.alert.time), Is::Happened))
                    }
                    Ripple::Tell(_) | Ripple::Note(_) | Ripple::Reopened(_) => {}
                    Ripple::Moved(_, before) => {
                        derived.push_back((now(before), Is::TakenBack));
                        derived.push_back((now(change.alert.time), Is::Happened));
                    }
                    Ripple::Gone(..) => derived.push_back((now(change.alert.time), Is::TakenBack)),
                }
            }
            if rule.alerts || *tells_all {
                changes.push(change);
            }
        }
    }

    /// Gets ready for rules that are not those of the last call. Windows of a rule that was away for a while could not be
    /// judged when their time came, and wait again.
    fn use_rules(&mut self, rules: &RuleSet) {
        if self.places.set == rules.fingerprint() && self.places.by_number.len() == rules.rules().len() {
            return;
        }
        self.places = Places { set: rules.fingerprint(), by_number: vec![None; rules.rules().len()] };
        for (place, rule) in self.rules.iter().enumerate() {
            let waiting = rule.keys.deadlines(rule.window).into_iter();
            self.deadlines.extend(waiting.map(|(end, hash)| (end, place, hash)));
        }
    }

    /// Where what is remembered for this rule stands; emptied if the rule asks something else by now.
    fn place(&mut self, rules: &RuleSet, number: RuleNumber, shape: &Shape) -> usize {
        if let Some(place) = self.places.by_number[number.0 as usize] {
            return place;
        }
        let Rule { id, .. } = rules.rule(number);
        let known = self.rules.iter().position(|remembered| remembered.rule == *id);
        let place = known.unwrap_or_else(|| {
            self.rules.push(Remembered::new(id.clone(), number, shape));
            self.rules.len() - 1
        });
        let Self { rules, evidence, keys, deadlines, .. } = self;
        if rules[place].asked != shape.asked {
            *keys -= rules[place].keys.len();
            rules[place].keys.clear(evidence);
            deadlines.retain(|(_, other, _)| *other != place);
            rules[place] = Remembered::new(id.clone(), number, shape);
        }
        rules[place].number = number;
        self.places.by_number[number.0 as usize] = Some(place);
        place
    }

    /// Lets keys go that no event can be counted with any more, of some rules in turn.
    fn expire(&mut self) {
        let mut room = EXPIRE_MAX;
        for _ in 0..self.rules.len().min(EXPIRE_RULES_MAX) {
            self.turn = (self.turn + 1) % self.rules.len();
            let rule = &mut self.rules[self.turn];
            let border = Tick::of(self.clock.minus(rule.memory.plus(self.caps.lateness))).before();
            while room > 0 && rule.keys.turn().is_some_and(|since| since <= border) {
                self.keys -= usize::from(rule.keys.expire(border, &mut self.evidence));
                room -= 1;
            }
        }
    }

    /// Lets the least recent keys go while there are too many.
    fn evict(&mut self) {
        while self.keys > self.caps.keys_max || self.evidence.bytes() > self.caps.evidence_bytes_max {
            let oldest = self.rules.iter_mut().filter(|rule| rule.keys.len() > 0).min_by_key(|rule| rule.keys.turn());
            let Some(rule) = oldest else { return };
            let gone = usize::from(rule.keys.evict(&mut self.evidence));
            self.keys -= gone;
            self.evicted += gone as u64;
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

    /// Whether some window waits to be judged, so that the course of time matters.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.deadlines.is_empty()
    }

    /// Keys that are remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys
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

    /// All that is remembered, as bytes that [`State::restore`] reads.
    ///
    /// # Errors
    /// Never in practice: memory is the only thing that serialising needs.
    pub fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        let rules: Vec<_> = self
            .rules
            .iter()
            .map(|it| (&it.rule, it.number, (it.window, it.memory), it.asked, it.scratch.kind(), &it.keys))
            .collect();
        let Self { clock, watermark, evidence, evicted, late, .. } = self;
        let (seed, clock, watermark, evicted, late) = (self.caps.seed, *clock, *watermark, *evicted, *late);
        let saved = Saved { seed, clock, watermark, evidence, rules, evicted, late };
        postcard::to_extend(&saved, vec![VERSION])
    }

    /// The state that was saved, exactly.
    ///
    /// # Errors
    /// [`RestoreError`] if it is not one that this build wrote.
    pub fn restore(bytes: &[u8], caps: Caps) -> Result<Self, RestoreError> {
        let (&version, body) = bytes.split_first().ok_or(RestoreError::Version { found: 0 })?;
        if version != VERSION {
            return Err(RestoreError::Version { found: version });
        }
        let saved: Saved<Vec<SavedRule>, Evidence> = postcard::from_bytes(body).map_err(RestoreError::Damaged)?;
        let mut rules = Vec::new();
        let mut deadlines = BTreeSet::new();
        for (place, (rule, number, (window, memory), asked, levels, keys)) in saved.rules.into_iter().enumerate() {
            deadlines.extend(keys.deadlines(window).into_iter().map(|(end, hash)| (end, place, hash)));
            rules.push(Remembered { rule, number, window, memory, asked, keys, scratch: Lasting::new(levels) });
        }
        let keys = rules.iter().map(|rule| rule.keys.len()).sum();
        let evidence = saved.evidence.seeded(saved.seed);
        let (clock, watermark, evicted, late) = (saved.clock, saved.watermark, saved.evicted, saved.late);
        let fresh = Self::new(Caps { seed: saved.seed, ..caps });
        Ok(Self { clock, watermark, deadlines, evidence, rules, keys, evicted, late, ..fresh })
    }
}

impl Remembered {
    fn new(rule: RuleId, number: RuleNumber, shape: &Shape) -> Self {
        let scratch = Lasting::new(Levels::new(&shape.counted));
        let (window, memory) = (shape.window, shape.window.plus(shape.quiet));
        Self { rule, number, window, memory, asked: shape.asked, keys: Keys::new(shape), scratch }
    }
}
