//! A log that somebody writes and rotates: `trail.jsonl`, then `trail.jsonl.1` and so on.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file, and what is still to be written into it.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    left: Vec<u8>,
}

impl Log {
    /// An empty file that `text` will be written into.
    pub(crate) fn create(path: PathBuf, text: Vec<u8>) -> Self {
        Self { file: File::create(&path).expect("the file can be made"), path, left: text }
    }

    /// Where it stands.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are still to be written.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }

    /// Appends so many bytes, in the middle of a record if that is where they end.
    pub(crate) fn write(&mut self, bytes: usize) {
        let rest = self.left.split_off(bytes.min(self.left.len()));
        self.file.write_all(&self.left).expect("the file can grow");
        self.left = rest;
    }

    /// Ends the line and begins a new file.
    pub(crate) fn rotate(&mut self) {
        let end = self.left.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.write(end);
        let numbered = |number: usize| self.path.with_extension(format!("jsonl.{number}"));
        let oldest = (1..).find(|number| !numbered(*number).exists()).expect("numbers do not end");
        for number in (1..oldest).rev() {
            std::fs::rename(numbered(number), numbered(number + 1)).expect("a file can be renamed");
        }
        std::fs::rename(&self.path, numbered(1)).expect("a file can be renamed");
        self.file = File::create(&self.path).expect("the file can be made");
    }
}
