//! `distinct`: how many distinct values in a window, against what this key is used to.

use super::counts::{Counts, Window};
use super::peers::Group;
use super::rate::judge_count;
use super::verdict::{Known, Unusual};
use super::{Learning, Shared};

pub(super) fn judge(
    counts: &mut Counts,
    (window, group): (&Window, Option<&Group>),
    known: Known,
    learning: &Learning,
    shared: &mut Shared,
) -> Option<Unusual> {
    let what = format!("distinct {}", learning.of);
    judge_count(counts, (window, group), (window.values.count(), &what), known, learning, shared)
}
