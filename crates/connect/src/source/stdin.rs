//! Lines from standard input, until it ends.
//!
//! A pipe cannot be read again: what was not committed when the process ended is for whoever fills the
//! pipe to send once more.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::lines::{Framing, Lines};
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, Mark, Next, Record, Remedy, Source, SourceError};

/// The one partition of this source; its position is the number of lines read.
const PARTITION: &str = "stdin";

/// Read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Standard input, or in tests any other stream.
#[derive(Debug)]
pub struct Stdin<Input = tokio::io::Stdin> {
    input: Input,
    start: String,
    lines: Lines,
    piece: Vec<u8>,
    ended: bool,
}

impl Stdin {
    /// The process's own standard input. `start` names this run of the process, so that the first line of
    /// the next run is not taken for the first line of this one. A line above `line_bytes_max` is refused.
    #[must_use]
    pub fn new(start: &str, line_bytes_max: usize) -> Self {
        Self::over(tokio::io::stdin(), start, line_bytes_max)
    }
}

impl<Input: AsyncRead + Send + Unpin> Stdin<Input> {
    /// Any other stream of lines.
    #[must_use]
    pub fn over(input: Input, start: &str, line_bytes_max: usize) -> Self {
        let lines = Lines::at(0, Framing::Lines, line_bytes_max);
        Self { input, start: start.to_owned(), lines, piece: vec![0; PIECE_BYTES], ended: false }
    }

    /// The lines that have been read, as many as one batch holds.
    fn batch(&mut self) -> Option<Batch> {
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES_MAX {
            let line = match self.lines.cut() {
                Some(line) => line,
                None if self.ended => match self.lines.finish() {
                    Some(line) => line,
                    None => break,
                },
                None => break,
            };
            bytes += line.body.len();
            records.push(Record { position: format!("{}:{}", self.start, line.number), body: line.body });
        }
        if records.is_empty() {
            return None;
        }
        let mark = Mark([(PARTITION.to_owned(), self.lines.number().to_string())].into());
        Some(Batch { records, mark, ..Batch::default() })
    }
}

impl<Input: AsyncRead + Send + Unpin> Source for Stdin<Input> {
    async fn next(&mut self) -> Result<Next, SourceError> {
        loop {
            if let Some(batch) = self.batch() {
                return Ok(Next::Batch(batch));
            }
            if self.ended {
                return Ok(Next::Exhausted);
            }
            // The only wait: a read that is dropped has taken nothing.
            let length = self.input.read(&mut self.piece).await.map_err(|error| SourceError {
                doing: "read standard input".to_owned(),
                remedy: Remedy::Wait,
                source: Some(Box::new(error)),
            })?;
            self.ended = length == 0;
            self.lines.feed(&self.piece[..length]);
        }
    }

    async fn commit(&mut self, _mark: Mark) -> Result<(), SourceError> {
        Ok(())
    }
}
