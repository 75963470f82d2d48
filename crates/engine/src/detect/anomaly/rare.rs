//! `rare`: a value that this key seldom has, by its share of the hours in which the key had any.

use std::fmt::Write;

use super::peers::Group;
use super::values::{Had, Look, Values};
use super::verdict::{Known, Note, Unusual, Weight, is_unusual, odds};
use super::{Learning, Shared};
use crate::time::Span;

/// A value is looked at once an hour.
pub(super) const CELL: Span = Span::seconds(3_600);

/// After so many hours an hour weighs half as much: 30 days.
const HALF_LIFE_HOURS: f64 = 30.0 * 24.0;

/// Before so many hours there is no share to speak of.
const HOURS_LEAST: f64 = 50.0;

pub(super) fn judge(
    values: &mut Values,
    (look, _): (&Look, Option<&Group>),
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
) -> Option<Unusual> {
    let weight = |had: &Had| {
        f64::from(had.weight) * libm::exp2(-f64::from(look.cell.saturating_sub(had.last)) / HALF_LIFE_HOURS)
    };
    let all: f64 = values.all().iter().map(weight).sum();
    let own = values.had(look.hash).map_or(0.0, |had| weight(&had));
    let share = (own + 0.5) / (all + 0.5 * (values.all().len() as f64 + 1.0));
    let score = -libm::log10(share);
    let is_learnt = known.is_enough(learning) && all >= HOURS_LEAST;
    let rank = shared.calibration.rank(score, is_learnt, learning.limit(), look.time);
    let unusual = is_learnt && is_unusual(score, rank, known, learning);
    let note = unusual.then(|| {
        let what = format!("{} {:?} is rare", learning.of, look.shown());
        let mut against = String::with_capacity(128);
        let written =
            write!(against, "it had it in {own:.1} of {all:.0} hours, and {} values in all", values.all().len());
        debug_assert!(written.is_ok(), "a text takes more");
        odds(&mut against, rank);
        Note { what, against }
    });
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
    values.learn(look, (own + 1.0) as f32);
    let note = note?;
    let weight = Weight::of(rank, learning, look.time);
    Some(Unusual { first: look.time, last: look.time, sample: vec![look.evidence], events: 1, level: 1, note, weight })
}
