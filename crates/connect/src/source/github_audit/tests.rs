use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::time::{Span, Timestamp};
use serde_json::json;

use super::fake::{Dice, Fake, INSTALLATION, Shown, Unkind, entries};
use super::probe::tried;
use super::{GithubAudit, Settings};
use crate::clock::{Clock, Hand};
use crate::source::contract::{drain, resumes_with_repeats, yields_all_in_order};
use crate::source::{Batch, Body, Mark, Next, Remedy, Source, SourceError};

/// Everything in these tests happens in milliseconds; a test that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn minutes(count: u32) -> Span {
    Span::seconds(count * 60)
}

fn source(settings: &Settings, stored: &Mark, hand: &Hand) -> GithubAudit {
    GithubAudit::open(settings, stored, Clock::Hand(hand.clone())).unwrap()
}

async fn next(source: &mut GithubAudit) -> Result<Next, SourceError> {
    tokio::time::timeout(PATIENCE, source.next()).await.expect("the source hangs")
}

async fn batch(source: &mut GithubAudit) -> Batch {
    match next(source).await.unwrap() {
        Next::Batch(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// Batches until `end`; errors are waited out as the service would.
async fn batches_until(source: &mut GithubAudit, hand: &Hand, end: Timestamp) -> Vec<Batch> {
    let mut batches = Vec::new();
    while hand.now() < end {
        if let Ok(Next::Batch(batch)) = next(source).await {
            batches.push(batch);
        }
    }
    batches
}

fn counts(batches: &[Batch]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        *counts.entry(record.position.clone()).or_insert(0) += 1;
    }
    counts
}

fn ids(shown: &[Shown]) -> BTreeSet<String> {
    shown.iter().map(|entry| entry.id.clone()).collect()
}

#[tokio::test]
async fn the_audit_log_keeps_the_contract() {
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(9)), 90, 2_000, 0, 1);
    let fake = Fake::start(hand.clone(), Unkind { page: 7, ..Unkind::default() }, shown.clone()).await;
    let settings = fake.settings(json!({}));
    let records: Vec<String> = shown
        .iter()
        .map(|shown| {
            format!(
                r#"{{"@timestamp":{0},"_document_id":"{1}","action":"repo.create","actor":"ana","created_at":{0},"org":"acme"}}"#,
                shown.time_ms, shown.id
            )
        })
        .collect();
    yields_all_in_order(&mut source(&settings, &Mark::default(), &hand), &records).await;
    resumes_with_repeats(async |mark: &Mark| source(&settings, mark, &hand)).await;
}

#[tokio::test]
async fn a_log_that_is_all_there_is_resumed_from_every_mark() {
    // No overlap: what a restart would read again is what the store knows.
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(300)), 60, 299_000, 0, 1);
    let fake = Fake::start(hand.clone(), Unkind { page: 10, ..Unkind::default() }, shown).await;
    let settings = fake.settings(json!({"overlap": "0s"}));
    let mut whole = source(&settings, &Mark::default(), &hand);
    let all = drain(&mut whole).await;
    assert_eq!(all.texts.len(), 60);
    let mut again = source(&settings, &all.mark, &hand);
    let rest = drain(&mut again).await;
    assert!(rest.texts.len() <= 3, "only what bears the very time of the mark: {:?}", rest.positions);
    assert!(rest.positions.iter().all(|position| all.positions.contains(position)));
}

