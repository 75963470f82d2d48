//! Where rules are read: the shipped pack inside the binary, and files and folders of the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use anyhow::Context;
use engine::rule::{Placeholders, Problem, RuleFile, RuleSet, Weight};
use rust_embed::RustEmbed;

mod folder;

#[derive(RustEmbed)]
#[folder = "rules/"]
#[include = "*.yml"]
struct Shipped;

/// The command line asks for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(String);

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
    /// [`WrongUse`] when a path does not exist; when the file of placeholders cannot be read.
    pub(crate) fn from_arguments(paths: Vec<PathBuf>, placeholders: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(missing) = paths.iter().find(|path| !path.exists()) {
            return Err(WrongUse(format!("there is no {}", missing.display())).into());
        }
        let placeholders = placeholders.map(read_placeholders).transpose()?.unwrap_or_default();
        Ok(Self { shipped: paths.is_empty(), paths, placeholders })
    }

    /// Reads the text of all of them, sorted by path, and says which cannot be read: one file that is no text takes
    /// no other with it.
    ///
    /// # Errors
    /// When a folder cannot be read or holds no rule.
    pub(crate) fn read(&self) -> anyhow::Result<(Vec<RuleFile>, Vec<Problem>)> {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        if self.shipped {
            for path in Shipped::iter() {
                let file = Shipped::get(&path).context("read shipped rule")?;
                let text = String::from_utf8(file.data.into_owned()).context("read shipped rule")?;
                files.push(RuleFile { path: format!("rules/{path}"), text });
            }
        }
        for path in &self.paths {
            let before = files.len() + problems.len();
            gather(path, &mut files, &mut problems)?;
            let found = files.len() + problems.len() > before;
            anyhow::ensure!(found, "{} holds no *.yml or *.yaml", path.display());
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((files, problems))
    }

    /// Reads and compiles.
    ///
    /// # Errors
    /// When a folder cannot be read; broken rules and files are in the problems instead.
    pub(crate) fn compile(&self) -> anyhow::Result<(RuleSet, Vec<Problem>)> {
        let (files, mut problems) = self.read()?;
        let (rules, broken) = RuleSet::compile_with(&files, &self.placeholders);
        problems.extend(broken);
        Ok((rules, problems))
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

fn gather(path: &Path, files: &mut Vec<RuleFile>, problems: &mut Vec<Problem>) -> anyhow::Result<()> {
    let (found, odd) = folder::files(path).with_context(|| format!("read rules in {}", path.display()))?;
    let unreadable = |path: &Path, error: &std::io::Error| {
        unread(path.display().to_string(), (1, 1), format!("the file cannot be read: {error}"))
    };
    problems.extend(odd.iter().map(|(path, error)| unreadable(path, error)));
    for path in found {
        match folder::read(&path).map(String::from_utf8) {
            Err(error) => problems.push(unreadable(&path, &error)),
            Ok(Ok(text)) => files.push(RuleFile { path: path.display().to_string(), text }),
            Ok(Err(error)) => problems.push(no_text(path.display().to_string(), &error)),
        }
    }
    Ok(())
}

fn no_text(path: String, error: &FromUtf8Error) -> Problem {
    let (before, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let before = String::from_utf8_lossy(before);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let byte = rest.first().copied().unwrap_or_default();
    unread(path, (line, column), format!("byte 0x{byte:02x} is no UTF-8; save the file as UTF-8"))
}

fn unread(path: String, (line, column): (usize, usize), message: String) -> Problem {
    Problem { path, line, column, message, weight: Weight::Error, lint: None, rule: None }
}
