//! Many records of few: a stream with the shape of its templates and the volume that a bench asks for.
//!
//! The templates are one organisation's stretch of time. The stream is as many organisations side by side
//! as it takes: each goes through the same stretch with ids, addresses, accounts and names of its own, so
//! bursts stay bursts, keys stay keys, and their number grows with the volume as it does in life.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::net::Ipv4Addr;

use engine::hash::Seed;
use engine::time::{Span, Timestamp};
use serde_json::Value;

/// Records are out of order by this much at most: organisations do not move in step.
const STAGGER: Span = Span::seconds(20);

/// What stands between the parts of a name, an ARN, an address list or a document inside a string.
const BETWEEN: &[char] = &['/', ':', '@', ',', ' ', '"', '\\'];

/// Which stream is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How many records.
    pub events: usize,
    /// Time of the first template.
    pub from: Timestamp,
    /// What the templates' own stretch of time is stretched or squeezed to.
    pub span: Span,
    /// Equal seeds give equal streams.
    pub seed: u64,
}

/// One template, read.
struct Template {
    time: Timestamp,
    record: Value,
}

/// CloudTrail records like `templates`, one JSON text each, about in the order of their times. A template
/// without a readable `eventTime` is left out. Without any template there is nothing to make a stream of.
///
/// Where `events` is no multiple of the templates, the last organisation's stretch ends early.
#[must_use]
pub fn stream(templates: &[String], wanted: &Wanted) -> Vec<String> {
    let mut templates: Vec<Template> = templates.iter().filter_map(|line| Template::read(line)).collect();
    templates.sort_by_key(|template| template.time);
    let (Some(first), Some(last)) = (templates.first(), templates.last()) else { return Vec::new() };
    let (begin, length) = (first.time, last.time.since(first.time));
    let names = names(templates.iter().map(|template| &template.record));

    let copies = wanted.events.div_ceil(templates.len());
    let mut records = Vec::with_capacity(wanted.events);
    let shortest = wanted.events - templates.len() * copies.saturating_sub(1);
    for (place, template) in templates.iter().enumerate() {
        let since = scale(template.time.since(begin), wanted.span, length);
        for copy in 0..copies {
            if copy + 1 == copies && place >= shortest {
                continue;
            }
            let world = World { copy, seed: Seed::new(wanted.seed, copy as u64), names: &names };
            let time = wanted.from.plus(since).plus(world.stagger());
            records.push(world.record(&template.record, time).to_string());
        }
    }
    records
}

impl Template {
    fn read(line: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(line).ok()?;
        let time = record.get("eventTime")?.as_str()?.parse().ok()?;
        Some(Self { time, record })
    }
}

fn scale(part: Span, to: Span, from: Span) -> Span {
    let scaled = i128::from(part.micros()) * i128::from(to.micros()) / i128::from(from.micros().max(1));
    Span::from_micros(i64::try_from(scaled).unwrap_or(i64::MAX))
}

/// What organisations call by names of their own, wherever it stands: people, roles, functions and machines.
const NAMED: [&str; 2] = ["userName", "Computer"];

