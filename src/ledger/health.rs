//! Alerts about Lapwing itself: no limit that detection suffers from is silent.

use std::sync::Arc;

use connect::source::Gap;
use engine::alert::{Alert, AlertId};
use engine::detect::{Change, Key, Standing};
use engine::event::{Actor, Kind, Network, Target};
use engine::rule::{RuleId, Severity};
use engine::time::{Span, Timestamp};

use crate::coverage::{Became, State, Turn};
use crate::feed::Trouble;

/// Windows that are full are one alert a day.
const DAY: Span = Span::seconds(86_400);

/// How full windows are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    /// Keys that had to leave since the state began.
    pub(super) evicted: u64,
    /// Keys that are left.
    pub(super) keys: usize,
    /// Bytes that these take.
    pub(super) bytes: usize,
}

/// What people were told of windows that are full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fullness {
    day: i64,
    /// Evicted keys when the day began, and when people were last told.
    before: u64,
    told: u64,
}

impl Fullness {
    /// So many keys had left before.
    pub(super) fn new(evicted: u64) -> Self {
        Self { day: 0, before: evicted, told: evicted }
    }

    /// The alert, if keys had to leave for the first time today, or twice as many as people know of.
    pub(super) fn look(&mut self, full: Full, now: Timestamp) -> Option<Change> {
        let day = now.cell(DAY);
        if day != self.day {
            *self = Self { day, before: self.told.max(self.before), told: self.told.max(self.before) };
        }
        let (today, told) = (full.evicted.saturating_sub(self.before), self.told.saturating_sub(self.before));
        if today == 0 || today < told.saturating_mul(2) {
            return None;
        }
        self.told = full.evicted;
        let alert = alert(Said {
            rule: "lapwing-windows-full",
            title: "Windows are full: detection suffers",
            why: format!(
                "{today} keys had to leave before their time today; {} are left, in {} MiB",
                full.keys,
                full.bytes >> 20
            ),
            runbook: "Raise state.keys_max or state.mib_max, or find the rule whose key has too many values \
                      (lapwing_state_keys, lapwing_state_evictions_total).",
            key: Key::new(),
            count: today,
            anchor: day.to_string(),
            now,
        });
        // Doublings are counted, so that a restart says nothing twice.
        Some(Change { alert, revision: u64::from(today.ilog2()) + 1, tell: true, standing: Standing::Open })
    }
}

/// A source fails for so long that its events are no longer waited for.
pub(super) fn missing(source: &str, now: Timestamp) -> Change {
    let alert = alert(Said {
        rule: "lapwing-source-missing",
        title: "A source fails: detection goes on without it",
        why: format!(
            "nothing came from {source} for 30 min, and its system fails; alerts of rules that read it are partial"
        ),
        runbook: "See the log and lapwing_source_errors_total for what its system says. Once it works, what it held back \
                  is read, and alerts are revised where it is not too late.",
        key: Key::from([("source".to_owned(), source.to_owned())]),
        count: 1,
        anchor: now.to_string(),
        now,
    });
    Change { alert, revision: 1, tell: true, standing: Standing::Open }
}

/// Records of a source are missing for good. The same gap is the same alert, however often it is found.
pub(super) fn gap(source: &str, gap: &Gap, now: Timestamp) -> Change {
    let alert = alert(Said {
        rule: "lapwing-source-gap",
        title: "Records are missing: nobody will ever read them",
        why: format!("{source}: {}", gap.what),
        runbook: "Find out who deleted or altered them: to cut a log is an attacker's way to hide. If time or size removed \
                  them before they were read, raise the retention of the system or see why the source was behind \
                  (lapwing_source_lag_seconds, lapwing_source_backlog).",
        key: Key::from([("source".to_owned(), source.to_owned())]),
        count: 1,
        anchor: gap.id.clone(),
        now,
    });
    Change { alert, revision: 1, tell: true, standing: Standing::Open }
}

/// The system behind a source fails, for so long or in such a way that a person has to look.
pub(super) fn failing(source: &str, trouble: &Trouble, now: Timestamp) -> Change {
    let alert = alert(Said {
        rule: "lapwing-source-failing",
        title: "A source fails: its logs are not watched",
        why: format!("{source} fails since {}, {} times so far: {}", trouble.since, trouble.failures, trouble.words),
        runbook: "`lapwing check --connect` says what is missing. It is tried again on and on; once it works, what it \
                  held back is read.",
        key: Key::from([("source".to_owned(), source.to_owned())]),
        count: trouble.failures,
        anchor: trouble.since.to_string(),
        now,
    });
    Change { alert, revision: 1, tell: true, standing: Standing::Open }
}

