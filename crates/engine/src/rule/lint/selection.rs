//! Selections and the conditions that use them.

use super::{Looked, Named, Place, Report};
use crate::rule::ast::{ConditionExpr, Quantifier, SelectorPattern};
use crate::rule::filter::{self, Says};

/// Calls `visit` with every name and selector of an expression.
fn walk(expression: &ConditionExpr, visit: &mut dyn FnMut(&ConditionExpr)) {
    match expression {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().for_each(|part| walk(part, visit)),
        ConditionExpr::Not(part) => walk(part, visit),
        leaf @ (ConditionExpr::Identifier(..) | ConditionExpr::Selector { .. }) => visit(leaf),
    }
}

fn leaves(looked: &Looked<'_>, visit: &mut dyn FnMut(&ConditionExpr)) {
    looked.conditions().iter().for_each(|condition| walk(&condition.expression, visit));
}

pub(super) fn unused(looked: &Looked<'_>, report: &mut Report<'_>) {
    let mut unused: Vec<&Named> = looked.named().iter().collect();
    leaves(looked, &mut |leaf| match leaf {
        ConditionExpr::Identifier(name, _) => unused.retain(|named| named.name != *name),
        ConditionExpr::Selector { pattern, .. } => unused.retain(|named| !pattern.selects(&named.name)),
        ConditionExpr::And(_) | ConditionExpr::Or(_) | ConditionExpr::Not(_) => {}
    });
    for named in unused {
        report(named.place, format!("no condition names `{}`; name it or leave it out", named.name));
    }
}

/// Takes a selector: how many of what, which names that are, and where it stands.
type Visit<'v> = dyn FnMut(Quantifier, &SelectorPattern, &[&str], Place) + 'v;

/// Every selector with the names that it selects.
fn selectors(looked: &Looked<'_>, visit: &mut Visit<'_>) {
    leaves(looked, &mut |leaf| {
        if let ConditionExpr::Selector { quantifier, pattern, place } = leaf {
            let names = looked.named().iter().map(|named| named.name.as_str());
            visit(*quantifier, pattern, &names.filter(|name| pattern.selects(name)).collect::<Vec<_>>(), *place);
        }
    });
}

pub(super) fn all_of_one(looked: &Looked<'_>, report: &mut Report<'_>) {
    selectors(looked, &mut |quantifier, pattern, names, place| {
        if let (Quantifier::All, SelectorPattern::Pattern(pattern), [only]) = (quantifier, pattern, names) {
            report(place, format!("`all of {pattern}` is `{only}` alone; write its name"));
        }
    });
}

pub(super) fn them_of_one(looked: &Looked<'_>, report: &mut Report<'_>) {
    selectors(looked, &mut |quantifier, pattern, names, place| {
        if let (SelectorPattern::Them, [only]) = (pattern, names) {
            report(place, format!("`{quantifier} of them` is `{only}` alone; write its name"));
        }
    });
}

pub(super) fn all_of_them(looked: &Looked<'_>, report: &mut Report<'_>) {
    selectors(looked, &mut |quantifier, pattern, names, place| {
        if quantifier == Quantifier::All && *pattern == SelectorPattern::Them && names.len() > 1 {
            let message = "`all of them` takes in whatever is added later; write `all of selection*`";
            report(place, message.to_owned());
        }
    });
}

pub(super) fn of_without_star(looked: &Looked<'_>, report: &mut Report<'_>) {
    selectors(looked, &mut |quantifier, pattern, names, place| {
        if let (SelectorPattern::Pattern(pattern), [only]) = (pattern, names)
            && !pattern.contains('*')
        {
            report(place, format!("`{quantifier} of {pattern}` is one selection; write `{only}`, or `{pattern}*`"));
        }
    });
}

pub(super) fn filter_without_not(looked: &Looked<'_>, report: &mut Report<'_>) {
    for condition in looked.conditions().iter().filter(|_| looked.is_filter()) {
        if filter::said(&condition.expression) == Some(Says::LeftOut) {
            let message = format!(
                "read as what the filter leaves out; other tools take it for what is kept. Write `not ({})`, which \
                 all read alike",
                condition.text
            );
            report(condition.place, message);
        }
    }
}
