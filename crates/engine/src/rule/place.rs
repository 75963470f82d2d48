//! Where in a rule's text something is wrong.
//!
//! The parser keeps no positions, so a fault names the keys that lead to it and the text is searched for
//! them: the right line for rules written one key a line, a line above it at worst.

use super::{Problem, Weight};

/// Something wrong in one document.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Keys from the top of the document to the place.
    path: Vec<String>,
    message: String,
    weight: Weight,
}

/// One YAML document of a rule file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'d> {
    pub(super) path: &'d str,
    /// The line of the file that it starts on, counted from 1.
    pub(super) first_line: usize,
    pub(super) text: &'d str,
}

impl Fault {
    /// The rule is left out.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into(), weight: Weight::Error }
    }

    /// The rule stands.
    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(message) }
    }

    /// The fault seen from one key further out.
    pub(super) fn under(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }
}

impl<'d> Document<'d> {
    /// The documents of a file. Each is parsed alone so that a broken one leaves its neighbours whole.
    pub(super) fn split(path: &'d str, text: &'d str) -> Vec<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut documents = Vec::new();
        let (mut start, mut first_line, mut offset) = (0, 1, 0);
        for (line, number) in text.split_inclusive('\n').zip(1..) {
            let marker =
                line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
            if marker && offset > start {
                documents.push(Self { path, first_line, text: &text[start..offset] });
                (start, first_line) = (offset, number);
            }
            offset += line.len();
        }
        documents.push(Self { path, first_line, text: &text[start..] });
        documents.retain(|document| !document.is_blank());
        documents
    }

    pub(super) fn problem(&self, fault: Fault) -> Problem {
        let (line, column) = self.find(&fault.path);
        self.problem_at(line, column, fault.message, fault.weight)
    }

    /// `line` counts from 1 within the document.
    pub(super) fn problem_at(&self, line: usize, column: usize, message: String, weight: Weight) -> Problem {
        Problem { path: self.path.to_owned(), line: self.first_line + line - 1, column, message, weight }
    }

    fn is_blank(&self) -> bool {
        let directive = |line: &str| ["#", "%", "---", "..."].iter().any(|mark| line.starts_with(mark));
        self.text.lines().all(|line| line.trim().is_empty() || directive(line.trim_start()))
    }

    /// Line and column, from 1, of the deepest of these keys that can be found.
    fn find(&self, path: &[String]) -> (usize, usize) {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut place = (0, 0);
        for (depth, key) in path.iter().enumerate() {
            let bare = key.split('|').next().unwrap_or(key);
            let after = |line: usize| if line == place.0 { place.1 } else { 0 };
            let search = |matches: &dyn Fn(&str, usize) -> bool| {
                lines.iter().enumerate().skip(place.0).find_map(|(number, line)| {
                    let from = after(number);
                    let found = line.char_indices().find(|&(column, _)| column >= from && matches(line, column));
                    found.map(|(column, _)| (number, column))
                })
            };
            let top = |line: &str, column: usize| (depth > 0 || column == 0) && is_key(line, column, key);
            let near = |line: &str, column: usize| is_key(line, column, bare);
            match search(&top).or_else(|| search(&near)) {
                Some(found) => place = found,
                None => break,
            }
        }
        (place.0 + 1, lines.get(place.0).map_or(0, |line| line[..place.1].chars().count()) + 1)
    }
}

/// Whether a mapping key starts at this byte of the line: a whole name, perhaps quoted, perhaps with
/// modifiers, and a colon.
fn is_key(line: &str, column: usize, key: &str) -> bool {
    let before = line[..column].chars().next_back();
    if !before.is_none_or(|before| before.is_whitespace() || matches!(before, '{' | ',' | '\'' | '"')) {
        return false;
    }
    let Some(rest) = line[column..].strip_prefix(key) else { return false };
    let rest = rest.trim_start_matches(['\'', '"']);
    rest.starts_with(':') || rest.starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, path: &[&str]) -> (usize, usize) {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        Document { path: "a.yml", first_line: 1, text }.find(&path)
    }

    #[test]
    fn a_key_is_found_under_its_parents() {
        let text = "title: condition\nlevel: high\ndetection:\n  one:\n    a|re: x\n  two: {b: 1, 'a|cased': y}\n  condition: one\n";
        for (path, found, reason) in [
            (&["detection", "one", "a|re"][..], (5, 5), "block style"),
            (&["detection", "two", "a|cased"], (6, 16), "flow style, quoted"),
            (&["detection", "condition"], (7, 3), "not the word in the title"),
            (&["detection", "one", "a|utf16le"], (5, 5), "a modifier that the parser renamed"),
            (&["detection", "gone"], (3, 1), "the parent of what is not there"),
            (&[], (1, 1), "nothing known"),
        ] {
            assert_eq!(place(text, path), found, "{reason}");
        }
    }

    #[test]
    fn documents_are_split_where_a_line_says_so() {
        let text = "# head\n---\na: 1\n--- # next\nb: |\n  ---\n---\n\n---\nc: 1";
        let found: Vec<_> = Document::split("a.yml", text).iter().map(|d| (d.first_line, d.text)).collect();
        assert_eq!(found, [(2, "---\na: 1\n"), (4, "--- # next\nb: |\n  ---\n"), (9, "---\nc: 1")]);
    }
}
