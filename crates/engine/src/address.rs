//! What is known of an address: where it lies, whose network it is of, and whether it is a cloud's, a pipeline's, an exit of Tor.
//!
//! The engine reads no file: whoever has databases and lists hands them in as an [`Atlas`], and the set of rules keeps it. Rules
//! ask by the names of [`Aspect::NAMES`]; what a record says itself under such a name counts before what the atlas says.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

mod cache;
mod ranges;

pub(crate) use cache::Cache;
pub use ranges::Ranges;

/// What is known of addresses. Immutable: new files are a new atlas.
pub trait Atlas: fmt::Debug + Send + Sync {
    /// What is known of this one. Not asked again and again for the same: answers are kept.
    fn look_up(&self, address: IpAddr) -> Whereabouts;

    /// Whether this can be known of any address: what is not, says nothing by being absent.
    fn knows(&self, aspect: Aspect) -> bool;
}

/// An atlas, or none: then nothing is known of any address.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Option<Arc<dyn Atlas>>);

/// One thing that may be known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The city.
    City,
    /// The country, as two letters of ISO 3166.
    Country,
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
    /// The number of the autonomous system.
    Network,
    /// Whose that is.
    Organization,
    /// The cloud whose address it is, by the name that the operator gave.
    Cloud,
    /// Its region.
    CloudRegion,
    /// Its service.
    CloudService,
    /// The provider of pipelines whose runners have it.
    Pipeline,
    /// `true` for an exit of Tor.
    Tor,
    /// `true` for an address of a VPN that is known to the operator.
    Vpn,
}

/// How rules read the values of an aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Text,
    Number,
    Flag,
}

/// All that is known of one address; an absent aspect is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Ascending, each once.
    values: Vec<(Aspect, Box<str>)>,
}

impl Aspect {
    /// The fields that rules read, most of them by the names of ECS.
    pub const NAMES: [(&'static str, Self); 12] = [
        ("source.geo.city_name", Self::City),
        ("source.geo.country_iso_code", Self::Country),
        ("source.geo.location.lat", Self::Latitude),
        ("source.geo.location.lon", Self::Longitude),
        ("source.as.number", Self::Network),
        ("source.as.organization.name", Self::Organization),
        ("source.cloud.provider", Self::Cloud),
        ("source.cloud.region", Self::CloudRegion),
        ("source.cloud.service.name", Self::CloudService),
        ("source.ci.provider", Self::Pipeline),
        ("source.tor", Self::Tor),
        ("source.vpn", Self::Vpn),
    ];

    /// The aspect of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, aspect)| *aspect)
    }

    /// Its name as a field.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    pub(crate) fn sort(self) -> Sort {
        match self {
            Self::Latitude | Self::Longitude | Self::Network => Sort::Number,
            Self::Tor | Self::Vpn => Sort::Flag,
            Self::Country
            | Self::City
            | Self::Organization
            | Self::Cloud
            | Self::CloudRegion
            | Self::CloudService
            | Self::Pipeline => Sort::Text,
        }
    }
}

impl Addresses {
    /// Those that this atlas knows.
    #[must_use]
    pub fn of(atlas: Arc<dyn Atlas>) -> Self {
        Self(Some(atlas))
    }

    /// Whether nothing is known of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this can be known of any address.
    #[must_use]
    pub fn knows(&self, aspect: Aspect) -> bool {
        self.0.as_ref().is_some_and(|atlas| atlas.knows(aspect))
    }

    /// What is known of this one.
    #[must_use]
    pub fn look_up(&self, address: IpAddr) -> Whereabouts {
        self.0.as_ref().map(|atlas| atlas.look_up(address.to_canonical())).unwrap_or_default()
    }
}

/// The same atlas, not one that says the same.
impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl Eq for Addresses {}

impl Whereabouts {
    /// Makes an aspect known, in place of what was known of it. An empty text says nothing.
    pub fn set(&mut self, aspect: Aspect, value: &str) {
        if value.is_empty() {
            return;
        }
        match self.values.binary_search_by_key(&aspect, |(known, _)| *known) {
            Ok(place) => self.values[place].1 = value.into(),
            Err(place) => self.values.insert(place, (aspect, value.into())),
        }
    }

    /// What is known of an aspect.
    #[must_use]
    pub fn get(&self, aspect: Aspect) -> Option<&str> {
        let place = self.values.binary_search_by_key(&aspect, |(known, _)| *known).ok()?;
        Some(&self.values[place].1)
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `Berlin, DE, AS64500 Example Net, aws eu-central-1 EC2, runner of github, exit of Tor`; empty if nothing is known.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = String::new();
        let mut before: Option<Aspect> = None;
        for (aspect, value) in &self.values {
            let joined = matches!(aspect, Aspect::CloudRegion | Aspect::CloudService)
                || *aspect == Aspect::Organization && before == Some(Aspect::Network);
            let words: [&str; 2] = match aspect {
                Aspect::Latitude | Aspect::Longitude => continue,
                Aspect::Network => ["AS", value],
                Aspect::Pipeline => ["runner of ", value],
                Aspect::Tor => ["exit of Tor", ""],
                Aspect::Vpn => ["VPN", ""],
                Aspect::Country
                | Aspect::City
                | Aspect::Organization
                | Aspect::Cloud
                | Aspect::CloudRegion
                | Aspect::CloudService => [value, ""],
            };
            text.push_str(match (text.is_empty(), joined) {
                (true, _) => "",
                (false, true) => " ",
                (false, false) => ", ",
            });
            text.extend(words);
            before = Some(*aspect);
        }
        text
    }
}

/// Nothing but what was invented, for tests of rules.
impl Atlas for Ranges<Whereabouts> {
    fn look_up(&self, address: IpAddr) -> Whereabouts {
        self.get(address).cloned().unwrap_or_default()
    }

    fn knows(&self, aspect: Aspect) -> bool {
        self.values().any(|known| known.get(aspect).is_some())
    }
}

/// The address that a text is, be it with a port.
pub(crate) fn read(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_aspect_stands_under_its_name_and_in_its_order() {
        for (place, (name, aspect)) in Aspect::NAMES.iter().enumerate() {
            assert_eq!((*aspect as usize, aspect.name(), Aspect::named(name)), (place, *name, Some(*aspect)));
        }
    }

    #[test]
    fn what_is_known_is_shown_in_one_line() {
        let shown = |values: &[(Aspect, &str)]| {
            let mut place = Whereabouts::default();
            values.iter().for_each(|(aspect, value)| place.set(*aspect, value));
            place.shown()
        };
        for (values, words) in [
            (&[][..], ""),
            (
                &[(Aspect::Organization, "Example Net"), (Aspect::Network, "64500"), (Aspect::Country, "DE")],
                "DE, AS64500 Example Net",
            ),
            (&[(Aspect::Organization, "Example Net"), (Aspect::Country, "DE")], "DE, Example Net"),
            (
                &[(Aspect::CloudService, "EC2"), (Aspect::CloudRegion, "eu-central-1"), (Aspect::Cloud, "aws")],
                "aws eu-central-1 EC2",
            ),
            (
                &[(Aspect::Latitude, "1"), (Aspect::Tor, "true"), (Aspect::Pipeline, "github")],
                "runner of github, exit of Tor",
            ),
        ] {
            assert_eq!(shown(values), words);
        }
    }

    #[test]
    fn an_address_is_read_with_and_without_a_port_and_a_name_is_none() {
        for (text, address) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:443", Some("192.0.2.1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("cloudformation.amazonaws.com", None),
            ("", None),
        ] {
            assert_eq!(read(text), address.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}
