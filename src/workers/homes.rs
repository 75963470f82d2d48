//! Whose records a batch holds, each named once.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use engine::alert::redact::redact;
use engine::event::Kind;
use engine::normalise::Home;

use crate::coverage::{NAME_BYTES_MAX, Spot};
use crate::metrics::METRICS;

/// Of one batch no more are kept: it holds 512 records, but one record may hold a thousand.
const HOMES_MAX: usize = 4_096;

/// Whose records there are. A name is copied the first time only.
#[derive(Debug)]
pub(super) struct Homes<'s> {
    /// The name of the source: whose the records are that do not say so.
    source: &'s str,
    spots: Vec<Spot>,
    /// Where in `spots` one may stand, by the end of its names: 24 ns a record where the keyed hash takes 60 (17 homes by
    /// turns; 7 ns where all are of one). A guess that is wrong costs that hash.
    slots: [u16; SLOTS],
    /// Hashes of all: two that are alike hide one for a batch, once in 2^64. Keyed anew each time, as logs are written by
    /// attackers.
    known: HashSet<u64>,
    hasher: RandomState,
}

const SLOTS: usize = 256;

impl<'s> Homes<'s> {
    pub(super) fn of(source: &'s str) -> Self {
        Self { source, spots: Vec::new(), slots: [0; SLOTS], known: HashSet::new(), hasher: RandomState::new() }
    }

    /// A record is from there.
    pub(super) fn hear(&mut self, kind: Kind, home: Home<'_>) {
        let (account, region) = (home.account.unwrap_or(self.source), home.region.unwrap_or_default());
        let is_it = |spot: &Spot| spot.kind == kind && spot.account == account && spot.region == region;
        if self.spots.last().is_some_and(is_it) {
            return;
        }
        let slot = slot(account, region);
        if self.spots.get(usize::from(self.slots[slot])).is_some_and(is_it) {
            return;
        }
        if self.known.len() >= HOMES_MAX || account.len().max(region.len()) > NAME_BYTES_MAX {
            METRICS.coverage_unlisted.inc();
            return;
        }
        if self.known.insert(self.hasher.hash_one((kind, account, region))) {
            let text = |name: &str| redact(name).into_owned();
            self.slots[slot] = u16::try_from(self.spots.len()).unwrap_or_default();
            self.spots.push(Spot { kind, account: text(account), region: text(region) });
        }
    }

    pub(super) fn into_spots(self) -> Vec<Spot> {
        self.spots
    }
}

/// Accounts and regions differ at their ends.
fn slot(account: &str, region: &str) -> usize {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let end = |name: &str| {
        let last = &name.as_bytes()[name.len().saturating_sub(8)..];
        last.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    let mixed = (end(account).wrapping_mul(SPREAD) ^ end(region)).wrapping_mul(SPREAD);
    usize::try_from(mixed >> 56).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_once_in_whatever_order_they_come() {
        let mut homes = Homes::of("west");
        let home = |account, region| Home { account, region };
        for _ in 0..3 {
            homes.hear(Kind::AwsCloudtrail, home(Some("1"), Some("a")));
            homes.hear(Kind::AwsCloudtrail, home(Some("2"), Some("a")));
            homes.hear(Kind::OktaSystem, home(None, None));
            homes.hear(Kind::AwsCloudtrail, home(Some("1"), Some("b")));
        }
        let spots: Vec<String> =
            homes.into_spots().iter().map(|it| format!("{}/{}/{}", it.kind.name(), it.account, it.region)).collect();
        assert_eq!(spots, ["aws.cloudtrail/1/a", "aws.cloudtrail/2/a", "okta.system/west/", "aws.cloudtrail/1/b"]);
    }

    #[test]
    fn names_without_end_are_not_kept() {
        let mut homes = Homes::of("west");
        for number in 0..2 * HOMES_MAX {
            homes.hear(Kind::Json, Home { account: Some(&number.to_string()), region: None });
        }
        homes.hear(Kind::Json, Home { account: Some(&"x".repeat(NAME_BYTES_MAX + 1)), region: None });
        assert_eq!(homes.into_spots().len(), HOMES_MAX);
    }
}
