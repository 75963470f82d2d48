//! Decompresses a stream as it comes, within a limit for all that comes out.

use std::io::Write;

use flate2::write::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// What else files are packed as, told by their first bytes.
const FOREIGN: [(&[u8], &str); 5] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"PAR1", "Parquet"),
    (b"\xff\x06\x00\x00sNaP", "Snappy"),
];

/// Packed bytes that are opened at once: no more than a thousandfold of them comes out.
const SLICE_BYTES: usize = 4 << 10;

/// Bytes on their way out of a stream that is packed with gzip, or not at all.
pub(crate) struct Unpack {
    coding: Coding,
    /// So many have come out.
    bytes: u64,
    bytes_max: u64,
}

enum Coding {
    /// Too few to tell.
    Unsure(Vec<u8>),
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// Why no more comes out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpackable {
    /// Damaged, or cut off.
    #[error("gzip does not open")]
    Corrupt(#[source] std::io::Error),
    /// Packed in a way that is not read.
    #[error("it is packed as {0}: gzip and plain text are read")]
    Foreign(&'static str),
    /// More than is allowed.
    #[error("it holds more than {0} bytes")]
    TooLarge(u64),
}

impl Unpack {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { coding: Coding::Unsure(Vec::new()), bytes: 0, bytes_max }
    }

    /// Opens the next of `packed`, as much as is opened at once, and leaves the rest. What comes out is added to `text`.
    pub(crate) fn open(&mut self, packed: &mut bytes::Bytes, text: &mut Vec<u8>) -> Result<(), Unpackable> {
        let mut slice = packed.split_to(packed.len().min(SLICE_BYTES));
        if let Coding::Unsure(first) = &mut self.coding {
            first.extend_from_slice(&slice);
            let longest = FOREIGN.iter().map(|(magic, _)| magic.len()).max().unwrap_or(0);
            if first.len() < longest {
                return Ok(());
            }
            slice = std::mem::take(first).into();
            self.coding = coding(&slice)?;
        }
        let before = text.len();
        match &mut self.coding {
            Coding::Unsure(_) => {}
            Coding::Plain => text.extend_from_slice(&slice),
            Coding::Gzip(decoder) => {
                decoder.write_all(&slice).map_err(Unpackable::Corrupt)?;
                text.append(decoder.get_mut());
            }
        }
        self.count(text.len() - before)
    }

    /// Nothing more will come; the rest is added to `text`.
    pub(crate) fn end(&mut self, text: &mut Vec<u8>) -> Result<(), Unpackable> {
        let before = text.len();
        if let Coding::Unsure(first) = &mut self.coding {
            let first = std::mem::take(first);
            self.coding = coding(&first)?;
            match &mut self.coding {
                Coding::Unsure(_) | Coding::Plain => text.extend_from_slice(&first),
                Coding::Gzip(decoder) => decoder.write_all(&first).map_err(Unpackable::Corrupt)?,
            }
        }
        if let Coding::Gzip(decoder) = &mut self.coding {
            decoder.try_finish().map_err(Unpackable::Corrupt)?;
            text.append(decoder.get_mut());
        }
        self.count(text.len() - before)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Unpackable> {
        self.bytes += bytes as u64;
        if self.bytes > self.bytes_max { Err(Unpackable::TooLarge(self.bytes_max)) } else { Ok(()) }
    }
}

fn coding(first: &[u8]) -> Result<Coding, Unpackable> {
    if let Some((_, name)) = FOREIGN.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Err(Unpackable::Foreign(name));
    }
    let is_gzip = first.starts_with(GZIP);
    Ok(if is_gzip { Coding::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))) } else { Coding::Plain })
}

/// What comes out of `packed` as a whole, for what is small.
pub(crate) fn unpack(packed: &[u8], bytes_max: u64) -> Result<Vec<u8>, Unpackable> {
    let (mut unpack, mut text) = (Unpack::new(bytes_max), Vec::new());
    let mut packed = bytes::Bytes::copy_from_slice(packed);
    while !packed.is_empty() {
        unpack.open(&mut packed, &mut text)?;
    }
    unpack.end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_and_plain_text_come_out_as_they_were() {
        let long = b"{\"a\":1}\n".repeat(100_000);
        for text in [b"".as_slice(), b"x", b"{\"a\":1}", &long] {
            assert_eq!(unpack(text, 1 << 20).unwrap(), text);
            assert_eq!(unpack(&gzip(text), 1 << 20).unwrap(), text);
        }
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(unpack(&two, 100).unwrap(), b"one two", "members of one file");
    }

    #[test]
    fn what_does_not_open_says_why() {
        let packed = gzip(&b"{\"a\":1}".repeat(1_000));
        let mut bent = packed.clone();
        let last = bent.len() - 6;
        bent[last] ^= 1;
        for (bytes, why) in [
            (&packed[..packed.len() / 2], "gzip does not open"),
            (&packed[..packed.len() - 4], "gzip does not open"),
            (&packed[..5], "gzip does not open"),
            (&bent, "gzip does not open"),
            (b"\x28\xb5\x2f\xfd 12345", "it is packed as zstd: gzip and plain text are read"),
            (b"PAR1 12345", "it is packed as Parquet: gzip and plain text are read"),
        ] {
            assert_eq!(unpack(bytes, 1 << 20).unwrap_err().to_string(), why, "{} bytes", bytes.len());
        }
        assert_eq!(unpack(&packed, 6_999).unwrap_err().to_string(), "it holds more than 6999 bytes");
    }

    #[test]
    fn a_bomb_is_stopped_long_before_it_has_gone_off() {
        let packed = gzip(&vec![b' '; 64 << 20]);
        let (mut unpack, mut text) = (Unpack::new(8 << 20), Vec::new());
        let mut rest = bytes::Bytes::from(packed);
        let stopped = std::iter::from_fn(|| Some(unpack.open(&mut rest, &mut text))).find_map(Result::err);
        assert!(matches!(stopped, Some(Unpackable::TooLarge(_))));
        assert!(text.len() < 16 << 20, "{}", text.len());
    }
}
