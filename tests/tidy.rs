//! Reads the tree and holds it to `CONTRIBUTING.md`: what a machine can check is never argued in review.
//!
//! Every check lists all offences at once, each as `file:line: what is wrong`.

#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/tree.rs"]
mod tree;

use rust::{code_only, functions, words};
use tree::{File, tree};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Files that may be longer, each with the reason: tables of data and generated code only.
const LONG_FILES: &[(&str, &str)] = &[];

const BANNED_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "misc", "prelude", "types", "traits", "errors"];

const BANNED_ENDINGS: &[&str] = &["Manager", "Handler", "Helper", "Processor", "Service", "Impl", "Info", "Data"];

/// What the edge must never know, beyond what the manifests already rule out: how rules work. What an alert
/// carries of its rule (`RuleId`, `Severity`) is plain data, and a sink needs it.
const UNKNOWN_TO_THE_EDGE: &[&str] = &[
    "engine::detect",
    "engine::rule::condition",
    "engine::rule::index",
    "engine::rule::load",
    "engine::rule::matcher",
    "engine::rule::sigma",
];

#[test]
fn no_source_file_is_longer_than_600_lines() {
    let exempt = |file: &File| LONG_FILES.iter().any(|(path, _)| file.path == *path);
    let offences = tree().iter().filter(|file| file.is_source() && !exempt(file)).filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}:{lines}: split it by concept", file.path))
    });
    none("files longer than 600 lines", offences);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    none("functions longer than 70 lines", rust_files().flat_map(|(file, code)| long_functions(file, &code)));
}

fn long_functions(file: &File, code: &str) -> Vec<String> {
    let long = functions(code).into_iter().filter(|function| function.length > FUNCTION_LINES_MAX);
    long.map(|it| format!("{}:{}: `{}` takes {} lines", file.path, it.line, it.name, it.length)).collect()
}

#[test]
fn files_are_named_by_concept_never_by_kind() {
    let offences = tree().iter().filter(|file| file.is_source()).filter_map(|file| {
        let name = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        let banned = name.into_iter().find(|part| BANNED_NAMES.contains(part))?;
        Some(format!("{}:1: `{banned}` says nothing about what is in it", file.path))
    });
    none("names that could hold anything", offences);
}

#[test]
fn types_are_named_by_what_they_are_never_by_doing() {
    none("type names with an empty ending", tree().iter().filter(|file| file.is_source()).flat_map(vague_types));
}

fn vague_types(file: &File) -> Vec<String> {
    let code = code_only(&file.text);
    let mut offences = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let named: Vec<&str> = words(line).map(|(_, word)| word).collect();
        for pair in named.windows(2) {
            // An indented `type` names what somebody else's trait asks for.
            let declares = ["struct", "enum", "trait", "union", "class", "interface"].contains(&pair[0])
                || (pair[0] == "type" && !line.starts_with(' '));
            if declares && BANNED_ENDINGS.iter().any(|ending| pair[1].ends_with(ending)) {
                offences.push(format!("{}:{}: `{}`", file.path, index + 1, pair[1]));
            }
        }
    }
    offences
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    none("silenced lints", rust_files().flat_map(|(file, code)| silenced_lints(file, &code)));
}

fn silenced_lints(file: &File, code: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for attribute in code.match_indices("#[").chain(code.match_indices("#![")).map(|(start, _)| start) {
        let end = attribute + code[attribute..].find(']').unwrap_or(0);
        let text = &code[attribute..end];
        let line = line_at(code, attribute);
        let has = |wanted: &str| words(text).any(|(_, word)| word == wanted);
        if has("allow") {
            offences.push(format!("{}:{line}: `allow`; write `expect` with a reason", file.path));
        } else if has("expect") && !has("reason") {
            offences.push(format!("{}:{line}: `expect` without a reason", file.path));
        }
    }
    offences
}

#[test]
fn the_engine_has_no_map_with_a_random_seed() {
    let engine = rust_files().filter(|(file, _)| file.path.starts_with("crates/engine/src/"));
    none("maps whose order and hash differ between runs", engine.flat_map(|(file, code)| seeded_maps(file, &code)));
}

