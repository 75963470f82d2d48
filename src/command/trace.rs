//! `lapwing trace`: where one credential came from and what came from it, from files alone.

use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::lineage::{Caps, Id, Lineage, Net, Policy, traces};
use engine::normalise::{Format, Limits, normalise};
use engine::time::Span;
use indicatif::ProgressBar;
use serde_json::json;

use super::replay::{NOTHING_READ, REJECTS_SAID, progress};
use super::{Outcome, input, print, say};
use crate::enrichment;
use crate::rules::read_enrichment;

/// Credentials that are kept of files: about 2 GiB, where a service keeps to its own limit.
const CREDENTIALS_MAX: usize = 250_000;

/// Endings of the files that are read of a folder, before `.gz` or `.zst`.
const ENDINGS: [&str; 5] = [".json", ".jsonl", ".ndjson", ".log", ".txt"];

/// Folders inside each other that are followed.
const DEPTH_MAX: usize = 32;

/// What is asked for, and where it is looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// An access key, the id or hash of a token, a lease, the event of a sign-in, or a session's principal such as
    /// `AROA…:name`, alone or with `@` and when it began.
    pub id: String,
    /// Files, plain or compressed with gzip or zstd, and folders of them; `-` is standard input. Of a folder all files
    /// that end in .json, .jsonl, .ndjson, .log or .txt are read.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Kind of log, such as aws.cloudtrail; `auto` recognises each record.
    #[arg(long, value_parser = crate::config::format_of, default_value = "auto")]
    pub kind: Format,
    /// Network of the runners of pipelines, such as 192.0.2.0/24; may be given several times. What a pipeline's credential
    /// does elsewhere is told.
    #[arg(long, value_name = "CIDR")]
    pub ci: Vec<Net>,
    /// Network of the cloud; may be given several times. What credentials of an instance or function do elsewhere is told.
    #[arg(long, value_name = "CIDR")]
    pub cloud: Vec<Net>,
    /// YAML of what is known of addresses, as `enrichment:` of a configuration says it: the networks of runners and clouds.
    #[arg(long, value_name = "FILE")]
    pub enrichment: Option<PathBuf>,
    /// Name of a role that is an administrator's; may be given several times.
    #[arg(long, value_name = "ROLE")]
    pub admin: Vec<String>,
    /// The tree as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What was read.
#[derive(Default)]
struct Tally {
    records: u64,
    events: u64,
    rejects: u64,
    bytes: u64,
}

/// Prints the tree.
///
/// # Errors
/// When a file or folder cannot be read.
pub(crate) fn run(asked: &Asked) -> anyhow::Result<Outcome> {
    let (lineage, tally) = read(asked)?;
    say(&format!(
        "{} records, {} events, {} rejected: {} credentials",
        tally.records,
        tally.events,
        tally.rejects,
        lineage.len()
    ));
    if lineage.evicted() > 0 {
        let evicted = lineage.evicted();
        say(&format!("{evicted} credentials were forgotten, those heard of longest ago: ask fewer files at a time"));
    }
    if tally.events == 0 && tally.rejects > 0 {
        say(NOTHING_READ);
        return Ok(Outcome::Found);
    }
    let found = lineage.find(&asked.id);
    let [id] = found.as_slice() else { return unknown(asked, &lineage, &found) };
    let tree = lineage.trace(id).context("look up a credential that was found")?;
    if asked.json {
        return print(&format!("{}\n", serde_json::to_string(&tree).context("write tree")?));
    }
    print(&tree.to_string())
}

