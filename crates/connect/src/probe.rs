//! Trying a source before it is relied on: what works, and what is missing, by name.
//!
//! A probe reads and asks, and changes nothing: it joins no group, deletes no message, keeps no position.

use std::fmt;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was tried, such as `topic audit`.
    pub what: String,
    /// What was found, or what is missing and how to mend it.
    pub found: Result<String, String>,
}

impl Probe {
    /// It works; `how` says what was seen.
    pub fn good(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self { what: what.into(), found: Ok(how.into()) }
    }

    /// It does not; `why` says what is missing and how to mend it.
    pub fn bad(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), found: Err(why.into()) }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Ok(how) => write!(out, "{}: {how}", self.what),
            Err(why) => write!(out, "{}: FAILS: {why}", self.what),
        }
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Some libraries repeat their cause in their own words.
        let words = inner.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        cause = inner.source();
    }
    text
}
