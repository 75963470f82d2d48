//! stub
use crate::event::{Event, Facets};
/// stub
pub fn facets(_event: &Event) -> Facets {
    Facets::default()
}
