//! Alerts about Lapwing itself: no limit that detection suffers from is silent.

use std::sync::Arc;

use engine::alert::{Alert, AlertId};
use engine::detect::{Change, Key, Standing};
use engine::event::{Actor, Kind, Network, Target};
use engine::rule::{RuleId, Severity};
use engine::time::{Span, Timestamp};

/// What is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ailment<'a> {
    /// Windows had to forget keys before their time.
    Full {
        /// Keys that had to leave since the state began.
        evicted: u64,
        /// Keys that are left.
        keys: usize,
        /// Bytes that these take.
        bytes: usize,
    },
    /// A source fails for so long that its events are no longer waited for.
    Missing {
        /// Its name.
        source: &'a str,
    },
}

/// One alert a day and ailment.
const DAY: Span = Span::seconds(86_400);

/// The alert about it, as if a rule had raised it. One that grows is told again each time it has doubled.
pub(super) fn change(ailment: &Ailment<'_>, now: Timestamp) -> Change {
    let (rule, title, why, runbook, key, count) = match *ailment {
        Ailment::Full { evicted, keys, bytes } => (
            "lapwing-windows-full",
            "Windows are full: detection suffers",
            format!("{evicted} keys had to leave before their time; {keys} are left, in {} MiB", bytes >> 20),
            "Raise state.keys_max or state.mib_max, or find the rule whose key has too many values \
             (lapwing_state_keys, lapwing_state_evictions_total).",
            Key::new(),
            evicted,
        ),
        Ailment::Missing { source } => (
            "lapwing-source-missing",
            "A source fails: detection goes on without it",
            format!(
                "nothing came from {source} for 30 min, and its system fails; alerts of rules that read it are partial"
            ),
            "See the log and lapwing_source_errors_total for what its system says. Once it works, what it held back \
             is read, and alerts are revised where it is not too late.",
            Key::from([("source".to_owned(), source.to_owned())]),
            1,
        ),
    };
    let mut id = blake3::Hasher::new();
    for part in [rule, &format!("{key:?}"), &now.cell(DAY).to_string()] {
        id.update(&(part.len() as u64).to_le_bytes());
        id.update(part.as_bytes());
    }
    let alert = Alert {
        id: AlertId(id.finalize().to_hex()[..32].to_owned()),
        rule: RuleId(rule.into()),
        rule_version: 1,
        title: title.to_owned(),
        severity: Severity::High,
        kind: Kind::Json,
        time: now,
        first: now,
        last: now,
        key,
        count,
        value: None,
        event_ids: Arc::default(),
        events_total: count,
        why,
        description: "Lapwing says so of itself, so that no limit is silent.".to_owned(),
        runbook: runbook.to_owned(),
        false_positives: Vec::new(),
        tags: vec!["lapwing.health".to_owned()],
        actor: Actor::default(),
        network: Network::default(),
        target: Target::default(),
        action: String::new(),
        flags: Vec::new(),
    };
    // Doublings are counted, so that a restart says nothing twice.
    Change { alert, revision: u64::from(count.max(1).ilog2()) + 1, tell: true, standing: Standing::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ailment_is_one_alert_a_day_and_told_again_when_it_has_doubled() {
        let at = |hour: i64| Timestamp::from_millis(hour * 3_600_000);
        let full = |evicted, hour| change(&Ailment::Full { evicted, keys: 9, bytes: 1 << 20 }, at(hour));
        let (first, second, next_day) = (full(1, 1), full(2, 23), full(4, 25));
        assert_eq!((first.revision, second.revision), (1, 2));
        assert_eq!(first.alert.id, second.alert.id);
        assert_ne!(first.alert.id, next_day.alert.id);
        let missing = |source| change(&Ailment::Missing { source }, at(1)).alert.id;
        assert_ne!(missing("west"), missing("east"));
    }
}