/// What should arrive does not, or does again.
pub(super) fn uncovered(turn: &Turn, now: Timestamp) -> Change {
    let Turn { spot, name, told, last, now: became } = turn;
    let mut key =
        Key::from([("kind".to_owned(), spot.kind.name().to_owned()), ("account".to_owned(), spot.account.clone())]);
    let mut whose = spot.account.clone();
    if !name.is_empty() {
        whose += &format!(" ({name})");
    }
    if !spot.region.is_empty() {
        key.insert("region".to_owned(), spot.region.clone());
        whose += &format!(" in {}", spot.region);
    }
    let (rule, title, fact) = match last.filter(|_| told.state == State::Silent) {
        Some(_) => (
            "lapwing-coverage-silent",
            "An expected log has fallen silent",
            format!("the last {} of {whose} was received {}", spot.kind.name(), told.anchor),
        ),
        None => (
            "lapwing-coverage-missing",
            "An expected log does not arrive",
            format!("no {} of {whose} was received since it is expected, {}", spot.kind.name(), told.anchor),
        ),
    };
    let (revision, standing, became) = match became {
        Became::Bad => (1, Standing::Open, String::new()),
        Became::Speaks => (2, Standing::Superseded { by: None }, format!("; it speaks since {now}")),
        Became::Allowed => {
            let words = format!("; it still does not speak, but is given longer since {now}");
            (2, Standing::Superseded { by: None }, words)
        }
        Became::Left => (2, Standing::Superseded { by: None }, format!("; it is no longer expected since {now}")),
    };
    let alert = alert(Said {
        rule,
        title,
        why: fact + &became,
        runbook: "See whether logging is still switched on there (CloudTrail: is the trail logging, and who last changed \
                  it?), then whether its source works (`lapwing check --connect`, /api/v1/status). To switch a log off is an \
                  attacker's way to hide. `lapwing coverage` lists what else is silent.",
        key,
        count: 1,
        anchor: told.anchor.to_string(),
        now: told.at,
    });
    Change { alert: Alert { kind: spot.kind, ..alert }, revision, tell: true, standing }
}

/// A list of what should arrive cannot be read, for so long or in such a way that a person has to look.
pub(super) fn unlisted(trouble: &Trouble, now: Timestamp) -> Change {
    let alert = alert(Said {
        rule: "lapwing-coverage-unlisted",
        title: "A list of accounts cannot be read: new accounts are not waited for",
        why: format!("since {}, {} times so far: {}", trouble.since, trouble.failures, trouble.words),
        runbook: "`lapwing check --connect` says what is missing. Until it is mended the last list that could be read stays \
                  in force.",
        key: Key::new(),
        count: trouble.failures,
        anchor: trouble.since.to_string(),
        now,
    });
    Change { alert, revision: 1, tell: true, standing: Standing::Open }
}

struct Said<'a> {
    rule: &'a str,
    title: &'a str,
    why: String,
    runbook: &'a str,
    key: Key,
    count: u64,
    /// What makes it another alert than the last one of its kind.
    anchor: String,
    now: Timestamp,
}

fn alert(said: Said<'_>) -> Alert {
    let Said { rule, title, why, runbook, key, count, anchor, now } = said;
    let mut id = blake3::Hasher::new();
    for part in [rule, &format!("{key:?}"), &anchor] {
        id.update(&(part.len() as u64).to_le_bytes());
        id.update(part.as_bytes());
    }
    Alert {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000)
    }

    #[test]
    fn full_windows_are_one_alert_a_day_and_told_again_when_it_has_doubled() {
        let mut fullness = Fullness::new(100);
        let mut look = |evicted, hour| fullness.look(Full { evicted, keys: 9, bytes: 1 << 20 }, at(hour));
        assert_eq!(look(100, 1), None, "they left before this run");
        let first = look(101, 1).unwrap();
        assert_eq!((first.revision, look(101, 2)), (1, None));
        let second = look(102, 23).unwrap();
        assert_eq!((second.revision, &second.alert.id), (2, &first.alert.id));
        assert_eq!(look(102, 25), None, "nobody left today");
        let next_day = look(103, 26).unwrap();
        assert!(next_day.revision == 1 && next_day.alert.id != first.alert.id);
    }

    #[test]
    fn each_time_that_a_source_goes_missing_is_an_alert() {
        let ids = [missing("west", at(1)), missing("east", at(1)), missing("west", at(2))].map(|it| it.alert.id.0);
        assert_eq!(std::collections::BTreeSet::from(ids).len(), 3);
    }
}
