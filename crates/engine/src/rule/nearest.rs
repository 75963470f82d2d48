//! The name that somebody meant.

use super::yaml::Node;

/// The candidate that differs least from `word`: by one slip in a short word, by two in a longer one, by none in
/// one of two letters.
/// A slip is a letter too many, too few, wrong, or swapped with the next. Letter case and `-` for `_` are no slip.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let slips_max = match word.chars().count() {
        // Any other short word would do.
        0..3 => 0,
        3..5 => 1,
        _ => 2,
    };
    let near = candidates.into_iter().map(|candidate| (slips(&word, &plain(candidate)), candidate));
    near.filter(|(slips, _)| *slips <= slips_max).min_by_key(|(slips, _)| *slips).map(|(_, candidate)| candidate)
}

/// `; did you mean ...?`, or nothing.
pub(super) fn hint<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// `; did you mean ... for ...?` if a key of this mapping looks like one of `keys`.
pub(super) fn hint_key(node: &Node<'_>, keys: &[&str]) -> String {
    let found = node.map().unwrap_or_default().iter().find_map(|entry| {
        nearest(&entry.key, keys.iter().copied()).map(|near| format!("; did you mean `{near}` by `{}`?", entry.key))
    });
    found.unwrap_or_default()
}

/// How many slips lie between two words; far too many if their lengths differ by more than two.
pub(crate) fn slips(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    // Rows of the table of distances between all beginnings: the one before last, the last, this.
    let (mut before, mut last) = (Vec::new(), (0..=right.len()).collect::<Vec<_>>());
    for (row, &from) in left.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, &to) in right.iter().enumerate() {
            let mut least = (last[column] + usize::from(from != to)).min(last[column + 1] + 1).min(this[column] + 1);
            if row > 0 && column > 0 && from == right[column - 1] && left[row - 1] == to {
                least = least.min(before[column - 1] + 1);
            }
            this.push(least);
        }
        before = std::mem::replace(&mut last, this);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_two_lead_to_the_name_that_was_meant() {
        let names = ["tests", "level", "logsource", "description", "date", "id"];
        for (word, expected) in [
            ("test", Some("tests")),
            ("Level", Some("level")),
            ("log_source", Some("logsource")),
            ("lveel", Some("level")),
            ("descripton", Some("description")),
            ("dedup", None),
            ("data", Some("date")),
            ("x", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }
}