/// None of this name, or several.
fn unknown(asked: &Asked, lineage: &Lineage, found: &[Id]) -> anyhow::Result<Outcome> {
    let near = if found.is_empty() { lineage.near(&asked.id) } else { found.to_vec() };
    if asked.json {
        print(&format!("{}\n", json!({ "asked": asked.id, "found": found.len(), "near": near })))?;
    }
    let named = plain(&asked.id);
    let listed: String = near.iter().map(|id| format!("\n  {}", plain(&id.to_string()))).collect();
    say(&match (found.len(), near.is_empty()) {
        (0, true) => format!("{named}: no record tells of it"),
        (0, false) => format!("{named}: no record tells of it; near it are{listed}"),
        (many, _) => format!("{named}: {many} credentials answer to it; ask for one of them{listed}"),
    });
    Ok(Outcome::Found)
}

/// Names come from logs: none may speak to the terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn read(asked: &Asked) -> anyhow::Result<(Lineage, Tally)> {
    let mut files = Vec::new();
    for path in &asked.files {
        gather(path, 0, &mut files)?;
    }
    anyhow::ensure!(!files.is_empty(), "no file of logs in these folders: their names end in {}", ENDINGS.join(", "));
    // Nothing is over for a person who asks about the past.
    let caps = Caps { credentials_max: CREDENTIALS_MAX, linger: Span::seconds(u32::MAX), ..Caps::default() };
    let settings = asked.enrichment.as_deref().map(read_enrichment).transpose()?.unwrap_or_default();
    let policy = Policy {
        ci: asked.ci.clone(),
        cloud: asked.cloud.clone(),
        addresses: enrichment::read(&settings)?,
        admin_roles: asked.admin.clone(),
        ..Policy::default()
    };
    let mut lineage = Lineage::new(caps, policy);
    let mut tally = Tally::default();
    let bar = progress();
    for path in &files {
        take(path, asked.kind, &mut lineage, &mut tally, &bar)?;
    }
    bar.finish_and_clear();
    Ok((lineage, tally))
}

/// The file itself, or the files of logs in a folder and in those inside it, by name.
fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.as_os_str() == "-" || !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let about = || format!("read folder {}", path.display());
    let mut inside: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).with_context(about)? {
        let entry = entry.with_context(about)?;
        let is_folder = entry.file_type().with_context(about)?.is_dir();
        if is_folder || is_log(&entry.path()) {
            inside.push(entry.path());
        }
    }
    inside.sort();
    for path in inside {
        // A link to a folder may lead round in a circle.
        if depth < DEPTH_MAX && !(path.is_symlink() && path.is_dir()) {
            gather(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

fn is_log(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn take(path: &Path, kind: Format, lineage: &mut Lineage, tally: &mut Tally, bar: &ProgressBar) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let before = tally.bytes;
    let (mut events, mut rejects, mut found) = (Vec::new(), Vec::new(), Vec::new());
    input::records(path, |number, record, read| {
        tally.records += 1;
        tally.bytes = before + read;
        let position = format!("{name}:{number}");
        normalise(kind, record, &position, &Limits::default(), &mut events, &mut rejects);
        tally.events += events.len() as u64;
        for reject in rejects.drain(..) {
            tally.rejects += 1;
            if tally.rejects <= REJECTS_SAID {
                bar.suspend(|| say(&format!("{}: {}: {}", reject.position, reject.reason.name(), reject.detail)));
            }
        }
        for trace in events.drain(..).flat_map(|event| traces(&event)) {
            lineage.take(trace, &mut found);
        }
        // All that is odd is told with the tree, once all is known.
        found.clear();
        if tally.records.is_multiple_of(1_000) {
            bar.set_position(tally.bytes);
            bar.set_message(format!("{} events, {} credentials", tally.events, lineage.len()));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_folder_the_files_of_logs_are_read_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["b/2.json.gz", "c.log", "a.jsonl", "README.md", ".hidden.json", "make.py"] {
            std::fs::write(folder.path().join(name), "{}\n").unwrap();
        }
        let mut found = Vec::new();
        gather(folder.path(), 0, &mut found).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_owned()).collect();
        assert_eq!(names, ["a.jsonl", "b/2.json.gz", "c.log"].map(PathBuf::from));
    }
}
