use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use connect::clock::{Clock, Hand};
use connect::source::{Batch, Body, Record as Raw};
use engine::detect::{Caps, Standing, Voice};
use engine::normalise::{Format, Limits};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::feed::Feed;
use crate::ledger::{Ledger, Settings as Remembered};
use crate::roster::Roster;
use crate::sample;
use crate::store::{Commit, Deployed, Store};
use crate::workers::{self, Load, Waited};

const KEY: &str = "AKIAAAAAAAAAAAAAAAAA";

fn record(minute: u32, name: &str, source: &str, more: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.09", "eventTime": format!("2026-11-20T{:02}:{:02}:00Z", 9 + minute / 60, minute % 60),
        "eventName": name, "eventSource": source, "eventID": format!("{name}-{minute}"), "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
        "userIdentity": { "type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::111122223333:user/ana",
            "userName": "ana", "accountId": "111122223333", "accessKeyId": KEY },
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn used(minute: u32) -> Value {
    record(minute, "GetObject", "s3.amazonaws.com", json!({}))
}

fn deleted(minute: u32) -> Value {
    let asked = json!({ "requestParameters": { "accessKeyId": KEY }, "userIdentity": { "type": "Root" } });
    record(minute, "DeleteAccessKey", "iam.amazonaws.com", asked)
}

/// A change by hand in the console.
fn changed(minute: u32) -> Value {
    let more = json!({
        "requestParameters": { "functionName": "orders" }, "sessionCredentialFromConsole": "true",
        "responseElements": { "functionName": "orders" },
    });
    record(minute, "UpdateFunctionCode20150331v2", "lambda.amazonaws.com", more)
}

fn settings() -> Settings {
    Settings {
        lineage: Some((lineage::Caps::default(), lineage::Policy::default())),
        deploys: Some((deploys::Limits::default(), deploys::Policy::default())),
    }
}

/// A life of the process on this folder; it ends without a word.
struct Life {
    ledger: Ledger,
    store: Arc<Store>,
    feed: Arc<Feed>,
}

fn live(folder: &Path, settings: Settings) -> Life {
    let store = Arc::new(Store::open(folder).unwrap());
    let feed = Arc::new(Feed::new("west".to_owned(), Format::Auto, true));
    let rules = Arc::new(ArcSwap::from_pointee(sample::rules()));
    let roster = Arc::new(Roster::new(vec![feed.clone()]));
    let clock = Clock::Hand(Hand::at(Timestamp::from_millis(1_795_200_000_000)));
    let remembered = Remembered { folder: folder.to_owned(), caps: Caps::default(), books: settings };
    let recovered = store.recover().unwrap();
    let ledger = Ledger::open(store.clone(), recovered, rules, roster, remembered, clock).unwrap();
    Life { ledger, store, feed }
}

impl Life {
    /// What one batch causes; it is committed.
    fn take(&mut self, records: &[Value]) -> (Commit, Vec<Kept>) {
        let (inbox, loads) = mpsc::channel(1);
        let rules = Arc::new(ArcSwap::from_pointee(sample::rules()));
        let (mut matched, threads) = workers::start(1, loads, rules, Limits::default(), self.ledger.readers()).unwrap();
        let record = |value: &Value| Raw {
            position: value["eventID"].to_string(),
            body: Body::Whole(value.to_string().into_bytes().into()),
        };
        let batch = Batch { records: records.iter().map(record).collect(), ..Batch::default() };
        inbox.blocking_send(Load { feed: self.feed.clone(), batch }).unwrap();
        drop(inbox);
        let Waited::Batch(batch) = matched.within(Duration::from_secs(60)) else { panic!("no batch") };
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (commit, kept) = self.ledger.apply(&mut [*batch], Instant::now()).unwrap();
        self.store.commit(&commit).unwrap();
        (commit, kept)
    }

    fn snapshot(&mut self) {
        let Ledger { snapshots, number, state, books, .. } = &mut self.ledger;
        snapshots.last(*number, state, books).unwrap();
    }

    fn credentials(&self) -> usize {
        self.ledger.books.lineage.as_ref().unwrap().len()
    }

    fn uses(&self) -> u64 {
        let lineage = self.ledger.books.lineage.as_ref().unwrap();
        let saved = serde_json::to_value(lineage.save()).unwrap();
        saved["credentials"].as_array().unwrap().iter().map(|credential| credential["uses"].as_u64().unwrap()).sum()
    }
}

#[test]
fn a_key_that_is_used_after_its_end_is_told_once_with_its_evidence_however_the_process_ends() {
    for is_saved in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut life = live(folder.path(), settings());
        assert!(life.take(&[used(0), used(1), deleted(5)]).0.changes.is_empty());
        if is_saved {
            life.snapshot();
        }
        drop(life);

        let mut life = live(folder.path(), settings());
        assert_eq!((life.credentials(), life.uses()), (1, 2), "nothing is lost, nothing is counted twice");
        let (commit, kept) = life.take(&[used(30)]);
        let [change] = commit.changes.as_slice() else { panic!("{:?}", commit.changes) };
        assert_eq!(&*change.alert.rule.0, "lapwing-lineage-after-end");
        assert!(change.alert.why.contains("was deleted at 2026-11-20T09:05:00"), "{}", change.alert.why);
        assert_eq!(*change.alert.event_ids, ["GetObject-30".to_owned()]);
        assert!(kept.iter().any(|kept| kept.uid.id == "GetObject-30" && kept.json.contains("198.51.100.7")));
        drop(life);

        let mut life = live(folder.path(), settings());
        assert_eq!(life.uses(), 3);
        assert!(life.take(&[used(31)]).0.changes.is_empty(), "it was told");
    }
}

