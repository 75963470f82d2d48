//! Regular expressions, in time linear in the text.

use std::hash::{Hash, Hasher};

use regex::{Regex, RegexBuilder};

use super::effort;
use super::{dialect, literal};

/// A regular expression, found anywhere in a value in time linear in its length.
#[derive(Debug)]
pub(super) struct Pattern {
    source: String,
    flags: Flags,
    /// What it cannot do without, if that tells anything.
    required: Option<Vec<Box<str>>>,
    compiled: Regex,
}

/// What `|re` may be followed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_matches_newline: bool,
}

/// Most memory of one compiled pattern. Large classes with large counts are what reaches it.
const BYTES_MAX: usize = 4 << 20;
impl Pattern {
    /// # Errors
    /// What its author can mend.
    pub(super) fn new(source: &str, flags: Flags) -> Result<Self, String> {
        let unreadable = |message: String| format!("regular expression cannot be read: {message}");
        let translated = dialect::translate(source, flags.multi_line).map_err(unreadable)?;
        let hir = regex_syntax::ParserBuilder::new()
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_matches_newline)
            .build()
            .parse(&translated)
            .map_err(|error| unreadable(last_line(&error.to_string())))?;
        let too_big = || "regular expression needs too much memory; lower its counts `{n,m}`".to_owned();
        let compiled = RegexBuilder::new(&translated)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_matches_newline)
            .size_limit(BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => too_big(),
                other => unreadable(last_line(&other.to_string())),
            })?;
        if !effort::is_bounded(&hir).ok_or_else(too_big)? {
            let message = "regular expression takes too long over some texts: what a count `{n,m}` repeats can also \
                           begin anew at each character; lower the count, or let it repeat less";
            return Err(message.to_owned());
        }
        Ok(Self { source: source.to_owned(), flags, required: literal::required(&hir), compiled })
    }

    /// Whether it is found anywhere in the text.
    pub(super) fn finds(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// Folded texts one of which is in everything that it finds, letter case aside.
    pub(super) fn required(&self) -> Option<&[Box<str>]> {
        self.required.as_deref()
    }
}

/// What is wrong; the lines before draw the place.
fn last_line(message: &str) -> String {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.flags) == (&other.source, other.flags)
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.source, self.flags).hash(state);
    }
}
