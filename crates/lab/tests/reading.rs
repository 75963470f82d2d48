//! The reader of rules against rules that were damaged: it may refuse them, and never fails itself.

use std::path::Path;
use std::sync::LazyLock;

use engine::rule::{Given, RuleFile, RuleSet};
use proptest::prelude::*;

/// The shipped rules, as they stand in the repository.
static RULES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut texts = Vec::new();
    gather(&lab::corpus::samples().join("../rules"), &mut texts);
    texts
});

/// What is put in the place of something: letters that mean something to YAML, conditions or patterns.
const PIECES: [&str; 28] = [
    "", " ", "\n", "\n  ", "- ", ": ", "|", "'", "\"", "[", "]", "{", "}", "*", "?", "\\", "%x%", "&a ", "*a", "---\n",
    "~", "null", "0x", "1e9", "not ", "(", " of ", "ü\u{0}",
];

#[derive(Clone, Debug)]
enum Damage {
    /// Bytes from a place on become a piece.
    Replace { at: usize, bytes: usize, piece: &'static str },
    /// A line is written again elsewhere.
    Move { from: usize, to: usize },
    /// The rest is lost.
    Cut { at: usize },
}

fn gather(folder: &Path, texts: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).expect("the repository can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the repository can be read").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, texts);
        } else {
            texts.push(std::fs::read_to_string(&path).expect("a rule is text"));
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<usize>(), 0..12_usize, proptest::sample::select(PIECES.to_vec()))
            .prop_map(|(at, bytes, piece)| Damage::Replace { at, bytes, piece }),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Damage::Move { from, to }),
        1 => any::<usize>().prop_map(|at| Damage::Cut { at }),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut text = text.to_owned();
    for damage in damages {
        let border = |text: &str, at: usize| text.floor_char_boundary(at % (text.len() + 1));
        match damage {
            Damage::Replace { at, bytes, piece } => {
                let at = border(&text, *at);
                let end = text.floor_char_boundary((at + bytes).min(text.len()));
                text.replace_range(at..end.max(at), piece);
            }
            Damage::Move { from, to } => {
                let mut lines: Vec<&str> = text.lines().collect();
                if !lines.is_empty() {
                    let line = lines[from % lines.len()];
                    lines.insert(to % lines.len(), line);
                    text = lines.join("\n");
                }
            }
            Damage::Cut { at } => text.truncate(border(&text, *at)),
        }
    }
    text
}

fn check(text: String) -> Result<(), TestCaseError> {
    // YAML breaks lines at a lone carriage return, too.
    let breaks = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<usize> = breaks.split('\n').map(|line| line.chars().count()).collect();
    let (set, problems) =
        RuleSet::check(&[RuleFile { path: "a.yml".to_owned(), text: text.clone() }], &Given::default());
    for problem in &problems {
        prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        prop_assert!(problem.line <= lines.len().max(1) + 1, "{problem}\n{text}");
        // An end of input is told one behind the last character, of a byte order mark at the front too.
        let width = lines.get(problem.line - 1).copied().unwrap_or(0);
        prop_assert!(problem.column <= width + 2, "{problem}: line of {width}\n{text}");
    }
    prop_assert!(set.rules().len() + problems.len() > 0 || text.len() < 4_000, "something is said of a long text");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_rule_is_refused_at_a_place_in_it_or_still_a_rule(
        number in any::<usize>(),
        damages in proptest::collection::vec(damage(), 1..6),
    ) {
        check(damaged(&RULES[number % RULES.len()], &damages))?;
    }

    #[test]
    fn any_bytes_are_refused_or_a_rule(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(String::from_utf8_lossy(&bytes).into_owned())?;
    }

    #[test]
    fn a_rule_reads_alike_whatever_stands_beside_it(number in any::<usize>(), noise in "[ -~]{0,40}") {
        let text = &RULES[number % RULES.len()];
        let file = |path: &str, text: &str| RuleFile { path: path.to_owned(), text: text.to_owned() };
        let (alone, _) = RuleSet::compile(&[file("a.yml", text)]);
        let (beside, _) = RuleSet::compile(&[file("a.yml", text), file("b.yml", &noise)]);
        let ids = |set: &RuleSet| set.rules().iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(ids(&alone), ids(&beside));
    }
}
