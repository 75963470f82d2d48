//! One predicate against one value.

use super::RuleNumber;

/// Memory that matching reuses from event to event; one a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    found: Vec<RuleNumber>,
}

impl Scratch {
    pub(super) fn found(&self) -> &[RuleNumber] {
        &self.found
    }
}
