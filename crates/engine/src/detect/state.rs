//! What is remembered between events, and who owns it: one thread, in order.

use std::hash::{BuildHasher, Hasher};

use serde::{Deserialize, Serialize};

use super::brief::{Brief, Halves};
use super::evidence::{Evidence, Handle};
use super::level::Levels;
use super::shape::Counted;
use super::table::{Hash, Table, Tick};
use super::window::{Arrival, Lasting, Ripple, TooLate};
use super::{Count, Key, Shape, Sighting};
use crate::alert::{Alert, AlertId};
use crate::hash::Seed;
use crate::rule::{Rule, RuleId, RuleNumber, RuleSet};
use crate::time::{Span, Timestamp};

/// Written in front of every saved state; one that is not ours is refused.
const VERSION: u8 = 2;

/// Limits of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Keys over all rules; the least recent leaves first.
    pub keys_max: usize,
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
    /// The newest event, as far as one event may move it.
    clock: Timestamp,
    evidence: Evidence,
    rules: Vec<Remembered>,
    /// Where the rules of the set that was used last stand among `rules`.
    places: Places,
    keys: usize,
    evicted: u64,
    late: u64,
    ripples: Vec<Ripple>,
}

/// What is remembered for one rule.
#[derive(Debug)]
struct Remembered {
    rule: RuleId,
    /// What the rule asked when this was counted.
    asked: u64,
    keys: Keys,
    /// Where brief windows are laid out.
    scratch: Lasting,
}

/// The windows of a rule's keys, with or without marks.
#[derive(Debug, Serialize, Deserialize)]
enum Keys {
    Bare(Table<Brief<()>>),
    Marked(Table<Brief<Halves>>),
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

/// A state on disk.
#[derive(Serialize, Deserialize)]
struct Saved<R, E> {
    seed: Seed,
    clock: Timestamp,
    evidence: E,
    rules: R,
    evicted: u64,
    late: u64,
}

impl Default for Caps {
    /// A million keys, 20 minutes: the bound of the slowest source that people use.
    fn default() -> Self {
        Self { keys_max: 1_000_000, lateness: Span::seconds(20 * 60), seed: Seed::default() }
    }
}

impl Keys {
    fn new(counted: &Counted) -> Self {
        match counted {
            Counted::Moments | Counted::Events => Self::Bare(Table::default()),
            Counted::Values(_) => Self::Marked(Table::default()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bare(table) => table.len(),
            Self::Marked(table) => table.len(),
        }
    }

    fn turn(&self) -> Option<Tick> {
        match self {
            Self::Bare(table) => table.turn(),
            Self::Marked(table) => table.turn(),
        }
    }

    fn expire(&mut self, border: Tick, evidence: &mut Evidence) -> bool {
        match self {
            Self::Bare(table) => table.expire(border).inspect(|window| window.release(evidence)).is_some(),
            Self::Marked(table) => table.expire(border).inspect(|window| window.release(evidence)).is_some(),
        }
    }

    fn evict(&mut self, evidence: &mut Evidence) -> bool {
        match self {
            Self::Bare(table) => table.evict().inspect(|window| window.release(evidence)).is_some(),
            Self::Marked(table) => table.evict().inspect(|window| window.release(evidence)).is_some(),
        }
    }

    fn clear(&mut self, evidence: &mut Evidence) {
        match self {
            Self::Bare(table) => table.drain().for_each(|window| window.release(evidence)),
            Self::Marked(table) => table.drain().for_each(|window| window.release(evidence)),
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
            evidence: Evidence::new(caps.seed),
            rules: Vec::new(),
            places: Places::default(),
            keys: 0,
            evicted: 0,
            late: 0,
            ripples: Vec::new(),
        }
    }

    /// Takes in one sighting and appends what it changed. Findings of rules that `rules` does not hold are
    /// passed over: they were made by a set that has been replaced.
    pub fn apply(&mut self, rules: &RuleSet, sighting: &Sighting, changes: &mut Vec<Change>) {
        self.tick(sighting.time);
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
                (Count::Within { reading, key, values, .. }, Some(shape)) if *reading == shape.reading => {
                    let handle = *kept.get_or_insert_with(|| self.evidence.keep(sighting));
                    let marks: Vec<u64> = values.iter().map(|value| self.caps.seed.hash_one(value)).collect();
                    let found = Found { key, marks: &marks, handle };
                    self.count(rules, number, shape, sighting, &found, changes);
                }
                // The rule reads something else since the sighting was made, or lost its `dedup`.
                (Count::Within { .. }, _) => {}
            }
        }
    }

