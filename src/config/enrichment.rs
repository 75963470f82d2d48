//! What is known of addresses, as the file says it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// `enrichment`: files that say what an address is, for rules that ask and for the words of alerts. They are yours to download;
/// Lapwing asks nobody. Read again when they change, as rules are: one that cannot be read is refused, and what was known stays.
/// [Addresses](addresses.md) says where each comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrichment {
    /// Databases in MaxMind's format, for country, city and network, such as GeoLite2-City.mmdb and GeoLite2-ASN.mmdb. What
    /// an earlier one says counts.
    #[serde(default)]
    pub databases: Vec<PathBuf>,
    /// Networks of clouds, by a name of your choice: ip-ranges.json of AWS, cloud.json of Google, service tags of Azure, or a
    /// list of networks, one a line.
    #[serde(default)]
    pub clouds: BTreeMap<String, PathBuf>,
    /// Networks of the runners of pipelines, by a name of your choice: what GitHub's `/meta` answers, or a list.
    #[serde(default)]
    pub ci: BTreeMap<String, PathBuf>,
    /// Exits of Tor: a list of addresses.
    #[serde(default)]
    pub tor: Option<PathBuf>,
    /// Networks of VPNs, your own and those that are sold: a list.
    #[serde(default)]
    pub vpn: Option<PathBuf>,
}

impl Enrichment {
    /// Everything that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let Self { databases, clouds, ci, tor, vpn } = self;
        databases.iter().chain(clouds.values()).chain(ci.values()).chain(tor).chain(vpn)
    }
}
