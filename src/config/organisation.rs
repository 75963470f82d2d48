//! What all rules may know of the organisation, as the file says it.

use serde::{Deserialize, Deserializer};

/// `organisation`: what rules that learn may know of those who are watched.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Organisation {
    /// The time zone whose hours most people keep, such as `Europe/Berlin`: habits of the week follow it in winter and in summer.
    /// Without it they are in UTC. With another one, what `rate` and `distinct` have learnt begins anew.
    #[serde(default, deserialize_with = "zone")]
    pub time_zone: engine::time::Zone,
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<engine::time::Zone, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
