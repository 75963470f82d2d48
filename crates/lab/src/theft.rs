//! Deeds of one in the name of another, mixed into ordinary days: **synthetic**.
//!
//! What a thief of credentials does is unusual for whom he robbed, whatever it is. So every so many records get the identity of
//! an earlier record of the same kind of log, and nothing else of them changes.

use std::collections::BTreeMap;

use engine::event::Kind;
use serde_json::Value;

use crate::world::Record;

/// So many records of a kind are between the one that is robbed and the deed.
const BETWEEN: usize = 997;

/// Who robs one record in `every`.
#[derive(Debug)]
pub struct Thief {
    every: usize,
    kinds: BTreeMap<Kind, (usize, Option<Value>)>,
}

impl Thief {
    /// One who takes an identity for one record in `every` of each kind of log.
    #[must_use]
    pub fn new(every: usize) -> Self {
        Self { every, kinds: BTreeMap::new() }
    }

    /// Changes the record if it is its turn; whether it is now a deed of his.
    pub fn take(&mut self, record: &mut Record) -> bool {
        let Some(path) = identity(record.kind) else { return false };
        let (number, robbed) = self.kinds.entry(record.kind).or_default();
        *number += 1;
        let (is_robbed, is_deed) = (*number % BETWEEN == 0, *number % self.every == 0);
        if !is_robbed && !is_deed {
            return false;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&record.raw) else { return false };
        let Some(place) = value.pointer_mut(path) else { return false };
        if is_robbed {
            *robbed = Some(place.clone());
        }
        let Some(robbed) = robbed.as_ref().filter(|robbed| is_deed && **robbed != *place) else { return false };
        *place = robbed.clone();
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
    fn one_record_in_a_hundred_is_done_in_the_name_of_another_and_can_be_read() {
        let plan = Plan { days: 2, size_percent: 20, attacks: Attacks::None, ..Plan::default() };
        let (mut thief, mut deeds, mut all) = (Thief::new(100), 0, 0);
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
        assert!((all / 200..all / 90).contains(&deeds), "{deeds} of {all}");
    }
}
