//! Which alerts of rules that learn people are told, when there is a budget.

use super::{Due, State};
use crate::detect::Change;
use crate::detect::anomaly::{self, Weight};
use crate::rule::RuleSet;
use crate::time::{Span, Timestamp};

/// The desk's place among rules: behind all of them.
pub(super) const DESK: usize = usize::MAX;

impl State {
    /// Changes of alerts that count against the budget; told at once where that was decided already.
    pub(super) fn choose(&mut self, waiting: Vec<(Change, Weight)>, changes: &mut Vec<Change>) {
        if waiting.is_empty() {
            return;
        }
        let before = self.desk.deadline();
        let wait = self.desk_wait();
        changes.extend(waiting.into_iter().filter_map(|(change, weight)| self.desk.take(change, weight, wait)));
        self.wait_for_desk(before);
    }

    /// Decides on what waits.
    pub(super) fn judge_desk(&mut self, rules: &RuleSet, due: Due, changes: &mut Vec<Change>) {
        self.deadlines.remove(self.desk.kinds, due);
        let wait = self.desk_wait();
        self.desk.decide(rules.budget(), due.end, wait, changes);
        self.wait_for_desk(None);
    }

    /// The rules whose alerts come to the desk read these logs now.
    pub(super) fn renew_desk(&mut self, rules: &RuleSet) {
        if rules.budget().is_some() {
            self.desk.kinds = rules.budgeted();
        }
    }

    /// Puts down when something can be decided, in place of what was put down `before`.
    pub(super) fn wait_for_desk(&mut self, before: Option<Timestamp>) {
        let (kinds, now) = (self.desk.kinds, self.desk.deadline());
        let due = |end| Due { end, place: DESK, hash: [0; 2] };
        if now != before {
            before.into_iter().for_each(|end| self.deadlines.remove(kinds, due(end)));
            now.into_iter().for_each(|end| self.deadlines.insert(kinds, due(end)));
        }
    }

    /// All that may come before a moment is there when the stream is so far behind it.
    fn desk_wait(&self) -> Span {
        anomaly::wait(&self.progress.borders(self.desk.kinds))
    }

    /// Alerts of rules that learn that were held back since the beginning.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        self.desk.held_back()
    }
}
