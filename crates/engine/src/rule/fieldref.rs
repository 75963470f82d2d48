//! The values of one field against those of another.
//!
//! Whoever writes events decides how many values both have, so no pair is looked at by itself: both sides are
//! folded once and sorted, or searched for at once. Work grows with the values' length, but for the sorting.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::found::Found;
use super::matcher::Position;
use super::text::Case;
use crate::field::FieldId;

/// Whether some value of `field` is, holds, begins or ends with one of `other`.
pub(super) fn holds(found: &Found<'_>, (field, other): (FieldId, FieldId), position: Position, case: Case) -> bool {
    if !found.has(field) || !found.has(other) {
        return false;
    }
    let (values, wanted) = (texts(found, field, case), texts(found, other, case));
    match position {
        Position::Whole => whole(&values, wanted),
        Position::Anywhere => anywhere(&values, &wanted),
        Position::Start => start(&bytes(values), bytes(wanted)),
        Position::End => start(&reversed(bytes(values)), reversed(bytes(wanted))),
    }
}

fn texts(found: &Found<'_>, field: FieldId, case: Case) -> Vec<Box<str>> {
    found.of(field).filter_map(|value| value.with_text(|text| case.pattern(text))).collect()
}

fn bytes(texts: Vec<Box<str>>) -> Vec<Box<[u8]>> {
    texts.into_iter().map(str::into_boxed_bytes).collect()
}

fn reversed(mut texts: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    texts.iter_mut().for_each(|text| text.reverse());
    texts
}

fn whole(values: &[Box<str>], mut wanted: Vec<Box<str>>) -> bool {
    wanted.sort_unstable();
    values.iter().any(|value| wanted.binary_search(value).is_ok())
}

fn anywhere(values: &[Box<str>], wanted: &[Box<str>]) -> bool {
    if let [only] = wanted {
        return values.iter().any(|value| value.contains(&**only));
    }
    // Not the default kind: that spends more time on becoming fast than one event takes.
    let search = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::NoncontiguousNFA))
        .build(wanted.iter().map(|text| text.as_bytes()));
    // It counts its states in 32 bits, which no event is long enough for.
    search.is_ok_and(|search| values.iter().any(|value| search.is_match(&**value)))
}

/// Among sorted texts none of which begins with another, the only one that a value can begin with is the last
/// that is not greater.
fn start(values: &[Box<[u8]>], mut wanted: Vec<Box<[u8]>>) -> bool {
    wanted.sort_unstable();
    wanted.dedup_by(|later, kept| later.starts_with(kept));
    values.iter().any(|value| {
        let behind = wanted.partition_point(|text| text <= value);
        behind > 0 && value.starts_with(&wanted[behind - 1])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(texts: &[String]) -> Vec<Box<str>> {
        texts.iter().map(|text| text.clone().into()).collect()
    }

    proptest! {
        #[test]
        fn all_pairs_say_the_same(
            values in proptest::collection::vec("[abä]{0,4}", 0..5),
            wanted in proptest::collection::vec("[abä]{0,3}", 0..5),
        ) {
            let any = |fits: fn(&str, &str) -> bool| values.iter().any(|value| wanted.iter().any(|text| fits(value, text)));
            prop_assert_eq!(whole(&boxed(&values), boxed(&wanted)), any(|value, text| value == text));
            prop_assert_eq!(anywhere(&boxed(&values), &boxed(&wanted)), any(|value, text| value.contains(text)));
            let (values_bytes, wanted_bytes) = (bytes(boxed(&values)), bytes(boxed(&wanted)));
            let found = start(&values_bytes, wanted_bytes.clone());
            prop_assert_eq!(found, any(|value, text| value.starts_with(text)));
            let found = start(&reversed(values_bytes), reversed(wanted_bytes));
            prop_assert_eq!(found, any(|value, text| value.ends_with(text)));
        }
    }
}
