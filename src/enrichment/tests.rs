use std::path::PathBuf;

use serde_json::json;

use super::mmdb::{address, database};
use super::*;

/// Files in a folder of their own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn city() -> Vec<u8> {
    let berlin = json!({
        "city": {"geoname_id": 2_950_159, "names": {"de": "Berlin", "en": "Berlin"}},
        "continent": {"code": "EU"},
        "country": {"iso_code": "DE", "names": {"en": "Germany"}},
        "location": {"accuracy_radius": 20, "latitude": 52.52, "longitude": 13.405, "time_zone": "Europe/Berlin"},
    });
    let quito = json!({"country": {"iso_code": "EC"}, "location": {"latitude": -0.18, "longitude": -78.47}});
    let satellite = json!({"registered_country": {"iso_code": "LU"}});
    database("GeoLite2-City", &[("192.0.2.0/24", berlin), ("2001:db8::/32", quito), ("198.51.100.128/25", satellite)])
}

fn network() -> Vec<u8> {
    let entry = json!({"autonomous_system_number": 64_500, "autonomous_system_organization": "Example Net"});
    database("GeoLite2-ASN", &[("192.0.2.0/23", entry)])
}

/// What is known of some addresses, in words.
fn shown(settings: &Enrichment, addresses: &[&str]) -> Vec<String> {
    let known = read(settings).unwrap();
    addresses.iter().map(|text| known.look_up(address(text)).shown()).collect()
}

#[test]
fn databases_say_where_an_address_is_and_whose() {
    let folder = Folder::new();
    let databases = vec![folder.file("city.mmdb", city()), folder.file("asn.mmdb", network())];
    let settings = Enrichment { databases, ..Enrichment::default() };
    let addresses =
        ["192.0.2.7", "::ffff:192.0.2.7", "192.0.3.7", "2001:db8::7", "198.51.100.200", "203.0.113.1", "::1"];
    let berlin = "Berlin, DE, AS64500 Example Net";
    assert_eq!(shown(&settings, &addresses), [berlin, berlin, "AS64500 Example Net", "EC", "LU", "", ""]);
    let known = read(&settings).unwrap().look_up(address("2001:db8::7"));
    assert_eq!((known.get(Aspect::Latitude), known.get(Aspect::Longitude)), (Some("-0.18"), Some("-78.47")));
}

#[test]
fn networks_of_clouds_are_read_as_each_publishes_them() {
    let folder = Folder::new();
    let aws = json!({"syncToken": "1", "prefixes": [
        {"ip_prefix": "192.0.2.0/24", "region": "eu-central-1", "service": "EC2", "network_border_group": "eu-central-1"},
        {"ip_prefix": "192.0.2.0/24", "region": "eu-central-1", "service": "AMAZON"},
        {"ip_prefix": "192.0.0.0/16", "region": "GLOBAL", "service": "AMAZON"},
    ], "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/40", "region": "us-east-1", "service": "AMAZON"}]});
    let google = json!({"prefixes": [
        {"ipv4Prefix": "198.51.100.0/25", "service": "Google Cloud", "scope": "europe-west3"},
        {"ipv6Prefix": "2001:db8:ff00::/44", "service": "Google Cloud", "scope": "us-west1"},
    ]});
    let azure = json!({"cloud": "Public", "values": [
        {"name": "AzureCloud", "properties": {"region": "", "systemService": "", "addressPrefixes": ["203.0.113.0/24"]}},
        {"name": "Storage.WestEurope", "properties":
            {"region": "westeurope", "systemService": "AzureStorage", "addressPrefixes": ["203.0.113.0/24"]}},
        {"name": "ActionGroup", "properties": {"region": "", "systemService": "ActionGroup", "addressPrefixes": []}},
    ]});
    let clouds = [
        ("aws", folder.file("aws.json", aws.to_string())),
        ("azure", folder.file("azure.json", format!("\u{feff}{azure}"))),
        ("google", folder.file("google.json", google.to_string())),
        ("hoster", folder.file("hoster.txt", "# ours\n198.51.100.128/25 # all of it\n\n198.51.100.1\n")),
    ];
    let clouds = clouds.map(|(name, path)| (name.to_owned(), path)).into();
    let settings = Enrichment { clouds, ..Enrichment::default() };
    for (address, known) in [
        ("192.0.2.7", "aws eu-central-1 EC2"),
        ("192.0.3.7", "aws AMAZON"),
        ("2001:db8::7", "aws us-east-1 AMAZON"),
        ("198.51.100.7", "google europe-west3 Google Cloud"),
        ("2001:db8:ff00::7", "google us-west1 Google Cloud"),
        ("198.51.100.200", "hoster"),
        ("198.51.100.1", "hoster"),
        ("203.0.113.7", "azure westeurope AzureStorage"),
        ("10.0.0.1", ""),
    ] {
        assert_eq!(shown(&settings, &[address]), [known], "{address}");
    }
}

