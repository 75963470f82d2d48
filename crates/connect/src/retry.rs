//! One classification of HTTP answers for every sink, and how long to wait.
//!
//! Pure: the moment and the chance are handed in, so that a test moves time by hand.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use serde::Deserialize;

use crate::sink::{Answer, Now, Reply};

/// The longest wait that a receiver may ask for. Beyond it a wrong header would silence a sink.
pub const AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How waits grow from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The longest wait after the first attempt, such as `"1s"`; it doubles with each further one.
    #[serde(with = "humantime_serde", default = "base")]
    pub base: Duration,
    /// Where the doubling ends, such as `"10m"`.
    #[serde(with = "humantime_serde", default = "cap")]
    pub cap: Duration,
}

fn base() -> Duration {
    Duration::from_secs(1)
}

fn cap() -> Duration {
    Duration::from_secs(600)
}

impl Default for Policy {
    fn default() -> Self {
        Self { base: base(), cap: cap() }
    }
}

/// How long to wait after attempt number `attempt`, which counts from 1: `chance` (0 to 1) of the longest
/// wait at that point. All of the wait is left to chance, so that sinks that failed together do not
/// [come back together](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
#[must_use]
pub fn backoff(attempt: u32, chance: f64, policy: Policy) -> Duration {
    debug_assert!((0.0..=1.0).contains(&chance), "chance {chance} is no probability");
    let chance = if (0.0..=1.0).contains(&chance) { chance } else { 1.0 };
    let doublings = attempt.saturating_sub(1).min(31);
    policy.base.saturating_mul(1 << doublings).min(policy.cap).mul_f64(chance)
}

/// What an HTTP answer means, from its status alone. A sink whose body says more looks there first.
/// `retry_after` is the header of that name, `head` what of the body may be shown.
#[must_use]
pub fn classify(status: u16, retry_after: Option<&str>, head: &str, now: Now) -> Answer {
    let reply = Reply { status: Some(status), text: head.to_owned() };
    match status {
        200..=299 => Answer::Delivered(reply),
        // A redirect is never followed: it could point a signed alert at somebody else, or at the inside.
        300..=399 => Answer::Refused(reply),
        401 | 403 | 404 => Answer::Misconfigured(reply),
        408 | 425 | 429 | 500..=599 => {
            Answer::Retry { after: retry_after.and_then(|header| parse_retry_after(header, now)), reply }
        }
        410 => Answer::Gone(reply),
        _ => Answer::Refused(reply),
    }
}

/// What a failure to get any answer means: the outcome is unknown, so the same message is sent again.
#[must_use]
pub fn unanswered(failure: String) -> Answer {
    Answer::Retry { after: None, reply: Reply { status: None, text: failure } }
}

/// Whole seconds or an HTTP-date, at most [`AFTER_MAX`]; a date that has passed is no wait, garbage nothing.
fn parse_retry_after(header: &str, now: Now) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a number, and far above the cap.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(AFTER_MAX));
    }
    let wait = parse_http_date(header, now)?.and_utc().timestamp_micros().saturating_sub(now.micros());
    Some(Duration::from_micros(u64::try_from(wait).unwrap_or(0)).min(AFTER_MAX))
}

