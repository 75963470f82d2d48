use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::event::{Outcome, Pipeline};

mod bad;
mod kinds;
mod laws;
mod pipelines;
mod vendors;

fn run(format: Format, body: &[u8]) -> (Vec<Event>, Vec<Reject>) {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    normalise(format, body, "f:1", &Limits::default(), &mut events, &mut rejects);
    (events, rejects)
}

/// Events with what they say, then rejects, a line each.
fn told(format: Format, body: &str) -> String {
    let (events, rejects) = run(format, body.as_bytes());
    let mut lines = Vec::new();
    for event in &events {
        lines.push(format!("{} {} [{}] {}", event.time, event.kind, event.uid.origin, event.uid.id));
        lines.extend(said(&facets(event)));
    }
    let reject = |reject: &Reject| format!("{} {}: {}", reject.position, reject.reason.name(), reject.detail);
    lines.extend(rejects.iter().map(reject));
    lines.join("\n")
}

/// What all kinds share, a line for each part that the record fills.
fn said(facets: &Facets) -> Vec<String> {
    let Facets { actor, credential, action, target, network, outcome, pipeline } = facets;
    let failure = match outcome {
        Outcome::Success => String::new(),
        Outcome::Failure(code) => format!(" FAILED {code}"),
    };
    let Pipeline { repository, git_ref, commit, workflow, run, environment } = pipeline;
    let parts: [(&str, &[&Option<String>]); 5] = [
        ("by", &[&actor.name, &actor.id]),
        ("with", &[&credential.id, &credential.issued_by]),
        ("from", &[&network.ip, &network.user_agent]),
        ("on", &[&target.kind, &target.id, &target.account, &target.region]),
        ("in", &[repository, git_ref, commit, workflow, run, environment]),
    ];
    let mut lines = vec![format!("  {action}{failure} ({:?})", actor.sort)];
    for (word, values) in parts {
        let values: Vec<&str> = values.iter().filter_map(|value| value.as_deref()).collect();
        lines.extend((!values.is_empty()).then(|| format!("  {word} {}", values.join(" "))));
    }
    lines
}
