//! Records out of files for commands that read them once: plain, gzip, zstd, or standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use connect::source::file::{GUESS_BYTES_MAX, is_lines};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Longest line or document; CloudTrail files stay far below.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// Hands each record to `take`, with its number from 1 and the bytes of the file read so far: each line of
/// a file of lines, or the whole of a document. As for the file source, `.json` is a document unless a second
/// line follows a first one that is whole.
pub(super) fn records(path: &Path, mut take: impl FnMut(u64, &[u8], u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let about = || format!("read {}", path.display());
    let mut reader = open(path).with_context(about)?;
    let mut start = Vec::new();
    if is_document(path) {
        (&mut reader).take(GUESS_BYTES_MAX).read_to_end(&mut start).with_context(about)?;
        if !is_lines(&start) {
            reader.take(RECORD_BYTES_MAX).read_to_end(&mut start).with_context(about)?;
            return take(1, &start, start.len() as u64);
        }
    }
    let mut reader = start.as_slice().chain(reader);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut found = Vec::new();
        records(&path, |number, record, _| {
            found.push(format!("{number} {}", String::from_utf8_lossy(record)));
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn a_json_file_is_a_document_unless_a_second_line_follows_a_whole_first_one() {
        assert_eq!(read("a.json", "{\n\"a\": 1\n}\n"), ["1 {\n\"a\": 1\n}\n"]);
        assert_eq!(read("a.json", "{\"a\":1}\n{\"a\":2}\n"), ["1 {\"a\":1}", "2 {\"a\":2}"]);
        assert_eq!(read("a.jsonl", "{\n}"), ["1 {", "2 }"], "the name says lines");
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1_000));
        let many = vec![long; 1_000].join("\n");
        assert_eq!(read("a.json", &many).len(), 1_000, "also beyond what the guess looks at");
    }
}
