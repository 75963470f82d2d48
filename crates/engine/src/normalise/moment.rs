//! Times as vendors write them: RFC 3339, or a number since 1970 in one of four units.

use sonic_rs::{JsonNumberTrait, JsonValueTrait, Number, Value};

use crate::time::Timestamp;

/// A time in any of the spellings, or nothing; one outside the years that events may have is nothing.
///
/// A text without a zone is UTC, as exports and log shippers tend to cut the `Z`. A number's size tells its
/// unit: seconds stay below 10^11 until the year 5138, milliseconds below 10^14, microseconds below 10^17.
pub(crate) fn read(value: &Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return from_text(text);
    }
    from_number(&value.as_number()?)
}

/// A number since 1970.
pub(crate) fn from_number(number: &Number) -> Option<Timestamp> {
    if let Some(whole) = number.as_i64() {
        return within(by_size(whole));
    }
    // Fractions are seconds in every log that has them.
    let seconds = number.as_f64().filter(|seconds| seconds.abs() < 1e11)?;
    #[expect(clippy::cast_possible_truncation, reason = "within 10^17, which i64 holds")]
    let micros = (seconds * 1e6).round() as i64;
    within(Timestamp::from_micros(micros))
}

/// RFC 3339, or the same without its zone, or with one as Ruby writes it: ` UTC`, ` +0200`.
pub(crate) fn from_text(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok()).or_else(|| zoned(text)).and_then(within)
}

fn zoned(text: &str) -> Option<Timestamp> {
    let (moment, zone) = text.rsplit_once(' ')?;
    match zone {
        "UTC" => format!("{moment}Z").parse().ok(),
        zone if zone.len() == 5 && zone.is_ascii() => format!("{moment}{}:{}", &zone[..3], &zone[3..]).parse().ok(),
        _ => None,
    }
}

/// The year 9999 in one zone is 10000 in another, which no RFC 3339 can say: such an alert could be stored and
/// never be read again.
fn within(time: Timestamp) -> Option<Timestamp> {
    (Timestamp::EARLIEST..=Timestamp::LATEST).contains(&time).then_some(time)
}

fn by_size(number: i64) -> Timestamp {
    match number.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_micros(number * 1_000_000),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millis(number),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_micros(number),
        _ => Timestamp::from_micros(number.div_euclid(1_000)),
    }
}