/// Every such name in these records.
pub(super) fn names<'r>(records: impl Iterator<Item = &'r Value>) -> BTreeSet<String> {
    fn gather(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let named = NAMED.iter().filter_map(|name| members.get(*name)?.as_str());
                names.extend(named.map(str::to_owned));
                members.values().for_each(|member| gather(member, names));
            }
            Value::Array(items) => items.iter().for_each(|item| gather(item, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut names = BTreeSet::new();
    records.for_each(|record| gather(record, &mut names));
    names
}

/// One organisation: what it calls things.
pub(super) struct World<'a> {
    pub(super) copy: usize,
    pub(super) seed: Seed,
    pub(super) names: &'a BTreeSet<String>,
}

impl World<'_> {
    fn stagger(&self) -> Span {
        let most = u64::try_from(STAGGER.micros()).unwrap_or(1);
        Span::from_micros(i64::try_from(self.seed.hash_one("stagger") % most).unwrap_or(0))
    }

    fn record(&self, template: &Value, time: Timestamp) -> Value {
        let mut record = self.value(template);
        // Whole seconds, as CloudTrail writes them.
        let text = time.to_string();
        record["eventTime"] = Value::String(format!("{}Z", text.split('.').next().unwrap_or(&text)));
        record
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, member)| (name.clone(), self.value(member))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// A text, or a whole record as JSON: between the quotes of both stand the same words.
    pub(super) fn text(&self, text: &str) -> String {
        let parts = text.split_inclusive(BETWEEN).map(|part| {
            let word = part.trim_end_matches(BETWEEN);
            match self.word(word) {
                Some(ours) => ours + &part[word.len()..],
                None => part.to_owned(),
            }
        });
        parts.collect()
    }

    /// What this organisation says for a word; nothing for a word that all share. The same word is always
    /// said in the same way, so what belonged together still does.
    fn word(&self, word: &str) -> Option<String> {
        if self.names.contains(word) {
            return Some(format!("{word}-{}", self.copy));
        }
        let hash = self.seed.hash_one(word);
        if word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            // Never a zero in front: some vendors write accounts as numbers.
            return Some((100_000_000_000 + hash % 900_000_000_000).to_string());
        }
        if is_uuid(word) {
            let more = self.seed.hash_one(hash);
            let digits = format!("{hash:016x}{more:016x}");
            let cuts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            return Some(cuts.join("-"));
        }
        if ["AKIA", "ASIA", "AROA", "AIDA"].iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 16 {
            return Some(format!("{}{:016X}", &word[..4], hash));
        }
        let address: Ipv4Addr = word.parse().ok()?;
        // 198.18.0.0/15 is set aside for benchmarks (RFC 2544).
        let ours = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + u32::try_from(hash % (1 << 17)).unwrap_or(0);
        (!address.is_private()).then(|| Ipv4Addr::from(ours).to_string())
    }
}

fn is_uuid(word: &str) -> bool {
    let lengths = word.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: [&str; 2] = [
        r#"{"eventTime":"2026-11-18T01:00:00Z","eventID":"00000000-0000-0000-0000-00000000000a",
            "userIdentity":{"userName":"ana","arn":"arn:aws:iam::111122223333:user/ana","accessKeyId":"AKIAEXAMPLE000000001"},
            "sourceIPAddress":"192.0.2.7","eventName":"GetUser"}"#,
        r#"{"eventTime":"2026-11-18T03:00:00Z","eventID":"00000000-0000-0000-0000-00000000000b",
            "userIdentity":{"userName":"ana"},"sourceIPAddress":"10.0.0.1","eventName":"ListUsers"}"#,
    ];

    fn made(events: usize, seed: u64) -> Vec<Value> {
        let templates = TEMPLATES.map(str::to_owned);
        let from = "2026-01-01T00:00:00Z".parse().unwrap();
        let wanted = Wanted { events, from, span: Span::seconds(3_600), seed };
        stream(&templates, &wanted).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_stream_is_as_long_as_asked_and_every_event_has_its_own_id() {
        for events in [1, 2, 3, 7, 100] {
            let ids: BTreeSet<String> = made(events, 1).iter().map(|event| event["eventID"].to_string()).collect();
            assert_eq!(ids.len(), events);
        }
    }

    #[test]
    fn equal_seeds_give_equal_streams() {
        assert_eq!(made(9, 1), made(9, 1));
        assert_ne!(made(9, 1), made(9, 2));
    }

    #[test]
    fn what_belonged_together_still_does() {
        let made = made(2, 1);
        let ana = made[0]["userIdentity"]["userName"].as_str().unwrap();
        let arn = made[0]["userIdentity"]["arn"].as_str().unwrap();
        assert!(arn.ends_with(&format!(":user/{ana}")) && !arn.contains("111122223333"), "{arn}");
        assert_eq!(made[1]["userIdentity"]["userName"], ana);
        assert_eq!(made[0]["eventName"], "GetUser");
    }

    #[test]
    fn public_addresses_move_into_the_range_for_benchmarks_and_private_ones_stay() {
        let made = made(2, 1);
        assert!(made[0]["sourceIPAddress"].as_str().unwrap().starts_with("198.1"));
        assert_eq!(made[1]["sourceIPAddress"], "10.0.0.1");
    }

    #[test]
    fn times_are_squeezed_into_the_span() {
        let made = made(2, 1);
        let time = |event: &Value| event["eventTime"].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(time(&made[1]).since(time(&made[0])), Span::seconds(3_600));
    }

    #[test]
    fn without_templates_there_is_no_stream() {
        let wanted = Wanted { events: 5, from: Timestamp::default(), span: Span::seconds(1), seed: 1 };
        assert!(stream(&[], &wanted).is_empty());
    }
}
