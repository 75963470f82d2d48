//! Where in a rule's text something stands, and what is wrong there.

use super::{Problem, Weight};

/// A line and a column, both from 1, within one document. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
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
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// So many characters further along the line.
    pub(super) fn along(self, characters: usize) -> Self {
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        Self { column: self.column.saturating_add(characters), ..self }
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
        let Place { line, column } = fault.place.unwrap_or(Place::START);
        Problem {
            path: self.path.to_owned(),
            line: self.first_line + line as usize - 1,
            column: column as usize,
            message: fault.message,
            weight: fault.weight,
            lint: fault.lint,
            rule: None,
        }
    }

    fn is_blank(&self) -> bool {
        let directive = |line: &str| ["#", "%", "---", "..."].iter().any(|mark| line.starts_with(mark));
        self.text.lines().all(|line| line.trim().is_empty() || directive(line.trim_start()))
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
        let near = Place { line: 3, column: 5 };
        let problem = document.problem(Fault::error("x").at(near).at(Place::START));
        assert_eq!((problem.line, problem.column), (12, 5));
    }
}