#[tokio::test]
async fn every_entry_comes_once_whatever_the_api_does_in_thirty_seeded_runs() {
    let (mut handed, mut refused) = (0, 0);
    for seed in 1..=30 {
        let mut dice = Dice(seed * 7_919);
        let hand = Hand::at(noon());
        let count = 200 + i64::try_from(dice.below(300)).unwrap();
        let shown = entries(noon().minus(minutes(20)), count, 6_000, 540_000, seed);
        let unkind = Unkind {
            page: 5 + usize::try_from(dice.below(60)).unwrap(),
            fail_every: 3 + dice.below(9),
            refuse_every: 3 + dice.below(9),
            secondary_every: 5 + dice.below(20),
            limit: 60 + dice.below(200),
        };
        let fake = Fake::start(hand.clone(), unkind, shown.clone()).await;
        let mut source = source(&fake.settings(json!({"first": "2h"})), &Mark::default(), &hand);
        // Until all are there, and what could come twice has had its time.
        let mut batches = Vec::new();
        while counts(&batches).len() < shown.len() && hand.now() < noon().plus(minutes(900)) {
            let step = hand.now().plus(minutes(5));
            batches.extend(batches_until(&mut source, &hand, step).await);
        }
        let rest = hand.now().plus(minutes(20));
        batches.extend(batches_until(&mut source, &hand, rest).await);
        let counts = counts(&batches);
        assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), ids(&shown), "seed {seed}: {unkind:?}");
        assert!(counts.values().all(|count| *count == 1), "seed {seed}: {unkind:?}");
        assert!(batches.iter().all(|batch| batch.gaps.is_empty()), "seed {seed}");
        handed += counts.len();
        refused += fake.refused();
    }
    assert!(handed > 6_000 && refused > 500, "{handed} entries, {refused} refusals");
}

#[tokio::test]
async fn a_restart_after_any_batch_loses_nothing() {
    for seed in 1..=3 {
        let hand = Hand::at(noon());
        let shown = entries(noon().minus(minutes(20)), 300, 5_000, 540_000, seed);
        let unkind = Unkind { page: 17, fail_every: 11, refuse_every: 7, ..Unkind::default() };
        let fake = Fake::start(hand.clone(), unkind, shown.clone()).await;
        let settings = fake.settings(json!({}));
        let (mut stored, mut seen, mut dice) = (Mark::default(), BTreeSet::new(), Dice(seed));
        while hand.now() < noon().plus(minutes(60)) {
            let mut source = source(&settings, &stored, &hand);
            // The last batch before the crash was handed over but never stored.
            for _ in 0..dice.below(6) {
                let Ok(Next::Batch(batch)) = next(&mut source).await else { continue };
                stored.0.extend(batch.mark.0.clone());
                seen.extend(batch.records.into_iter().map(|record| record.position));
            }
            drop(next(&mut source).await);
            // It takes a while to be started again.
            hand.move_to(hand.now().plus(minutes(1)));
        }
        let mut last = source(&settings, &stored, &hand);
        for batch in batches_until(&mut last, &hand, noon().plus(minutes(75))).await {
            seen.extend(batch.records.into_iter().map(|record| record.position));
        }
        assert_eq!(seen, ids(&shown), "seed {seed}");
    }
}

#[tokio::test]
async fn a_caller_that_drops_the_call_over_and_over_loses_nothing() {
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(20)), 200, 6_000, 60_000, 3);
    let fake = Fake::start(hand.clone(), Unkind { page: 13, ..Unkind::default() }, shown.clone()).await;
    let mut source = source(&fake.settings(json!({})), &Mark::default(), &hand);
    let mut batches = Vec::new();
    let patience = tokio::time::Instant::now() + PATIENCE;
    while hand.now() < noon().plus(minutes(40)) {
        assert!(tokio::time::Instant::now() < patience, "the source starves");
        tokio::select! {
            biased;
            next = source.next() => {
                if let Ok(Next::Batch(batch)) = next {
                    batches.push(batch);
                }
            }
            () = tokio::task::yield_now() => {}
        }
    }
    let counts = counts(&batches);
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), ids(&shown));
    assert!(counts.values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_page_holds_what_github_lists_at_once_and_only_the_last_one_moves_the_mark() {
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(9)), 150, 1_000, 0, 1);
    let fake = Fake::start(hand.clone(), Unkind::default(), shown).await;
    let mut source = source(&fake.settings(json!({})), &Mark::default(), &hand);
    let (first, last) = (batch(&mut source).await, batch(&mut source).await);
    assert_eq!((first.records.len(), last.records.len()), (100, 50));
    assert_ne!(first.mark, last.mark);
    assert_eq!(last.mark.0.keys().collect::<Vec<_>>(), ["orgs/acme"]);
    assert!(matches!(next(&mut source).await.unwrap(), Next::Idle));
    let Body::Whole(body) = &first.records[0].body else { panic!("refused") };
    assert_eq!(serde_json::from_slice::<serde_json::Value>(body).unwrap()["_document_id"], first.records[0].position);
}

