//! Whether every source keeps the contract of sources: it is in its list, and its tests ask for what stands there.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::File;

const FOLDER: &str = "crates/connect/src/source/";
const CONTRACT: &str = "crates/connect/src/source/contract.rs";

/// What each promise takes, beside [`ALWAYS`].
const PROMISES: [(&str, &str); 4] = [
    ("Store", "resumes_from_every_mark("),
    ("StoreWithRepeats", "resumes_with_repeats("),
    ("System", "hands_out_again_what_was_not_committed("),
    ("Nobody", ""),
];

/// What every source promises.
const ALWAYS: &str = "yields_all_in_order(";

/// Sources that are missing in the list, that it lists and nobody wrote, and tests that are missing.
pub(crate) fn offences(tree: &[File]) -> Vec<String> {
    let Some(contract) = tree.iter().find(|file| file.path == CONTRACT) else { return Vec::new() };
    let listed = listed(&contract.text);
    let written = written(tree);
    let mut offences = Vec::new();
    for module in written.iter().filter(|module| !listed.contains_key(module.as_str())) {
        offences.push(format!("{FOLDER}{module}: a source that is not in `SOURCES` of {CONTRACT}"));
    }
    for (module, promise) in &listed {
        if !written.contains(*module) {
            offences.push(format!("{CONTRACT}: no module `{module}` is a source"));
            continue;
        }
        let asked = PROMISES.iter().find(|(name, _)| name == promise).map_or("an unknown promise", |(_, call)| call);
        let text = tests(tree, module, &contract.text);
        for call in [ALWAYS, asked] {
            if !text.contains(call) {
                offences.push(format!("{FOLDER}{module}: listed as `{promise}`, and no test of it calls `{call}…)`"));
            }
        }
    }
    offences
}

/// The lines `("name", Keeps::Promise),` of the list.
fn listed(contract: &str) -> BTreeMap<&str, &str> {
    let entries = contract.lines().filter_map(|line| {
        let (name, promise) = line.trim().strip_prefix("(\"")?.split_once("\", Keeps::")?;
        Some((name, promise.trim_end_matches("),")))
    });
    entries.collect()
}

/// Modules that hold an `impl … Source for`, by their own names: `cloudwatch` for all that is in its folder.
fn written(tree: &[File]) -> BTreeSet<String> {
    let is_source = |text: &str| text.lines().any(|line| line.starts_with("impl") && line.contains(" Source for "));
    tree.iter().filter(|file| is_source(&file.text)).filter_map(|file| module(&file.path)).collect()
}

fn module(path: &str) -> Option<String> {
    let inside = path.strip_prefix(FOLDER)?;
    let name = inside.split('/').next()?;
    Some(name.trim_end_matches(".rs").to_owned())
}

/// Everything that the module's files say, and of the contract's own tests those about it.
fn tests(tree: &[File], module: &str, contract: &str) -> String {
    let own = tree.iter().filter(|file| self::module(&file.path).as_deref() == Some(module));
    let mut text: String = own.map(|file| file.text.as_str()).collect();
    for test in contract.split("#[tokio::test]").skip(1).filter(|test| test.contains(&format!("super::{module}::"))) {
        text += test;
    }
    text
}

#[test]
fn a_source_that_is_not_listed_or_not_tested_is_found() {
    let contract = "    (\"file\", Keeps::Store),\n    (\"gone\", Keeps::Nobody),\n#[tokio::test]\n";
    let tree = [
        File::new(CONTRACT, contract),
        File::new("crates/connect/src/source/file.rs", "impl Source for File {\n"),
        File::new("crates/connect/src/source/file/tests.rs", "yields_all_in_order(&mut x)"),
        File::new("crates/connect/src/source/new/inner.rs", "impl<T> Source for New<T> {\n"),
    ];
    let offences = offences(&tree);
    assert_eq!(offences.len(), 3, "{offences:?}");
    assert!(offences[0].contains("source/new: a source that is not in"), "{offences:?}");
    assert!(offences[1].contains("calls `resumes_from_every_mark(…)`"), "{offences:?}");
    assert!(offences[2].contains("no module `gone`"), "{offences:?}");
}
