//! From the text of rule files to a compiled set.

use super::{Problem, RuleFile, RuleSet};

pub(super) fn compile(_files: &[RuleFile]) -> (RuleSet, Vec<Problem>) {
    (RuleSet::default(), Vec::new())
}
