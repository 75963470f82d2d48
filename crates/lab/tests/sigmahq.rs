//! SigmaHQ's own expectations: every event of its regression data is matched by the rule that it is there for.
//!
//! The data lies in the shared folder. Without one this says so and checks nothing.

use std::collections::BTreeMap;
use std::io::Write;

use engine::event::{Kind, LogSource};
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{RuleFile, RuleSet, Scratch, Weight};
use lab::sigmahq::{ALL, Expectation, SigmaHq};
use serde_json::Value;

/// Expectations whose rule is among the rules of the archive and whose events are there as JSON: all but one, of a
/// raw log, which SigmaHQ has switched off.
const EXPECTED: usize = 192;

/// Expectations of one match whose file holds two or three events that are plainly what the rule describes.
const MISCOUNTED: usize = 4;

#[test]
fn every_expectation_of_the_regression_data_is_met() {
    let Some(sigma) = SigmaHq::open().unwrap() else {
        // Straight to the stream, which the test runner does not capture.
        let note = "SKIPPED every_expectation_of_the_regression_data_is_met: LAPWING_SHARED names no folder\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return;
    };
    let expectations = sigma.regressions().unwrap();
    // Debug builds are slow: only rules that something is expected of are compiled.
    let mut wanted: BTreeMap<String, RuleFile> = BTreeMap::new();
    for file in sigma.rules(ALL).unwrap() {
        if let Some(id) = expectations.iter().flat_map(|expected| &expected.rules).find(|id| names(&file, id)) {
            wanted.insert(id.clone(), file);
        }
    }
    let files: Vec<RuleFile> = wanted.values().cloned().collect();
    let (mut set, problems) = RuleSet::compile(&files);
    let errors: Vec<_> = problems.iter().filter(|problem| problem.weight == Weight::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    set.read_json_as(&LogSource { product: Some("windows".into()), ..LogSource::default() });

    let (mut met, mut more) = (0, 0);
    let mut unmet = Vec::new();
    for expected in &expectations {
        for id in expected.rules.iter().filter(|id| wanted.contains_key(*id)) {
            let found = matches(&set, id, expected);
            let asked = expected.matches.unwrap_or(1);
            more += usize::from(expected.matches.is_some() && found > asked);
            if found >= asked {
                met += 1;
            } else {
                unmet.push(format!("{}: {found} matches of {id}, expected {:?}", expected.path, expected.matches));
            }
        }
    }
    assert!(unmet.is_empty(), "{met} met, not met:\n{}", unmet.join("\n"));
    assert!(more <= MISCOUNTED, "{more} rules match more events than expected");
    assert!(met >= EXPECTED, "only {met} expectations were found");
}

fn names(file: &RuleFile, id: &str) -> bool {
    file.text.lines().any(|line| line.strip_prefix("id:").is_some_and(|named| named.trim() == id))
}

fn matches(set: &RuleSet, id: &str, expected: &Expectation) -> u64 {
    let mut scratch = Scratch::default();
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    for event in expected.events.iter().map(Value::to_string) {
        let (format, limits) = (Format::Known(Kind::Json), Limits::default());
        normalise(format, event.as_bytes(), &expected.path, &limits, &mut events, &mut rejects);
    }
    assert_eq!(rejects, []);
    let matched = |event| set.matches(event, &mut scratch).iter().any(|number| *set.rule(*number).id.0 == *id);
    events.iter().map(matched).filter(|matched| *matched).count() as u64
}
