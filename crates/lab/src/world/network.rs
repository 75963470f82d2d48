//! Where people, machines and intruders speak from. All ranges are reserved for documentation or for benchmarks, all
//! numbers of autonomous systems for documentation, so nobody real is meant.

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// An office of the company.
    Office,
    /// The company's VPN.
    Vpn,
    /// Somebody's connection at home.
    Home,
    /// A mobile carrier.
    Mobile,
    /// Hotels and airports.
    Travel,
    /// Where the company's own machines in a cloud leave it.
    Cloud,
    /// Hosted runners of a CI vendor.
    Ci,
    /// Servers that anybody rents.
    Hosting,
}

/// A range of addresses with what an enrichment would know about it.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The first address.
    pub first: [u8; 4],
    /// Bits of the prefix.
    pub bits: u8,
    /// Number of its autonomous system.
    pub asn: u32,
    /// Who runs it.
    pub name: &'static str,
    /// ISO 3166 code.
    pub country: &'static str,
    /// What it is for.
    pub used: Use,
}

const fn network(first: [u8; 4], bits: u8, asn: u32, name: &'static str, country: &'static str, used: Use) -> Network {
    Network { first, bits, asn, name, country, used }
}

/// Every network of the world. Addresses within `10.0.0.0/8` are the company's own.
pub const NETWORKS: [Network; 27] = [
    network([192, 0, 2, 0], 26, 64496, "Example Org Amsterdam", "NL", Use::Office),
    network([192, 0, 2, 64], 26, 64496, "Example Org Lisbon", "PT", Use::Office),
    network([192, 0, 2, 128], 26, 64496, "Example Org Austin", "US", Use::Office),
    network([192, 0, 2, 192], 27, 64496, "Example Org Pune", "IN", Use::Office),
    network([192, 0, 2, 224], 28, 64497, "Example Org VPN", "NL", Use::Vpn),
    network([198, 18, 0, 0], 19, 64498, "Polder Fibre", "NL", Use::Home),
    network([198, 18, 32, 0], 19, 64499, "Tejo Cabo", "PT", Use::Home),
    network([198, 18, 64, 0], 19, 64500, "Lone Star Cable", "US", Use::Home),
    network([198, 18, 96, 0], 19, 64501, "Deccan Broadband", "IN", Use::Home),
    network([198, 18, 128, 0], 20, 64502, "Polder Mobiel", "NL", Use::Mobile),
    network([198, 18, 144, 0], 20, 64503, "Tejo Movel", "PT", Use::Mobile),
    network([198, 18, 160, 0], 20, 64504, "Lone Star Wireless", "US", Use::Mobile),
    network([198, 18, 176, 0], 20, 64505, "Deccan Mobile", "IN", Use::Mobile),
    network([198, 18, 192, 0], 21, 64506, "Hanami Hotels", "JP", Use::Travel),
    network([198, 18, 200, 0], 21, 64507, "Aeroporto Livre", "BR", Use::Travel),
    network([198, 19, 0, 0], 18, 64508, "Hosted Runners", "US", Use::Ci),
    network([198, 19, 64, 0], 21, 64509, "Cloud One Egress", "IE", Use::Cloud),
    network([198, 19, 72, 0], 21, 64510, "Cloud Two Egress", "BE", Use::Cloud),
    network([198, 19, 80, 0], 21, 64511, "Own Runners", "DE", Use::Ci),
    network([203, 0, 113, 0], 27, 65536, "Cheap Servers North", "RU", Use::Hosting),
    network([203, 0, 113, 32], 27, 65537, "Cheap Servers East", "VN", Use::Hosting),
    network([203, 0, 113, 64], 27, 65538, "Bulk Virtual", "NL", Use::Hosting),
    network([203, 0, 113, 96], 27, 65539, "Quiet Proxy", "US", Use::Hosting),
    network([203, 0, 113, 128], 27, 65540, "Onion Relay", "DE", Use::Hosting),
    network([203, 0, 113, 160], 27, 65541, "Mountain VPN", "CH", Use::Hosting),
    network([198, 51, 100, 0], 25, 65542, "Cafe Wifi", "NL", Use::Travel),
    network([198, 51, 100, 128], 25, 65543, "Rented By The Hour", "SG", Use::Hosting),
];

/// Offices in the order in which [`NETWORKS`] has their office, home and mobile networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Office(pub(super) usize);

/// How far each office's clocks are ahead of UTC, in minutes. Summer time is left out.
const AHEAD_MINUTES: [i64; 4] = [120, 60, -300, 330];

impl Office {
    pub(super) const COUNT: usize = 4;

    pub(super) fn ahead_minutes(self) -> i64 {
        AHEAD_MINUTES[self.0]
    }

    pub(super) fn office(self) -> &'static Network {
        &NETWORKS[self.0]
    }

    pub(super) fn home(self) -> &'static Network {
        &NETWORKS[5 + self.0]
    }

    pub(super) fn mobile(self) -> &'static Network {
        &NETWORKS[9 + self.0]
    }
}

/// The company's VPN.
pub(super) const VPN: &Network = &NETWORKS[4];
/// A hotel far away.
pub(super) const HOTEL: &Network = &NETWORKS[13];
/// An airport on another continent.
pub(super) const AIRPORT: &Network = &NETWORKS[14];
/// Hosted runners of GitHub.
pub(super) const RUNNERS: &Network = &NETWORKS[15];
/// Where the company's machines leave AWS.
pub(super) const AWS: &Network = &NETWORKS[16];
/// The same for Google Cloud.
pub(super) const GOOGLE: &Network = &NETWORKS[17];
/// Runners of GitLab.
pub(super) const OWN_RUNNERS: &Network = &NETWORKS[18];
/// A cafe near the first office.
pub(super) const CAFE: &Network = &NETWORKS[25];
/// Rented servers, where intruders work from.
pub(super) const RENTED: [&Network; 7] =
    [&NETWORKS[19], &NETWORKS[20], &NETWORKS[21], &NETWORKS[22], &NETWORKS[23], &NETWORKS[24], &NETWORKS[26]];

impl Network {
    /// One of its addresses: the same number gives the same one, neither the first nor the last.
    #[must_use]
    pub fn address(&self, number: u64) -> String {
        let inside = (1_u64 << (32 - u32::from(self.bits))) - 2;
        let offset = u32::try_from(number % inside + 1).unwrap_or(1);
        std::net::Ipv4Addr::from(u32::from_be_bytes(self.first) + offset).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_do_not_overlap() {
        let mut ranges: Vec<(u64, u64)> = NETWORKS
            .iter()
            .map(|network| (u64::from(u32::from_be_bytes(network.first)), 1_u64 << (32 - u32::from(network.bits))))
            .collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{ranges:?}");
    }

    #[test]
    fn an_address_lies_within_its_network() {
        assert_eq!(Office(0).office().address(0), "192.0.2.1");
        assert_eq!(Office(0).office().address(61), "192.0.2.62");
        assert_eq!(Office(0).office().address(62), "192.0.2.1");
    }

    #[test]
    fn places_are_what_they_are_called() {
        assert_eq!(Office(3).home().country, "IN");
        assert_eq!(Office(2).mobile().used, Use::Mobile);
        assert!(RENTED.iter().all(|network| network.used == Use::Hosting));
        assert_eq!((RUNNERS.used, AWS.used, GOOGLE.used, OWN_RUNNERS.used), (Use::Ci, Use::Cloud, Use::Cloud, Use::Ci));
        assert_eq!((HOTEL.used, AIRPORT.used, CAFE.used, VPN.used), (Use::Travel, Use::Travel, Use::Travel, Use::Vpn));
    }
}
