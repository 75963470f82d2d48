//! Lists of networks: those that clouds and providers of pipelines publish as JSON, and plain ones, one network a line.
//!
//! Which of them a file is shows in the file, so a name says whose it is and nothing more.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use ipnet::IpNet;
use serde_json::Value;

/// Whose address it is, and what for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cloud {
    pub(super) provider: String,
    pub(super) region: String,
    pub(super) service: String,
}

/// What AWS calls all of its networks together, Google likewise: it says less than the name of a service.
const WHOLE: [&str; 3] = ["", "AMAZON", "Google Cloud"];

impl Cloud {
    /// Of two entries for one network the one that says more comes behind.
    pub(super) fn rank(&self) -> (bool, bool) {
        (!self.region.is_empty(), !WHOLE.contains(&self.service.as_str()))
    }
}

/// The networks of a cloud.
///
/// # Errors
/// When the file cannot be read, or holds no network.
pub(super) fn clouds(provider: &str, path: &Path) -> anyhow::Result<Vec<(IpNet, Arc<Cloud>)>> {
    let text = read(path)?;
    let Some(document) = json(&text)? else {
        let cloud = Arc::new(Cloud { provider: provider.to_owned(), ..Cloud::default() });
        return Ok(plain(&text)?.into_iter().map(|network| (network, cloud.clone())).collect());
    };
    let mut clouds: BTreeMap<Cloud, Arc<Cloud>> = BTreeMap::new();
    let mut all = Vec::new();
    let mut take = |network: &Value, region: &Value, service: &Value| -> anyhow::Result<()> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // `GLOBAL` and `global` are no region.
        let region = Some(text(region)).filter(|region| !region.eq_ignore_ascii_case("global")).unwrap_or_default();
        let cloud = Cloud { provider: provider.to_owned(), region, service: text(service) };
        let cloud = clouds.entry(cloud).or_insert_with_key(|cloud| Arc::new(cloud.clone()));
        all.push((parse(&text(network))?, cloud.clone()));
        Ok(())
    };
    let list = |name: &str| document[name].as_array().into_iter().flatten();
    for entry in list("prefixes").chain(list("ipv6_prefixes")) {
        let names = ["ip_prefix", "ipv6_prefix", "ipv4Prefix", "ipv6Prefix"];
        let network = names.iter().find_map(|name| entry.get(name)).context("a prefix without a network")?;
        // AWS writes `region`, Google `scope`.
        take(network, entry.get("region").unwrap_or(&entry["scope"]), &entry["service"])?;
    }
    // Azure: a tag has a region, a service and all its networks.
    for tag in list("values") {
        let properties = &tag["properties"];
        for network in properties["addressPrefixes"].as_array().into_iter().flatten() {
            take(network, &properties["region"], &properties["systemService"])?;
        }
    }
    ensure!(!all.is_empty(), "it holds no network: neither `prefixes` of AWS or Google nor `values` of Azure");
    Ok(all)
}

/// The networks of the runners of a provider of pipelines.
///
/// # Errors
/// When the file cannot be read, or holds no network.
pub(super) fn runners(path: &Path) -> anyhow::Result<Vec<IpNet>> {
    let text = read(path)?;
    let Some(document) = json(&text)? else { return plain(&text) };
    let lists: Vec<&Value> = match &document {
        Value::Array(_) => vec![&document],
        Value::Object(members) => ["actions", "actions_macos"].iter().filter_map(|name| members.get(*name)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let texts = lists.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let networks = texts.map(parse).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!networks.is_empty(), "it holds no network: neither `actions` of GitHub nor a list");
    Ok(networks)
}

/// A plain list.
///
/// # Errors
/// When the file cannot be read, or holds no network.
pub(super) fn list(path: &Path) -> anyhow::Result<Vec<IpNet>> {
    plain(&read(path)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn json(text: &str) -> anyhow::Result<Option<Value>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).context("it is no whole JSON")
}

fn plain(text: &str) -> anyhow::Result<Vec<IpNet>> {
    let mut networks = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let said = line.split('#').next().unwrap_or_default().trim();
        if !said.is_empty() {
            networks.push(parse(said).with_context(|| format!("line {number}"))?);
        }
    }
    // A download that failed leaves an empty file; that nobody is an exit of Tor any more is no news to act on.
    ensure!(!networks.is_empty(), "it holds no network");
    Ok(networks)
}

fn parse(text: &str) -> anyhow::Result<IpNet> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(network);
    }
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => bail!("{text:?} is no address or network such as 192.0.2.0/24"),
    }
}
