//! Events that fill windows: many keys, or one key with many values.

use engine::time::{Span, Timestamp};

use crate::chance::Chance;

/// The time that a stream takes: less than half the window of the rules that count it.
const LENGTH: Span = Span::seconds(25 * 60);

/// Which stream is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// How many different callers (`userIdentity.arn`).
    pub keys: u64,
    /// How often each calls, each time from another address.
    pub times: u64,
    /// Of a hundred events, how many come a minute late.
    pub late_percent: u64,
    /// Equal seeds give equal streams.
    pub seed: u64,
}

/// CloudTrail records of 420 bytes over 25 minutes: every caller once, then every caller again, until all have
/// called as often as wanted.
pub fn keys(wanted: Keys, from: Timestamp) -> impl Iterator<Item = String> {
    let mut chance = Chance::new(wanted.seed);
    let total = wanted.keys * wanted.times;
    (0..total).map(move |number| {
        let since = i128::from(LENGTH.micros()) * i128::from(number) / i128::from(total.max(1));
        let mut time = from.plus(Span::from_micros(i64::try_from(since).unwrap_or(i64::MAX)));
        if chance.below(100) < wanted.late_percent {
            time = time.minus(Span::seconds(60));
        }
        let time = time.to_string();
        let time = time.split(['.', 'Z']).next().unwrap_or(&time);
        let key = number % wanted.keys;
        // Each number has an address of its own.
        let [_, a, b, c] = u32::try_from(number % (1 << 24)).unwrap_or(0).to_be_bytes();
        let (high, low) = (chance.number(), chance.number());
        format!(
            "{{\"eventVersion\":\"1.08\",\"userIdentity\":{{\"type\":\"IAMUser\",\
             \"arn\":\"arn:aws:iam::111122223333:user/caller-{key:07}\",\"accountId\":\"111122223333\"}},\
             \"eventTime\":\"{time}Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetObject\",\
             \"awsRegion\":\"eu-central-1\",\"sourceIPAddress\":\"10.{a}.{b}.{c}\",\"userAgent\":\"aws-cli/2.15\",\
             \"requestParameters\":{{\"bucketName\":\"b\"}},\"eventID\":\"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}\",\
             \"eventType\":\"AwsApiCall\"}}",
            high >> 32,
            high >> 16 & 0xffff,
            high >> 4 & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff,
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn made(late_percent: u64) -> Vec<Value> {
        let from = "2026-01-01T00:00:00Z".parse().unwrap();
        let wanted = Keys { keys: 500, times: 2, late_percent, seed: 1 };
        keys(wanted, from).map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    #[test]
    fn every_key_comes_as_often_as_wanted_within_the_length() {
        let mut times: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for event in made(0) {
            let key = event["userIdentity"]["arn"].to_string();
            times.entry(key).or_default().push(event["eventTime"].as_str().unwrap().parse().unwrap());
        }
        assert_eq!(times.len(), 500);
        assert!(times.values().all(|times| times.len() == 2 && times[1].since(times[0]) <= LENGTH));
    }

    #[test]
    fn a_record_is_of_the_size_that_peers_were_measured_with() {
        let event = keys(Keys { keys: 1, times: 1, late_percent: 0, seed: 1 }, Timestamp::default()).next().unwrap();
        assert!((410..=430).contains(&event.len()), "{}", event.len());
    }

    #[test]
    fn some_come_late_if_that_is_wanted() {
        let time = |event: &Value| event["eventTime"].as_str().unwrap().parse::<Timestamp>().unwrap();
        let late = made(2).windows(2).filter(|pair| time(&pair[1]) < time(&pair[0])).count();
        assert!((5..40).contains(&late), "{late}");
        assert!(made(0).is_sorted_by_key(time));
    }
}
