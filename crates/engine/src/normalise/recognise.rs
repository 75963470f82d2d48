//! Which kind a record is, by its shape. `docs/kinds.md` has what each is told by.

use sonic_rs::Value;

use super::{Format, Kind};

/// The kind of one record that is out of its wrapper: under `auto` any, else the declared one or one that comes by
/// the same road.
pub(super) fn kind(format: Format, document: &Value) -> Kind {
    let fits = |kind: &Kind| (kind.reading().fits)(document);
    match format {
        Format::Auto => Kind::ALL.into_iter().find(fits).unwrap_or(Kind::Json),
        Format::Known(declared) => declared.reading().beside.iter().copied().find(fits).unwrap_or(declared),
    }
}