    fn count(
        &mut self,
        rules: &RuleSet,
        number: RuleNumber,
        shape: &Shape,
        sighting: &Sighting,
        found: &Found<'_>,
        changes: &mut Vec<Change>,
    ) {
        let rule = rules.rule(number);
        let place = self.place(rules, number, shape);
        self.expire(place, shape);
        let hash = self.hash(found.key);
        let Self { rules: remembered, evidence, ripples, caps, clock, .. } = self;
        let Remembered { keys, scratch, .. } = &mut remembered[place];
        let arrival = Arrival { time: sighting.time, uid: &sighting.uid, evidence: found.handle, marks: found.marks };
        let before = keys.len();
        let (asked, now) = ((shape, caps.lateness), Tick::of(*clock));
        ripples.clear();
        let (counted, window) = match keys {
            Keys::Bare(table) => {
                let brief = table.touch(hash, now);
                (brief.insert(&arrival, asked, scratch, evidence, ripples), brief.window(scratch))
            }
            Keys::Marked(table) => {
                let brief = table.touch(hash, now);
                (brief.insert(&arrival, asked, scratch, evidence, ripples), brief.window(scratch))
            }
        };
        if counted == Err(TooLate) {
            self.late += 1;
        }
        if !ripples.is_empty() {
            let key = shape.key_of(found.key);
            changes.extend(ripples.drain(..).map(|ripple| change(rule, shape, &key, window, ripple, evidence)));
        }
        self.keys += self.rules[place].keys.len() - before;
        self.evict();
    }

    /// Where what is remembered for this rule stands; emptied if the rule asks something else by now.
    fn place(&mut self, rules: &RuleSet, number: RuleNumber, shape: &Shape) -> usize {
        if self.places.set != rules.fingerprint() {
            self.places = Places { set: rules.fingerprint(), by_number: vec![None; rules.rules().len()] };
        }
        if let Some(place) = self.places.by_number[number.0 as usize] {
            return place;
        }
        let Rule { id, .. } = rules.rule(number);
        let known = self.rules.iter().position(|remembered| remembered.rule == *id);
        let place = known.unwrap_or_else(|| {
            self.rules.push(Remembered::new(id.clone(), shape, Keys::new(&shape.counted)));
            self.rules.len() - 1
        });
        let Self { rules, evidence, keys, .. } = self;
        if rules[place].asked != shape.asked {
            *keys -= rules[place].keys.len();
            rules[place].keys.clear(evidence);
            rules[place] = Remembered::new(id.clone(), shape, Keys::new(&shape.counted));
        }
        self.places.by_number[number.0 as usize] = Some(place);
        place
    }

    /// The stream has come to this moment. One event moves it a little way at most: a time in the future must not
    /// make all keys leave.
    fn tick(&mut self, time: Timestamp) {
        let first = self.clock == Timestamp::EARLIEST;
        self.clock = if first { time } else { self.clock.max(time.min(self.clock.plus(self.caps.lateness))) };
    }

    /// Lets keys go that no event can be counted with any more.
    fn expire(&mut self, place: usize, shape: &Shape) {
        let wait = shape.window.plus(shape.quiet).plus(self.caps.lateness);
        let border = Tick::of(self.clock.minus(wait)).before();
        let keys = &mut self.rules[place].keys;
        while keys.turn().is_some_and(|since| since <= border) {
            self.keys -= usize::from(keys.expire(border, &mut self.evidence));
        }
    }

    /// Lets the least recent keys go while there are too many.
    fn evict(&mut self) {
        while self.keys > self.caps.keys_max {
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
        let rules: Vec<_> = self.rules.iter().map(|it| (&it.rule, it.asked, it.scratch.kind(), &it.keys)).collect();
        let Self { clock, evidence, evicted, late, .. } = self;
        let (seed, clock, evicted, late) = (self.caps.seed, *clock, *evicted, *late);
        postcard::to_extend(&Saved { seed, clock, evidence, rules, evicted, late }, vec![VERSION])
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
        let saved: Saved<Vec<(RuleId, u64, Levels, Keys)>, Evidence> =
            postcard::from_bytes(body).map_err(RestoreError::Damaged)?;
        let rules = saved.rules.into_iter().map(|(rule, asked, levels, keys)| Remembered {
            rule,
            asked,
            keys,
            scratch: Lasting::new(levels),
        });
        let rules: Vec<Remembered> = rules.collect();
        let keys = rules.iter().map(|rule| rule.keys.len()).sum();
        let evidence = saved.evidence.seeded(saved.seed);
        let (clock, evicted, late) = (saved.clock, saved.evicted, saved.late);
        Ok(Self { clock, evidence, rules, keys, evicted, late, ..Self::new(Caps { seed: saved.seed, ..caps }) })
    }
}

/// A finding, ready to be counted.
struct Found<'a> {
    key: &'a [Option<String>],
    marks: &'a [u64],
    handle: Handle,
}

impl Remembered {
    fn new(rule: RuleId, shape: &Shape, keys: Keys) -> Self {
        Self { rule, asked: shape.asked, keys, scratch: Lasting::new(Levels::new(&shape.counted)) }
    }
}

fn change(rule: &Rule, shape: &Shape, key: &Key, window: &Lasting, ripple: Ripple, evidence: &Evidence) -> Change {
    let episodes = window.episodes();
    let alert = |episode: &super::episode::Episode| Alert::of_episode(rule, shape, key, episode.account(evidence));
    match ripple {
        Ripple::Tell(place) | Ripple::Note(place) => Change {
            alert: alert(&episodes[place]),
            revision: episodes[place].revision,
            tell: matches!(ripple, Ripple::Tell(_)),
            standing: Standing::Open,
        },
        Ripple::Gone(old, heir) => Change {
            alert: alert(&old),
            revision: old.revision + 1,
            tell: true,
            standing: Standing::Superseded { by: heir.map(|place| alert(&episodes[place]).id) },
        },
    }
}
