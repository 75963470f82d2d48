//! What is expected of credentials, and how much is kept of them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::{Addresses, Aspect};
use crate::time::Span;

/// How much is kept.
#[derive(Clone, Debug)]
pub struct Caps {
    /// Credentials; beyond that those leave that were heard of longest ago, counted.
    pub credentials_max: usize,
    /// Runs of workflows; beyond that the oldest leave.
    pub runs_max: usize,
    /// Roles whose administrator policy came or went.
    pub roles_max: usize,
    /// How long a credential stays after it is over, for a record that comes late or a person who asks.
    pub linger: Span,
}

/// What findings are judged by. An empty list says nothing, so nothing is found by it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Networks of the runners of pipelines.
    pub ci: Vec<IpNet>,
    /// Networks of the clouds and of the private networks in them.
    pub cloud: Vec<IpNet>,
    /// What is known of addresses: those of clouds and of runners count as if their networks stood above.
    pub addresses: Addresses,
    /// Names of roles that are administrators', whatever the log shows.
    pub admin_roles: Vec<String>,
    /// Days without a use after which a long-lived credential counts as asleep.
    pub dormant_days: i64,
    /// How far the clocks of two logs may be apart, and how long an end takes to hold everywhere.
    pub skew: Span,
}

impl Default for Caps {
    fn default() -> Self {
        Self { credentials_max: 50_000, runs_max: 50_000, roles_max: 10_000, linger: Span::seconds(30 * 86_400) }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ci: Vec::new(),
            cloud: Vec::new(),
            addresses: Addresses::default(),
            admin_roles: Vec::new(),
            dormant_days: 90,
            skew: Span::seconds(300),
        }
    }
}

/// The networks that a credential belongs to, and how the same is known of an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'p> {
    networks: &'p [IpNet],
    addresses: &'p Addresses,
    aspect: Aspect,
}

impl Policy {
    /// Where the runners of pipelines are.
    pub(super) fn inside_ci(&self) -> Inside<'_> {
        Inside { networks: &self.ci, addresses: &self.addresses, aspect: Aspect::Pipeline }
    }

    /// Where clouds are.
    pub(super) fn inside_cloud(&self) -> Inside<'_> {
        Inside { networks: &self.cloud, addresses: &self.addresses, aspect: Aspect::Cloud }
    }
}

impl Inside<'_> {
    /// Whether nobody said where that is.
    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.addresses.knows(self.aspect)
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(&address))
            || self.addresses.look_up(address).get(self.aspect).is_some()
    }
}