#[test]
fn runners_exits_and_vpns_are_known_by_their_lists() {
    let folder = Folder::new();
    let meta = json!({"hooks": ["192.0.2.0/24"], "actions": ["198.51.100.0/25", "2001:db8::/32"], "actions_macos": ["192.0.2.9/32"]});
    let ci = [
        ("github", folder.file("meta.json", meta.to_string())),
        ("gitlab", folder.file("gitlab.json", json!(["203.0.113.0/28"]).to_string())),
    ];
    let settings = Enrichment {
        ci: ci.map(|(name, path)| (name.to_owned(), path)).into(),
        tor: Some(folder.file("tor.txt", "203.0.113.1\r\n2001:db8::9\r\n")),
        vpn: Some(folder.file("vpn.txt", "203.0.113.0/24\n")),
        ..Enrichment::default()
    };
    let addresses = ["198.51.100.7", "2001:db8::9", "192.0.2.9", "192.0.2.10", "203.0.113.1", "203.0.113.99"];
    assert_eq!(
        shown(&settings, &addresses),
        [
            "runner of github",
            "runner of github, exit of Tor",
            "runner of github",
            "",
            "runner of gitlab, exit of Tor, VPN",
            "VPN"
        ]
    );
    let known = read(&settings).unwrap();
    assert!(known.knows(Aspect::Pipeline) && known.knows(Aspect::Tor) && !known.knows(Aspect::Cloud));
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_its_setting_and_line() {
    let folder = Folder::new();
    let mut cut = city();
    cut.truncate(cut.len() / 2);
    let odd = database("Odd", &[("192.0.2.0/24", json!({"country": "DE"}))]);
    let one = |path: PathBuf| [("x".to_owned(), path)].into();
    let missing = folder.0.path().join("missing.txt");
    for (settings, complaint) in [
        (Enrichment { tor: Some(missing), ..Enrichment::default() }, "No such file"),
        (
            Enrichment { tor: Some(folder.file("a.txt", "192.0.2.1\n<html>\n")), ..Enrichment::default() },
            "line 2: \"<html>\" is no address or network such as 192.0.2.0/24",
        ),
        (Enrichment { vpn: Some(folder.file("b.txt", "# none\n")), ..Enrichment::default() }, "it holds no network"),
        (Enrichment { databases: vec![folder.file("c.mmdb", cut)], ..Enrichment::default() }, "MaxMind's format"),
        (Enrichment { databases: vec![folder.file("d.mmdb", "")], ..Enrichment::default() }, "MaxMind's format"),
        (
            Enrichment { clouds: one(folder.file("e.json", "{\"prefixes\":[")), ..Enrichment::default() },
            "no whole JSON",
        ),
        (Enrichment { databases: vec![folder.file("odd.mmdb", odd)], ..Enrichment::default() }, "entries are none"),
        (Enrichment { clouds: one(folder.file("f.json", "{}")), ..Enrichment::default() }, "neither `prefixes`"),
        (
            Enrichment { ci: one(folder.file("g.json", "{\"hooks\":[\"192.0.2.0/24\"]}")), ..Enrichment::default() },
            "neither `actions`",
        ),
    ] {
        let error = format!("{:#}", read(&settings).unwrap_err());
        assert!(error.starts_with("read enrichment.") && error.contains(complaint), "{error}");
    }
}

#[test]
fn without_settings_nothing_is_known() {
    assert!(read(&Enrichment::default()).unwrap().is_empty());
}
