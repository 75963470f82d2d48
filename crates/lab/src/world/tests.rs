use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

use engine::hash::Seed;
use engine::normalise::{Format, Limits, normalise};
use serde_json::Value;

use super::*;

/// The smallest company, for so many days.
fn small(days: u32, attacks: Attacks) -> World {
    World::new(&Plan { days, size_percent: 20, attacks, ..Plan::default() })
}

/// One number of all bytes.
fn hash(records: impl Iterator<Item = Record>) -> u64 {
    let mut hasher = Seed::new(1, 2).build_hasher();
    for record in records {
        hasher.write(record.source.as_bytes());
        hasher.write(&record.raw);
    }
    hasher.finish()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(hash(small(2, Attacks::All)), hash(small(2, Attacks::All)));
    let other = World::new(&Plan { seed: 2, days: 1, size_percent: 20, ..Plan::default() });
    assert_ne!(hash(small(1, Attacks::All)), hash(other));
}

#[test]
fn every_record_becomes_one_event_of_its_kind_and_time() {
    for record in small(3, Attacks::All) {
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        for format in [Format::Known(record.kind), Format::Auto] {
            normalise(format, &record.raw, "w:1", &Limits::default(), &mut events, &mut rejects);
        }
        let said = String::from_utf8_lossy(&record.raw);
        assert!(rejects.is_empty(), "{rejects:?}: {said}");
        assert_eq!(events.len(), 2, "{said}");
        for event in events {
            assert_eq!((event.kind, event.time), (record.kind, record.time), "{said}");
            assert!(!event.uid.id.starts_with("w:"), "no id of its own: {said}");
        }
    }
}

#[test]
fn records_come_in_the_order_of_their_times() {
    assert!(small(3, Attacks::All).map(|record| record.time).is_sorted());
}

#[test]
fn census() {
    let mut count: BTreeMap<(u32, Kind), usize> = BTreeMap::new();
    let world = World::new(&Plan { days: 8, ..Plan::default() });
    let calendar = world.company.calendar;
    let start = std::time::Instant::now();
    let mut total = 0;
    let mut bytes = 0;
    for record in world {
        let day = record.time.since(calendar.begin(0)).micros() / 86_400_000_000;
        *count.entry((day as u32, record.kind)).or_default() += 1;
        total += 1;
        bytes += record.raw.len();
    }
    for ((day, kind), count) in count {
        println!("{day} {} {count}", kind.name());
    }
    println!("{total} {bytes} {:?}", start.elapsed());
}
