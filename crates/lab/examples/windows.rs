//! `cargo run --release -p lab --example windows [ROW…]`: what correlations cost, engine alone, one thread.
//!
//! For each row: events a second of user CPU (parsing included, loading of rules and making of events not), what
//! memory grew by, bytes a key, and the alerts found, since a faster wrong answer is not faster.

use std::fmt::Write;
use std::fs;

use engine::detect::{Caps, Change, State, sight};
use engine::event::Kind;
use engine::normalise::{Format, Limits, normalise};
use engine::rule::{RuleFile, RuleSet, Scratch};
use lab::chance::Chance;

/// Events that are made at a time, outside the measured time.
const CHUNK: usize = 50_000;

/// One line of the table.
struct Row {
    name: &'static str,
    /// Type and condition of the correlation.
    asks: &'static str,
    events: usize,
    /// The key and the value of an event, by its number.
    of: fn(usize) -> (usize, usize),
    /// Time between two events.
    step_us: u64,
    /// One event of so many comes a minute late.
    late_one_in: Option<u64>,
    /// New alerts that must be found.
    alerts: usize,
}

const MILLION: usize = 1_000_000;

const ROWS: [Row; 7] = [
    // What the machine gives today: reading the events of the next row, and nothing else.
    Row { name: "parse-only", asks: "", events: 400_000, of: scattered, step_us: 700, late_one_in: None, alerts: 0 },
    Row {
        name: "event_count-1M-keys",
        asks: "type: event_count, rules: [signin], condition: {gte: 2}",
        events: 2 * MILLION,
        of: scattered,
        step_us: 700,
        late_one_in: None,
        alerts: MILLION,
    },
    Row {
        name: "value_count-1M-keys",
        asks: "type: value_count, rules: [signin], condition: {gte: 2, field: sourceIPAddress}",
        events: 2 * MILLION,
        of: scattered,
        step_us: 700,
        late_one_in: None,
        alerts: MILLION,
    },
    Row {
        name: "temporal-1M-keys",
        asks: "type: temporal, rules: [signin, key]",
        events: 2 * MILLION,
        of: scattered,
        step_us: 700,
        late_one_in: None,
        alerts: MILLION,
    },
    Row {
        name: "event_count-one-key",
        asks: "type: event_count, rules: [signin], condition: {gte: 10}",
        events: 60_000,
        of: |number| (0, number),
        step_us: 50_000,
        late_one_in: None,
        alerts: 1,
    },
    Row {
        name: "value_count-one-key",
        asks: "type: value_count, rules: [signin], condition: {gte: 10, field: sourceIPAddress}",
        events: 60_000,
        of: |number| (0, number),
        step_us: 50_000,
        late_one_in: None,
        alerts: 1,
    },
    Row {
        name: "value_count-one-key-2%-late",
        asks: "type: value_count, rules: [signin], condition: {gte: 10, field: sourceIPAddress}",
        events: 60_000,
        of: |number| (0, number),
        step_us: 50_000,
        late_one_in: Some(50),
        alerts: 1,
    },
];

/// Each key twice, a million events apart, in no order that memory likes.
fn scattered(number: usize) -> (usize, usize) {
    (number % MILLION * 611_953 % MILLION, number)
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    say("row                           events   events/CPU-s   RSS MB  bytes/key     alerts");
    for row in ROWS.iter().filter(|row| wanted.is_empty() || wanted.iter().any(|name| row.name.contains(name))) {
        // A process of its own: what one row leaves in the allocator would pass for thrift of the next.
        if std::env::var_os("WINDOWS_ROW").is_none() {
            let own = std::env::current_exe().expect("we run");
            let status = std::process::Command::new(own).arg(row.name).env("WINDOWS_ROW", "1").status();
            assert!(status.is_ok_and(|status| status.success()), "{} failed", row.name);
        } else if wanted == [row.name] {
            measure(row);
        }
    }
}

