//! Numbers of events: added, compared and printed exactly, so that no order of arrival shows in a sum.

use std::fmt::Write;

/// Levels of sums, and what they are compared with, are whole numbers of these: nine decimals are exact, more are
/// cut.
pub const BILLIONTHS: i128 = 1_000_000_000;

/// Digits that a packed number keeps: those of 2^55.
const MANTISSA_MAX: u64 = 1 << 55;

/// A decimal number in eight bytes: 56 bits of digits and 8 of exponent. Sixteen digits are exact.
pub(super) fn packed(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?.clamp(-1_000, 1_000)),
        None => (digits, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (mut mantissa, mut exponent) = (0_u64, exponent);
    for (place, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let fits = mantissa < MANTISSA_MAX / 10 - 1;
        if fits {
            mantissa = mantissa * 10 + u64::from(digit - b'0');
        }
        exponent += i32::from(!fits) - i32::from(place >= whole.len());
    }
    while mantissa.is_multiple_of(10) && mantissa > 0 {
        mantissa /= 10;
        exponent += 1;
    }
    // What is smaller than can be written is nothing; what is larger is cut to the largest when it is used.
    let exponent = if mantissa == 0 { 0 } else { i8::try_from(exponent.clamp(-127, 127)).ok()? };
    let mantissa = if negative { mantissa.wrapping_neg() } else { mantissa };
    Some(mantissa << 8 | u64::from(exponent.cast_unsigned()))
}

/// The number in [`BILLIONTHS`]; beyond 10^30 it stays there, so that sums do not overflow.
pub(super) fn unpacked(mark: u64) -> i128 {
    const MOST: i128 = 10_i128.pow(30);
    let exponent = i32::from((mark as u8).cast_signed()) + 9;
    let mantissa = i128::from(mark.cast_signed() >> 8);
    let scale = |power: i32| 10_i128.pow(u32::try_from(power.clamp(0, 38)).unwrap_or(0));
    let number = if exponent < 0 { mantissa / scale(-exponent) } else { mantissa.saturating_mul(scale(exponent)) };
    number.clamp(-MOST, MOST)
}

/// `12.5`: billionths as people write them, without zeros at the end.
pub(crate) fn text(billionths: i128) -> String {
    let mut text = String::new();
    let magnitude = billionths.unsigned_abs();
    let (whole, rest) = (magnitude / BILLIONTHS.unsigned_abs(), magnitude % BILLIONTHS.unsigned_abs());
    let sign = if billionths < 0 { "-" } else { "" };
    write!(text, "{sign}{whole}.{rest:09}").expect("a string takes all");
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_and_printed_as_people_write_them() {
        for (written, printed) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("12.50", "12.5"),
            ("+7", "7"),
            ("-3.000000001", "-3.000000001"),
            ("9007199254740993", "9007199254740993"),
            ("1e3", "1000"),
            ("1.5E-2", "0.015"),
            ("100000000000000000000", "100000000000000000000"),
            ("0.0000000001", "0"),
            ("1e400", "1000000000000000000000"),
        ] {
            assert_eq!(text(unpacked(packed(written).unwrap())), printed, "{written}");
        }
        for other in ["", "-", "x", "1x", ".5", "1e", "0x10", "NaN", "inf", "1_000"] {
            assert_eq!(packed(other), None, "{other}");
        }
    }
}
