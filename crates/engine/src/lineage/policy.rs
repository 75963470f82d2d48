//! What is expected of credentials, and how much is kept of them.

use ipnet::IpNet;

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
        Self { ci: Vec::new(), cloud: Vec::new(), admin_roles: Vec::new(), dormant_days: 90, skew: Span::seconds(300) }
    }
}
