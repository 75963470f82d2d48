//! Time goes on: windows are judged, keys leave.

use super::choose::DESK;
use super::{Asked, Asking, Due, State};
use crate::detect::Change;
use crate::detect::table::{Hash, Tick};
use crate::rule::RuleSet;
use crate::time::Timestamp;

/// Keys that leave at a time at most, and rules whose keys are looked at, so that no event waits for many.
const EXPIRE_MAX: usize = 64;
const EXPIRE_RULES_MAX: usize = 16;

impl State {
    /// Judges the windows whose ends the watermarks of their rules have passed, earliest first, so that a correlation
    /// of others is judged after what it counts.
    pub(super) fn advance(&mut self, rules: &RuleSet, changes: &mut Vec<Change>) {
        while let Some(due) = self.deadlines.due(|kinds| self.progress.borders(kinds).watermark) {
            self.judge(rules, due, changes);
        }
    }

    pub(super) fn judge_all(&mut self, rules: &RuleSet, changes: &mut Vec<Change>) {
        while let Some(due) = self.deadlines.due(|_| Timestamp::LATEST) {
            self.judge(rules, due, changes);
        }
    }

    /// The window whose end has come is judged, and what follows from it is taken in: so far has the stream come then,
    /// however far it is ahead.
    fn judge(&mut self, rules: &RuleSet, due: Due, changes: &mut Vec<Change>) {
        if due.place == DESK {
            return self.judge_desk(rules, due, changes);
        }
        self.judging = due.end;
        self.judge_one(rules, due, changes);
        self.take_derived(rules, changes);
        self.judging = Timestamp::LATEST;
    }

    /// Windows of a rule that is away wait until it is back.
    fn judge_one(&mut self, rules: &RuleSet, due: Due, changes: &mut Vec<Change>) {
        let Due { end, place, hash } = due;
        let (borders, clock) = (self.borders(place), self.clock);
        let Self { rules: remembered, evidence, ripples, deadlines, bytes, evicted, .. } = self;
        let rule = &mut remembered[place];
        deadlines.remove(rule.kinds, due);
        if rule.keys.deadline(hash, rule.window) != Some(end) {
            // What it waited for was taken back by another key.
            return self.wait(place, hash, None);
        }
        let Some(number) = rules.number(&rule.rule, rule.number) else { return };
        let Some(shape) = rules.shape(number).filter(|shape| shape.asked == rule.asked) else { return };
        ripples.clear();
        let (before, left) = (rule.keys.bytes(), rule.keys.evicted());
        let values = rule.keys.judge(hash, (Asked { shape, borders }, clock), evidence, ripples);
        *bytes = *bytes + rule.keys.bytes() - before;
        *evicted += rule.keys.evicted() - left;
        self.wait(place, hash, None);
        if let Some(values) = values {
            self.report(Asking { rules, number, shape }, place, hash, &values, changes);
        }
    }

    /// Puts down when the next window of this key can be judged, in place of what was put down `before`.
    pub(super) fn wait(&mut self, place: usize, hash: Hash, before: Option<Timestamp>) {
        let rule = &self.rules[place];
        let now = rule.keys.deadline(hash, rule.window);
        if now == before {
            return;
        }
        if let Some(end) = before {
            self.deadlines.remove(rule.kinds, Due { end, place, hash });
        }
        if let Some(end) = now {
            self.deadlines.insert(rule.kinds, Due { end, place, hash });
        }
    }

    /// Lets keys go that no event can be counted with any more, of some rules in turn.
    pub(super) fn expire(&mut self) {
        let mut room = EXPIRE_MAX;
        for _ in 0..self.rules.len().min(EXPIRE_RULES_MAX) {
            self.turn = (self.turn + 1) % self.rules.len();
            let rule = &self.rules[self.turn];
            // Most rules have nobody who could leave, however late an event may come.
            let may_leave = |since: &Tick| *since <= Tick::of(self.clock.minus(rule.memory));
            let Some(first) = rule.keys.turn().filter(may_leave) else { continue };
            let borders = self.progress.borders(rule.kinds);
            let border = Tick::of(borders.slowest.minus(rule.memory.plus(borders.lateness))).before();
            let mut first = Some(first);
            while room > 0 && first.is_some_and(|since| since <= border) {
                let rule = &mut self.rules[self.turn];
                let before = rule.keys.bytes();
                if let Some(gone) = rule.keys.expire(border, rule.window, &mut self.evidence) {
                    self.left(self.turn, before, &gone);
                }
                room -= 1;
                first = self.rules[self.turn].keys.turn();
            }
        }
    }
}
