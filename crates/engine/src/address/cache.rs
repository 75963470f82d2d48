//! What was found of the addresses that came last: a log has few, and a look into a database takes a microsecond or more.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Addresses, Whereabouts};
use crate::hash::Seed;

/// Addresses that are kept: 512 × some 200 bytes a worker.
const SLOTS: usize = 512;

/// One worker's.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Of which atlas.
    of: Addresses,
    seed: Seed,
    /// Each address has one place; the last one to come has it.
    slots: Vec<Option<(IpAddr, Arc<Whereabouts>)>>,
}

impl Cache {
    /// What is known of this address.
    pub(crate) fn look_up(&mut self, addresses: &Addresses, address: IpAddr) -> Arc<Whereabouts> {
        if self.of != *addresses || self.slots.is_empty() {
            self.of = addresses.clone();
            self.slots.clear();
            self.slots.resize(SLOTS, None);
        }
        let slot = &mut self.slots[usize::try_from(self.seed.hash_one(address) % SLOTS as u64).unwrap_or(0)];
        match slot {
            Some((known, place)) if *known == address => Arc::clone(place),
            Some(_) | None => {
                let place = Arc::new(addresses.look_up(address));
                *slot = Some((address, Arc::clone(&place)));
                place
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Aspect, Ranges};
    use super::*;

    fn all_in(country: &str) -> Addresses {
        let mut place = Whereabouts::default();
        place.set(Aspect::Country, country);
        Addresses::of(Arc::new(Ranges::new([("0.0.0.0/0".parse().unwrap(), place)])))
    }

    #[test]
    fn another_atlas_is_asked_anew() {
        let mut cache = Cache::default();
        let (one, other) = (all_in("DE"), all_in("FR"));
        for (addresses, country) in [(&one, "DE"), (&other, "FR"), (&one, "DE")] {
            for low in 0..2_000_u32 {
                let place = cache.look_up(addresses, IpAddr::from(low.to_be_bytes()));
                assert_eq!(place.get(Aspect::Country), Some(country));
            }
        }
    }
}
