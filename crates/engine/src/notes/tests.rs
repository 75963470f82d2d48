use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::detect::{Raw, Seen, sight_raw};
use crate::event::Kind;
use crate::lineage::{Caps, Glimpse, Lineage, Policy};
use crate::normalise::{Format, Limits, normalise};
use crate::rule::{RuleFile, RuleSet, Scratch};

const BOTH: Readers = Readers { lineage: true, deploys: true };

/// A rule that reads one of the members that are glanced at, and matches nothing.
fn rules() -> RuleSet {
    let text = "title: None\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: aws, service: cloudtrail}\n\
                detection: {s: {userIdentity.arn: nobody}, condition: s}\nlevel: low\n";
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "r.yml".into(), text: text.into() }]);
    assert_eq!(problems, []);
    rules
}

fn parsed(text: &str) -> Vec<Event> {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let format = Format::Known(Kind::AwsCloudtrail);
    normalise(format, text.as_bytes(), "p", &Limits::default(), &mut events, &mut rejects);
    assert!(rejects.is_empty() || events.is_empty());
    events
}

/// What a glance makes of a record; nothing if it does not show that it is one event.
fn glanced(rules: &RuleSet, text: &str) -> Option<(bool, Notes)> {
    let raw = Raw { body: text.as_bytes(), position: "p", format: Format::Known(Kind::AwsCloudtrail) };
    let Seen { glimpse, .. } = sight_raw(rules, raw, &Limits::default(), &mut Scratch::default())?;
    let mut notebook = Notebook::new(BOTH);
    match glimpse {
        Glimpse::Nothing => {}
        Glimpse::Used(used) => notebook.see(&used, 0),
        Glimpse::Whole => return Some((true, Notes::default())),
    }
    Some((false, notebook.close().notes))
}

fn read(events: &[Event]) -> Notes {
    let mut notebook = Notebook::new(BOTH);
    for event in events {
        notebook.read(event, 0);
    }
    notebook.close().notes
}

/// A value of any sort, or one that means something in its place.
fn value(known: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => select(known).prop_map(|text| json!(text)),
        1 => select(vec![json!(null), json!(""), json!(7), json!(true), json!({}), json!(["x"]), json!("é\"\\")]),
        2 => Just(json!("absent")),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    let name =
        value(&["GetObject", "GetObject", "AssumeRole", "UpdateFunctionCode20150331v2", "ConsoleLogin", "PutImage"]);
    let source = value(&["s3.amazonaws.com", "sts.amazonaws.com", "lambda.amazonaws.com", "ecr.amazonaws.com"]);
    let key = value(&["ASIAAAAAAAAAAAAAAAAA", "AKIAAAAAAAAAAAAAAAAA", "ASIA****************"]);
    let texts = (name, source, key, value(&["IAMUser", "AssumedRole"]), value(&["AROA1:i-07", "AIDA1"]));
    let created = value(&["2026-11-20T09:00:00Z", "soon"]);
    let more = (created, value(&["AccessDenied"]), value(&["1.0"]), value(&["AWS::EC2::Instance", "AWS::Odd"]), 0..4u8);
    (texts, more, value(&["e1"]), value(&["true", "false"])).prop_map(
        |((name, source, key, sort, principal), (created, error, delivery, issuer, which), id, console)| {
            let mut record = json!({
                "eventVersion": "1.09", "eventTime": "2026-11-20T10:00:00Z", "eventName": name, "eventSource": source,
                "eventID": id, "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
                "recipientAccountId": "111122223333", "sessionCredentialFromConsole": console,
                "requestParameters": { "functionName": "orders", "roleArn": "arn:aws:iam::111122223333:role/x" },
                "userIdentity": {
                    "type": sort, "principalId": principal, "arn": "arn:aws:sts::111122223333:assumed-role/x/y",
                    "accountId": "111122223333", "accessKeyId": key,
                    "sessionContext": {
                        "attributes": { "creationDate": created }, "sessionIssuer": { "arn": "arn:x" },
                    },
                },
            });
            if which & 1 == 1 {
                record["errorCode"] = error;
            }
            if which & 2 == 2 {
                record["userIdentity"]["sessionContext"]["ec2RoleDelivery"] = delivery;
            } else {
                record["userIdentity"]["inScopeOf"] = json!({ "credentialsIssuedTo": "i-07", "issuerType": issuer });
            }
            remove_absent(&mut record);
            record
        },
    )
}

fn remove_absent(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| member != "absent");
        members.values_mut().for_each(remove_absent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_glance_shows_what_the_whole_record_says_or_lets_it_through(record in record()) {
        let text = record.to_string();
        let events = parsed(&text);
        let whole = read(&events);
        if let Some((lets_through, noted)) = glanced(&rules(), &text) {
            prop_assert_eq!(events.len(), 1, "{}", text);
            prop_assert!(lets_through || noted == whole, "{}\n{:#?}\n{:#?}", text, noted, whole);
        }
    }
}

