//! UUIDs as text and as the 16 bytes that they stand for: most vendors' event ids.

/// A UUID as its vendors print it, in 16 bytes; nothing for any other text.
pub(super) fn packed(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut digits = [0; 32];
    let mut filled = 0;
    for (place, &byte) in text.iter().enumerate() {
        match byte {
            b'-' if matches!(place, 8 | 13 | 18 | 23) => continue,
            b'0'..=b'9' => digits[filled] = byte - b'0',
            b'a'..=b'f' => digits[filled] = byte - b'a' + 10,
            _ => return None,
        }
        filled += 1;
        if filled > 31 && place < 35 {
            return None;
        }
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

/// The text of such bytes.
pub(super) fn unpacked(bytes: &[u8]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut place = 0;
    for (number, byte) in bytes.iter().enumerate() {
        place += usize::from(matches!(number, 4 | 6 | 8 | 10));
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 15)];
        place += 2;
    }
    text
}