/// A `HashMap<K, V>` or `HashSet<T>` without the type of its hasher, which `collect` or `default` would seed.
fn seeded_maps(file: &File, code: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for (name, arguments) in [("HashMap", 3), ("HashSet", 2)] {
        for (start, _) in code.match_indices(name) {
            let rest = &code[start + name.len()..];
            let counted =
                rest.strip_prefix("::").unwrap_or(rest).strip_prefix('<').map_or(arguments, top_level_arguments);
            if counted < arguments {
                let line = line_at(code, start);
                offences.push(format!("{}:{line}: name the hasher, or use the map with a B in front", file.path));
            }
        }
    }
    offences
}

fn top_level_arguments(list: &str) -> usize {
    let mut depth = 0_usize;
    let mut arguments = 1;
    for letter in list.chars() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' if depth == 0 => break,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => arguments += 1,
            _ => {}
        }
    }
    arguments
}

#[test]
fn the_edge_knows_neither_rules_nor_detectors() {
    let edge = rust_files().filter(|(file, _)| file.path.starts_with("crates/connect/src/"));
    none("shortcuts through the boundary", edge.flat_map(|(file, code)| shortcuts(file, &code)));
}

fn shortcuts(file: &File, code: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for (index, line) in code.lines().enumerate() {
        if let Some(path) = UNKNOWN_TO_THE_EDGE.iter().find(|path| line.contains(**path)) {
            offences.push(format!("{}:{}: `{path}`", file.path, index + 1));
        }
    }
    offences
}

#[test]
fn every_source_keeps_the_contract_of_sources() {
    none("sources", sources::offences(tree()).into_iter());
}

#[test]
fn arrows_between_crates_point_inward_only() {
    none("forbidden dependencies", tree().iter().filter(|file| file.is_manifest()).flat_map(manifest::wrong_arrows));
}

#[test]
fn every_version_stands_in_the_workspace_root() {
    none("versions outside", tree().iter().filter(|file| file.is_manifest()).flat_map(manifest::own_versions));
}

#[test]
fn every_rule_carries_examples_and_a_runbook() {
    let pack = tree().iter().filter(|file| file.path.starts_with("rules/") && file.path.ends_with(".yml"));
    none("rules without", pack.flat_map(rules::missing_parts));
}

#[test]
fn dashboards_and_alerts_name_only_declared_metrics() {
    let Some(declared) = metrics::declared(tree()) else { return };
    let shown = tree().iter().filter(|file| file.path.starts_with("dashboards/"));
    none("unknown metrics", shown.flat_map(|file| metrics::unknown(file, &declared)));
}

#[test]
fn no_declared_metric_is_dead() {
    none("metrics that nothing counts", metrics::dead(tree()));
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    none("paths of somebody's machine", tree().iter().flat_map(tree::machine_paths));
}

#[test]
fn dependencies_come_from_the_public_registries_by_name_only() {
    none("registries", tree().iter().flat_map(tree::registries));
}

fn rust_files() -> impl Iterator<Item = (&'static File, String)> {
    tree().iter().filter(|file| file.path.ends_with(".rs")).map(|file| (file, code_only(&file.text)))
}

/// The line, from 1, that holds the byte at `start`.
fn line_at(code: &str, start: usize) -> usize {
    code[..start].matches('\n').count() + 1
}

#[track_caller]
fn none(what: &str, offences: impl Iterator<Item = String>) {
    let offences: Vec<String> = offences.collect();
    assert!(offences.is_empty(), "{what}:\n{}\n", offences.join("\n"));
}

#[test]
fn each_check_of_source_text_finds_what_it_is_for() {
    let body = "    step();\n".repeat(FUNCTION_LINES_MAX - 1);
    let long = File::new("a.rs", &format!("fn long() {{\n{body}}}\n"));
    assert_eq!(long_functions(&long, &long.text), ["a.rs:1: `long` takes 71 lines"]);

    let vague = File::new("a.rs", "pub struct AlertManager;\n// struct NoteInfo\nimpl A {\n    type Data = u8;\n}\n");
    assert_eq!(vague_types(&vague), ["a.rs:1: `AlertManager`"]);

    let silenced = File::new("a.rs", "#[expect(dead_code)]\n#[expect(dead_code, reason = \"\")]\n#![allow(x)]\n");
    let offences = silenced_lints(&silenced, &silenced.text);
    assert_eq!(offences, ["a.rs:1: `expect` without a reason", "a.rs:3: `allow`; write `expect` with a reason"]);

    let maps =
        File::new("a.rs", "a: HashMap<u8, (u8, u8)>,\nb: HashMap<u8, Vec<u8>, Seed>,\nc: HashSet::<u8>::default(),\n");
    assert_eq!(seeded_maps(&maps, &maps.text).len(), 2);
}
