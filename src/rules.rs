//! Where rules are read: the shipped pack inside the binary, and files and folders of the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::rule::{Placeholders, Problem, RuleFile, RuleSet, Weight};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "rules/"]
#[include = "*.yml"]
struct Shipped;

/// Which rules are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Whether the shipped pack is.
    pub shipped: bool,
    /// Files or folders, searched for `*.yml` and `*.yaml`.
    pub paths: Vec<PathBuf>,
    /// What `%name%` stands for in rules that use `|expand`.
    pub placeholders: Placeholders,
}

impl Places {
    /// What `--rules` on the command line means: these, or the shipped pack if there are none.
    ///
    /// # Errors
    /// When the file of placeholders cannot be read.
    pub(crate) fn from_arguments(paths: Vec<PathBuf>, placeholders: Option<&Path>) -> anyhow::Result<Self> {
        let placeholders = placeholders.map(read_placeholders).transpose()?.unwrap_or_default();
        Ok(Self { shipped: paths.is_empty(), paths, placeholders })
    }

    /// Reads the text of all of them, sorted by path.
    ///
    /// # Errors
    /// When a file or folder cannot be read, or a folder holds no rule.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<RuleFile>> {
        let mut files = Vec::new();
        if self.shipped {
            for path in Shipped::iter() {
                let file = Shipped::get(&path).context("read shipped rule")?;
                let text = String::from_utf8(file.data.into_owned()).context("read shipped rule")?;
                files.push(RuleFile { path: format!("rules/{path}"), text });
            }
        }
        for path in &self.paths {
            let before = files.len();
            gather(path, &mut files)?;
            anyhow::ensure!(files.len() > before, "{} holds no *.yml or *.yaml", path.display());
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Reads and compiles.
    ///
    /// # Errors
    /// When the files cannot be read; broken rules are in the problems instead.
    pub(crate) fn compile(&self) -> anyhow::Result<(RuleSet, Vec<Problem>)> {
        Ok(RuleSet::compile_with(&self.read()?, &self.placeholders))
    }
}

/// Reads and compiles, and refuses if any rule is broken: what a service that watches for attacks should do.
///
/// # Errors
/// With every broken rule in the message.
pub(crate) fn compile_all(places: &Places) -> anyhow::Result<RuleSet> {
    let (rules, problems) = places.compile().context("read rules")?;
    let broken: Vec<String> =
        problems.iter().filter(|problem| problem.weight == Weight::Error).map(Problem::to_string).collect();
    anyhow::ensure!(broken.is_empty(), "{} rules are broken:\n  {}", broken.len(), broken.join("\n  "));
    for problem in problems {
        tracing::warn!(%problem, "rule");
    }
    Ok(rules)
}

/// A file of lines `name: [value, value]`.
fn read_placeholders(path: &Path) -> anyhow::Result<Placeholders> {
    let about = || format!("read placeholders {}", path.display());
    let text = std::fs::read_to_string(path).with_context(about)?;
    let values: BTreeMap<String, Vec<String>> =
        yaml_serde::from_str(&text).context("write each as `name: [value, value]`").with_context(about)?;
    Ok(Placeholders(values))
}

fn gather(path: &Path, files: &mut Vec<RuleFile>) -> anyhow::Result<()> {
    let about = || format!("read rules in {}", path.display());
    if path.is_dir() {
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).with_context(about)? {
            inside.push(entry.with_context(about)?.path());
        }
        inside.sort();
        for path in inside {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() || matches!(extension, Some("yml" | "yaml")) {
                gather(&path, files)?;
            }
        }
        return Ok(());
    }
    let text = std::fs::read_to_string(path).with_context(about)?;
    files.push(RuleFile { path: path.display().to_string(), text });
    Ok(())
}
