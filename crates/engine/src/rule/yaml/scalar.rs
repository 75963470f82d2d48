//! What a plain scalar is, by YAML 1.2's core schema.

use std::borrow::Cow;

use super::super::number::Number;
use super::Value;

/// A plain scalar with its type. What would not keep its value as a number, such as 60 digits or `.inf`, stays text.
pub(super) fn typed(text: Cow<'_, str>) -> Value<'_> {
    match text.as_bytes() {
        b"" | b"~" | b"null" | b"Null" | b"NULL" => Value::Null,
        b"true" | b"True" | b"TRUE" => Value::Bool(true),
        b"false" | b"False" | b"FALSE" => Value::Bool(false),
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => match number(&text) {
            Some(number) => Value::Number(number, text),
            None => Value::Text(text),
        },
        _ => Value::Text(text),
    }
}

fn number(text: &str) -> Option<Number> {
    let based = |digits: &str, radix| i128::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16).map(Number::Whole);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8).map(Number::Whole);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Number::Whole);
    }
    let decimal = |byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let begins = unsigned.trim_start_matches('.').starts_with(|first: char| first.is_ascii_digit());
    if !begins || !unsigned.bytes().all(decimal) {
        return None;
    }
    text.parse().ok().filter(|real: &f64| real.is_finite()).map(Number::Real)
}

/// A number in JSON; as its text where JSON's numbers end.
pub(super) fn json(number: Number, text: &str) -> serde_json::Value {
    let found = match number {
        Number::Whole(whole) => {
            i64::try_from(whole).map(Into::into).or_else(|_| u64::try_from(whole).map(serde_json::Number::from)).ok()
        }
        Number::Real(real) => serde_json::Number::from_f64(real),
    };
    found.map_or_else(|| text.into(), Into::into)
}
