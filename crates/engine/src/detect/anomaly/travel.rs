//! `travel`: one actor or credential in places that are too far apart for the time between.
//!
//! Where an event came from is written into its sighting when it is seen ([`Spot`]), so nothing here depends on the databases of
//! today. Too far is what takes more than an airliner, and more than databases are wrong by. A network of a country in which the
//! key was on two distinct days is known, as is all that came while it was learnt: who comes back there has not travelled, but
//! reached for another device.

use std::cmp::Ordering;
use std::fmt::Write;
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use super::first_seen::{CELL, LEARNT_AFTER, days};
use super::values::{Look, Values};
use super::verdict::{Known, Note, Unusual, Weight};
use super::{BETWEEN, Learning};
use crate::detect::evidence::{Evidence, Handle};
use crate::detect::window::Arrival;
use crate::hash::Seed;
use crate::time::{Span, Timestamp};

/// An airliner makes less.
const SPEED_MAX: f64 = 900.0;

/// Databases of addresses are wrong by as much, and borders are crossed by no more than a gateway.
const DISTANCE_MIN: f64 = 500.0;

/// Mean radius of the earth in kilometres.
const RADIUS: f64 = 6_371.0;

/// What came from one place within a minute is one visit.
const MINUTE: Span = Span::seconds(60);

/// Places of one minute at most.
const VISITS_MAX: usize = 16;

/// Places that are compared with: 16 bytes each, and their words.
const LAST_MAX: usize = 4;

/// One key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Travels {
    /// Earliest first: what is to be judged.
    open: Vec<Minute>,
    /// Where it was last, the latest at the end.
    last: Vec<Stay>,
    /// Networks by country that it has had.
    known: Values,
}

/// Where it was in one minute.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Minute {
    cell: i64,
    due: Timestamp,
    pub(super) last: Timestamp,
    visits: Vec<Visit>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Visit {
    hash: u64,
    spot: Box<str>,
    first: Timestamp,
    last: Timestamp,
    /// The first event there.
    evidence: Handle,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stay {
    until: Timestamp,
    latitude: f32,
    longitude: f32,
    words: Box<str>,
}

/// A place as one text: that is what goes with a sighting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot<'t> {
    pub(crate) latitude: f32,
    pub(crate) longitude: f32,
    /// The number of its network; empty if it is not known.
    pub(crate) network: &'t str,
    pub(crate) country: &'t str,
    /// The address and all that is known of it, as people read it.
    pub(crate) words: &'t str,
}

/// It was there, and then here.
struct Journey {
    from: Box<str>,
    kilometres: f64,
    time: Span,
    speed: f64,
}

impl<'t> Spot<'t> {
    /// Nothing if this is no place on earth.
    pub(crate) fn at(
        (latitude, longitude): (&str, &str),
        network: &'t str,
        country: &'t str,
        words: &'t str,
    ) -> Option<Self> {
        let degrees = |text: &str, most: f32| text.parse().ok().filter(|degrees: &f32| degrees.abs() <= most);
        let (latitude, longitude) = (degrees(latitude, 90.0)?, degrees(longitude, 180.0)?);
        Some(Self { latitude, longitude, network, country, words })
    }

    pub(crate) fn write(&self) -> String {
        let Self { latitude, longitude, network, country, words } = self;
        format!("{latitude}{BETWEEN}{longitude}{BETWEEN}{network}{BETWEEN}{country}{BETWEEN}{words}")
    }

    fn read(text: &'t str) -> Option<Self> {
        let mut parts = text.splitn(5, BETWEEN);
        let mut next = || parts.next();
        let place = (next()?, next()?);
        Self::at(place, next()?, next()?, next()?)
    }
}

impl Travels {
    pub(super) fn take(&mut self, arrival: &Arrival<'_>, wait: Span, evidence: &mut Evidence) {
        let cell = arrival.time.cell(MINUTE);
        let at = self.open.partition_point(|minute| minute.cell < cell);
        if self.open.get(at).is_none_or(|minute| minute.cell != cell) {
            let due = end(cell).plus(wait);
            self.open.insert(at, Minute { cell, due, last: arrival.time, visits: Vec::new() });
        }
        let minute = &mut self.open[at];
        minute.last = minute.last.max(arrival.time);
        for (&hash, spot) in arrival.marks.iter().zip(arrival.values) {
            match minute.visits.binary_search_by_key(&hash, |visit| visit.hash) {
                Ok(known) => minute.visits[known].take(arrival, evidence),
                Err(new) => {
                    evidence.hold(arrival.evidence);
                    let (first, last, spot) = (arrival.time, arrival.time, spot.as_str().into());
                    minute.visits.insert(new, Visit { hash, spot, first, last, evidence: arrival.evidence });
                }
            }
        }
        // The highest hashes leave, whatever the order in which they came.
        minute.visits.drain(VISITS_MAX.min(minute.visits.len())..).for_each(|visit| evidence.release(visit.evidence));
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.first().map(|minute| minute.due)
    }

