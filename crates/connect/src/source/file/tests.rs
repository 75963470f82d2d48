//! Real files in a temporary folder: written, rotated, truncated, compressed, read again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::source::contract::{Seen, drain, numbered, resumes_from_every_mark, yields_all_in_order};
use crate::source::{Gap, Remedy, Source};

/// A folder with a log in it and whoever reads that log.
struct Log {
    folder: TempDir,
    settings: Settings,
    source: File,
    seen: Seen,
}

impl Log {
    fn new() -> Self {
        Self::named("app.log")
    }

    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = followed(&folder.path().join(name));
        let source = File::new(&settings, &Mark::default());
        Self { folder, settings, source, seen: Seen::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// What is new, until the source is idle.
    async fn read(&mut self) -> Vec<String> {
        let seen = drain(&mut self.source).await;
        self.seen.mark.0.extend(seen.mark.0);
        self.seen.positions.extend(seen.positions);
        seen.texts
    }

    /// A new process goes on from what was committed.
    fn restart(&mut self) {
        self.source = File::new(&self.settings, &self.seen.mark);
    }

    #[track_caller]
    fn positions_are_unique(&self) {
        let mut positions = self.seen.positions.clone();
        positions.sort();
        positions.dedup();
        assert_eq!(positions.len(), self.seen.positions.len());
    }
}

fn followed(path: &Path) -> Settings {
    let poll = Duration::from_millis(1);
    Settings { path: vec![path.to_owned()], follow: true, framing: None, line_bytes_max: None, poll }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_file_keeps_the_contract_plain_and_compressed() {
    let records = numbered(3_000);
    let text = records.join("\n") + "\n";
    let log = Log::new();
    log.write("plain.log", &text);
    log.write("packed.log", gzip(&text));
    log.write("zstd.log", zstd::encode_all(text.as_bytes(), 1).unwrap());
    for name in ["plain.log", "packed.log", "zstd.log"] {
        for follow in [true, false] {
            let settings = Settings { follow, ..followed(&log.path(name)) };
            yields_all_in_order(&mut File::new(&settings, &Mark::default()), &records).await;
            resumes_from_every_mark(|mark| File::new(&settings, mark), &records).await;
        }
    }
}

#[tokio::test]
async fn a_last_line_waits_for_its_rest_when_followed_and_counts_when_read_once() {
    let mut log = Log::new();
    log.write("app.log", "one\ntw");
    assert_eq!(log.read().await, ["one"]);
    assert!(log.read().await.is_empty());
    log.append("app.log", "o\r\n\nthree\n");
    assert_eq!(log.read().await, ["two", "three"]);

    log.write("once.log", "one\ntw");
    let settings = Settings { follow: false, ..followed(&log.path("once.log")) };
    let mut once = File::new(&settings, &Mark::default());
    assert_eq!(drain(&mut once).await.texts, ["one", "tw"]);
    assert!(matches!(once.next().await, Ok(Next::Exhausted)));
}

#[tokio::test]
async fn rotation_by_rename_loses_nothing_and_repeats_nothing() {
    let mut log = Log::new();
    log.write("app.log", "1\n2\n");
    assert_eq!(log.read().await, ["1", "2"]);
    log.append("app.log", "3\n");
    log.rename("app.log", "app.log.1");
    log.append("app.log.1", "4\nlast without newline");
    log.write("app.log", "5\n");
    assert_eq!(log.read().await, ["3", "4", "last without newline", "5"]);
    log.positions_are_unique();
}

#[tokio::test]
async fn two_rotations_between_two_looks_are_read_in_order() {
    for restart in [false, true] {
        let mut log = Log::new();
        log.write("app.log", "1\n");
        assert_eq!(log.read().await, ["1"]);
        log.append("app.log", "2\n");
        log.rename("app.log", "app.log.2");
        later(&log.path("app.log.2"), 1);
        log.write("app.log.1", "3\n");
        later(&log.path("app.log.1"), 2);
        log.write("app.log", "4\n");
        if restart {
            log.restart();
        }
        assert_eq!(log.read().await, ["2", "3", "4"], "restart: {restart}");
        log.positions_are_unique();
    }
}

#[tokio::test]
async fn an_old_file_that_was_compressed_only_now_is_not_read_again() {
    let mut log = Log::new();
    log.write("app.log", "2\n");
    assert_eq!(log.read().await, ["2"]);
    log.rename("app.log", "app.log.1");
    log.write("app.log.2.gz", gzip("1\n"));
    later(&log.path("app.log.2.gz"), 1);
    log.write("app.log", "3\n");
    assert_eq!(log.read().await, ["3"]);
}

/// File systems stamp two quick writes alike; a rotation is never that quick.
fn later(path: &Path, seconds: u64) {
    let file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + seconds)).unwrap();
}

