//! All public rules, where the shared data is: they load, lints find little in them, and the events that come
//! with them match as they should.

use std::io::Write;

use engine::event::{Event, Kind, Uid};
use engine::rule::{Given, RuleId, RuleNumber, RuleSet, Scratch, Weight, explain};
use engine::time::Timestamp;
use lab::sigmahq::{ALL, SigmaHq};

/// The archive; nothing, and a word about it, where there is none.
fn public() -> Option<SigmaHq> {
    let found = SigmaHq::open().expect("the archive can be unpacked");
    if found.is_none() {
        // Around the capture of output, so that a skip is seen in any run.
        let said = writeln!(std::io::stderr().lock(), "skipped: no shared data, see LAPWING_SHARED");
        said.expect("stderr is there");
    }
    found
}

#[test]
fn public_rules_load_and_lints_find_little_in_them() {
    let Some(public) = public() else { return };
    let files = public.rules(ALL).expect("the archive is whole");
    let (set, problems) = RuleSet::check(&files, &Given::default());
    let errors: Vec<_> = problems.iter().filter(|problem| problem.weight == Weight::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(set.rules().len(), files.len());
    // They are looked at by a linter before they are published: whatever finds much in them finds too much.
    let odd = problems.iter().filter(|problem| !matches!(problem.lint, Some("unfed"))).count();
    assert!(odd * 50 < files.len(), "{odd} of {}", files.len());
    let never: Vec<_> = problems.iter().filter(|problem| problem.lint == Some("never_matches")).collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn every_expectation_of_the_regression_data_is_met_and_explained() {
    let Some(public) = public() else { return };
    let files = public.rules(ALL).expect("the archive is whole");
    let (all, _) = RuleSet::compile(&files);
    let mut met = 0;
    for expectation in public.regressions().expect("the archive is whole") {
        let ids = expectation.rules.iter().map(|id| RuleId(id.as_str().into()));
        for id in ids {
            let Some(path) = all.by_id(&id).map(|rule| rule.path.clone()) else { continue };
            let file = files.iter().find(|file| file.path == path).expect("the rule was read from a file");
            // By itself: to plan for all rules anew takes longer than all the rest here.
            let (mut set, _) = RuleSet::compile(std::slice::from_ref(file));
            let place = set.rules().iter().position(|rule| rule.id == id).expect("it is in its file");
            let number = RuleNumber(u32::try_from(place).expect("a set has fewer than 2^32 rules"));
            let source = set.rule(number).log_source.clone();
            set.read_json_as(&source);
            let mut matched = 0;
            for event in &expectation.events {
                let raw = sonic_rs::from_str(&event.to_string()).expect("JSON is JSON");
                let why = explain(file, &id, &Given::default(), Kind::Json, &raw).expect("the rule can be explained");
                let uid = Uid { origin: String::new(), id: String::new() };
                let event = Event { uid, time: Timestamp::default(), kind: Kind::Json, raw };
                let matches = set.matches(&event, &mut Scratch::default()).contains(&number);
                assert_eq!(why.holds, matches, "{path}: {why}");
                matched += u64::from(matches);
            }
            // Four say 1 beside several events that hold, letter by letter, what the rule asks for.
            assert!(matched >= expectation.matches.unwrap_or(1), "{path}: {matched}");
            met += 1;
        }
    }
    assert!(met > 150, "{met}");
}
