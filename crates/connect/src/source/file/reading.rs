//! One content on its way to becoming records, and the position that goes with it.

use std::io;

use super::content::{Content, Piece};
use super::place::{HEAD_LENGTH, Place, hash};
use super::tail::Cut;
use crate::source::brackets::{is_lines, value_end};
use crate::source::lines::{Framing, Line, Lines, head};
use crate::source::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Body, Record, Refusal};

/// Read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Read in one step at most, so that a long line or a long skip does not hold the thread.
const STEP_BYTES_MAX: usize = 8 << 20;

/// How far a guess looks for the second line of a document.
pub const GUESS_BYTES_MAX: u64 = 256 << 10;

/// Why filling ended.
#[derive(Debug)]
pub(super) enum Filled {
    /// The batch is full, or the step has read enough.
    Enough,
    /// No more now.
    End,
    /// Compressed bytes stop in the middle.
    Unfinished,
}

/// One content being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) content: Content,
    pub(super) lines: Lines,
    /// Steps at the end without news.
    pub(super) quiet_polls: u32,
    generation: u64,
    guessed: bool,
    bytes_max: usize,
    /// The first bytes, as far as read.
    head: Vec<u8>,
    /// Stored length when compressed bytes came to an end, and whether that was the right end.
    ended: Option<(u64, bool)>,
    /// Whether the compressed bytes that cannot be read have been refused.
    corrupt: bool,
}

impl Reading {
    /// Reads from the start.
    pub(super) fn begin(content: Content, generation: u64, cut: Cut) -> Self {
        let place = Place { dev: content.dev, ino: content.ino, generation, offset: 0, head: hash(b"") };
        Self::at(content, &place, Vec::new(), cut)
    }

    /// Reads on at `place`, where `content` already stands. Framing is a matter of how a file begins, so
    /// the rest is lines.
    pub(super) fn resume(content: Content, place: &Place, cut: Cut) -> io::Result<Self> {
        let head = content.first(place.head_length())?;
        let cut = if place.offset > 0 { Cut { framing: Framing::Lines, ..cut } } else { cut };
        Ok(Self::at(content, place, head, cut))
    }

    fn at(content: Content, place: &Place, head: Vec<u8>, cut: Cut) -> Self {
        Self {
            content,
            lines: Lines::at(place.offset, cut.framing, cut.bytes_max),
            quiet_polls: 0,
            generation: place.generation,
            guessed: cut.guessed,
            bytes_max: cut.bytes_max,
            head,
            ended: None,
            corrupt: false,
        }
    }

    /// Up to which byte all is handed over.
    pub(super) fn place(&self) -> Place {
        let offset = self.lines.offset();
        let head = usize::try_from(offset).unwrap_or(HEAD_LENGTH).min(self.head.len());
        Place {
            dev: self.content.dev,
            ino: self.content.ino,
            generation: self.generation,
            offset,
            head: hash(&self.head[..head]),
        }
    }

    /// Reads until a batch is full or nothing more is there.
    pub(super) fn fill(&mut self, records: &mut Vec<Record>) -> io::Result<Filled> {
        let mut bytes = 0;
        let mut read = 0;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            while let Some(line) = self.lines.cut() {
                bytes += line.body.len();
                records.push(self.record(line));
                if records.len() == BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
                    return Ok(Filled::Enough);
                }
            }
            if read >= STEP_BYTES_MAX {
                return Ok(Filled::Enough);
            }
            match self.read(&mut piece)? {
                Piece::Bytes(length) => {
                    read += length;
                    self.take(&piece[..length]);
                }
                Piece::End => return Ok(self.ended(Filled::End)),
                Piece::Unfinished => return Ok(self.ended(Filled::Unfinished)),
                Piece::Corrupt => {
                    self.corrupt = true;
                    records.push(self.refuse_rest());
                    return Ok(Filled::Enough);
                }
            }
        }
    }

    /// Compressed bytes are read anew when the file has grown, since a decoder at its end stays there.
    fn read(&mut self, piece: &mut [u8]) -> io::Result<Piece> {
        if self.content.is_plain() {
            return self.content.read(piece);
        }
        let length = self.content.length()?;
        if let Some((ended_at, whole)) = self.ended {
            if ended_at == length || !self.content.go_to(self.read_so_far())? {
                self.ended = Some((length, whole));
                return Ok(if whole || self.corrupt { Piece::End } else { Piece::Unfinished });
            }
            self.ended = None;
        }
        let read = self.content.read(piece)?;
        if !matches!(read, Piece::Bytes(_)) {
            self.ended = Some((length, matches!(read, Piece::End)));
        }
        Ok(read)
    }

    fn ended(&mut self, filled: Filled) -> Filled {
        self.quiet_polls = self.quiet_polls.saturating_add(1);
        filled
    }

    fn take(&mut self, bytes: &[u8]) {
        self.quiet_polls = 0;
        let wanted = HEAD_LENGTH.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..wanted]);
        self.lines.feed(bytes);
        let is_early = self.lines.offset() == 0 && self.lines.pending() <= GUESS_BYTES_MAX;
        if self.guessed && is_early && self.lines.framing() == Framing::Document && is_lines(self.lines.unfinished()) {
            self.lines.frame(Framing::Lines);
        }
    }

    /// Whether the document being read looks complete.
    pub(super) fn document_ended(&self) -> bool {
        let text = self.lines.unfinished().trim_ascii();
        self.quiet_polls <= 1 && value_end(text) == Some(text.len())
    }

    /// What is left when the file is left.
    pub(super) fn last_record(&mut self, filled: &Filled) -> Option<Record> {
        match filled {
            Filled::Unfinished if !self.corrupt => {
                self.corrupt = true;
                Some(self.refuse_rest())
            }
            Filled::Unfinished | Filled::End | Filled::Enough => {
                let line = self.lines.finish();
                self.lines.frame(Framing::Lines);
                line.map(|line| self.record(line))
            }
        }
    }

    /// The record that compressed bytes broke off in.
    fn refuse_rest(&mut self) -> Record {
        let offset = self.lines.offset();
        let body = Body::Refused { head: head(self.lines.unfinished()), reason: Refusal::Corrupt };
        self.lines = Lines::at(self.read_so_far(), Framing::Lines, self.bytes_max);
        self.record(Line { number: 0, offset, body })
    }

    /// Whether all that was read still stands in the file: it was neither truncated nor written anew.
    pub(super) fn is_intact(&self) -> io::Result<bool> {
        let shorter = self.content.is_plain() && self.content.length()? < self.read_so_far();
        Ok(!shorter && self.content.first(self.head.len())? == self.head)
    }

    fn read_so_far(&self) -> u64 {
        self.lines.offset() + self.lines.pending()
    }

    /// The position is the same whenever the same bytes are read.
    fn record(&self, line: Line) -> Record {
        let Content { dev, ino, .. } = &self.content;
        Record { position: format!("{dev}:{ino}:{}:{}", self.generation, line.offset), body: line.body }
    }
}