#[tokio::test]
async fn a_restart_finishes_the_rotated_file_before_the_new_one() {
    let mut log = Log::new();
    log.write("app.log", "1\n2\n");
    assert_eq!(log.read().await, ["1", "2"]);
    log.append("app.log", "3\n");
    log.rename("app.log", "app.log.1");
    log.write("app.log", "4\n");
    log.restart();
    assert_eq!(log.read().await, ["3", "4"]);
    log.append("app.log", "5\n");
    log.restart();
    assert_eq!(log.read().await, ["5"]);
    log.positions_are_unique();
}

#[tokio::test]
async fn a_file_that_rotation_moved_before_any_of_it_was_committed_is_still_read() {
    let mut log = Log::new();
    log.write("app.log", "a\nb\n");
    let Next::Batch(first) = log.source.next().await.unwrap() else { panic!("a position was expected") };
    assert!(first.records.is_empty());
    log.seen.mark = first.mark;
    log.rename("app.log", "app.log.1");
    log.write("app.log", "c\n");
    log.restart();
    assert_eq!(log.read().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_rotated_file_that_was_compressed_is_known_by_its_first_bytes() {
    let mut log = Log::new();
    log.write("app.log", "1\n2\n");
    assert_eq!(log.read().await, ["1", "2"]);
    fs::remove_file(log.path("app.log")).unwrap();
    log.write("app.log.1.gz", gzip("1\n2\n3\n"));
    log.write("app.log", "4\n");
    log.restart();
    assert_eq!(log.read().await, ["3", "4"]);
    log.restart();
    assert!(log.read().await.is_empty());
}

#[tokio::test]
async fn copytruncate_is_noticed_and_the_copy_is_finished_first() {
    for restart in [false, true] {
        let mut log = Log::new();
        log.write("app.log", "1\n2\n");
        assert_eq!(log.read().await, ["1", "2"]);
        log.append("app.log", "3\n");
        fs::copy(log.path("app.log"), log.path("app.log.1")).unwrap();
        log.write("app.log", "4\n");
        if restart {
            log.restart();
        }
        assert_eq!(log.read().await, ["3", "4"], "restart: {restart}");
        log.positions_are_unique();
    }
}

#[tokio::test]
async fn truncation_starts_at_the_new_content_even_if_it_is_longer() {
    for (new, records) in [("4\n", vec!["4"]), ("x\ny\nz\n1\n2\n3\n", vec!["x", "y", "z", "1", "2", "3"])] {
        for restart in [false, true] {
            let mut log = Log::new();
            log.write("app.log", "1\n2\n3\n");
            assert_eq!(log.read().await, ["1", "2", "3"]);
            log.write("app.log", new); // truncates: the inode stays
            if restart {
                log.restart();
            }
            assert_eq!(log.read().await, records, "restart: {restart}");
            log.positions_are_unique();
        }
    }
}

/// What is missing for good, until the source is idle.
async fn gaps(source: &mut File) -> Vec<Gap> {
    let mut gaps = Vec::new();
    while let Next::Batch(batch) = source.next().await.unwrap() {
        gaps.extend(batch.gaps);
    }
    gaps
}

#[tokio::test]
async fn a_log_that_was_cut_or_deleted_is_a_gap_which_is_the_same_after_a_crash() {
    for cut in [Some("4\n"), Some(""), None] {
        for restart in [false, true] {
            let mut log = Log::new();
            log.write("app.log", "1\n2\n3\n");
            assert_eq!(log.read().await, ["1", "2", "3"]);
            match cut {
                Some(text) => log.write("app.log", text),
                // While it is open nothing of a deleted file is lost.
                None if restart => fs::remove_file(log.path("app.log")).unwrap(),
                None => continue,
            }
            if restart {
                log.restart();
            }
            let found = gaps(&mut log.source).await;
            assert_eq!(found.len(), 1, "{cut:?}, restart: {restart}");
            assert!(found[0].what.contains("after 6 bytes"), "{}", found[0].what);
            assert_eq!(gaps(&mut log.source).await, [], "told once");
            log.restart();
            assert_eq!(gaps(&mut log.source).await, found, "nothing was committed since");
        }
    }
}

#[tokio::test]
async fn what_rotation_kept_and_a_document_that_is_written_anew_are_no_gaps() {
    let mut log = Log::new();
    log.write("app.log", "1\n2\n");
    log.read().await;
    fs::copy(log.path("app.log"), log.path("app.log.1")).unwrap();
    log.write("app.log", "3\n");
    assert_eq!(gaps(&mut log.source).await, []);

    let mut document = Log::named("report.json");
    document.write("report.json", "{\"a\":1}");
    document.read().await;
    document.write("report.json", "{\"b\":2}");
    assert_eq!(gaps(&mut document.source).await, []);
}

#[tokio::test]
async fn a_file_that_got_the_inode_of_a_deleted_one_is_not_taken_for_it() {
    let mut log = Log::new();
    log.write("app.log", "1\n2\n");
    assert_eq!(log.read().await, ["1", "2"]);
    // Whether a file system really reuses the inode is its own affair; the position says that it did.
    log.source = File::new(&log.settings, &Mark::default());
    fs::remove_file(log.path("app.log")).unwrap();
    log.write("app.log", "a\nb\nc\n");
    let partition = log.path("app.log").to_string_lossy().into_owned();
    let text = log.seen.mark.0.get(&partition).cloned().unwrap();
    let mut place: place::Place = serde_json::from_str(&text).unwrap();
    place.ino = std::os::unix::fs::MetadataExt::ino(&fs::metadata(log.path("app.log")).unwrap());
    log.seen.mark.0.insert(partition, place.text());
    log.restart();
    assert_eq!(log.read().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn gzip_members_one_after_another_are_one_file() {
    let mut log = Log::new();
    log.write("app.log", [gzip("1\n2"), gzip("\n3\n")].concat());
    assert_eq!(log.read().await, ["1", "2", "3"]);
    log.write("app.log", [gzip("1\n2"), gzip("\n3\n"), gzip("4\n")].concat());
    assert_eq!(log.read().await, ["4"]);
    log.rename("app.log", "app.log.1");
    log.write("app.log", gzip("5\n"));
    assert_eq!(log.read().await, ["5"]);
    log.positions_are_unique();
}

#[tokio::test]
async fn a_compressed_file_that_breaks_off_is_waited_for_and_in_the_end_refused() {
    let mut log = Log::new();
    let text = numbered(2_000).join("\n") + "\n";
    let packed = gzip(&text);
    log.write("app.log", &packed[..packed.len() / 2]);
    let mut read = log.read().await;
    log.write("app.log", &packed);
    read.extend(log.read().await);
    assert_eq!(read, numbered(2_000));

    log.write("broken.log", &packed[..packed.len() / 2]);
    let settings = Settings { follow: false, ..followed(&log.path("broken.log")) };
    let broken = drain(&mut File::new(&settings, &Mark::default())).await.texts;
    assert_eq!(broken.last().map(String::as_str), Some("Corrupt"));
    assert_eq!(broken[..broken.len() - 1], numbered(2_000)[..broken.len() - 1]);
}

#[tokio::test]
async fn a_line_above_the_limit_is_refused_alone() {
    let mut log = Log::new();
    log.write("app.log", ["before\n", &"x".repeat(20 << 20), "\nafter\n"].concat());
    assert_eq!(log.read().await, ["before", "TooLong", "after"]);
}

#[tokio::test]
async fn nul_bytes_pass_through() {
    let mut log = Log::new();
    log.write("app.log", "a\0b\n\0\n");
    assert_eq!(log.read().await, ["a\0b", "\0"]);
}

#[tokio::test]
async fn a_missing_file_is_waited_for_when_followed_and_an_error_when_read_once() {
    let mut log = Log::new();
    assert!(log.read().await.is_empty());
    assert!(log.read().await.is_empty());
    log.write("app.log", "1\n");
    assert_eq!(log.read().await, ["1"]);

    let settings = Settings { follow: false, ..followed(&log.path("none.log")) };
    let error = File::new(&settings, &Mark::default()).next().await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Person);
}

#[tokio::test]
async fn a_document_is_one_record_unless_a_second_line_follows_the_first() {
    for (name, text, records) in [
        ("pretty.json", "{\n\"Records\": [\n1]\n}\n", vec!["{\n\"Records\": [\n1]\n}"]),
        ("single.json", "{\"Records\":[1]}", vec!["{\"Records\":[1]}"]),
        ("lines.json", "{\"a\":1}\n{\"b\":2}\n", vec!["{\"a\":1}", "{\"b\":2}"]),
    ] {
        for packed in [false, true] {
            let mut log = Log::named(name);
            log.write(name, if packed { gzip(text) } else { text.as_bytes().to_vec() });
            assert_eq!(log.read().await, records, "{name} packed: {packed}");
            log.restart();
            assert!(log.read().await.is_empty(), "{name} packed: {packed}");
        }
    }
}

#[tokio::test]
async fn a_document_is_waited_for_until_it_is_whole_and_later_lines_are_lines() {
    let mut log = Log::named("trail.json");
    log.write("trail.json", "{\"Records\":\n");
    assert!(log.read().await.is_empty());
    log.append("trail.json", "[1]}\n");
    assert_eq!(log.read().await, ["{\"Records\":\n[1]}"]);
    log.append("trail.json", "{\"a\":1}\n");
    assert_eq!(log.read().await, ["{\"a\":1}"]);
}

#[tokio::test]
async fn a_pipe_is_refused_and_nobody_waits_for_its_writer() {
    let mut log = Log::new();
    let made = std::process::Command::new("mkfifo").arg(log.path("app.log")).status().unwrap();
    assert!(made.success());
    let error = log.source.next().await.unwrap_err();
    assert_eq!(error.remedy, Remedy::Person);
    assert!(error.source.unwrap().to_string().contains("standard input"));
    let probes = probe(&log.settings);
    assert!(probes[0].found.is_err(), "{}", probes[0]);
}

#[tokio::test]
async fn of_several_paths_each_has_its_own_position() {
    let log = Log::new();
    log.write("one.log", "1\n");
    log.write("two.log", gzip("2\n"));
    let settings = Settings { path: vec![log.path("one.log"), log.path("two.log")], ..log.settings.clone() };
    let seen = drain(&mut File::new(&settings, &Mark::default())).await;
    assert_eq!((seen.texts, seen.mark.0.len()), (vec!["1".to_owned(), "2".to_owned()], 2));
}

#[test]
fn settings_take_one_path_or_several_and_no_unknown_key() {
    let settings: Settings = serde_json::from_str(r#"{"path":"a.log","poll":"1s"}"#).unwrap();
    assert_eq!((settings.path, settings.follow, settings.poll), (vec!["a.log".into()], true, Duration::from_secs(1)));
    let settings: Settings = serde_json::from_str(r#"{"path":["a","b"],"framing":"document"}"#).unwrap();
    assert_eq!((settings.path.len(), settings.framing), (2, Some(Framing::Document)));
    assert!(serde_json::from_str::<Settings>(r#"{"path":"a","glob":true}"#).is_err());
}
