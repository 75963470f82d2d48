//! What stands at the end of a path of members, as text: what facets of most kinds are made of.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

use super::{Piece, Refusal, RejectReason, moment};
use crate::time::Timestamp;

/// The value at the end of a path such as `actor.id`; of a list on the way the first element counts.
pub(crate) fn value<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, name| first(value.get(name)?))
}

/// The text there; a number as it is written. Nothing if it is empty.
pub(crate) fn text(document: &Value, path: &str) -> Option<String> {
    crate::field::scalar_text(value(document, path)?).filter(|text| !text.is_empty())
}

/// The first of these that is there.
pub(crate) fn any(document: &Value, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| text(document, path))
}

/// A member whose name has dots in it, of what a path leads to.
pub(crate) fn member(document: &Value, path: &str, name: &str) -> Option<String> {
    crate::field::scalar_text(first(value(document, path)?.get(name)?)?).filter(|text| !text.is_empty())
}

/// Whether an object stands there.
pub(crate) fn is_object(document: &Value, path: &str) -> bool {
    value(document, path).is_some_and(JsonValueTrait::is_object)
}

/// What shippers add to a record that they carry.
const SHIPPED: &str = "@timestamp";

/// The first of these times that can be read, else that of the wrapper, else that of a shipper.
pub(super) fn time(piece: &Piece<'_>, paths: &[&str]) -> Result<Timestamp, Refusal> {
    let own = paths.iter().find_map(|path| moment::read(value(&piece.document, path)?));
    let shipped = || moment::read(piece.document.get(SHIPPED)?);
    own.or(piece.time).or_else(shipped).ok_or_else(|| {
        let places = paths.join(" or ");
        Refusal::new(RejectReason::Time, format!("no readable time of 1970 to 2200 in {places}"))
    })
}

fn first(value: &Value) -> Option<&Value> {
    value.as_array().map_or(Some(value), |list| list.first())
}