    /// When that minute ends which is judged next.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        self.open.first().map(Minute::end)
    }

    /// Forgets where it was.
    pub(super) fn forget(&mut self) {
        (self.last, self.known) = (Vec::new(), Values::default());
    }

    pub(super) fn next(&mut self) -> Option<Minute> {
        (!self.open.is_empty()).then(|| self.open.remove(0))
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.open.iter().for_each(|minute| minute.release(evidence));
    }

    pub(super) fn bytes(&self) -> usize {
        let visit = |visit: &Visit| size_of::<Visit>() + visit.spot.len();
        let minute = |minute: &Minute| size_of::<Minute>() + minute.visits.iter().map(visit).sum::<usize>();
        let stay = |stay: &Stay| size_of::<Stay>() + stay.words.len();
        let waiting: usize = self.open.iter().map(minute).sum();
        waiting + self.last.iter().map(stay).sum::<usize>() + self.known.bytes()
    }

    /// The fastest way that it must have come from where it was, if there is one that nobody makes.
    fn journey(&self, spot: &Spot<'_>, first: Timestamp) -> Option<Journey> {
        let journeys = self.last.iter().filter_map(|stay| {
            let there = (f64::from(stay.latitude), f64::from(stay.longitude));
            let kilometres = distance(there, (f64::from(spot.latitude), f64::from(spot.longitude)));
            let time = Span::from_micros(first.micros().abs_diff(stay.until.micros()).try_into().unwrap_or(i64::MAX));
            let hours = time.max(Span::seconds(1)).micros() as f64 / 3.6e9;
            let speed = kilometres / hours;
            let is_far = kilometres > DISTANCE_MIN && speed > SPEED_MAX;
            is_far.then(|| Journey { from: stay.words.clone(), kilometres, time, speed })
        });
        journeys.max_by(|one, other| one.speed.total_cmp(&other.speed))
    }

    /// It is here now.
    fn stay(&mut self, spot: &Spot<'_>, until: Timestamp) {
        let is_here = |stay: &Stay| (stay.latitude, stay.longitude) == (spot.latitude, spot.longitude);
        let mut until = until;
        self.last.retain(|stay| {
            if is_here(stay) {
                until = until.max(stay.until);
            }
            !is_here(stay)
        });
        let (latitude, longitude, words) = (spot.latitude, spot.longitude, spot.words.into());
        let place = self.last.partition_point(|stay| stay.until <= until);
        self.last.insert(place, Stay { until, latitude, longitude, words });
        if self.last.len() > LAST_MAX {
            self.last.remove(0);
        }
    }

    /// Learns the network of a look; whether it was known before.
    fn learn(&mut self, look: &Look, is_learnt: bool, learning: &Learning) -> bool {
        let had = self.known.had(look.hash).filter(|had| look.cell.saturating_sub(had.last) <= days(learning));
        match had {
            Some(had) if had.last == look.cell => {}
            Some(_) => drop(self.known.learn(look, 0.0)),
            None => {
                self.known.forget(look.hash);
                self.known.learn(look, 0.0);
                if !is_learnt {
                    // What comes while a key is being learnt is usual.
                    self.known.learn(look, 0.0);
                }
            }
        }
        had.is_some_and(|had| had.cells >= LEARNT_AFTER)
    }
}

impl Visit {
    fn take(&mut self, arrival: &Arrival<'_>, evidence: &mut Evidence) {
        self.last = self.last.max(arrival.time);
        let is_first =
            arrival.time < self.first || arrival.time == self.first && !evidence.is_before(self.evidence, arrival.uid);
        if is_first {
            evidence.hold(arrival.evidence);
            evidence.release(self.evidence);
            (self.first, self.evidence) = (arrival.time, arrival.evidence);
        }
    }
}

impl Minute {
    pub(super) fn end(&self) -> Timestamp {
        end(self.cell)
    }

    pub(super) fn release(&self, evidence: &mut Evidence) {
        self.visits.iter().for_each(|visit| evidence.release(visit.evidence));
    }
}