#[test]
fn a_change_by_hand_is_an_alert_once_its_log_has_come_past_it_and_its_record_survives() {
    let folder = tempfile::tempdir().unwrap();
    let mut life = live(folder.path(), settings());
    let (commit, kept) = life.take(&[used(0), changed(10)]);
    assert!(commit.deploys.is_empty() && commit.changes.is_empty(), "more of it may come");
    assert!(kept.iter().any(|kept| kept.uid.id == "UpdateFunctionCode20150331v2-10"));
    drop(life);

    let mut life = live(folder.path(), settings());
    let (commit, _) = life.take(&[used(40)]);
    let ([record], [change]) = (commit.deploys.as_slice(), commit.changes.as_slice()) else { panic!("{commit:?}") };
    assert_eq!((record.verdict, record.revision, change.revision), (Verdict::Unexplained, 1, 1));
    assert_eq!(&*change.alert.rule.0, "lapwing-deploy-unexplained");
    assert!(change.alert.why.starts_with("unexplained: 1 call by"), "{}", change.alert.why);
    assert_eq!(*change.alert.event_ids, ["UpdateFunctionCode20150331v2-10".to_owned()]);
    drop(life);

    let mut life = live(folder.path(), settings());
    let (commit, _) = life.take(&[used(70)]);
    assert!(commit.deploys.is_empty() && commit.changes.is_empty(), "it was told: {commit:?}");
    assert!(life.ledger.books.open.contains(&record.id));
    let asked = Deployed { verdict: Some(Verdict::Unexplained), limit: 9, ..Deployed::default() };
    let reader = life.store.reader().unwrap();
    assert_eq!(reader.deploys(&asked).unwrap().as_slice(), std::slice::from_ref(record));
    assert_eq!(reader.deploy(&record.id.0).unwrap().as_ref(), Some(record));
    let asked = Deployed { environment: Some("other".to_owned()), ..asked };
    assert_eq!(reader.deploys(&asked).unwrap(), []);
}

#[test]
fn a_deploy_that_is_explained_by_now_takes_its_alert_back_and_an_unknown_one_never_had_any() {
    let folder = tempfile::tempdir().unwrap();
    let mut life = live(folder.path(), settings());
    life.take(&[changed(10)]);
    let record = life.take(&[used(40)]).0.deploys.remove(0);
    let raised = verdict::change(&record, false).unwrap();
    let with = |verdict| Record { verdict, revision: 2, ..record.clone() };
    let taken_back = verdict::change(&with(Verdict::Explained), true).unwrap();
    assert_eq!(taken_back.alert.id, raised.alert.id);
    assert_eq!((taken_back.revision, taken_back.standing), (2, Standing::Superseded { by: None }));
    assert_eq!(verdict::change(&with(Verdict::Unknown), false), None);
    assert_eq!(verdict::change(&with(Verdict::Explained), false), None);
}

