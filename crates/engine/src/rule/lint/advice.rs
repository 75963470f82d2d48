//! What a lint tells people to write, as YAML that can be copied.

/// A text in single quotes.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The key of a line: bare where YAML lets it be.
pub(super) fn key(key: &str) -> String {
    let bare = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '|' | '/');
    if key.starts_with(|first: char| first.is_alphanumeric() || first == '_') && key.chars().all(bare) {
        key.to_owned()
    } else {
        text(key)
    }
}

/// A value that means this text: what would be a wildcard is escaped.
pub(super) fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '*' | '?' => pattern.extend(['\\', char]),
            '\\' if rest.peek().is_some_and(|next| matches!(next, '\\' | '*' | '?')) => pattern.push_str(r"\\"),
            char => pattern.push(char),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rule::wildcard;
    use crate::rule::yaml;

    proptest! {
        #[test]
        fn what_is_advised_reads_as_what_was_meant(word in r#"[ -~ä]{1,12}"#) {
            let line = format!("{}: {}", key(&word), text(&pattern(&word)));
            let root = yaml::read(&line, 1).unwrap().unwrap();
            let entry = root.get(&word).unwrap();
            let pieces = wildcard::read(entry.value.text().unwrap());
            prop_assert_eq!(wildcard::plain(&pieces), Some(word));
        }
    }
}
