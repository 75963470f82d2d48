//! Where rules and mappings are read: the shipped ones inside the binary, and files and folders of the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use anyhow::Context;
use engine::detect::Budget;
use engine::rule::{Given, Mappings, Placeholders, Problem, RuleFile, RuleSet, Weight};
use engine::time::Zone;
use rust_embed::RustEmbed;

use crate::args;
use crate::config::Enrichment;
use crate::enrichment;
mod folder;

#[derive(RustEmbed)]
#[folder = "rules/"]
#[include = "*.yml"]
struct Shipped;

/// The command line asks for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(String);
#[derive(RustEmbed)]
#[folder = "mappings/"]
#[include = "*.yml"]
struct ShippedMappings;

/// Which rules are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Whether the shipped pack is.
    pub shipped: bool,
    /// Files or folders, searched for `*.yml` and `*.yaml`.
    pub paths: Vec<PathBuf>,
    /// What `%name%` stands for in rules that use `|expand`.
    pub placeholders: Placeholders,
    /// Files or folders of mappings beside the shipped ones.
    pub mappings: Vec<PathBuf>,
    /// How many alerts of rules that learn are wanted in a day.
    pub budget: Option<Budget>,
    /// What is known of addresses.
    pub enrichment: Enrichment,
    /// Whose hours people keep.
    pub zone: Zone,
}

impl Places {
    /// What `--rules` on the command line means: these, or the shipped pack if there are none.
    ///
    /// # Errors
    /// [`WrongUse`] when a path does not exist; when the file of placeholders cannot be read.
    pub(crate) fn from_arguments(paths: Vec<PathBuf>, given: args::Given) -> anyhow::Result<Self> {
        if let Some(missing) = paths.iter().chain(&given.mappings).find(|path| !path.exists()) {
            return Err(WrongUse(format!("there is no {}", missing.display())).into());
        }
        let placeholders = given.placeholders.as_deref().map(read_placeholders).transpose()?.unwrap_or_default();
        let enrichment = given.enrichment.as_deref().map(read_enrichment).transpose()?.unwrap_or_default();
        let zone = given.time_zone.unwrap_or_default();
        let mappings = given.mappings;
        Ok(Self { shipped: paths.is_empty(), paths, placeholders, mappings, enrichment, zone, budget: None })
    }

    /// All that changes while the service runs.
    pub(crate) fn watched(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(&self.mappings).chain(self.enrichment.files())
    }

    /// Reads the text of all of them, sorted by path, and says which cannot be read: one file that is no text takes
    /// no other with it.
    ///
    /// # Errors
    /// When a folder cannot be read or holds no rule.
    pub(crate) fn read(&self) -> anyhow::Result<(Vec<RuleFile>, Vec<Problem>)> {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        if self.shipped {
            files = shipped::<Shipped>("rules")?;
        }
        files.extend(own("rules", &self.paths, &mut problems)?);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((files, problems))
    }

    /// Reads the mappings, and hands out all that rules are given.
    ///
    /// # Errors
    /// When a file or folder cannot be read, or a folder holds no mapping; broken mappings are in the problems instead. When
    /// what is known of addresses cannot be read.
    pub(crate) fn given(&self) -> anyhow::Result<(Given, Vec<Problem>)> {
        let mut problems = Vec::new();
        let own = own("mappings", &self.mappings, &mut problems)?;
        let (mappings, broken) = Mappings::read(&shipped::<ShippedMappings>("mappings")?, &own);
        problems.extend(broken);
        let addresses = enrichment::read(&self.enrichment)?;
        let (placeholders, zone, budget) = (self.placeholders.clone(), self.zone, self.budget);
        Ok((Given { placeholders, mappings, addresses, zone, budget }, problems))
    }

    /// Reads and compiles.
    ///
    /// # Errors
    /// When a folder cannot be read; broken rules, mappings and files are in the problems instead.
    pub(crate) fn compile(&self) -> anyhow::Result<(RuleSet, Vec<Problem>)> {
        let (given, mut problems) = self.given()?;
        let (files, unread) = self.read()?;
        let (rules, broken) = RuleSet::compile_with(&files, &given);
        problems.extend(unread);
        problems.extend(broken);
        Ok((rules, problems))
    }
}

/// Reads and compiles, and refuses if any rule or mapping is broken: what a service that watches for attacks should do.
///
/// # Errors
/// With every broken one in the message.
pub(crate) fn compile_all(places: &Places) -> anyhow::Result<RuleSet> {
    let (rules, problems) = places.compile().context("read rules")?;
    let broken: Vec<String> =
        problems.iter().filter(|problem| problem.weight == Weight::Error).map(Problem::to_string).collect();
    let what = if places.mappings.is_empty() { "rules" } else { "rules or mappings" };
    anyhow::ensure!(broken.is_empty(), "{} {what} are broken:\n  {}", broken.len(), broken.join("\n  "));
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

/// A file that says what `enrichment:` of a configuration does.
pub(crate) fn read_enrichment(path: &Path) -> anyhow::Result<Enrichment> {
    let about = || format!("read enrichment {}", path.display());
    let text = std::fs::read_to_string(path).with_context(about)?;
    yaml_serde::from_str(&text).with_context(about)
}

/// What the binary holds of this folder.
fn shipped<Folder: RustEmbed>(what: &str) -> anyhow::Result<Vec<RuleFile>> {
    let read = |path: &str| {
        let text = String::from_utf8(Folder::get(path)?.data.into_owned()).ok()?;
        Some(RuleFile { path: format!("{what}/{path}"), text })
    };
    Folder::iter().map(|path| read(&path).with_context(|| format!("read shipped {what}/{path}"))).collect()
}

/// The files of the user, each folder's in the order of their names.
fn own(what: &str, paths: &[PathBuf], problems: &mut Vec<Problem>) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len() + problems.len();
        gather(what, path, &mut files, problems)?;
        let found = files.len() + problems.len() > before;
        anyhow::ensure!(found, "{} holds no *.yml or *.yaml", path.display());
    }
    Ok(files)
}

fn gather(what: &str, path: &Path, files: &mut Vec<RuleFile>, problems: &mut Vec<Problem>) -> anyhow::Result<()> {
    let (found, odd) = folder::files(path).with_context(|| format!("read {what} in {}", path.display()))?;
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