#[test]
fn ledgers_that_another_version_saved_are_refused_and_those_that_nobody_keeps_take_nothing() {
    let other = postcard::to_stdvec(&(VERSION + 1, 7_u8)).unwrap();
    let error = format!("{:#}", Books::open(settings(), Some(&other), Vec::new(), &[]).unwrap_err());
    assert!(error.contains("saved as version 2"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let mut life = live(folder.path(), Settings::default());
    let (commit, _) = life.take(&[used(0), deleted(5), changed(10), used(40)]);
    assert!(commit.page.is_empty() && commit.changes.is_empty());
}

#[test]
fn a_kind_of_log_is_as_far_as_its_last_partition_and_one_that_was_never_heard_is_not_there() {
    let reach = |name: &str, minute: i64, kind: Kind| Reach {
        newest: Timestamp::from_millis(minute * 60_000),
        kinds: kind.into(),
        ..Reach::new(name, crate::feed::PACE)
    };
    let since = BTreeMap::from([(Kind::AwsCloudtrail, Timestamp::default())]);
    let reached = [
        reach("east", 30, Kind::AwsCloudtrail),
        reach("west", 20, Kind::AwsCloudtrail),
        reach("hooks", 40, Kind::GithubWebhook),
        Reach { voice: Voice::Ended, ..reach("gone", 1, Kind::AwsCloudtrail) },
        Reach { voice: Voice::Missing, ..reach("denied", 2, Kind::AwsCloudtrail) },
    ];
    let marks = marks(&since, reached.iter());
    let expected = Heard { since: Timestamp::default(), mark: Timestamp::from_millis(19 * 60_000) };
    assert_eq!(marks, Marks::from([(Kind::AwsCloudtrail, expected)]));
}

#[test]
fn an_expiry_at_vault_that_was_outlived_is_no_alert_and_a_revocation_is() {
    let finding = |sort, anchor: &str| lineage::Finding {
        time: Timestamp::default(),
        kind: lineage::FindingKind::AfterEnd,
        severity: engine::rule::Severity::High,
        credential: lineage::Id::new(sort, "x"),
        anchor: anchor.to_owned(),
        sentence: String::new(),
        event: String::new(),
    };
    for (sort, anchor, expected) in [
        (lineage::Sort::VaultAccessor, "expired", false),
        (lineage::Sort::VaultAccessor, "2026-11-20T09:00:00.000000Z", true),
        (lineage::Sort::AwsKey, "expired", true),
    ] {
        assert_eq!(finding(sort, anchor).is_for_people(), expected, "{sort:?} {anchor}");
    }
}

#[test]
fn a_source_that_may_bring_any_log_has_onboarded_only_what_it_brought() {
    let folder = tempfile::tempdir().unwrap();
    let mut life = live(folder.path(), settings());
    life.take(&[used(1), used(2)]);
    assert_eq!(life.ledger.books.since.keys().copied().collect::<Vec<_>>(), [Kind::AwsCloudtrail]);
    drop(life);
    let again = live(folder.path(), settings());
    assert_eq!(again.ledger.books.since.len(), 1, "a start knows it from the journal");
}

#[test]
fn what_is_missing_for_good_makes_a_log_complete_from_then_on_only_though_nothing_came_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut life = live(folder.path(), settings());
    life.take(&[used(1)]);
    let mut gap = Matched::new(life.feed.clone(), Arc::new(sample::rules()), &[], Default::default());
    gap.gaps.push(connect::source::Gap { id: "hole".to_owned(), what: "a file left unread".to_owned() });
    let (mut page, now) = (Page::default(), Timestamp::from_millis(1_795_200_000_000));
    life.ledger.books.hear(&mut gap, &mut page, now);
    assert_eq!(page.since, BTreeMap::from([(Kind::AwsCloudtrail, now)]));
}

#[test]
fn a_secret_in_a_deploy_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let mut change = changed(3);
    change["userIdentity"]["arn"] = json!(format!("arn:aws:sts::111122223333:assumed-role/ci/{token}"));
    let (commit, _) = live(folder.path(), settings()).take(&[change]);
    let kept = serde_json::to_string(&commit.page.notes).unwrap();
    assert!(!commit.page.notes.facts.is_empty() && !kept.contains(&token), "{kept}");
}