#[tokio::test]
async fn an_app_is_let_in_by_a_token_that_is_exchanged_before_it_expires_and_when_it_is_revoked() {
    for installation in [None, Some(INSTALLATION)] {
        let hand = Hand::at(noon());
        let shown = entries(noon(), 60, 120_000, 0, 1);
        let fake = Fake::start(hand.clone(), Unkind::default(), shown.clone()).await;
        let mut source = source(&fake.settings_of_app(installation), &Mark::default(), &hand);
        let mut batches = Vec::new();
        while hand.now() < noon().plus(minutes(110)) {
            match next(&mut source).await.expect("no question fails") {
                Next::Batch(batch) => batches.push(batch),
                Next::Idle => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(fake.granted(), 3, "one for each 55 minutes");
        fake.revoke();
        while hand.now() < noon().plus(minutes(130)) {
            if let Next::Batch(batch) = next(&mut source).await.expect("no question fails") {
                batches.push(batch);
            }
        }
        assert_eq!(fake.granted(), 4);
        assert_eq!(counts(&batches).len(), shown.len());
    }
}

#[tokio::test]
async fn a_token_in_a_file_may_be_exchanged_and_a_wrong_one_needs_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "revoked\n").unwrap();
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(5)), 3, 1_000, 0, 1);
    let fake = Fake::start(hand.clone(), Unkind::default(), shown).await;
    let mut source = source(&fake.settings(json!({"token": {"file": path}})), &Mark::default(), &hand);
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Person);
    assert!(error.doing.contains("status 401: Bad credentials; the token is wrong"), "{}", error.doing);
    std::fs::write(&path, super::fake::TOKEN).unwrap();
    assert_eq!(batch(&mut source).await.records.len(), 3);
}

#[tokio::test]
async fn the_limit_of_an_hour_is_waited_for_and_said() {
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(9)), 50, 1_000, 0, 1);
    let fake = Fake::start(hand.clone(), Unkind { page: 10, limit: 3, ..Unkind::default() }, shown.clone()).await;
    let mut source = source(&fake.settings(json!({})), &Mark::default(), &hand);
    let batches = batches_until(&mut source, &hand, noon().plus(minutes(130))).await;
    assert_eq!(counts(&batches).keys().cloned().collect::<BTreeSet<_>>(), ids(&shown));
    assert_eq!(fake.refused(), 0, "the last answer of the hour says that it was the last");
    // Somebody else spends it all: then it is a refusal that says so.
    fake.be(Unkind { limit: 0, ..Unkind::default() });
    let error = loop {
        if let Err(error) = next(&mut source).await {
            break error;
        }
    };
    assert!(error.doing.contains("GitHub limits questions until 2026-11-20T1"), "{}", error.doing);
    assert_eq!(error.remedy, Remedy::Wait);
}

#[tokio::test]
async fn questions_keep_their_pace_and_looks_their_interval() {
    let hand = Hand::at(noon());
    let shown = entries(noon().minus(minutes(9)), 40, 1_000, 0, 1);
    let fake = Fake::start(hand.clone(), Unkind { page: 10, ..Unkind::default() }, shown).await;
    let settings = fake.settings(json!({"requests_per_hour": 720, "poll": "60s", "first": "1h"}));
    batches_until(&mut source(&settings, &Mark::default(), &hand), &hand, noon().plus(minutes(2))).await;
    let seconds: Vec<i64> = fake.asked().iter().map(|at| (at - noon().millis()) / 1_000).collect();
    assert_eq!(seconds[..8], [0, 5, 10, 15, 75, 80, 85, 90]);
    assert_eq!(fake.since()[0], noon().minus(minutes(60)).millis());
}

