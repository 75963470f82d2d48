//! Where in a rule's text something stands, and what is wrong there.

use super::{Problem, Weight};

/// A line of a file and a column in it, both from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
    /// So many characters of the text that begins there stand before what is meant, blanks and line breaks aside:
    /// those are other in the file than in the text.
    behind: u32,
    /// What is meant is the end of the last of these characters.
    at_end: bool,
}

/// Something wrong in one document.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    place: Option<Place>,
    message: String,
    weight: Weight,
    lint: Option<&'static str>,
}

/// One YAML document of a rule file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'d> {
    pub(super) path: &'d str,
    /// The line of the file that it starts on, counted from 1.
    pub(super) first_line: usize,
    pub(super) text: &'d str,
}

impl Place {
    #[cfg(test)]
    pub(super) const START: Self = Self::new(1, 1);

    pub(super) const fn new(line: u32, column: u32) -> Self {
        Self { line, column, behind: 0, at_end: false }
    }

    /// So many characters into the text that begins here, not counting blanks and line breaks.
    pub(super) fn behind(self, characters: usize) -> Self {
        Self { behind: u32::try_from(characters).unwrap_or(u32::MAX), ..self }
    }

    /// The end of the text that begins here and has so many characters.
    pub(super) fn past(self, characters: usize) -> Self {
        Self { at_end: characters > 0, ..self.behind(characters.saturating_sub(1)) }
    }
}

impl Fault {
    /// The rule is left out.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), weight: Weight::Error, lint: None }
    }

    /// The rule stands.
    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(message) }
    }

    /// The rule stands; a rule may allow itself what the lint of this name finds.
    pub(super) fn lint(name: &'static str, message: impl Into<String>) -> Self {
        Self { lint: Some(name), ..Self::warning(message) }
    }

    /// The fault with its place, unless it has a nearer one already.
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// What silences it.
    pub(super) fn name(&self) -> Option<&'static str> {
        self.lint
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

    /// The fault as people read it: in the file, not in the document.
    pub(super) fn problem(&self, fault: Fault) -> Problem {
        let (line, column) = fault.place.map_or((self.first_line, 1), |place| self.find(place));
        Problem {
            path: self.path.to_owned(),
            line,
            column,
            message: fault.message,
            weight: fault.weight,
            lint: fault.lint,
            rule: None,
        }
    }

    /// The line and column in the file.
    fn find(&self, place: Place) -> (usize, usize) {
        let start = (place.line as usize, place.column as usize);
        let Some(skipped) = start.0.checked_sub(self.first_line).filter(|_| place.behind > 0 || place.at_end) else {
            return start;
        };
        let mut lines = self.text.split('\n').skip(skipped).zip(start.0..);
        let (first, _) = lines.next().unwrap_or_default();
        let mut left = place.behind;
        let rest: Vec<(usize, char)> = (1..).zip(first.chars()).skip(start.1 - 1).collect();
        // The text of a block begins in the next line, one in quotes behind the quote.
        let first = match rest.first() {
            Some((_, '|' | '>')) => &[],
            Some((_, '\'' | '"')) => &rest[1..],
            Some(_) | None => &rest[..],
        };
        let first = first.iter().map(|(column, char)| (start.0, *column, *char));
        let others =
            lines.flat_map(|(text, line)| (1..).zip(text.chars()).map(move |(column, char)| (line, column, char)));
        for (line, column, _) in first.chain(others).filter(|(.., char)| !char.is_whitespace()) {
            if left == 0 {
                return (line, column + usize::from(place.at_end));
            }
            left -= 1;
        }
        start
    }

    fn is_blank(&self) -> bool {
        let blank = |line: &str| line.is_empty() || line.starts_with(['#', '%']) || line == "...";
        // Behind the mark of a document it may begin in the same line.
        let line = |line: &'d str| line.strip_prefix("---").unwrap_or(line).trim();
        self.text.lines().map(line).all(blank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_where_a_line_says_so() {
        let text = "# head\n---\na: 1\n--- # next\nb: |\n  ---\n---\n\n---\nc: 1";
        let found: Vec<_> = Document::split("a.yml", text).iter().map(|d| (d.first_line, d.text)).collect();
        assert_eq!(found, [(2, "---\na: 1\n"), (4, "--- # next\nb: |\n  ---\n"), (9, "---\nc: 1")]);
    }

    #[test]
    fn the_nearest_place_of_a_fault_stands() {
        let document = Document { path: "a.yml", first_line: 10, text: "" };
        let near = Place::new(12, 5);
        let problem = document.problem(Fault::error("x").at(near).at(Place::START));
        assert_eq!((problem.line, problem.column), (12, 5));
    }
}
