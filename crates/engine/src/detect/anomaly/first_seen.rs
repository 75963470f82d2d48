//! `first_seen`: a value that this key never had, and how much of a surprise that is.
//!
//! The score adds two parts, in tens of orders: how seldom this key has anything new (its values that came in one cell only,
//! among all looks at it: Good and Turing), and how few of the other keys have the value. A value is learnt when it has come on
//! two distinct days; what came while the key was being learnt is known from the first day.

use std::fmt::Write;

use super::peers::Group;
use super::values::{Had, Look, Values};
use super::verdict::{Known, Note, Unusual, Weight, is_unusual, odds};
use super::{Learning, Shared};
use crate::time::Span;

/// A value is looked at once a day.
pub(super) const CELL: Span = Span::seconds(86_400);

/// On so many distinct days a value must come to be known.
pub(super) const LEARNT_AFTER: u32 = 2;

pub(super) fn judge(
    values: &mut Values,
    (look, group): (&Look, Option<&Group>),
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
) -> Option<Unusual> {
    let had = values.had(look.hash).filter(|had| look.cell.saturating_sub(had.last) <= days(learning));
    let is_known = had.is_some_and(|had| had.cells >= LEARNT_AFTER);
    let others = shared.population.having(look.hash);
    let share = share(others, shared.population.all());
    let own = (!is_known).then(|| surprise(values, look, known));
    let score = own.map_or(0.0, |own| own - libm::log10(share));
    let is_learnt = known.is_enough(learning);
    let rank = shared.calibration.rank(score, is_learnt, learning.limit(), look.time);
    let value = (look.hash, own, share);
    let against = group.and_then(|group| shared.peers.value((group, look.time), value, known, learning));
    let unusual = !is_known
        && is_learnt
        && is_unusual(score, rank, known, learning)
        && against.as_ref().is_none_or(|against| against.is_unusual(known, learning));
    let note = unusual.then(|| {
        let peers = against;
        let and = if peers.is_some() { " and " } else { "" };
        let days = known.time.micros() / CELL.micros();
        let what = format!("{} {:?} is new", learning.of, look.shown());
        let mut against = String::with_capacity(128);
        let others = u64::from(others);
        let more = (shared.population.all() as u64).saturating_sub(1);
        let cut = if values.is_cut { " or more" } else { "" };
        let written = write!(against, "it had {}{cut} in {days} days, and ", values.all().len())
            .map(|()| peers.iter().for_each(|peers| peers.explain(&mut against)))
            .and_then(|()| write!(against, "{and}{others} of {more} others have this one"));
        debug_assert!(written.is_ok(), "a text takes more");
        odds(&mut against, rank);
        Note { what, against }
    });
    // One that was not seen for too long begins again; others know of it already.
    if had.is_none() && !values.forget(look.hash) {
        shared.population.came(look.hash);
        group.into_iter().for_each(|group| shared.peers.came(group, look.hash));
    }
    let gone = values.learn(look, 0.0);
    if !is_learnt && had.is_none() {
        // What comes while a key is being learnt is usual.
        values.learn(look, 0.0);
    }
    if let Some(gone) = gone {
        shared.population.left(gone);
        group.into_iter().for_each(|group| shared.peers.left(group, gone));
    }
    let note = note?;
    let weight = Weight::of(rank, learning, look.time);
    Some(Unusual { first: look.time, last: look.time, sample: vec![look.evidence], events: 1, level: 1, note, weight })
}

/// For how many days a value is remembered.
pub(super) fn days(learning: &Learning) -> u32 {
    u32::try_from(learning.remember.micros() / CELL.micros()).unwrap_or(u32::MAX)
}

/// How much of a surprise it is that a key has a value which it never had, in tens of orders.
pub(super) fn surprise(values: &Values, look: &Look, known: Known) -> f64 {
    // One burst of new values makes none of them less new.
    let is_single = |had: &&Had| had.cells < LEARNT_AFTER && had.last != look.cell;
    let single = values.all().iter().filter(is_single).count();
    let own = (single as f64 + 1.0) / (f64::from(known.looks) + 2.0);
    -libm::log10(own.min(1.0))
}

/// Which part of all keys has a value that so many have, with a doubt.
pub(super) fn share(others: u32, keys: usize) -> f64 {
    ((f64::from(others) + 1.0) / (keys as f64 + 1.0)).min(1.0)
}
