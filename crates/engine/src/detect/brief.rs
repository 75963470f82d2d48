//! The window of a key that has seen few events, which is most keys.
//!
//! It keeps the events and nothing else, 12 bytes each (20 with a mark), the first two of them in place. What they
//! come to is worked out again with each event, in the memory of a [`Lasting`] window that all keys of a rule
//! share; a key that sees more events gets one of its own.

use serde::{Deserialize, Serialize};

use super::Shape;
use super::evidence::{Evidence, Handle};
use super::level::Levels;
use super::table::Weigh;
use super::window::{Arrival, Asked, Lasting, Ripple, TooLate, compare, grown};
use crate::time::Timestamp;

/// Events that a brief window keeps at most.
const EVENTS_MAX: usize = 8;

/// What is kept of an event besides its time: nothing, or what the rule counts.
pub(super) trait Mark: Copy + Default + PartialEq {
    fn of(mark: Option<u64>) -> Self;
    fn get(self) -> Option<u64>;
}

impl Mark for () {
    fn of(_mark: Option<u64>) {}

    fn get(self) -> Option<u64> {
        None
    }
}

/// Eight bytes that ask for no alignment of eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Halves(u32, u32);

impl Halves {
    fn new(whole: u64) -> Self {
        Self((whole >> 32) as u32, whole as u32)
    }

    fn whole(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.1)
    }
}

impl Mark for Halves {
    fn of(mark: Option<u64>) -> Self {
        Self::new(mark.unwrap_or_default())
    }

    fn get(self) -> Option<u64> {
        Some(self.whole())
    }
}

/// One event, or one mark of it: an event with several marks stands here several times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry<M> {
    time: Halves,
    evidence: Handle,
    mark: M,
}

impl<M: Mark> Entry<M> {
    fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.time.whole().cast_signed())
    }
}

/// All that is kept of one key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Brief<M> {
    /// What people were told of its episode, if it has one.
    told: u16,
    revision: u16,
    few: Few<M>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Few<M> {
    None,
    One([Entry<M>; 1]),
    Two([Entry<M>; 2]),
    Some(Vec<Entry<M>>),
    Lasting(Box<Lasting>),
}

impl<M> Default for Brief<M> {
    fn default() -> Self {
        Self { told: 0, revision: 0, few: Few::None }
    }
}

impl<M: Mark> Few<M> {
    fn entries(&self) -> &[Entry<M>] {
        match self {
            Self::None | Self::Lasting(_) => &[],
            Self::One(entry) => entry,
            Self::Two(entries) => entries,
            Self::Some(entries) => entries,
        }
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    fn insert(&mut self, at: usize, entry: Entry<M>) {
        match self {
            Self::None | Self::Lasting(_) => *self = Self::One([entry]),
            Self::One([one]) if at == 0 => *self = Self::Two([entry, *one]),
            Self::One([one]) => *self = Self::Two([*one, entry]),
            Self::Two(entries) => {
                let mut more = entries.to_vec();
                more.insert(at, entry);
                *self = Self::Some(more);
            }
            Self::Some(entries) => entries.insert(at, entry),
        }
    }

    /// The first `gone` entries leave.
    fn drop_first(&mut self, gone: usize) {
        *self = match self.entries()[gone..] {
            [] => Self::None,
            [one] => Self::One([one]),
            [one, two] => Self::Two([one, two]),
            ref more => Self::Some(more.to_vec()),
        };
    }
}

impl<M> Weigh for Brief<M> {
    fn bytes(&self) -> usize {
        match &self.few {
            Few::None | Few::One(_) | Few::Two(_) => 0,
            Few::Some(entries) => entries.capacity() * size_of::<Entry<M>>(),
            Few::Lasting(window) => window.bytes(),
        }
    }
}

impl<M: Mark> Brief<M> {
    /// Counts an event in. The episodes that the ripples speak of are those of [`Brief::window`].
    pub(super) fn insert(
        &mut self,
        arrival: &Arrival<'_>,
        asked: Asked<'_>,
        scratch: &mut Lasting,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) -> Result<(), TooLate> {
        let Asked { shape, borders } = asked;
        // Findings of correlations are few, and may be taken back.
        if shape.chained && self.few.is_none() {
            self.few = Few::Lasting(Box::new(Lasting::new(Levels::new(&shape.counted))));
        }
        if let Few::Lasting(window) = &mut self.few {
            return window.insert(arrival, asked, evidence, ripples);
        }
        let newest = self.few.entries().last().map(Entry::time);
        if newest.is_some_and(|newest| arrival.time < borders.of_key(newest)) {
            return Err(TooLate);
        }
        self.trim(borders.of_key(arrival.time.max(newest.unwrap_or(arrival.time))), shape, evidence);
        self.load(scratch, shape);
        let in_order = newest.is_none_or(|newest| newest < arrival.time);
        if !in_order {
            self.read(scratch, shape);
        }
        let before = std::mem::take(&mut scratch.live.episodes);
        let Some(place) = scratch.put(arrival, shape, evidence) else { return Ok(()) };
        scratch.live.clear();
        self.read(scratch, shape);
        if in_order {
            ripples.extend(grown(&mut scratch.live.episodes, scratch.track.times.last()));
        } else {
            compare(before, &mut scratch.live.episodes, shape, ripples);
        }
        self.store(scratch, place, arrival, shape);
        Ok(())
    }

