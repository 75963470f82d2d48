//! What came of tests, for people and for machines.

use engine::rule::Explanation;
use serde::Serialize;

use super::super::{Outcome, print, say};
use crate::args::Report;

/// One test.
#[derive(Debug, Default, Serialize)]
pub(super) struct Case {
    /// The rule's file and title.
    pub(super) rule: String,
    pub(super) id: String,
    /// Which of its tests.
    pub(super) name: String,
    /// The file that the test stands in.
    pub(super) path: String,
    /// Its line there; 0 if it has none.
    pub(super) line: usize,
    pub(super) seconds: f64,
    /// None if the rule did as it should.
    pub(super) fault: Option<String>,
    /// Why it could not be tried, which is no fault of a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_out: Option<String>,
    /// Line by line, why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<Explanation>,
}

/// Takes tests as they end.
pub(super) struct Reporter {
    format: Report,
    tests: usize,
    faults: usize,
    /// For JUnit, which counts before it lists.
    lines: String,
    /// What could not be tried.
    left_out: usize,
    seconds: f64,
}

impl Reporter {
    pub(super) fn new(format: Report) -> Self {
        Self { format, tests: 0, faults: 0, lines: String::new(), left_out: 0, seconds: 0.0 }
    }

    pub(super) fn take(&mut self, case: Case) -> anyhow::Result<()> {
        let counts = !matches!(&*case.name, "loads" | "reads") && case.left_out.is_none();
        self.tests += usize::from(counts);
        self.faults += usize::from(case.fault.is_some());
        self.left_out += usize::from(case.left_out.is_some());
        self.seconds += case.seconds;
        match self.format {
            Report::Text => {
                if let Some(fault) = case.fault.as_ref().filter(|_| case.name != "reads") {
                    say(&format!("{}: {fault}", case.rule));
                }
                if let Some(why) = &case.left_out {
                    say(&format!("left out: {}: {why}", case.path));
                }
                if let Some(why) = &case.why {
                    say(why.to_string().trim_end());
                }
            }
            Report::Json => drop(print(&format!("{}\n", serde_json::to_string(&case)?))?),
            Report::Junit => self.lines += &junit(&case),
        }
        Ok(())
    }

    /// `regression`: whether the tests were not the rules' own.
    pub(super) fn finish(self, rules: usize, regression: bool) -> anyhow::Result<Outcome> {
        let Self { tests, faults, lines, left_out, seconds, .. } = self;
        if self.format == Report::Junit {
            // Whatever has a line of its own is counted: broken files too.
            let cases = lines.matches("<testcase ").count();
            print(&format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"lapwing\" tests=\"{cases}\" \
                 failures=\"{faults}\" skipped=\"{left_out}\" time=\"{seconds:.3}\">\n{lines}</testsuite>\n"
            ))?;
        }
        let left_out = if left_out > 0 { format!(", {left_out} left out") } else { String::new() };
        say(&format!("{rules} rules, {tests} examples{left_out}, {faults} faults"));
        if tests == 0 && regression {
            say("no test reached a loaded rule; give the rules' folder");
            return Ok(Outcome::Found);
        }
        if tests == 0 && faults == 0 {
            say("no rule has examples, so nothing was tried: give each events under `tests`, see docs/rules.md");
        }
        Ok(if faults == 0 { Outcome::Done } else { Outcome::Found })
    }
}

fn junit(case: &Case) -> String {
    let Case { rule, name, path, line, seconds, .. } = case;
    let mut open = format!("  <testcase classname=\"{}\" name=\"{}\"", escaped(rule), escaped(name));
    if !path.is_empty() {
        open += &format!(" file=\"{}\"", escaped(path));
    }
    if *line > 0 {
        open += &format!(" line=\"{line}\"");
    }
    open += &format!(" time=\"{seconds:.3}\"");
    if let Some(why) = &case.left_out {
        return format!("{open}>\n    <skipped message=\"{}\"/>\n  </testcase>\n", escaped(why));
    }
    match &case.fault {
        None => format!("{open}/>\n"),
        Some(fault) => {
            let why = case.why.as_ref().map(ToString::to_string).unwrap_or_default();
            let (fault, why) = (escaped(fault), escaped(&why));
            format!("{open}>\n    <failure message=\"{fault}\">{why}</failure>\n  </testcase>\n")
        }
    }
}

/// Text for XML, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(char),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_line_says_cannot_break_out_of_the_report() {
        let fault = Some("\"]]><x>\u{1b}[0m".to_owned());
        let line = junit(&Case { rule: "a & b".to_owned(), name: "n".to_owned(), fault, ..Case::default() });
        assert!(line.contains("classname=\"a &amp; b\""), "{line}");
        assert!(line.contains("message=\"&quot;]]&gt;&lt;x&gt;\u{fffd}[0m\""), "{line}");
    }
}
