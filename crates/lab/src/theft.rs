//! Deeds of one in the name of another, mixed into ordinary days: **synthetic**.
//!
//! What a thief of credentials does is unusual for whom he robbed, whatever it is. So some records get the identity of an
//! earlier record of the same kind of log, and nothing else of them changes.

use std::collections::BTreeMap;

use engine::event::Kind;
use serde_json::Value;

use crate::world::Record;

/// A thief comes once in so many records of a kind of log, and during a tenth of them every tenth is his.
const PERIOD: usize = 20_000;

/// Whoever steals an identity now and then: 1 % of the records of each kind of log are deeds in the name of another.
#[derive(Debug, Default)]
pub struct Thief {
    kinds: BTreeMap<Kind, (usize, Option<Value>)>,
}

impl Thief {
    /// Changes the record if it is its turn; whether it is now a deed of his.
    pub fn take(&mut self, record: &mut Record) -> bool {
        let Some(path) = identity(record.kind) else { return false };
        let (number, robbed) = self.kinds.entry(record.kind).or_default();
        let place = *number % PERIOD;
        *number += 1;
        if place > PERIOD / 10 || !place.is_multiple_of(10) {
            return false;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&record.raw) else { return false };
        let Some(who) = value.pointer_mut(path) else { return false };
        if place == 0 {
            *robbed = Some(who.clone());
        }
        let Some(robbed) = robbed.as_ref().filter(|robbed| **robbed != *who) else { return false };
        *who = robbed.clone();
        record.raw = serde_json::to_vec(&value).unwrap_or_else(|_| record.raw.clone());
        true
    }
}

/// Where a record says who did it.
fn identity(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::AwsCloudtrail => Some("/userIdentity"),
        Kind::GithubAudit | Kind::OktaSystem => Some("/actor"),
        Kind::GcpAudit => Some("/protoPayload/authenticationInfo"),
        Kind::KubernetesAudit => Some("/user"),
        Kind::VaultAudit => Some("/auth"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Attacks, Plan, World};

    #[test]
    fn about_one_record_in_a_hundred_is_done_in_the_name_of_another() {
        let plan = Plan { days: 4, size_percent: 50, attacks: Attacks::None, ..Plan::default() };
        let (mut thief, mut deeds, mut all) = (Thief::default(), 0, 0);
        for mut record in World::new(&plan) {
            let before = record.raw.clone();
            all += 1;
            if thief.take(&mut record) {
                deeds += 1;
                assert_ne!(record.raw, before);
            } else {
                assert_eq!(record.raw, before);
            }
        }
        assert!((all / 200..all / 50).contains(&deeds), "{deeds} of {all}");
    }
}