fn measure(row: &Row) {
    let asks = if row.asks.is_empty() { ROWS[1].asks } else { row.asks };
    let Some(rules) = rules(asks) else {
        return say(&format!("{:<27} not supported yet", row.name));
    };
    let (mut state, mut scratch) = (State::new(Caps { keys_max: 2 * MILLION, ..Caps::default() }), Scratch::default());
    let (mut events, mut rejects, mut changes) = (Vec::new(), Vec::new(), Vec::<Change>::new());
    let (mut text, mut ends) = (String::new(), Vec::new());
    let (mut alerts, mut spent) = (0, 0.0);
    make(row, 0..CHUNK.min(row.events), &mut text, &mut ends);
    let before = memory();
    let mut start = 0;
    while start < row.events {
        let end = (start + CHUNK).min(row.events);
        make(row, start..end, &mut text, &mut ends);
        let began = user_seconds();
        let mut from = 0;
        for (place, &end) in ends.iter().enumerate() {
            let record = &text.as_bytes()[from..end];
            from = end;
            let position = (start + place).to_string();
            let format = Format::Known(Kind::Json);
            normalise(format, record, &position, &Limits::default(), &mut events, &mut rejects);
            for event in events.drain(..).filter(|_| !row.asks.is_empty()) {
                if let Some(sighting) = sight(&rules, &event, &mut scratch) {
                    state.apply(&rules, &sighting, &mut changes);
                }
            }
            alerts += changes.drain(..).filter(|change| change.tell && change.revision == 1).count();
        }
        spent += user_seconds() - began;
        start = end;
    }
    let grown = memory().saturating_sub(before);
    say(&format!(
        "{:<27} {:>8} {:>14.0} {:>8.1} {:>10.0} {:>10}",
        row.name,
        row.events,
        row.events as f64 / spent,
        grown as f64 / 1e6,
        grown as f64 / state.keys().max(1) as f64,
        alerts
    ));
    assert!(rejects.is_empty() && alerts == row.alerts, "{}: {alerts} of {} alerts", row.name, row.alerts);
}

fn rules(asks: &str) -> Option<RuleSet> {
    let text = format!(
        "
title: Sign-in
name: signin
id: 11111111-1111-4111-8111-111111111111
detection: {{selection: {{eventName: ConsoleLogin}}, condition: selection}}
logsource: {{}}
level: low
---
title: Key made
name: key
id: 22222222-2222-4222-8222-222222222222
detection: {{selection: {{eventName: CreateAccessKey}}, condition: selection}}
logsource: {{}}
level: low
---
title: Counted
id: 33333333-3333-4333-8333-333333333333
correlation: {{group-by: [userIdentity.arn], timespan: 1h, {asks}}}
level: medium
"
    );
    let (rules, problems) = RuleSet::compile(&[RuleFile { path: "windows.yml".to_owned(), text }]);
    problems.iter().for_each(|problem| say(&problem.to_string()));
    problems.is_empty().then_some(rules)
}

/// Events of about 420 bytes.
fn make(row: &Row, numbers: std::ops::Range<usize>, text: &mut String, ends: &mut Vec<usize>) {
    text.clear();
    ends.clear();
    let mut chance = Chance::new(numbers.start as u64);
    for number in numbers {
        let (key, value) = (row.of)(number);
        let late = row.late_one_in.is_some_and(|one_in| chance.below(one_in) == 0 && number > 2_000);
        let micros = row.step_us * number as u64 + 1_763_640_000_000_000 - if late { 60_000_000 } else { 0 };
        let time = engine::time::Timestamp::from_micros(micros.cast_signed());
        let name = if row.asks.contains("temporal") && number >= MILLION { "CreateAccessKey" } else { "ConsoleLogin" };
        let id = (chance.number(), chance.number());
        write!(
            text,
            r#"{{"eventVersion":"1.08","eventID":"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}","eventTime":"{time}","eventName":"{name}","eventSource":"signin.amazonaws.com","awsRegion":"eu-west-1","sourceIPAddress":"10.{}.{}.{}","userAgent":"aws-cli/2.15.30 Python/3.11.8 Linux/5.10 exe/x86_64","recipientAccountId":"111122223333","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/user-{key:07}"}},"responseElements":{{"ConsoleLogin":"Success"}}}}"#,
            id.0 >> 32,
            id.0 & 0xffff,
            id.0 >> 16 & 0xfff,
            id.1 >> 48 & 0xfff,
            id.1 & 0xffff_ffff_ffff,
            value >> 16 & 255,
            value >> 8 & 255,
            value & 255,
        )
        .expect("a string takes all");
        ends.push(text.len());
    }
}

/// User CPU time of this thread.
fn user_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("Linux says what a thread has used");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok()).expect("the 14th field");
    ticks / 100.0
}

/// Resident bytes.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says what a process has");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is in every status");
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
    kilobytes.expect("a number") * 1024
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn say(line: &str) {
    println!("{line}");
}