    /// An event that was counted in did not happen after all.
    pub(super) fn remove(
        &mut self,
        arrival: &Arrival<'_>,
        shape: &Shape,
        evidence: &mut Evidence,
        ripples: &mut Vec<Ripple>,
    ) {
        if let Few::Lasting(window) = &mut self.few {
            window.remove(arrival, shape, evidence, ripples);
        }
    }

    /// What the last insertion was read from.
    pub(super) fn window<'w>(&'w self, scratch: &'w Lasting) -> &'w Lasting {
        match &self.few {
            Few::Lasting(window) => window,
            Few::None | Few::One(_) | Few::Two(_) | Few::Some(_) => scratch,
        }
    }

    /// Drops what no event to come, none of which lies before `late`, can be counted with.
    fn trim(&mut self, late: Timestamp, shape: &Shape, evidence: &mut Evidence) {
        let border = late.minus(shape.window);
        let entries = self.few.entries();
        let old = entries.partition_point(|entry| entry.time() <= border);
        if old == 0 {
            return;
        }
        // What an episode shows must stay until it is over for good.
        let over = entries.last().is_some_and(|last| last.time() < border.minus(shape.quiet));
        if self.revision > 0 && !over {
            return;
        }
        release(&entries[..old], evidence);
        self.few.drop_first(old);
        (self.told, self.revision) = (0, 0);
    }

    /// Lays the events out.
    fn load(&self, scratch: &mut Lasting, shape: &Shape) {
        scratch.clear();
        for event in self.few.entries().chunk_by(|one, other| one.evidence == other.evidence) {
            let mut marks = [0; EVENTS_MAX];
            let mut count = 0;
            for (mark, entry) in marks.iter_mut().zip(event.iter().filter_map(|entry| entry.mark.get())) {
                *mark = entry;
                count += 1;
            }
            scratch.track.push(event[0].time(), event[0].evidence, &marks[..count], shape.window);
        }
    }

    /// Reads the episodes off. Of the first one people were told; there was no other.
    fn read(&self, scratch: &mut Lasting, shape: &Shape) {
        scratch.live.run(&scratch.track, shape, scratch.track.times.len());
        if let Some(first) = scratch.live.episodes.first_mut()
            && self.revision > 0
        {
            (first.told, first.revision) = (u64::from(self.told), u64::from(self.revision));
        }
    }

    /// Keeps what was laid out, with the event that has come to stand at `place`.
    fn store(&mut self, scratch: &mut Lasting, place: usize, arrival: &Arrival<'_>, shape: &Shape) {
        let episodes = scratch.episodes();
        if episodes.len() > 1 || self.few.entries().len() + arrival.marks.len() >= EVENTS_MAX {
            let window = std::mem::replace(scratch, Lasting::new(Levels::new(&shape.counted)));
            *self = Self { told: 0, revision: 0, few: Few::Lasting(Box::new(window)) };
            return;
        }
        let known = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        (self.told, self.revision) = episodes.first().map_or((0, 0), |it| (known(it.told), known(it.revision)));
        let (time, evidence) = (Halves::new(arrival.time.micros().cast_unsigned()), scratch.track.evidence[place]);
        let groups = self.few.entries().chunk_by(|one, other| one.evidence == other.evidence);
        let before: usize = groups.take(place).map(<[Entry<M>]>::len).sum();
        let own = self.few.entries()[before..].iter().take_while(|entry| entry.evidence == evidence).count();
        if M::of(None).get().is_none() {
            self.few.insert(before, Entry { time, evidence, mark: M::default() });
            return;
        }
        for &mark in arrival.marks {
            let mark = M::of(Some(mark));
            if !self.few.entries()[before..before + own].iter().any(|entry| entry.mark == mark) {
                self.few.insert(before + own, Entry { time, evidence, mark });
            }
        }
    }

    /// Nothing of it is remembered any more.
    pub(super) fn release(&self, evidence: &mut Evidence) {
        match &self.few {
            Few::Lasting(window) => window.release(evidence),
            few @ (Few::None | Few::One(_) | Few::Two(_) | Few::Some(_)) => release(few.entries(), evidence),
        }
    }
}

fn release<M: Mark>(entries: &[Entry<M>], evidence: &mut Evidence) {
    for event in entries.chunk_by(|one, other| one.evidence == other.evidence) {
        evidence.release(event[0].evidence);
    }
}