/// The three forms of [RFC 9110 §5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7), of which only
/// the first may still be sent.
fn parse_http_date(text: &str, now: Now) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%a %b %e %H:%M:%S %Y"))
        .ok()
        .or_else(|| parse_two_digit_year(text, now))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`. The weekday is not looked at: which one it should be depends on the
/// century, and that is guessed, as the RFC says: a year more than 50 years ahead is in the past.
fn parse_two_digit_year(text: &str, now: Now) -> Option<NaiveDateTime> {
    let (_weekday, rest) = text.split_once(", ")?;
    let (date, time) = rest.strip_suffix(" GMT")?.split_once(' ')?;
    let (day_and_month, year) = date.rsplit_once('-')?;
    if year.len() != 2 {
        return None;
    }
    let this_year = DateTime::from_timestamp_micros(now.micros())?.year();
    let mut year = this_year - this_year.rem_euclid(100) + year.parse::<i32>().ok()?;
    if year > this_year + 50 {
        year -= 100;
    }
    let date = NaiveDate::parse_from_str(&format!("{day_and_month}-{year}"), "%d-%b-%Y").ok()?;
    Some(date.and_time(NaiveTime::parse_from_str(time, "%H:%M:%S").ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        "2026-11-20T09:14:03Z".parse().unwrap()
    }

    /// The outcome in one word.
    fn word(status: u16) -> &'static str {
        match classify(status, None, "", now()) {
            Answer::Delivered(_) => "delivered",
            Answer::Retry { .. } => "retry",
            Answer::Refused(_) => "refused",
            Answer::Misconfigured(_) => "misconfigured",
            Answer::Gone(_) => "gone",
        }
    }

    #[test]
    fn each_status_has_one_meaning() {
        let table: [(&[u16], &str); 5] = [
            (&[200, 201, 202, 204, 299], "delivered"),
            (&[100, 101, 301, 302, 304, 307, 308, 400, 402, 405, 409, 413, 415, 421, 422, 451, 600, 999], "refused"),
            (&[401, 403, 404], "misconfigured"),
            (&[408, 425, 429, 500, 501, 502, 503, 504, 599], "retry"),
            (&[410], "gone"),
        ];
        for (statuses, meaning) in table {
            for status in statuses {
                assert_eq!(word(*status), meaning, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_one_of_three_dates_and_never_above_an_hour() {
        let hour = Some(3_600_000);
        for (header, millis, reason) in [
            ("3", Some(3_000), "seconds"),
            (" 3 ", Some(3_000), "blanks around"),
            ("0", Some(0), "at once"),
            ("3600", hour, "at the cap"),
            ("3601", hour, "above the cap"),
            ("99999999999999999999999999", hour, "more than fits"),
            ("Fri, 20 Nov 2026 09:14:33 GMT", Some(30_000), "IMF-fixdate"),
            ("Friday, 20-Nov-26 09:14:33 GMT", Some(30_000), "RFC 850"),
            ("Fri Nov 20 09:14:33 2026", Some(30_000), "asctime"),
            ("Sun Nov  6 08:49:37 1994", Some(0), "asctime with a blank before the day, long ago"),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(0), "two digits that mean the century before"),
            ("Tuesday, 20-Nov-75 09:14:33 GMT", hour, "two digits, 49 years ahead"),
            ("Fri, 20 Nov 2026 09:14:02 GMT", Some(0), "just passed"),
            ("Fri, 20 Nov 2099 09:14:33 GMT", hour, "a far date"),
            ("", None, "empty"),
            ("-3", None, "negative"),
            ("+3", None, "no digit"),
            ("3.5", None, "no whole number"),
            ("3s", None, "a unit"),
            ("soon", None, "a word"),
            ("Fri, 32 Nov 2026 09:14:33 GMT", None, "no such day"),
            ("Fri, 20 Nov 2026 09:14:33 +0100", None, "not GMT"),
            ("Friday, 20-Nov-٢٦ 09:14:33 GMT", None, "other digits"),
            ("2026-11-20T09:14:33Z", None, "no HTTP-date"),
        ] {
            assert_eq!(parse_retry_after(header, now()), millis.map(Duration::from_millis), "{header:?}: {reason}");
        }
    }

    #[test]
    fn only_a_retry_carries_the_wait() {
        let asked = classify(503, Some("7"), "busy", now());
        let reply = Reply { status: Some(503), text: "busy".to_owned() };
        assert_eq!(asked, Answer::Retry { after: Some(Duration::from_secs(7)), reply });
        assert!(matches!(classify(400, Some("7"), "", now()), Answer::Refused(_)));
    }

    #[test]
    fn waits_double_up_to_the_cap_and_chance_takes_a_share() {
        let seconds = |attempt, chance| backoff(attempt, chance, Policy::default()).as_secs_f64();
        let longest: Vec<f64> = (1..=12).map(|attempt| seconds(attempt, 1.0)).collect();
        assert_eq!(longest, [1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 600., 600.]);
        assert_eq!(seconds(4, 0.25), 2.);
        assert_eq!(seconds(4, 0.), 0.);
        assert_eq!(seconds(u32::MAX, 1.0), 600.);
        assert_eq!(seconds(0, 1.0), 1.);
    }

    #[test]
    fn a_policy_reads_lengths_of_time_and_refuses_unknown_keys() {
        let policy: Policy = serde_json::from_str(r#"{"cap":"2m"}"#).unwrap();
        assert_eq!(policy, Policy { base: Duration::from_secs(1), cap: Duration::from_secs(120) });
        assert!(serde_json::from_str::<Policy>(r#"{"max":"2m"}"#).is_err());
    }
}
