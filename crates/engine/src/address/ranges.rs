//! Networks and what is said of each: the longest prefix that an address lies in counts.
//!
//! Networks lie in each other or apart, so all of them together cut the addresses into stretches of which the same is true. A
//! look is one binary search over where these begin: 17 steps for the hundred thousand networks of a large cloud.

use std::net::IpAddr;

use ipnet::IpNet;

/// Values by network.
#[derive(Clone, Debug)]
pub struct Ranges<T> {
    values: Vec<T>,
    /// Where a stretch begins, and what is true of it.
    four: Vec<(u32, u32)>,
    six: Vec<(u128, u32)>,
}

/// Nothing is said of a stretch.
const NONE: u32 = u32::MAX;

/// One network: its first and last address, and the place of its value.
type Network = (u128, u128, u32);

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self { values: Vec::new(), four: Vec::new(), six: Vec::new() }
    }
}

impl<T> Ranges<T> {
    /// Of a network that is named twice the last value counts.
    pub fn new(networks: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let (mut values, mut four, mut six) = (Vec::new(), Vec::new(), Vec::new());
        for (network, value) in networks {
            let place = u32::try_from(values.len()).expect("fewer than 2^32 networks fit into memory");
            match network {
                IpNet::V4(net) => four.push((bits(net.network().into()), bits(net.broadcast().into()), place)),
                IpNet::V6(net) => six.push((bits(net.network().into()), bits(net.broadcast().into()), place)),
            }
            values.push(value);
        }
        let four = stretches(four).into_iter();
        let four = four.filter_map(|(start, place)| Some((u32::try_from(start).ok()?, place))).collect();
        Self { values, four, six: stretches(six) }
    }

    /// What is said of the longest prefix that the address lies in.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&T> {
        let place = match address.to_canonical() {
            IpAddr::V4(address) => at(&self.four, address.to_bits()),
            IpAddr::V6(address) => at(&self.six, address.to_bits()),
        };
        self.values.get(place as usize)
    }

    /// All that is said.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }

    /// Whether there is no network.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

fn at<N: Ord + Copy>(stretches: &[(N, u32)], address: N) -> u32 {
    let behind = stretches.partition_point(|(start, _)| *start <= address);
    behind.checked_sub(1).map_or(NONE, |place| stretches[place].1)
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where something else begins to be true, ascending.
fn stretches(mut networks: Vec<Network>) -> Vec<(u128, u32)> {
    // Wider ones first; of two that are the same the later one lies inside.
    networks.sort_unstable_by_key(|(first, last, place)| (*first, std::cmp::Reverse(*last), *place));
    let mut stretches: Vec<(u128, u32)> = Vec::with_capacity(2 * networks.len());
    let mut inside: Vec<Network> = Vec::new();
    for network in networks {
        while let Some(ended) = inside.pop_if(|(_, last, _)| *last < network.0) {
            end(ended, &inside, &mut stretches);
        }
        begin(network.0, network.2, &mut stretches);
        inside.push(network);
    }
    while let Some(ended) = inside.pop() {
        end(ended, &inside, &mut stretches);
    }
    stretches
}

/// Behind a network that around it is true again; nothing lies behind the last address.
fn end((_, last, _): Network, inside: &[Network], stretches: &mut Vec<(u128, u32)>) {
    if let Some(next) = last.checked_add(1) {
        begin(next, inside.last().map_or(NONE, |(.., place)| *place), stretches);
    }
}

fn begin(start: u128, place: u32, stretches: &mut Vec<(u128, u32)>) {
    match stretches.last_mut() {
        Some((last, value)) if *last == start => *value = place,
        Some((_, value)) if *value == place => {}
        Some(_) | None => stretches.push((start, place)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn network() -> impl Strategy<Value = IpNet> {
        // Few bits, so that networks meet: at the first addresses, at the last and between.
        let ends = proptest::sample::select(vec![0_u32, 0xffff_ff00, 0xc000_0200]);
        (ends, 0_u32..256, 20_u8..=32, any::<bool>()).prop_map(|(base, low, length, wide)| {
            if wide {
                let address = Ipv6Addr::from_bits((u128::from(base | low) << 96) | u128::from(low));
                IpNet::V6(Ipv6Net::new(address, length * 4).unwrap())
            } else {
                IpNet::V4(Ipv4Net::new(Ipv4Addr::from_bits(base | low), length).unwrap())
            }
        })
    }

    proptest! {
        #[test]
        fn the_longest_prefix_counts_and_of_two_alike_the_later(
            networks in proptest::collection::vec(network(), 0..24),
            asked in proptest::collection::vec(network(), 1..24),
        ) {
            let ranges = Ranges::new(networks.iter().copied().zip(0..));
            for address in asked.iter().flat_map(|net| [net.addr(), net.network(), net.broadcast()]) {
                let holding = networks.iter().zip(0..).filter(|(net, _)| net.contains(&address));
                let longest = holding.max_by_key(|(net, place)| (net.prefix_len(), *place)).map(|(_, place)| place);
                prop_assert_eq!(ranges.get(address).copied(), longest, "{}", address);
            }
        }
    }

    #[test]
    fn the_whole_of_all_addresses_is_a_network_too() {
        let ranges = Ranges::new([("0.0.0.0/0".parse().unwrap(), 4), ("::/0".parse().unwrap(), 6)]);
        for (address, value) in [("255.255.255.255", 4), ("0.0.0.0", 4), ("ffff::", 6), ("::ffff:192.0.2.1", 4)] {
            assert_eq!(ranges.get(address.parse().unwrap()), Some(&value), "{address}");
        }
    }
}
