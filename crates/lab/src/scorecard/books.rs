//! What the two ledgers find in the world, beside what rules find: odd uses of credentials, and deploys that nobody can explain.

use std::collections::BTreeMap;

use engine::deploys::{self, Deploys, Heard, Marks, Verdict};
use engine::event::{Event, Kind};
use engine::lineage::{Caps, Finding, Lineage, Net, traces};
use engine::rule::Severity;
use engine::time::{Span, Timestamp};

use crate::world::{NETWORKS, Use};

/// Both ledgers over one run.
pub(super) struct Books {
    lineage: Lineage,
    deploys: Deploys,
    heard: BTreeMap<Kind, Timestamp>,
    found: Vec<Entry>,
}

/// What one of them would tell people.
pub(super) struct Entry {
    pub(super) time: Timestamp,
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) events: Vec<String>,
}

impl Default for Books {
    /// With what whoever runs the company would write down: where runners and the cloud speak from.
    fn default() -> Self {
        let nets = |used: &[Use]| -> Vec<Net> {
            let of = NETWORKS.iter().filter(|network| used.contains(&network.used));
            of.filter_map(|network| Net::new(network.first.into(), network.bits).ok()).collect()
        };
        let policy = engine::lineage::Policy {
            ci: nets(&[Use::Ci, Use::Cloud]),
            cloud: nets(&[Use::Cloud]),
            ..engine::lineage::Policy::default()
        };
        let limits = deploys::Limits { kept: Span::seconds(366 * 86_400), facts_max: 1_000_000 };
        Self {
            lineage: Lineage::new(Caps::default(), policy),
            deploys: Deploys::new(limits),
            heard: BTreeMap::new(),
            found: Vec::new(),
        }
    }
}

impl Books {
    pub(super) fn take(&mut self, event: &Event) {
        self.heard.entry(event.kind).or_insert(event.time);
        let mut found = Vec::new();
        for trace in traces(event) {
            self.lineage.take(trace, &mut found);
        }
        self.found.extend(found.into_iter().filter(Finding::is_for_people).map(|finding| Entry {
            time: finding.time,
            severity: finding.severity,
            title: format!("Lineage: {}", finding.kind.name()),
            events: vec![finding.event],
        }));
        deploys::facts(event).into_iter().for_each(|fact| self.deploys.take(fact));
    }

    /// Everything that was found, and how many deploys there were and how many of them are explained.
    pub(super) fn close(self) -> (Vec<Entry>, usize, usize) {
        let Self { deploys, heard, mut found, .. } = self;
        let marks: Marks =
            heard.into_iter().map(|(kind, since)| (kind, Heard { since, mark: Timestamp::LATEST })).collect();
        let records = deploys.records(&deploys::Policy::default(), &marks);
        let explained = records.iter().filter(|record| record.verdict == Verdict::Explained).count();
        let unexplained = records.iter().filter(|record| record.verdict == Verdict::Unexplained);
        found.extend(unexplained.map(|record| Entry {
            time: record.last,
            severity: Severity::High,
            title: "Deploy that nobody can explain".to_owned(),
            events: record.steps.iter().map(|step| step.event.id.clone()).collect(),
        }));
        (found, records.len(), explained)
    }
}
