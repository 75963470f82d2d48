//! Wildcards and their escapes in a rule's value.

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// `?`
    One,
    /// `*`
    Many,
}

/// The parts of a value: a backslash takes the meaning from a wildcard or backslash after it and is itself
/// before anything else.
pub(super) fn read(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = value.chars().peekable();
    while let Some(next) = rest.next() {
        let wildcard = match next {
            '\\' => {
                text.push(rest.next_if(|after| matches!(after, '*' | '?' | '\\')).unwrap_or('\\'));
                continue;
            }
            '*' => Piece::Many,
            '?' => Piece::One,
            other => {
                text.push(other);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(wildcard);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// The text that these are, if there is no wildcard among them.
pub(super) fn plain(pieces: &[Piece]) -> Option<String> {
    match pieces {
        [] => Some(String::new()),
        [Piece::Text(text)] => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_whose_wildcards_are_escaped_reads_as_itself(text in r"[a-z*?\\ä]{0,12}") {
            let escaped: String =
                text.chars().flat_map(|char| matches!(char, '*' | '?' | '\\').then_some('\\').into_iter().chain([char])).collect();
            prop_assert_eq!(plain(&read(&escaped)), Some(text));
        }
    }

    #[test]
    fn escapes_are_read_as_the_specification_lists_them() {
        let text = |text: &str| Piece::Text(text.to_owned());
        for (value, pieces, reason) in [
            (r"C:\Win", vec![text(r"C:\Win")], "a plain backslash, single"),
            (r"C:\\Win", vec![text(r"C:\Win")], "or double"),
            (r"a\*", vec![text("a*")], "an escaped star"),
            (r"a\?b", vec![text("a?b")], "an escaped question mark"),
            (r"a\\*", vec![text(r"a\"), Piece::Many], "a backslash and a wildcard"),
            (r"a\\\*", vec![text(r"a\*")], "a backslash and a star"),
            (r"a\\\", vec![text(r"a\\")], "three are two"),
            (r"a\\\\", vec![text(r"a\\")], "four are two"),
            ("?*", vec![Piece::One, Piece::Many], "wildcards alone"),
            ("", vec![], "nothing"),
        ] {
            assert_eq!(read(value), pieces, "{value}: {reason}");
        }
    }
}
