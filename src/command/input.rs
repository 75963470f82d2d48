//! Records out of files for commands that read them once: plain, gzip, zstd, or standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Longest line or document; CloudTrail files stay far below.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// Hands each record to `take`, with its number from 1 and the bytes of the file read so far: each line of
/// a file of lines, or the whole of a `.json` document.
pub(super) fn records(path: &Path, mut take: impl FnMut(u64, &[u8], u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let about = || format!("read {}", path.display());
    let mut reader = open(path).with_context(about)?;
    if is_document(path) {
        let mut document = Vec::new();
        reader.take(RECORD_BYTES_MAX).read_to_end(&mut document).with_context(about)?;
        return take(1, &document, document.len() as u64);
    }
    let (mut line, mut number, mut bytes) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let read = (&mut reader).take(RECORD_BYTES_MAX).read_until(b'\n', &mut line).with_context(about)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        bytes += read as u64;
        take(number, line.trim_ascii_end(), bytes)?;
    }
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut plain: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(1 << 20, File::open(path)?))
    };
    let head = plain.fill_buf()?;
    Ok(if head.starts_with(&GZIP) {
        Box::new(BufReader::with_capacity(1 << 20, flate2::bufread::MultiGzDecoder::new(plain)))
    } else if head.starts_with(&ZSTD) {
        Box::new(BufReader::with_capacity(1 << 20, zstd::Decoder::with_buffer(plain)?))
    } else {
        plain
    })
}

fn is_document(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    name.ends_with(".json")
}
