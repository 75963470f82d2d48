//! What every rule file must carry, seen as text; what it means is `lapwing test`'s business.

use crate::tree::File;

const REQUIRED: &[&str] = &["title", "id", "description", "falsepositives", "level", "runbook", "tests"];

/// A document in a rule file: its first line in the file (from 1) and its lines.
struct Document<'a> {
    start: usize,
    lines: Vec<&'a str>,
}

impl<'a> Document<'a> {
    fn line_of(&self, key: &str) -> Option<usize> {
        self.lines.iter().position(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    }

    /// What stands under a top-level key: the rest of its line, then the indented lines.
    fn block(&self, key: &str) -> Vec<&'a str> {
        let Some(start) = self.line_of(key) else { return Vec::new() };
        let rest = &self.lines[start][key.len() + 1..];
        let under =
            self.lines[start + 1..].iter().take_while(|line| line.is_empty() || line.starts_with([' ', '-', '#']));
        std::iter::once(rest).chain(under.copied()).filter(|line| !line.trim().is_empty()).collect()
    }
}

pub(crate) fn missing_parts(file: &File) -> Vec<String> {
    let documents = documents(&file.text);
    let has_correlation = documents.iter().any(|document| document.line_of("correlation").is_some());
    let mut offences = Vec::new();
    for document in &documents {
        // What only feeds the correlation beside it raises no alert of its own.
        let base = has_correlation && document.line_of("correlation").is_none() && document.line_of("name").is_some();
        let required = if base { &REQUIRED[..2] } else { REQUIRED };
        for key in required.iter().filter(|key| document.block(key).is_empty()) {
            offences.push(format!("{}:{}: `{key}`", file.path, document.start));
        }
        if !base {
            let tests = document.block("tests");
            for part in ["match", "ignore"].into_iter().filter(|part| !has_examples(&tests, part)) {
                offences.push(format!("{}:{}: `{part}` events under `tests`", file.path, document.start));
            }
        }
    }
    offences
}

/// Whether `part` is a key of the block and holds at least one example.
fn has_examples(tests: &[&str], part: &str) -> bool {
    let Some(at) = tests.iter().position(|line| line.trim_start().starts_with(&format!("{part}:"))) else {
        return false;
    };
    let indent = |line: &str| line.len() - line.trim_start().len();
    let rest = tests[at].trim_start()[part.len() + 1..].split('#').next().unwrap_or_default().trim();
    let under =
        tests.get(at + 1).is_some_and(|next| next.trim_start().starts_with('-') || indent(next) > indent(tests[at]));
    rest.replace(' ', "") != "[]" && (!rest.is_empty() || under)
}

fn documents(text: &str) -> Vec<Document<'_>> {
    let mut found = vec![Document { start: 1, lines: Vec::new() }];
    for (index, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            found.push(Document { start: index + 2, lines: Vec::new() });
        } else if let Some(open) = found.last_mut() {
            open.lines.push(line);
        }
    }
    found.retain(|document| document.lines.iter().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    found
}

#[test]
fn a_rule_without_examples_is_found_and_a_base_rule_needs_none() {
    let base = "title: a\nid: 1\nname: base\ndetection:\n  x: y\n";
    let whole = "title: b\nid: 2\ndescription: c\nfalsepositives: [d]\nlevel: high\ncorrelation:\n  type: event_count\nrunbook: |\n  look\n";
    let good = format!("{base}---\n{whole}tests:\n  match:\n    - [{{}}]\n  ignore:\n    - [{{}}]\n");
    assert_eq!(missing_parts(&File::new("rules/good.yml", &good)), [""; 0]);

    let empty = format!("{whole}tests:\n  match: []\n");
    let found = missing_parts(&File::new("rules/empty.yml", &empty));
    assert_eq!(
        found,
        ["rules/empty.yml:1: `match` events under `tests`", "rules/empty.yml:1: `ignore` events under `tests`"]
    );
    assert_eq!(missing_parts(&File::new("rules/lone.yml", base)).len(), 7);
}
