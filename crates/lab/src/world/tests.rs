use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, Hasher};

use engine::event::Event;
use engine::hash::Seed;
use engine::normalise::{Format, Limits, normalise};
use serde_json::Value;

use super::*;

/// The smallest company, for so many days.
fn small(days: u32, attacks: Attacks) -> World {
    World::new(&Plan { days, size_percent: 20, attacks, ..Plan::default() })
}

/// The records of all stories of a whole world, in order of their times.
fn stories() -> Vec<Record> {
    let world = World::new(&Plan::default());
    world.attacks.into_iter().rev().collect()
}

/// The events of a record, which is read as a source of its kind would.
#[track_caller]
fn events(format: Format, record: &Record) -> Vec<Event> {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    normalise(format, &record.raw, "w:1", &Limits::default(), &mut events, &mut rejects);
    assert!(rejects.is_empty(), "{rejects:?}: {}", String::from_utf8_lossy(&record.raw));
    events
}

/// One number of all bytes.
fn hash(records: impl Iterator<Item = Record>) -> u64 {
    let mut hasher = Seed::new(1, 2).build_hasher();
    for record in records {
        hasher.write(record.source.as_bytes());
        hasher.write(&record.raw);
    }
    hasher.finish()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_every_machine() {
    // A change of the world changes it, and every figure that was measured in it.
    assert_eq!(hash(small(2, Attacks::All)), 4828278079679755385);
    let other = World::new(&Plan { seed: 2, days: 1, size_percent: 20, ..Plan::default() });
    assert_ne!(hash(small(1, Attacks::All)), hash(other));
}

#[test]
fn every_record_becomes_one_event_of_its_kind_and_time_with_an_id_of_its_own() {
    let mut ids = HashSet::new();
    for record in small(1, Attacks::None).chain(stories()) {
        for format in [Format::Known(record.kind), Format::Auto] {
            let events = events(format, &record);
            let [event] = events.as_slice() else { panic!("{}", String::from_utf8_lossy(&record.raw)) };
            assert_eq!(
                (event.kind, event.time),
                (record.kind, record.time),
                "{}",
                String::from_utf8_lossy(&record.raw)
            );
            let is_new = ids.insert(event.uid.clone());
            assert_eq!(is_new, format != Format::Auto, "{:?}", event.uid);
        }
    }
}

#[test]
fn records_come_in_the_order_of_their_times_and_within_the_days() {
    let times: Vec<Timestamp> = small(2, Attacks::All).map(|record| record.time).collect();
    let calendar = Calendar::new(Plan::default().start, 2);
    assert!(times.is_sorted());
    assert!(times.iter().all(|time| (calendar.begin(0)..calendar.begin(2)).contains(time)));
}

#[test]
fn a_benign_world_holds_no_label_and_stories_change_nothing_else() {
    let benign: Vec<Record> = small(2, Attacks::None).collect();
    assert!(benign.iter().all(|record| record.label.is_none()));
    let attacked: HashSet<Vec<u8>> = small(2, Attacks::All).map(|record| record.raw).collect();
    assert!(benign.iter().all(|record| attacked.contains(&record.raw)));
}

/// Records by kind of one day of the whole company.
fn census(day: Day) -> (BTreeMap<Kind, usize>, [usize; 24]) {
    let mut world = World::new(&Plan { attacks: Attacks::None, ..Plan::default() });
    world.day = day;
    world.turn_day();
    let (mut kinds, mut hours) = (BTreeMap::new(), [0; 24]);
    for record in &world.ready {
        *kinds.entry(record.kind).or_default() += 1;
        let since = record.time.since(world.company.calendar.begin(day)).micros();
        hours[usize::try_from(since / 3_600_000_000).unwrap()] += 1;
    }
    (kinds, hours)
}

#[test]
fn a_month_has_a_million_records_of_every_kind_and_people_rest_at_night_and_weekends() {
    let ((tuesday, hours), (saturday, _)) = (census(1), census(5));
    let total = |kinds: &BTreeMap<Kind, usize>| kinds.values().sum::<usize>();
    // Of 30 days from a Monday on 22 are weekdays.
    assert!(total(&tuesday) * 22 + total(&saturday) * 8 > 1_000_000, "{tuesday:?} {saturday:?}");
    assert!(tuesday.len() >= 8, "{tuesday:?}");
    assert!(total(&saturday) * 10 < total(&tuesday) * 9);
    for kind in [Kind::OktaSystem, Kind::GithubAudit, Kind::GithubWebhook] {
        assert!(saturday[&kind] * 5 < tuesday[&kind], "{} {saturday:?} {tuesday:?}", kind.name());
    }
    let night: usize = hours[1..5].iter().sum();
    let day: usize = hours[9..13].iter().sum();
    assert!(night * 3 < day * 2, "{hours:?}");
}

#[test]
fn every_story_has_its_steps_in_order_and_one_goal() {
    let world = World::new(&Plan::default());
    assert_eq!(world.stories().len(), stories::all().len());
    assert!(world.stories().len() >= 30);
    for told in world.stories() {
        let name = told.story.name;
        assert_eq!(told.steps.iter().filter(|step| step.goal).count(), 1, "{name}");
        assert!(told.steps.len() >= 2 && !told.story.techniques.is_empty(), "{name}");
        assert!(told.steps.is_sorted_by_key(|step| step.time), "{name}");
        for (number, step) in told.steps.iter().enumerate() {
            let label = Label { story: told.number, step: number, goal: step.goal };
            let times: Vec<Timestamp> =
                told.records.iter().filter(|record| record.label == Some(label)).map(|record| record.time).collect();
            assert!(!times.is_empty(), "{name}: nothing of {:?}", step.says);
            let whole = super::log::second(step.time);
            assert!(times.iter().all(|time| *time >= whole), "{name}: {:?} is early", step.says);
        }
    }
}

#[test]
fn stories_have_names_of_their_own_and_lie_on_many_days() {
    let all = stories::all();
    let names: BTreeSet<&str> = all.iter().map(|story| story.name).collect();
    let days: BTreeSet<u32> = all.iter().map(|story| story.start.0).collect();
    assert_eq!(names.len(), all.len());
    assert!(days.len() >= 12, "{days:?}");
}

#[test]
fn one_story_can_be_had_alone() {
    let world = World::new(&Plan { attacks: Attacks::One("logging-stopped"), ..Plan::default() });
    assert_eq!(world.stories().len(), 1);
    let told = &world.stories()[0];
    assert_eq!(stories::all()[told.number].name, "logging-stopped");
}

/// Checks that temporary keys are issued, and new long-lived ones created, before anybody signs with them.
#[track_caller]
fn keys_are_issued(records: impl Iterator<Item = Record>, generations: u64) -> usize {
    let named = ["metrics-push", "backup-sync", "mail-relay", "partner-feed", "old-importer"];
    let older = named.iter().flat_map(|name| (0..generations).map(|generation| record::user_key(name, generation)));
    let mut known: HashSet<String> = older.collect();
    let mut used = 0;
    for record in records.filter(|record| record.kind == Kind::AwsCloudtrail) {
        let document: Value = serde_json::from_slice(&record.raw).unwrap();
        let key = document["userIdentity"]["accessKeyId"].as_str().unwrap_or_default();
        let by_console = document["sessionCredentialFromConsole"] == "true";
        if !key.is_empty() && !by_console && document["errorCode"] != "InvalidClientTokenId" {
            assert!(known.contains(key), "{document}");
            used += 1;
        }
        for issued in ["/responseElements/credentials/accessKeyId", "/responseElements/accessKey/accessKeyId"] {
            known.extend(document.pointer(issued).and_then(Value::as_str).map(str::to_owned));
        }
    }
    used
}

#[test]
fn a_key_that_is_used_was_issued_before() {
    // On the third of four days the keys of named users are changed.
    assert!(keys_are_issued(small(4, Attacks::All), 1) > 20_000);
    // Stories alone: that change has been.
    assert!(keys_are_issued(stories().into_iter(), 2) > 500);
}

#[test]
fn a_deploy_follows_its_run() {
    // Who takes a role by GitHub's token does so while a job that deploys from that repository runs.
    let mut running: BTreeMap<String, i32> = BTreeMap::new();
    let mut roles = 0;
    for record in small(3, Attacks::None) {
        let document: Value = serde_json::from_slice(&record.raw).unwrap();
        let body = &document["body"];
        if record.kind == Kind::GithubWebhook && body["workflow_job"]["name"] == "deploy" {
            let repository = body["repository"]["full_name"].as_str().unwrap().to_owned();
            *running.entry(repository).or_default() += if body["action"] == "completed" { -1 } else { 1 };
        }
        let subject = document["responseElements"]["subjectFromWebIdentityToken"].as_str().unwrap_or_default();
        // The run that gives a role another name is told by its change alone.
        if let Some(rest) = subject.strip_prefix("repo:").filter(|rest| !rest.contains("infrastructure")) {
            let repository = rest.split(':').next().unwrap();
            assert!(running.get(repository).is_some_and(|jobs| *jobs > 0), "{subject} at {}", record.time);
            roles += 1;
        }
    }
    assert!(roles > 5, "{roles}");
}

#[test]
fn sources_deliver_late_and_nothing_is_lost() {
    let records: Vec<Record> = small(1, Attacks::All).collect();
    let delivered: Vec<Arrival> = arrivals(records.clone().into_iter(), 7).collect();
    assert_eq!(delivered.len(), records.len());
    assert!(delivered.is_sorted_by_key(|arrival| arrival.at));
    assert!(!delivered.is_sorted_by_key(|arrival| arrival.record.time));
    assert!(delivered.iter().all(|arrival| arrival.at >= arrival.record.time));
    let latest = delivered.iter().map(|arrival| arrival.at.since(arrival.record.time).micros()).max();
    assert!(latest <= Some(900_000_000), "{latest:?}");
    let again: Vec<Arrival> = arrivals(records.into_iter(), 7).collect();
    assert!(delivered == again);
}