#[tokio::test]
async fn what_was_deleted_while_nobody_looked_is_a_gap_told_once() {
    let day = |days: u32| minutes(days * 24 * 60);
    for (away, include, words) in [
        (6, "all", ""),
        (8, "web", ""),
        (8, "all", "about Git (clone, fetch, push) after 2026-11-12"),
        (181, "web", "entries of the audit log after 2026-05-23"),
    ] {
        let hand = Hand::at(noon());
        let fake =
            Fake::start(hand.clone(), Unkind::default(), entries(noon().minus(day(2)), 30, 3_600_000, 0, 1)).await;
        let settings = fake.settings(json!({"include": include}));
        let stored = Mark(BTreeMap::from([("orgs/acme".to_owned(), noon().minus(day(away)).micros().to_string())]));
        let batches = batches_until(&mut source(&settings, &stored, &hand), &hand, noon().plus(minutes(10))).await;
        let gaps: Vec<String> = batches.iter().flat_map(|batch| &batch.gaps).map(|gap| gap.what.clone()).collect();
        assert_eq!(gaps.len(), usize::from(!words.is_empty()), "{away} days of {include}: {gaps:?}");
        assert!(gaps.iter().all(|gap| gap.contains(words)), "{gaps:?}");
        assert_eq!(counts(&batches).len(), 30);
    }
    // What was deleted before the first start concerns nobody.
    let hand = Hand::at(noon());
    let fake = Fake::start(
        hand.clone(),
        Unkind { page: 3, ..Unkind::default() },
        entries(noon().minus(day(30)), 90, 28_000_000, 0, 1),
    )
    .await;
    let mut first = source(&fake.settings(json!({"first": "31d"})), &Mark::default(), &hand);
    let batches = batches_until(&mut first, &hand, noon().plus(minutes(20))).await;
    assert!(batches.iter().all(|batch| batch.gaps.is_empty()));
    assert_eq!(counts(&batches).len(), 90);
}

#[tokio::test]
async fn a_quiet_log_moves_its_mark_seldom_and_never_behind_what_appears() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), Vec::new()).await;
    let settings = fake.settings(json!({"first": "1h", "poll": "60s"}));
    let mut source = source(&settings, &Mark::default(), &hand);
    let quiet = batches_until(&mut source, &hand, noon().plus(minutes(12 * 60))).await;
    assert!((10..60).contains(&quiet.len()), "{} commits of nothing", quiet.len());
    fake.show(entries(hand.now().minus(minutes(5)), 9, 1_000, 0, 1));
    assert_eq!(batch(&mut source).await.records.len(), 9);
}

#[tokio::test]
async fn a_probe_says_what_is_missing() {
    let hand = Hand::at(noon());
    let fake = Fake::start(hand.clone(), Unkind::default(), entries(noon().minus(minutes(5)), 7, 1_000, 0, 1)).await;
    let clock = Clock::Hand(hand);
    let elsewhere = Settings { organization: Some("other".to_owned()), ..fake.settings(json!({})) };
    let hasty = Settings { poll: Duration::from_secs(2), ..fake.settings(json!({})) };
    for (settings, words, is_good) in [
        (fake.settings(json!({})), "readable, 7 entries in the last hour", true),
        (fake.settings_of_app(None), "readable, 7 entries", true),
        (fake.settings(json!({"token": "guess"})), "the token is wrong, revoked or has expired", false),
        (fake.settings(json!({"token": {"file": "/nowhere/token"}})), "read secret file /nowhere/token", false),
        (fake.settings_of_app(Some(1)), "status 404: Not Found; the name is wrong", false),
        (elsewhere, "the token needs the permission Administration (read)", false),
        (hasty, "1800 looks an hour are more than requests_per_hour", false),
    ] {
        let probes = tried(&settings, &clock).await;
        let last = probes.last().unwrap();
        assert!(last.to_string().contains(words), "{words}: {last}");
        assert_eq!(last.found.is_ok(), is_good, "{last}");
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_told_without_a_word_of_it() {
    let fake = Fake::start(Hand::at(noon()), Unkind::default(), Vec::new()).await;
    for (key, words) in
        [("secret words", "no key in PEM"), (&fake.signer.pem_with_algorithm(), "openssl rsa -traditional")]
    {
        let mut settings = fake.settings_of_app(None);
        settings.app.as_mut().unwrap().key = crate::secret::Secret::from_text(key.to_owned());
        let error = GithubAudit::open(&settings, &Mark::default(), Clock::Wall).err().unwrap();
        assert!(error.doing.contains(words) && !error.doing.contains("secret words"), "{}", error.doing);
        assert_eq!(error.remedy, Remedy::Person);
    }
}
