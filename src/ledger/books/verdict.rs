//! What was made of a deploy, as an alert: only of one that is unexplained, and until it is not.

use engine::alert::Alert;
use engine::deploys::{Record, Verdict, Weight};
use engine::detect::{Change, Key, Standing};
use engine::event::{Actor, Kind, Network, Target};
use engine::rule::{RuleId, Severity};

use super::found::id;

const RULE: &str = "lapwing-deploy-unexplained";

/// What people are told of a record: that nothing explains it, or, if an alert says so, that something does by now.
pub(super) fn change(record: &Record, was_open: bool) -> Option<Change> {
    let standing = match record.verdict {
        Verdict::Unexplained => Standing::Open,
        Verdict::Unknown | Verdict::Explained if was_open => Standing::Superseded { by: None },
        Verdict::Unknown | Verdict::Explained => return None,
    };
    Some(Change { alert: alert(record), revision: u64::from(record.revision), tell: true, standing })
}

fn alert(record: &Record) -> Alert {
    let steps = &record.steps;
    let by = &record.by;
    Alert {
        id: id(&[RULE, &record.id.0]),
        rule: RuleId(RULE.into()),
        rule_version: 1,
        title: format!("{} {} was changed in {}, and nothing explains it", record.target.kind, record.target.id, record.environment),
        severity: Severity::High,
        kind: steps.first().map_or(Kind::AwsCloudtrail, |step| step.kind),
        time: record.time,
        first: record.time,
        last: record.last,
        key: Key::from([
            ("target".to_owned(), record.target.id.clone()),
            ("environment".to_owned(), record.environment.clone()),
            ("deploy".to_owned(), record.id.0.clone()),
        ]),
        count: steps.len() as u64,
        value: None,
        event_ids: steps.iter().map(|step| step.event.id.clone()).collect(),
        events_total: steps.len() as u64,
        why: why(record),
        description: "A change to what runs is explained by a run of a pipeline, of a branch that may deploy there, and by \
                      whoever reviewed what it deploys. What the policy asks for and cannot be found, although its log is \
                      heard, is said here."
            .to_owned(),
        runbook: format!(
            "Ask {} what was done and why. If nobody knows, put the last explained version back, end the credential \
             (`lapwing trace`), and look what else it changed.",
            if by.name.is_empty() { "whoever holds the credential" } else { &by.name }
        ),
        false_positives: vec!["An emergency that nobody has written down yet".to_owned()],
        tags: ["attack.persistence", "attack.t1525", "attack.t1195.002"].map(str::to_owned).into(),
        actor: Actor { id: some(&by.id), name: some(&by.name), sort: by.sort },
        network: Network::default(),
        target: Target { id: some(&record.target.id), account: some(&record.target.account), ..Target::default() },
        action: steps.first().map(|step| step.action.clone()).unwrap_or_default(),
        flags: Vec::new(),
    }
}

fn why(record: &Record) -> String {
    let weight = match record.verdict {
        Verdict::Unexplained => Weight::Against,
        Verdict::Unknown => Weight::Unsure,
        Verdict::Explained => Weight::Note,
    };
    let said: Vec<&str> = record
        .findings
        .iter()
        .filter(|finding| finding.weight == weight)
        .map(|finding| finding.says.as_str())
        .collect();
    let steps = record.steps.len();
    let what = format!("{steps} {} by {}", if steps == 1 { "call" } else { "calls" }, record.by.name);
    if said.is_empty() {
        format!("{}: {what}", record.verdict)
    } else {
        format!("{}: {what}; {}", record.verdict, said.join("; "))
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
