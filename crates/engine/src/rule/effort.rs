//! How long a regular expression may take over one character of whatever text.
//!
//! The library makes a table of the expression as it meets its rows, and takes one step a character. Where the rows
//! are too many, of `1[01]{200}x` there are 2^200, it follows every way through the expression at once. A text that
//! does this to an expression is easily written by whoever writes events: a mebibyte of it took 6 s with these 200
//! ways and 3.5 s with 90. Public rules need some 70, so that is about what is let through; more are refused.

use std::collections::BTreeSet;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_syntax::hir::Hir;

/// Most memory of the states.
const BYTES_MAX: usize = 4 << 20;
/// So many ways at once are followed.
const WAYS_MAX: usize = 100;
/// A table of so many rows is walked one step a character. Half of the public expressions have fewer than 50.
const ROWS_MAX: usize = 2_000;
/// How far a text with many ways is looked for, and how many beginnings of such texts are kept in mind.
const LENGTH_MAX: usize = 400;
const BEGINNINGS_MAX: usize = 4;

/// Whether no text that could be found takes long; nothing if the expression is too large to tell.
pub(super) fn is_bounded(hir: &Hir) -> Option<bool> {
    let states = NFA::compiler().configure(NFA::config().nfa_size_limit(Some(BYTES_MAX))).build_from_hir(hir).ok()?;
    if states.states().len() <= WAYS_MAX {
        return Some(true);
    }
    let config = DFA::config().cache_capacity(64 << 20).unicode_word_boundary(true);
    let table = DFA::builder().configure(config).build_from_nfa(states.clone()).ok()?;
    // Mostly the ways are told in a millisecond; rows take up to a tenth of a second.
    Some(has_few_ways(&states, &table) || has_few_rows(&table)?)
}

fn has_few_rows(table: &DFA) -> Option<bool> {
    let mut cache = Cache::new(table);
    let start = table.start_state(&mut cache, &start::Config::new()).ok()?;
    let mut known = BTreeSet::from([start]);
    let mut waiting = vec![start];
    while let Some(row) = waiting.pop() {
        for byte in table.byte_classes().representatives(..=u8::MAX).filter_map(|unit| unit.as_u8()) {
            let next = table.next_state(&mut cache, row, byte).ok()?;
            // The search ends there.
            let ends = next.is_match() || next.is_dead() || next.is_quit();
            if !ends && known.insert(next) {
                waiting.push(next);
            }
        }
        if known.len() > ROWS_MAX {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether no text that is found by going on from those with most ways has too many.
fn has_few_ways(states: &NFA, table: &DFA) -> bool {
    let bytes: Vec<u8> = table.byte_classes().representatives(..=u8::MAX).filter_map(|unit| unit.as_u8()).collect();
    let mut walk = Walk { states, seen: vec![0; states.states().len()], stamp: 0, waiting: Vec::new() };
    let (start, _) = walk.ways();
    let mut known = BTreeSet::from([start.clone()]);
    let mut beginnings = vec![start];
    for _ in 0..LENGTH_MAX {
        let mut longer: BTreeSet<(usize, Vec<StateID>)> = BTreeSet::new();
        for ways in &beginnings {
            for &byte in &bytes {
                walk.waiting.extend(ways.iter().filter_map(|way| step(states.state(*way), byte)));
                let (next, found) = walk.ways();
                if !found && !known.contains(&next) {
                    longer.insert((next.len(), next));
                }
                if longer.len() > BEGINNINGS_MAX {
                    longer.pop_first();
                }
            }
        }
        if longer.last().is_some_and(|(ways, _)| *ways > WAYS_MAX) {
            return false;
        }
        beginnings = longer.into_iter().map(|(_, ways)| ways).collect();
        known.extend(beginnings.iter().cloned());
    }
    true
}

struct Walk<'n> {
    states: &'n NFA,
    /// By state: the walk that came by last.
    seen: Vec<u32>,
    stamp: u32,
    waiting: Vec<StateID>,
}

impl Walk<'_> {
    /// The states that wait for a byte, sorted, from the start and from those in `waiting`, and whether the expression
    /// is found. Borders of words and lines are taken to be there.
    fn ways(&mut self) -> (Vec<StateID>, bool) {
        self.stamp += 1;
        self.waiting.push(self.states.start_anchored());
        let (mut ways, mut found) = (Vec::new(), false);
        while let Some(state) = self.waiting.pop() {
            if std::mem::replace(&mut self.seen[state.as_usize()], self.stamp) == self.stamp {
                continue;
            }
            match self.states.state(state) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => ways.push(state),
                State::Look { next, .. } | State::Capture { next, .. } => self.waiting.push(*next),
                State::Union { alternates } => self.waiting.extend(alternates.iter().copied()),
                State::BinaryUnion { alt1, alt2 } => self.waiting.extend([*alt1, *alt2]),
                State::Fail => {}
                State::Match { .. } => found = true,
            }
        }
        ways.sort_unstable();
        (ways, found)
    }
}

fn step(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(sparse) => sparse.matches_byte(byte),
        State::Dense(dense) => dense.matches_byte(byte),
        State::Look { .. }
        | State::Union { .. }
        | State::BinaryUnion { .. }
        | State::Capture { .. }
        | State::Fail
        | State::Match { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(expression: &str) -> Option<bool> {
        is_bounded(&regex_syntax::parse(expression).unwrap())
    }

    #[test]
    fn counts_that_begin_anew_at_each_character_are_told_from_others() {
        for (expression, expected, reason) in [
            ("1[01]{200}x", false, "each 1 begins anew"),
            ("1[01]{2000}x", false, "the more so"),
            ("(?:a|b)*a(?:a|b){120}c", false, "without digits"),
            ("foo(?s:.{0,400})bar", false, "each foo begins anew, and 400 characters hold 133 of them"),
            ("^[a-f0-9]{64}$", true, "one way"),
            ("[A-Za-z0-9+/]{300,}=", true, "begins anew, but the longest is enough"),
            ("foo[^f]{0,400}bar", true, "does not begin anew"),
            ("foo(?s:.{0,60})bar", true, "few at once"),
            ("(?i)(?:powershell|cmd|wscript|cscript|mshta|rundll32|regsvr32|certutil).*http", true, "words"),
        ] {
            assert_eq!(bounded(expression), Some(expected), "{expression}: {reason}");
        }
    }
}
