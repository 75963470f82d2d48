//! The records that tests feed in: the shared data folder's real stream, or the sample day without it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// CloudTrail records in time order, one a line.
pub(crate) struct Corpus {
    lines: &'static [String],
}

impl Corpus {
    /// Reads it, once a process, and says which one it is.
    pub(crate) fn open() -> Self {
        static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
            let sample = || Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/day/cloudtrail.jsonl.gz");
            let path = shared("data/streams/invictus.masked.jsonl.gz").unwrap_or_else(sample);
            super::loudly(&format!("CORPUS: {}", path.display()));
            lines_of(&path)
        });
        Self { lines: &LINES }
    }

    /// Its records.
    pub(crate) fn lines(&self) -> &'static [String] {
        self.lines
    }
}

/// A file of the shared data folder, where there is one: `LAPWING_SHARED`, or `shared` beside the project.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = std::env::var_os("LAPWING_SHARED").map_or_else(beside, PathBuf::from).join(name);
    path.exists().then_some(path)
}

/// The lines of a text file, gzip if its name says so.
pub(crate) fn lines_of(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).expect("the corpus can be read");
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("the corpus is gzip of UTF-8");
    } else {
        text = String::from_utf8(bytes).expect("the corpus is UTF-8");
    }
    text.lines().map(str::to_owned).collect()
}
