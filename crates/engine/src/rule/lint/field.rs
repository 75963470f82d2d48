//! Fields that no event of the rule's log source has, and log sources that nothing feeds.

use super::vocabulary::Vocabulary;
use super::{Looked, Report};
use crate::event::{Kind, LogSource};
use crate::rule::ast::Scalar;
use crate::rule::draft::Source;
use crate::rule::index::is_fed;
use crate::rule::modifier::Modifier;
use crate::rule::nearest;

pub(super) fn with_space(looked: &Looked<'_>, report: &mut Report<'_>) {
    for item in looked.items() {
        if let Some(field) = &item.field
            && field.trim() != field
        {
            report(item.place, format!("field `{field}` begins or ends with a space"));
        }
    }
}

pub(super) fn unfed(looked: &Looked<'_>, report: &mut Report<'_>) {
    let source = &looked.draft.log_source;
    if let Source::Detection(_) = looked.draft.source
        && !is_fed(source)
    {
        let place = looked.node.get("logsource").map_or(looked.node.place, |source| source.place);
        report(place, format!("no kind of log feeds its `logsource` ({source}){}", remedy(source)));
    }
}

/// Which part of a log source to mend, if one alone is wrong.
fn remedy(source: &LogSource) -> String {
    let is = |part: &Option<String>, name: &str| part.as_deref().is_some_and(|part| part.eq_ignore_ascii_case(name));
    let known: Vec<(&str, &str)> = Kind::ALL.into_iter().filter_map(Kind::log_source).collect();
    let near = |part: &Option<String>, names: &mut dyn Iterator<Item = &'static str>| {
        nearest::nearest(part.as_deref().unwrap_or_default(), names)
    };
    let fits = |(product, service): &&(&str, &str)| {
        is(&source.product, product) && source.service.as_deref().is_none_or(|part| part.eq_ignore_ascii_case(service))
    };
    if source.category.is_some() && known.iter().any(|known| fits(&known)) {
        return "; its kind has no such `category`, leave it out".to_owned();
    }
    let mut services = known.iter().filter(|(product, _)| is(&source.product, product)).map(|(_, service)| *service);
    if let Some(service) = near(&source.service, &mut services) {
        return format!("; did you mean service `{service}`?");
    }
    let mut products = known.iter().filter(|(_, service)| is(&source.service, service)).map(|(product, _)| *product);
    if let Some(product) = near(&source.product, &mut products) {
        return format!("; did you mean product `{product}`?");
    }
    "; docs/kinds.md lists those that do".to_owned()
}

/// Every field that the document names and that its log source does not have.
pub(super) fn unknown(looked: &Looked<'_>, report: &mut Report<'_>) {
    let Some(vocabulary) = Vocabulary::of(&looked.draft.log_source) else { return };
    for item in looked.items() {
        if let Some(message) = item.field.as_deref().and_then(|field| vocabulary.doubt(field, looked.mappings)) {
            report(item.place, message);
        }
        for written in item.values.iter().filter(|_| item.has(&[Modifier::FieldRef])) {
            if let Scalar::Text(field) = &written.value
                && let Some(message) = vocabulary.doubt(field, looked.mappings)
            {
                report(written.place, message);
            }
        }
    }
    let own = &looked.draft.own;
    let dedup = own.dedup.iter().flat_map(|(names, _)| names);
    for message in dedup.filter_map(|field| vocabulary.doubt(field, looked.mappings)) {
        report(looked.place("dedup"), message);
    }
    let learnt = own.anomaly.iter().flat_map(|anomaly| anomaly.names());
    for message in learnt.filter_map(|field| vocabulary.doubt(field, looked.mappings)) {
        report(looked.place("anomaly"), message);
    }
}

/// Texts and numbers that are asked of an object, which has none.
pub(super) fn object(looked: &Looked<'_>, report: &mut Report<'_>) {
    let Some(vocabulary) = Vocabulary::of(&looked.draft.log_source) else { return };
    for item in looked.items().into_iter().filter(|item| !item.has(&[Modifier::Exists])) {
        let Some(field) = item.field.as_deref().filter(|field| vocabulary.objects.contains(field)) else { continue };
        if item.values.iter().any(|written| written.value != Scalar::Null) {
            let (kind, truth) = (vocabulary.kind.name(), if item.has(&[Modifier::Neq]) { "always" } else { "never" });
            let message = format!(
                "`{field}` is an object in records of {kind}, and an object is no text, so this is {truth} true; name \
                 what is meant inside of it, as `{field}.name`, or look for a keyword"
            );
            report(item.place, message);
        }
    }
}