/// A use of one of two keys, at some minute of three days.
fn used(key: usize, network: usize, minute: u32, failed: bool) -> String {
    let key = ["ASIAAAAAAAAAAAAAAAAA", "AKIAAAAAAAAAAAAAAAAA"][key];
    let error = if failed { r#","errorCode":"AccessDenied""# } else { "" };
    format!(
        r#"{{"eventVersion":"1.09","eventTime":"2026-11-{:02}T{:02}:{:02}:00Z","eventName":"GetObject","eventSource":"s3.amazonaws.com","eventID":"{key}{network}{minute}{failed}","recipientAccountId":"1","sourceIPAddress":"198.51.100.{network}"{error},"userIdentity":{{"type":"AssumedRole","principalId":"AROA1:x","arn":"arn:x","accessKeyId":"{key}","sessionContext":{{"attributes":{{"creationDate":"2026-11-19T23:00:00Z"}}}}}}}}"#,
        20 + minute / 1_440,
        minute / 60 % 24,
        minute % 60,
    )
}

fn lineage(batches: impl IntoIterator<Item = Notes>) -> Value {
    let (mut lineage, mut found) = (Lineage::new(Caps::default(), Policy::default()), Vec::new());
    for notes in batches {
        notes.traces.into_iter().for_each(|trace| lineage.take(trace, &mut found));
    }
    let mut saved = serde_json::to_value(lineage.save()).unwrap();
    for credential in saved["credentials"].as_array_mut().unwrap() {
        credential.as_object_mut().unwrap().remove("told");
    }
    saved
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn folded_uses_lead_to_the_lineage_of_single_ones_wherever_batches_end(
        uses in proptest::collection::vec((0..2usize, 1..4usize, 0..4_320u32, any::<bool>()), 1..60),
        cuts in proptest::collection::vec(1..20usize, 1..5),
    ) {
        let rules = rules();
        let texts: Vec<String> = uses.into_iter().map(|(key, network, minute, bad)| used(key, network, minute, bad)).collect();
        let single = texts.iter().map(|text| read(&parsed(text)));
        let (mut rest, mut batches) = (texts.as_slice(), Vec::new());
        for cut in cuts.iter().cycle() {
            let (batch, after) = rest.split_at((*cut).min(rest.len()));
            let mut notebook = Notebook::new(BOTH);
            for (place, text) in batch.iter().enumerate() {
                let raw = Raw { body: text.as_bytes(), position: "p", format: Format::Known(Kind::AwsCloudtrail) };
                let seen = sight_raw(&rules, raw, &Limits::default(), &mut Scratch::default()).unwrap();
                let Glimpse::Used(used) = seen.glimpse else { panic!("{text}: {:?}", seen.glimpse) };
                // By either road.
                if place % 3 == 0 {
                    notebook.read(&parsed(text)[0], place);
                } else {
                    notebook.see(&used, place);
                }
            }
            batches.push(notebook.close().notes);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(lineage(single), lineage(batches));
    }
}

#[test]
fn uses_that_differ_by_time_alone_are_one_trace_and_both_its_ends_can_be_found() {
    let mut notebook = Notebook::new(BOTH);
    for (place, minute) in [70, 30, 90, 50].into_iter().enumerate() {
        notebook.read(&parsed(&used(0, 1, minute, false))[0], place);
    }
    let Noted { notes, places } = notebook.close();
    let [trace] = notes.traces.as_slice() else { panic!("{notes:?}") };
    let About::Credential { said: Said::Used(usage), .. } = &trace.about else { panic!("{trace:?}") };
    let again = usage.again.as_ref().unwrap();
    assert_eq!((again.times, trace.mark.time.to_string()), (3, "2026-11-20T00:30:00.000000Z".to_owned()));
    assert_eq!([places[&*trace.mark.uid.id], places[&*again.uid.id]], [1, 2]);
}

#[test]
fn what_nobody_asks_for_is_not_noted() {
    let mut notebook = Notebook::new(Readers { lineage: false, deploys: true });
    notebook.read(&parsed(&used(0, 1, 5, false))[0], 0);
    assert!(notebook.close().notes.is_empty());
}

#[test]
fn a_secret_in_a_name_that_a_caller_chose_is_not_kept() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let record = json!({
        "eventID": "e-1", "eventTime": "2026-11-02T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets",
        "sourceIPAddress": "192.0.2.7",
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROAEXAMPLE:{token}"),
            "arn": format!("arn:aws:sts::111122223333:assumed-role/ci/{token}"), "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {"attributes": {"creationDate": "2026-11-02T09:00:00Z"}},
        },
    });
    let kept = serde_json::to_string(&read(&parsed(&record.to_string()))).unwrap();
    assert!(kept.contains("AROAEXAMPLE") && !kept.contains(&token), "{kept}");
    let (_, glanced) = glanced(&rules(), &record.to_string()).expect("one event");
    let glanced = serde_json::to_string(&glanced).unwrap();
    assert!(!glanced.contains(&token), "{glanced}");
}
