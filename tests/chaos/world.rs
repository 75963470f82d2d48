//! What is fed in: a seed's own records, half of them in a log that is followed and half of them pushed, and rules of
//! every way of counting that needs no end of a window to speak.

use serde_json::{Value, json};

use crate::harness::Chance;

/// Records that one request carries, and that one piece of the log holds on average.
const TOGETHER: usize = 5;
/// Who acts on one road; each of the two has its own, so that what one road tells cannot depend on the other's pace.
const USERS: u64 = 6;
/// Old enough to lie behind every clock that a test sets.
const FIRST_SECOND: u64 = 1_763_640_000;

/// The rules, in Sigma.
pub(crate) const RULES: &str = "
title: Trail stopped
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a01
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: StopLogging}, condition: selection}
level: high
---
title: Sign-in refused
name: refused
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a02
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: ConsoleLogin}, condition: selection}
level: low
---
title: User made
name: user
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a03
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: CreateUser}, condition: selection}
level: low
---
title: Key made
name: key
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a04
logsource: {product: aws, service: cloudtrail}
detection: {selection: {eventName: CreateAccessKey}, condition: selection}
level: low
---
title: Many refused sign-ins
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a05
correlation:
  {type: event_count, rules: [refused], group-by: [userIdentity.userName], timespan: 1m, condition: {gte: 4}}
level: medium
---
title: Refused from many places
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a06
correlation:
  type: value_count
  rules: [refused]
  group-by: [userIdentity.userName]
  timespan: 2m
  condition: {gte: 3, field: sourceIPAddress}
level: medium
---
title: A user, then a key
id: 5b1e0c58-0d0c-4a4e-9c1d-6a3f5b0c7a07
correlation:
  {type: temporal_ordered, rules: [user, key], group-by: [userIdentity.userName], timespan: 1m}
level: high
";

/// Records on both roads, cut into as many steps as they are fed in.
pub(crate) struct World {
    /// The whole log.
    pub(crate) log: Vec<u8>,
    /// Bodies of requests, in order.
    pub(crate) requests: Vec<String>,
    /// Event ids of the last record on each road: once their alerts stand, all before them was read.
    pub(crate) last: [String; 2],
}

impl World {
    /// With so many requests, and as many pieces of the log.
    pub(crate) fn new(chance: &mut Chance, steps: usize) -> Self {
        let records = steps * TOGETHER;
        let followed = road(chance, "log", records);
        let mut pushed = road(chance, "push", records);
        for (place, record) in pushed.iter_mut().enumerate() {
            // Some of what stands in the log is pushed as well: one event that comes by two roads is one.
            if stands_alone(record) && place + 1 < records && chance.below(4) == 0 {
                let also = followed[..=place].iter().rev().find(|other| stands_alone(other));
                *record = also.unwrap_or(&*record).clone();
            }
        }
        let last = [&followed, &pushed].map(|road| id_of(road.last().expect("a road has records")));
        let lines = |records: &[Value]| records.iter().map(|record| format!("{record}\n")).collect::<String>();
        Self { log: lines(&followed).into_bytes(), requests: pushed.chunks(TOGETHER).map(lines).collect(), last }
    }
}

/// What one road carries: one record a second. Every so many of them raise an alert of their own.
fn road(chance: &mut Chance, name: &str, records: usize) -> Vec<Value> {
    let record = |place: usize| {
        let action = match chance.below(10) {
            _ if place % TOGETHER == TOGETHER - 1 => "StopLogging",
            0..6 => "ConsoleLogin",
            6 | 7 => "CreateUser",
            8 => "CreateAccessKey",
            _ => "ListUsers",
        };
        let user = format!("{name}-{}", chance.below(USERS));
        let time = chrono::DateTime::from_timestamp((FIRST_SECOND + place as u64).cast_signed(), 0);
        json!({
            "eventVersion": "1.11", "eventID": format!("{:08x}-{name}-{place}", chance.below(1 << 32)),
            "eventTime": time.expect("a time of these days").to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "eventSource": "iam.amazonaws.com", "eventName": action, "readOnly": false,
            "sourceIPAddress": format!("198.51.100.{}", chance.below(6)),
            "userIdentity": {
                "type": "IAMUser", "userName": user, "accountId": "111122223333",
                "arn": format!("arn:aws:iam::111122223333:user/{user}"),
            },
        })
    };
    (0..records).map(record).collect()
}

fn stands_alone(record: &Value) -> bool {
    record["eventName"] == "StopLogging"
}

fn id_of(record: &Value) -> String {
    record["eventID"].as_str().expect("a record has an id").to_owned()
}
