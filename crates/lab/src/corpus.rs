//! Where records for tests and benches come from.
//!
//! [`stream()`] is one kind of log in the order of life; [`mixture()`] is what a bench of the engine alone wants,
//! every shape beside every other; [`keys()`] fills windows.
//!
//! The project's own samples are always there. The shared data folder holds public data for measuring; it
//! stays outside the project and may be absent, so whoever uses it must say so when it is.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use engine::rule::{Given, Mappings, RuleFile};
use flate2::read::MultiGzDecoder;

mod everything;
mod keys;
mod lanes;
mod mixture;
mod stream;

pub use everything::everything;
pub use keys::{Keys, keys};
pub use lanes::{cloudtrail, mixed, windows};
pub use mixture::{Lane, mixture};
pub use stream::{Wanted, stream};

/// A corpus that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read {path}")]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// The shared data folder: `LAPWING_SHARED`, else `../shared` beside the workspace. Nothing if there is none.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("LAPWING_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace().join("../shared"));
    folder.is_dir().then_some(folder)
}

/// The project's own sample logs.
#[must_use]
pub fn samples() -> PathBuf {
    workspace().join("samples")
}

/// What the binary gives to rules by itself: the shipped mappings.
///
/// # Errors
/// [`ReadError`] if they cannot be read, or hold what is wrong.
pub fn given() -> Result<Given, ReadError> {
    let folder = workspace().join("mappings");
    let read = || -> std::io::Result<Mappings> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            files.push(RuleFile { path: path.display().to_string(), text: std::fs::read_to_string(path)? });
        }
        let (mappings, problems) = Mappings::read(&files, &[]);
        problems.first().map_or(Ok(mappings), |problem| Err(std::io::Error::other(problem.to_string())))
    };
    let mappings = read().map_err(|source| ReadError { path: folder.clone(), source })?;
    Ok(Given { mappings, ..Given::default() })
}

/// The lines of a file that are not blank; decompressed if its name ends in `.gz`.
///
/// # Errors
/// [`ReadError`] if the file is absent, damaged or no UTF-8.
pub fn lines(path: &Path) -> Result<Vec<String>, ReadError> {
    let read = || -> std::io::Result<Vec<String>> {
        let file = File::open(path)?;
        let compressed = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn BufRead> = if compressed {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        };
        let mut lines = Vec::new();
        for line in reader.lines() {
            let line = line?;
            if !line.trim().is_empty() {
                lines.push(line);
            }
        }
        Ok(lines)
    };
    read().map_err(|source| ReadError { path: path.to_owned(), source })
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_day_is_read_through_its_compression() {
        let day = lines(&samples().join("day/cloudtrail.jsonl.gz")).unwrap();
        assert!(day.len() > 10_000);
        assert!(day.iter().all(|line| line.starts_with('{') && line.ends_with('}')));
    }

    #[test]
    fn an_absent_file_is_named_in_the_error() {
        let error = lines(Path::new("nowhere.jsonl")).unwrap_err();
        assert_eq!(error.to_string(), "read nowhere.jsonl");
    }
}
