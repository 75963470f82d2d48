//! Whether a text holds nothing that could be a secret: nearly all names, addresses and actions do not.
//!
//! The same few thousand of them come with event after event, so each thread remembers those that it looked at last, whole:
//! what is remembered is compared and not only hashed, so nobody can make a secret pass for a name. It changes no answer.

use std::cell::RefCell;

use super::{LABEL_CHARS_MAX, LOOK};

/// Texts that are remembered by a thread: half a megabyte at most, mostly a tenth of that.
const REMEMBERED: usize = 1 << 10;

thread_local! {
    static RECENT: RefCell<Vec<Box<str>>> = RefCell::new(vec![Box::from(""); REMEMBERED]);
}

/// Whether nothing in it is to be taken out. Cost: a comparison for a text that came of late, else one look for the words
/// that secrets leave.
pub(crate) fn is_plain(text: &str) -> bool {
    // Ids and numbers of accounts: no word can be written with these.
    if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')) {
        return true;
    }
    // Beyond ASCII a letter may have more than two cases.
    if !text.is_ascii() {
        return false;
    }
    if text.len() > LABEL_CHARS_MAX {
        return has_no_look(text);
    }
    RECENT.with_borrow_mut(|recent| {
        let known = &mut recent[place(text.as_bytes())];
        if **known == *text {
            return true;
        }
        let is_plain = has_no_look(text);
        if is_plain {
            *known = text.into();
        }
        is_plain
    })
}

fn has_no_look(text: &str) -> bool {
    LOOK.find(text.to_ascii_lowercase()).is_none()
}

/// Where a text would stand: by its length and both of its ends, where names that differ do so.
fn place(text: &[u8]) -> usize {
    let end =
        |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let (head, tail) = (&text[..text.len().min(8)], &text[text.len().saturating_sub(24)..]);
    let mixed = (end(head) ^ end(tail).rotate_left(23) ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - REMEMBERED.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_came_of_late_changes_no_answer(
            texts in proptest::collection::vec("(arn:aws:iam::[0-9]{12}:user/[a-z]{3}|password=[a-z]{4}|ghp_[A-Za-z0-9]{36}|[a-z]{0,3})", 1..60),
        ) {
            for text in texts.iter().chain(&texts) {
                let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')) || has_no_look(text);
                prop_assert_eq!(is_plain(text), plain, "{}", text);
            }
        }
    }
}
