//! Fields whose values no record holds: what is known of the address that it came from.
//!
//! They are looked up when a rule asks for one of them, and only then: a rule that names an action as well costs nothing for events
//! with other actions. What the record says itself under such a name counts before what is known elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use super::found::Found;
use super::leaf::Leaf;
use crate::address::{self, Addresses, Aspect, Cache, Sort, Whereabouts};
use crate::event::Kind;
use crate::field::{FieldId, Fields};
use crate::normalise;

/// Which of some fields are such, and where the address stands.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Ascending.
    fields: Vec<(FieldId, Aspect)>,
    addresses: Vec<FieldId>,
}

/// Where to look, and what was found there of late.
#[derive(Debug)]
pub(crate) struct Located<'l> {
    pub(super) addresses: &'l Addresses,
    pub(super) cache: &'l mut Cache,
}

impl Places {
    /// Those among `asked`, of a log of this kind.
    pub(super) fn among(asked: &[FieldId], kind: Kind, fields: &Fields) -> Self {
        let named = |field: &FieldId| Some((*field, Aspect::named(fields.path(*field).name())?));
        let mut places: Vec<(FieldId, Aspect)> = asked.iter().filter_map(named).collect();
        places.sort_unstable();
        places.dedup();
        let addresses = normalise::addresses(kind).iter().filter_map(|name| fields.known(name)).collect();
        Self { fields: places, addresses }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Where the address stands.
    pub(super) fn addresses(&self) -> &[FieldId] {
        &self.addresses
    }

    pub(super) fn aspect(&self, field: FieldId) -> Option<Aspect> {
        let place = self.fields.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(self.fields[place].1)
    }

    /// The address that a record came from.
    pub(super) fn address(&self, found: &Found<'_>) -> Option<IpAddr> {
        let mut texts = self.addresses.iter().flat_map(|field| found.own(*field));
        texts.find_map(|value| value.with_text(address::read)?)
    }

    /// What is known of the address that a record came from.
    pub(super) fn of(&self, found: &Found<'_>, located: &mut Located<'_>) -> Option<Arc<Whereabouts>> {
        if located.addresses.is_empty() {
            return None;
        }
        let address = self.address(found)?;
        Some(located.cache.look_up(located.addresses, address)).filter(|known| !known.is_empty())
    }

    /// Gives what is known to the fields that the record itself says nothing of.
    pub(super) fn fill(&self, known: &Whereabouts, found: &mut Found<'_>) {
        for (field, aspect) in &self.fields {
            if let Some(value) = known.get(*aspect).filter(|_| !found.exists(*field)) {
                found.give(*field, leaf(*aspect, value));
            }
        }
    }
}

fn leaf(aspect: Aspect, value: &str) -> Leaf<'static> {
    match aspect.sort() {
        Sort::Text => Leaf::Known(value.into()),
        Sort::Number => Leaf::Long(value.into()),
        Sort::Flag => Leaf::Bool(true),
    }
}
