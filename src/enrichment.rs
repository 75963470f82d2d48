//! What is known of addresses: databases and lists that the operator downloads, read into one immutable atlas.
//!
//! The engine asks it by [`Atlas`]; it is read with the rules, and a new one comes with a new set of them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use engine::address::{Addresses, Aspect, Atlas, Ranges, Whereabouts};

use self::database::Database;
use self::networks::Cloud;
use crate::config::Enrichment;

mod database;
#[cfg(test)]
mod mmdb;
mod networks;
#[cfg(test)]
mod tests;

/// All that was read.
#[derive(Debug)]
struct Files {
    databases: Vec<Database>,
    clouds: Ranges<Arc<Cloud>>,
    ci: Ranges<Arc<str>>,
    tor: Ranges<()>,
    vpn: Ranges<()>,
}

/// Reads all files of these settings; without any, nothing is known.
///
/// # Errors
/// With the setting, the file and the line of the first fault.
pub(crate) fn read(settings: &Enrichment) -> anyhow::Result<Addresses> {
    if *settings == Enrichment::default() {
        return Ok(Addresses::default());
    }
    let mut databases = Vec::new();
    for path in &settings.databases {
        databases.push(Database::read(path).with_context(|| about("databases", path))?);
    }
    let (mut clouds, mut ci) = (Vec::new(), Vec::new());
    for (name, path) in &settings.clouds {
        clouds.extend(networks::clouds(name, path).with_context(|| about("clouds", path))?);
    }
    // Of a network that is named twice the last counts: what says most.
    clouds.sort_by_key(|(_, cloud)| cloud.rank());
    for (name, path) in &settings.ci {
        let name: Arc<str> = name.as_str().into();
        let networks = networks::runners(path).with_context(|| about("ci", path))?;
        ci.extend(networks.into_iter().map(|network| (network, name.clone())));
    }
    let list = |setting, path: Option<&std::path::PathBuf>| -> anyhow::Result<Ranges<()>> {
        let Some(path) = path else { return Ok(Ranges::default()) };
        let networks = networks::list(path).with_context(|| about(setting, path))?;
        Ok(Ranges::new(networks.into_iter().map(|network| (network, ()))))
    };
    let (tor, vpn) = (list("tor", settings.tor.as_ref())?, list("vpn", settings.vpn.as_ref())?);
    tracing::info!(databases = databases.len(), clouds = clouds.len(), runners = ci.len(), "addresses known");
    let files = Files { databases, clouds: Ranges::new(clouds), ci: Ranges::new(ci), tor, vpn };
    Ok(Addresses::of(Arc::new(files)))
}

fn about(setting: &str, path: &Path) -> String {
    format!("read enrichment.{setting}: {}", path.display())
}

impl Atlas for Files {
    fn look_up(&self, address: IpAddr) -> Whereabouts {
        let mut known = Whereabouts::default();
        for database in self.databases.iter().rev() {
            database.tell(address, &mut known);
        }
        if let Some(cloud) = self.clouds.get(address) {
            known.set(Aspect::Cloud, &cloud.provider);
            known.set(Aspect::CloudRegion, &cloud.region);
            known.set(Aspect::CloudService, &cloud.service);
        }
        if let Some(provider) = self.ci.get(address) {
            known.set(Aspect::Pipeline, provider);
        }
        for (ranges, aspect) in [(&self.tor, Aspect::Tor), (&self.vpn, Aspect::Vpn)] {
            if ranges.get(address).is_some() {
                known.set(aspect, "true");
            }
        }
        known
    }

    fn knows(&self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::City
            | Aspect::Country
            | Aspect::Latitude
            | Aspect::Longitude
            | Aspect::Network
            | Aspect::Organization => !self.databases.is_empty(),
            Aspect::Cloud | Aspect::CloudRegion | Aspect::CloudService => !self.clouds.is_empty(),
            Aspect::Pipeline => !self.ci.is_empty(),
            Aspect::Tor => !self.tor.is_empty(),
            Aspect::Vpn => !self.vpn.is_empty(),
        }
    }
}
