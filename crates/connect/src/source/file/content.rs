//! One open file and its decompressed bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::place::{HEAD_LENGTH, Place, hash};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A file that stays the same one whatever happens to its name.
#[derive(Debug)]
pub(super) struct Content {
    file: Arc<File>,
    pub(super) dev: u64,
    pub(super) ino: u64,
    reader: Reader,
}

enum Reader {
    /// Too short to tell.
    Unsure,
    Plain(Cursor),
    Gzip(Box<flate2::read::MultiGzDecoder<BufReader<Cursor>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Cursor>>>),
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Unsure => "Unsure",
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

/// What a read gave.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(usize),
    /// No more now.
    End,
    /// Compressed bytes stop in the middle.
    Unfinished,
    /// Compressed bytes that do not decompress.
    Corrupt,
}

/// Reads a file from its own position, so that several may read one handle.
#[derive(Debug)]
struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(bytes, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Content {
    /// Opens the file at its beginning.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // To open a pipe is to wait for its writer, for ever if there is none.
        if is_pipe(path)? {
            let why = "a pipe or a socket keeps nothing to go on from: read it as standard input";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let file = Arc::new(File::open(path)?);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let reader = Reader::begin(&file)?;
        Ok(Self { dev: metadata.dev(), ino: metadata.ino(), file, reader })
    }

    /// Length as stored.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// Whether the bytes are stored as they are, so that the file can grow line by line.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.reader, Reader::Plain(_) | Reader::Unsure)
    }

    /// Goes to `offset` of the decompressed bytes. False if there are fewer.
    pub(super) fn go_to(&mut self, offset: u64) -> io::Result<bool> {
        self.reader = Reader::begin(&self.file)?;
        match &mut self.reader {
            Reader::Unsure => Ok(offset == 0),
            Reader::Plain(cursor) => {
                cursor.at = offset;
                Ok(self.length()? >= offset)
            }
            Reader::Gzip(_) | Reader::Zstd(_) => {
                let mut skipped = 0;
                let mut bytes = vec![0; 64 << 10];
                while skipped < offset {
                    let wanted = bytes.len().min(usize::try_from(offset - skipped).unwrap_or(usize::MAX));
                    match self.read(&mut bytes[..wanted])? {
                        Piece::Bytes(length) => skipped += length as u64,
                        Piece::End | Piece::Unfinished | Piece::Corrupt => return Ok(false),
                    }
                }
                Ok(true)
            }
        }
    }

    /// Reads on. Errors are those of the file system; bad compressed bytes are a result.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<Piece> {
        let read = loop {
            let read = match &mut self.reader {
                Reader::Unsure => match Reader::begin(&self.file)? {
                    Reader::Unsure => Ok(0),
                    reader => {
                        self.reader = reader;
                        continue;
                    }
                },
                Reader::Plain(cursor) => cursor.read(bytes),
                Reader::Gzip(decoder) => decoder.read(bytes),
                Reader::Zstd(decoder) => decoder.read(bytes),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Ok(Piece::End),
            Ok(length) => Ok(Piece::Bytes(length)),
            Err(error) if self.is_plain() || error.raw_os_error().is_some() => Err(error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Piece::Unfinished),
            Err(_) => Ok(Piece::Corrupt),
        }
    }

    /// The first bytes, decompressed, without moving; fewer than `length` if there are fewer.
    pub(super) fn first(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut other =
            Self { file: Arc::clone(&self.file), dev: self.dev, ino: self.ino, reader: Reader::begin(&self.file)? };
        let mut first = vec![0; length.min(HEAD_LENGTH)];
        let mut filled = 0;
        while filled < first.len() {
            match other.read(&mut first[filled..])? {
                Piece::Bytes(length) => filled += length,
                Piece::End | Piece::Unfinished | Piece::Corrupt => break,
            }
        }
        first.truncate(filled);
        Ok(first)
    }

    /// Whether this is the content that `place` speaks of, under whatever name.
    pub(super) fn holds(&self, place: &Place) -> io::Result<bool> {
        let first = self.first(place.head_length())?;
        Ok(first.len() == place.head_length() && hash(&first) == place.head)
    }

    pub(super) fn is_file(&self, dev: u64, ino: u64) -> bool {
        self.dev == dev && self.ino == ino
    }
}

/// Whether what stands at the path is no file that can be read again.
pub(super) fn is_pipe(path: &Path) -> io::Result<bool> {
    let kind = std::fs::metadata(path)?.file_type();
    Ok(kind.is_fifo() || kind.is_socket())
}

impl Reader {
    /// Tells the compression by the first bytes.
    fn begin(file: &Arc<File>) -> io::Result<Self> {
        let mut cursor = Cursor { file: Arc::clone(file), at: 0 };
        let mut first = [0; 4];
        let mut length = 0;
        while length < first.len() {
            match cursor.read(&mut first[length..])? {
                0 => break,
                more => length += more,
            }
        }
        cursor.at = 0;
        let first = &first[..length];
        if first.starts_with(GZIP_MAGIC) {
            return Ok(Self::Gzip(Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(cursor)))));
        }
        if first.starts_with(ZSTD_MAGIC) {
            let decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(cursor))?;
            return Ok(Self::Zstd(Box::new(decoder)));
        }
        if GZIP_MAGIC.starts_with(first) || ZSTD_MAGIC.starts_with(first) {
            return Ok(Self::Unsure);
        }
        Ok(Self::Plain(cursor))
    }
}
