//! What a `Cargo.toml` says about dependencies, read line by line.

use crate::tree::File;

/// Crates that the core must not reach for: the outside world and whatever runs it.
const OUTSIDE: &[&str] =
    &["tokio", "reqwest", "axum", "rusqlite", "rdkafka", "aws-", "hyper", "tower", "notify", "tracing"];

/// Each crate's manifest and which of ours, or of others, it may not depend on. Development counts like shipping.
const BANNED: &[(&str, &[&str])] = &[
    ("crates/engine/Cargo.toml", &["engine", "connect", "lab", "lapwing"]),
    ("crates/connect/Cargo.toml", &["lab", "lapwing"]),
    ("crates/lab/Cargo.toml", &["lapwing"]),
    ("Cargo.toml", &["lapwing"]),
];

struct Dependency {
    name: String,
    line: usize,
    /// The whole line, or the heading for `[dependencies.name]`.
    text: String,
    section: String,
}

pub(crate) fn wrong_arrows(file: &File) -> Vec<String> {
    let engine = file.path == "crates/engine/Cargo.toml";
    let banned = BANNED.iter().find(|(path, _)| *path == file.path).map_or(&[][..], |(_, names)| names);
    let wrong = dependencies(&file.text).into_iter().filter(|dependency| {
        let shipped = dependency.section != "dev-dependencies";
        banned.contains(&dependency.name.as_str())
            || (engine && OUTSIDE.iter().any(|outside| dependency.name.starts_with(outside)))
            // A bench may use worlds and attacks; the binary never carries them.
            || (file.path == "Cargo.toml" && dependency.name == "lab" && shipped)
    });
    wrong.map(|it| format!("{}:{}: `{}`", file.path, it.line, it.name)).collect()
}

pub(crate) fn own_versions(file: &File) -> Vec<String> {
    let own = dependencies(&file.text).into_iter().filter(|dependency| {
        let text = dependency.text.replace(' ', "");
        !text.contains("workspace=true")
    });
    own.map(|it| format!("{}:{}: `{}` needs `workspace = true`", file.path, it.line, it.name)).collect()
}

/// All dependencies of a package: for shipping, development, building, and for one target.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let mut section = String::new();
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(heading) = line.strip_prefix('[') {
            section = heading.trim_end_matches(']').to_owned();
            let table = section.rsplit_once("dependencies.").filter(|_| !section.starts_with("workspace"));
            if let Some((_, name)) = table {
                found.push(Dependency {
                    name: name.to_owned(),
                    line: index + 1,
                    text: String::new(),
                    section: section.clone(),
                });
            }
        } else if section.contains("dependencies.") && !section.starts_with("workspace") {
            // The body of `[dependencies.name]` belongs to the entry that its heading made.
            if let Some(open) = found.last_mut() {
                open.text.push_str(line);
            }
        } else if section.ends_with("dependencies") && !section.starts_with("workspace") {
            let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
            let name = name.trim().split('.').next().unwrap_or_default().trim_matches('"');
            found.push(Dependency {
                name: name.to_owned(),
                line: index + 1,
                text: line.to_owned(),
                section: section.clone(),
            });
        }
    }
    found
}

#[test]
fn an_outward_arrow_is_found_however_it_is_written() {
    let engine = "[dependencies]\nserde.workspace = true\n[target.'cfg(unix)'.dependencies]\naws-config = { workspace = true }\n\
                  [dev-dependencies.tokio]\nworkspace = true\n";
    let found = wrong_arrows(&File::new("crates/engine/Cargo.toml", engine));
    assert_eq!(found, ["crates/engine/Cargo.toml:4: `aws-config`", "crates/engine/Cargo.toml:5: `tokio`"]);

    let root = "[workspace.dependencies]\nlab = { path = \"x\" }\n[dependencies]\nlab.workspace = true\n[dev-dependencies]\nlab.workspace = true\n";
    assert_eq!(wrong_arrows(&File::new("Cargo.toml", root)), ["Cargo.toml:4: `lab`"]);
}

#[test]
fn a_version_outside_the_root_is_found() {
    let manifest =
        "[dependencies]\nserde = { workspace = true }\nregex = \"1\"\n[dependencies.time]\nversion = \"1\"\n";
    assert_eq!(own_versions(&File::new("crates/lab/Cargo.toml", manifest)).len(), 2);
}
