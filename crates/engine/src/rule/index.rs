//! Which rules can match this event at all.

use super::RuleNumber;
use super::matcher::Scratch;
use crate::event::Event;
use crate::field::Fields;

#[derive(Debug, Default)]
pub(super) struct Index {}

impl Index {
    pub(super) fn matches<'s>(&self, _fields: &Fields, _event: &Event, scratch: &'s mut Scratch) -> &'s [RuleNumber] {
        scratch.found()
    }
}
