//! A database in MaxMind's format: country, city and place of an address, or its network, or both.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use engine::address::{Aspect, Whereabouts};
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

/// Entries that are read to see whether they can be.
const ENTRIES_TRIED: usize = 100;

/// One file, whole in memory: a file that is mapped and then cut short would end the process.
#[derive(Debug)]
pub(super) struct Database(Reader<Vec<u8>>);

/// What is read of an entry; those of city, country and network are one shape here. Shapes of other vendors that write the
/// same members are read as well.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry<'e> {
    #[serde(borrow)]
    city: Named<'e>,
    #[serde(borrow)]
    country: Country<'e>,
    /// Where the network is registered: what is known of those that stand in no country.
    #[serde(borrow)]
    registered_country: Country<'e>,
    location: Location,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'e str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'e> {
    #[serde(borrow)]
    names: Names<'e>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names<'e> {
    en: Option<&'e str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Country<'e> {
    iso_code: Option<&'e str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Database {
    /// # Errors
    /// When the file cannot be read, or is no such database.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path)?;
        let reader = Reader::from_source(bytes).context("it is no database in MaxMind's format")?;
        // A database whose entries are of another shape would tell nothing, and nobody would notice.
        for found in reader.networks(WithinOptions::default())?.take(ENTRIES_TRIED) {
            let entry = found.and_then(|found| found.decode::<Entry<'_>>());
            entry.context("its entries are none of a database of cities, countries or networks")?;
        }
        Ok(Self(reader))
    }

    /// Adds what it says of this address. An entry that cannot be read says nothing.
    pub(super) fn tell(&self, address: IpAddr, known: &mut Whereabouts) {
        let found = self.0.lookup(address).and_then(|found| found.decode::<Entry<'_>>());
        let Ok(Some(entry)) = found else { return };
        let Entry { city, country, registered_country, location, .. } = entry;
        let mut set = |aspect, value: Option<&str>| known.set(aspect, value.unwrap_or_default());
        set(Aspect::City, city.names.en);
        set(Aspect::Country, country.iso_code.or(registered_country.iso_code));
        set(Aspect::Organization, entry.autonomous_system_organization);
        set(Aspect::Network, entry.autonomous_system_number.map(|number| number.to_string()).as_deref());
        if let (Some(latitude), Some(longitude)) = (location.latitude, location.longitude) {
            set(Aspect::Latitude, Some(&latitude.to_string()));
            set(Aspect::Longitude, Some(&longitude.to_string()));
        }
    }
}
