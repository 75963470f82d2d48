//! What is legal and probably not meant.
//!
//! To add a lint: write a function in one of the files below and a line in [`LINTS`]. A lint looks at one
//! document and reports a place and a sentence that says what is odd and how to mend it. Its name is stable: a
//! rule silences it with `lapwing: {allow: [name]}`.

use super::ast::{Condition, Item, Named};
use super::draft::Draft;
use super::place::{Fault, Place};
use super::yaml::Node;
use super::{draft, nearest, own};

mod about;
mod advice;
mod contradiction;
mod correlation;
mod field;
mod selection;
mod set;
mod slip;
mod value;
mod vocabulary;

pub(super) use about::is_uuid;
pub(super) use set::set;

/// One document, as lints see it.
pub(super) struct Looked<'l> {
    pub(super) node: &'l Node<'l>,
    pub(super) draft: &'l Draft<'l>,
}

/// Takes what a lint found.
type Report<'r> = dyn FnMut(Place, String) + 'r;

type Lint = (&'static str, fn(&Looked<'_>, &mut Report<'_>));

/// Every lint of one document, in the order of their names.
const LINTS: [Lint; 55] = [
    ("all_of_one", selection::all_of_one),
    ("all_of_them", selection::all_of_them),
    ("all_with_one_value", value::all_with_one_value),
    ("base64offset_without_contains", value::base64offset_without_contains),
    ("cidr_with_host", value::cidr_with_host),
    ("cidr_without_modifier", slip::cidr_without_modifier),
    ("control_character", value::control_character),
    ("custom_taxonomy", about::custom_taxonomy),
    ("date_format", about::date_format),
    ("deprecated", about::deprecated),
    ("description_length", about::description_length),
    ("double_wildcard", value::double_wildcard),
    ("duplicate_reference", about::duplicate_reference),
    ("duplicate_tag", about::duplicate_tag),
    ("duplicate_value", value::duplicate_value),
    ("empty_value", value::empty_value),
    ("escaped_wildcard", value::escaped_wildcard),
    ("false_positive_length", about::false_positive_length),
    ("field_with_space", field::with_space),
    ("filter_with_level", about::filter_with_level),
    ("filter_without_not", selection::filter_without_not),
    ("id_format", about::id_format),
    ("key_letter_case", about::key_letter_case),
    ("log_source_letter_case", about::log_source_letter_case),
    ("log_source_missing", about::log_source_missing),
    ("missing_description", about::missing_description),
    ("missing_group_by", correlation::missing_group_by),
    ("missing_value", slip::missing_value),
    ("modified_before_date", about::modified_before_date),
    ("modifier_twice", value::modifier_twice),
    ("null_in_list", value::null_in_list),
    ("number_in_quotes", value::number_in_quotes),
    ("object_field", field::object),
    ("of_without_star", selection::of_without_star),
    ("one_rule_in_order", correlation::one_rule_in_order),
    ("placeholder_missing", value::placeholder_missing),
    ("placeholder_without_expand", slip::placeholder_without_expand),
    ("re_without_need", value::re_without_need),
    ("regex_without_re", slip::regex_without_re),
    ("related_format", about::related_format),
    ("sigma_version", about::sigma_version),
    ("status_unknown", about::status_unknown),
    ("tag_format", about::tag_format),
    ("tag_namespace", about::tag_namespace),
    ("them_of_one", selection::them_of_one),
    ("title_format", about::title_format),
    ("trailing_space", slip::trailing_space),
    ("typographic_quotes", slip::typographic_quotes),
    ("unfed", field::unfed),
    ("unknown_field", field::unknown),
    ("unknown_key", about::unknown_key),
    ("unused_alias", correlation::unused_alias),
    ("unused_selection", selection::unused),
    ("wildcard_only", value::wildcard_only),
    ("wildcards_for_modifier", value::wildcards_for_modifier),
];

/// Lints that need more than one document, or the compiled rule, and those of the reader itself.
pub(super) const OTHERS: [&str; 7] =
    ["duplicate_title", "missing_id", "missing_level", "timeframe", "never_matches", "obsolete_rule", "unknown_lint"];

/// Looks at one document with every lint.
pub(super) fn document(node: &Node<'_>, draft: &Draft<'_>) -> Vec<Fault> {
    let looked = Looked { node, draft };
    let mut faults = Vec::new();
    for (name, find) in LINTS {
        find(&looked, &mut |place, message| faults.push(Fault::lint(name, message).at(place)));
    }
    for message in draft.own.allow.iter().filter_map(|name| unknown(name)) {
        let place = node.get("lapwing").map_or(node.place, |entry| entry.value.place);
        faults.push(Fault::lint("unknown_lint", message).at(place));
    }
    faults
}

/// Why this is no name of a lint, if it is none.
pub(super) fn unknown(name: &str) -> Option<String> {
    let known = || LINTS.iter().map(|(name, _)| *name).chain(OTHERS);
    (!known().any(|known| known == name))
        .then(|| format!("there is no lint `{name}` to allow{}", nearest::hint(name, known())))
}

impl Looked<'_> {
    fn named(&self) -> &[Named] {
        self.draft.named()
    }

    fn conditions(&self) -> &[Condition] {
        self.draft.conditions()
    }

    fn items(&self) -> Vec<&Item> {
        self.draft.items()
    }

    /// Where this top-level key's value stands, or the document.
    fn place(&self, key: &str) -> Place {
        self.node.get(key).map_or(self.node.place, |entry| entry.value.place)
    }

    fn is_filter(&self) -> bool {
        matches!(self.draft.source, draft::Source::Filter(_))
    }
}

#[cfg(test)]
mod tests;
