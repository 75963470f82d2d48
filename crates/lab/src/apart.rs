//! Each measurement in a process of its own: nobody inherits warm memory, and the peak is one run's alone.
//!
//! A bench calls itself again: [`Prepared::measure`] starts it with `measure`, and [`asked`] is what that
//! child is asked to do.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use engine::rule::RuleFile;

use crate::case::Case;
use crate::corpus::{ReadError, lines};
use crate::sigmahq::{SigmaHq, SigmaHqError};
use crate::speed::Figures;

/// The word that makes a bench a child of itself.
const MEASURE: &str = "measure";

/// A case whose files are written.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Which.
    pub case: Case,
    /// Its events, one a line.
    pub records: PathBuf,
    /// Its rules, one a line.
    rules: PathBuf,
}

/// What a child is to measure.
#[derive(Debug)]
pub struct Asked {
    /// Whose engine, in the bench's own words.
    pub engine: String,
    /// Which case.
    pub case: Case,
    /// Its rules.
    pub rules: Vec<RuleFile>,
    /// Its events, one a line.
    pub records: PathBuf,
}

impl Prepared {
    /// Writes what the case reads into `folder`, unless it is there.
    ///
    /// # Errors
    /// [`SigmaHqError`] if a source of it, or a file, fails.
    pub fn new(case: Case, shared: &Path, sigma: &SigmaHq, folder: &Path) -> Result<Self, SigmaHqError> {
        let records = case.events.write(shared, sigma, folder)?;
        let rules = folder.join(format!("rules-{:?}.jsonl", case.rules).to_lowercase());
        let mut text = String::new();
        for file in case.rules.files(sigma)? {
            text += &serde_json::json!([file.path, file.text]).to_string();
            text.push('\n');
        }
        fs::write(&rules, text).map_err(|source| ReadError { path: rules.clone(), source })?;
        Ok(Self { case, records, rules })
    }

    /// The case's rules, as the child reads them.
    ///
    /// # Errors
    /// [`ReadError`] if they are damaged.
    pub fn rule_files(&self) -> Result<Vec<RuleFile>, ReadError> {
        read_rules(&self.rules)
    }

    /// Runs this program again, and answers what that run measured.
    ///
    /// # Errors
    /// If it cannot be started or fails; what it said then is on the standard error stream.
    pub fn measure(&self, engine: &str) -> io::Result<Figures> {
        let mut child = Command::new(env::current_exe()?);
        child.args([MEASURE, engine, self.case.name]).arg(&self.records).arg(&self.rules);
        let output = child.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{engine} on {}: {}", self.case.name, output.status)));
        }
        serde_json::from_slice(&output.stdout).map_err(io::Error::other)
    }
}

/// What this process was started to measure; nothing if it was started by a person.
///
/// # Errors
/// If it was started in the right words for something that is not there.
pub fn asked() -> io::Result<Option<Asked>> {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(MEASURE) {
        return Ok(None);
    }
    let [engine, case, records, rules] = [(); 4].map(|()| arguments.next().unwrap_or_default());
    let case = Case::named(&case).ok_or_else(|| io::Error::other(format!("no case {case:?}")))?;
    let rules = read_rules(Path::new(&rules)).map_err(io::Error::other)?;
    Ok(Some(Asked { engine, case, rules, records: records.into() }))
}

/// Tells the parent.
///
/// # Errors
/// If nobody listens.
pub fn tell(figures: &Figures) -> io::Result<()> {
    let text = serde_json::to_string(figures).map_err(io::Error::other)?;
    io::stdout().write_all(text.as_bytes())
}

fn read_rules(path: &Path) -> Result<Vec<RuleFile>, ReadError> {
    let read = |line: &String| serde_json::from_str(line).map(|(path, text)| RuleFile { path, text });
    let rules: Result<_, serde_json::Error> = lines(path)?.iter().map(read).collect();
    rules.map_err(|error| ReadError { path: path.to_owned(), source: error.into() })
}
