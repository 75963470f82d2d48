//! `rate`: how many events in a window, against what this key is used to at this time of the week.

use std::fmt::Write;

use super::baseline::Surprise;
use super::counts::{Counts, Window};
use super::peers::Group;
use super::verdict::{Known, Note, Unusual, Weight, is_unusual, odds};
use super::{Learning, Shared};

pub(super) fn judge(
    counts: &mut Counts,
    (window, group): (&Window, Option<&Group>),
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
) -> Option<Unusual> {
    judge_count(counts, (window, group), (window.events, "events"), known, learning, shared)
}

/// Judges a count, of events or of something else that `what` names.
pub(super) fn judge_count(
    counts: &mut Counts,
    (window, group): (&Window, Option<&Group>),
    (count, what): (u32, &str),
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
) -> Option<Unusual> {
    let end = window.end(learning.window);
    let others = shared.counts.before(end);
    // An hour that a clock is put forward or back is nothing beside half-lives of days.
    let wall = learning.zone.wall(window.first);
    let surprise = counts.baseline.surprise(&others, count, wall);
    let is_learnt = known.is_enough(learning);
    let rank = shared.calibration.rank(surprise.score, is_learnt, learning.limit(), end);
    let against = group.and_then(|group| shared.peers.count((group, end), (count, wall), (&others, known), learning));
    let unusual = is_learnt
        && is_unusual(surprise.score, rank, known, learning)
        && against.as_ref().is_none_or(|against| against.is_unusual(known, learning));
    let note = unusual.then(|| {
        let mut note = explain(count, what, surprise, counts.baseline.highest, known, learning);
        if let Some(against) = &against {
            note.against.push_str("; ");
            against.explain(&mut note.against);
        }
        odds(&mut note.against, rank);
        note
    });
    let taught = counts.baseline.learn(&others, count, wall);
    shared.counts.learn(taught);
    let (first, last, events) = (window.first, window.last, window.events as usize);
    let weight = Weight::of(rank, learning, end);
    Some(Unusual { first, last, sample: window.handles(), events, level: count, note: note?, weight })
}

/// `20 distinct secrets within 10 min; usually 2, at most 4, in 31 days`
fn explain(count: u32, what: &str, surprise: Surprise, highest: u32, known: Known, learning: &Learning) -> Note {
    let what = format!("{count} {what} within {}", learning.window);
    let mut against = String::with_capacity(128);
    let days = known.time.micros() / 86_400_000_000;
    let usual = surprise.expected;
    let written = write!(against, "usually {usual:.1}, at most {highest}, in {days} days");
    debug_assert!(written.is_ok(), "a text takes more");
    if surprise.hour > surprise.score / 2.0 {
        against.push_str(", and seldom any at this time of the week");
    }
    if surprise.drifting {
        against.push_str(", and growing for weeks");
    }
    Note { what, against }
}