pub(super) fn judge(travels: &mut Travels, minute: &mut Minute, known: Known, learning: &Learning) -> Option<Unusual> {
    // In their order in time; hashes differ from place to place and decide nothing.
    minute.visits.sort_by(|one, other| match one.first.cmp(&other.first) {
        Ordering::Equal => one.spot.cmp(&other.spot),
        order => order,
    });
    let is_learnt = known.is_enough(learning);
    let mut found: Option<Unusual> = None;
    for visit in &minute.visits {
        let Some(spot) = Spot::read(&visit.spot) else { continue };
        let day = u32::try_from(visit.first.cell(CELL)).unwrap_or(0);
        let hash = Seed::default().hash_one((spot.network, spot.country));
        let networks = travels.known.all().len();
        let is_known = travels.learn(&Look::of(hash, day, visit.first, visit.evidence), is_learnt, learning);
        let journey = travels.journey(&spot, visit.first).filter(|_| is_learnt && !is_known);
        travels.stay(&spot, visit.last);
        let Some(journey) = journey else { continue };
        let unusual = found.get_or_insert_with(|| Unusual {
            first: visit.first,
            last: visit.first,
            sample: Vec::new(),
            events: 0,
            level: 0,
            note: Note { what: journey.told(&spot), against: against(networks, known) },
            weight: Weight::at_limit(learning, minute.end()),
        });
        unusual.last = visit.first;
        unusual.sample.push(visit.evidence);
        unusual.events += 1;
        unusual.level += 1;
    }
    found
}

impl Journey {
    /// `from 192.0.2.7 (Berlin, DE) to 198.51.100.9 (Sydney, AU) in 42 min, 16095 km: 22993 km/h`
    fn told(&self, spot: &Spot<'_>) -> String {
        let Self { from, kilometres, time, speed } = self;
        let seconds = time.micros() / 1_000_000;
        let time = match seconds {
            0..120 => format!("{seconds} s"),
            120..7_200 => format!("{} min", seconds / 60),
            _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        };
        format!("from {from} to {} in {time}, {kilometres:.0} km: {speed:.0} km/h", spot.words)
    }
}

fn against(networks: usize, known: Known) -> String {
    let mut text = String::with_capacity(96);
    let days = known.time.micros() / CELL.micros();
    let written =
        write!(text, "more than {SPEED_MAX} km/h, from a network that is new to it: it had {networks} in {days} days");
    debug_assert!(written.is_ok(), "a text takes more");
    text
}

/// Kilometres along a great circle, by the haversine: exact for short ways as well.
fn distance(one: (f64, f64), other: (f64, f64)) -> f64 {
    let half = |degrees: f64| libm::sin(degrees.to_radians() / 2.0);
    let (north, east) = (half(one.0 - other.0), half(one.1 - other.1));
    let flat = libm::cos(one.0.to_radians()) * libm::cos(other.0.to_radians());
    2.0 * RADIUS * libm::asin(libm::sqrt(north * north + flat * east * east).min(1.0))
}

fn end(cell: i64) -> Timestamp {
    Timestamp::from_micros(cell.saturating_add(1).saturating_mul(MINUTE.micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_an_atlas() {
        let (berlin, sydney, quito) = ((52.52, 13.405), (-33.87, 151.21), (-0.18, -78.47));
        for (one, other, kilometres) in [
            (berlin, berlin, 0.0),
            (berlin, sydney, 16_090.0),
            (sydney, berlin, 16_090.0),
            (berlin, quito, 10_150.0),
            ((0.0, 179.9), (0.0, -179.9), 22.2),
            ((90.0, 0.0), (-90.0, 55.0), 20_015.0),
        ] {
            let found = distance(one, other);
            assert!((found - kilometres).abs() <= 1.0 + kilometres * 0.001, "{one:?} {other:?}: {found}");
        }
    }

    #[test]
    fn a_place_is_written_and_read_back_and_one_that_is_none_is_not() {
        let spot = Spot::at(("52.52", "-13.4"), "64500", "", "192.0.2.7 (Berlin)").unwrap();
        assert_eq!(Spot::read(&spot.write()), Some(spot));
        for (latitude, longitude) in [("91", "0"), ("0", "181"), ("", "0"), ("north", "0"), ("NaN", "0"), ("0", "inf")]
        {
            assert_eq!(Spot::at((latitude, longitude), "", "", ""), None, "{latitude} {longitude}");
        }
    }
}
