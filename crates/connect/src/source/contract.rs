//! What every source promises, as tests that each of them passes.
//!
//! [`SOURCES`] is the one list. A source that is not in it, or whose own tests do not ask for what it promises there, is
//! found by `tests/tidy.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Batch, Body, Mark, Next, Source};

/// Longest wait for a system that decides by time who may read.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who keeps the position of a source. All of them yield everything in order though calls are dropped, each record at a
/// position of its own ([`yields_all_in_order`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Our store: from every mark exactly the rest is read ([`resumes_from_every_mark`]).
    Store,
    /// Our store, and what lies around a mark is read again, at the same positions ([`resumes_with_repeats`]).
    StoreWithRepeats,
    /// Its system: what was not committed is handed out again, at the same positions, and what was is not
    /// ([`hands_out_again_what_was_not_committed`]).
    System,
    /// Nobody: whoever sends has to send again what was not answered.
    Nobody,
}

/// Every source by the name of its module, and who keeps its position. What is pushed in the words of another system
/// (`github`, `gitlab`, `splunk`, `otlp`, `okta`, `firehose`, `pubsub_push`) is read by the source `http`. Digests hold no
/// records: what is kept of them is how far each chain was verified.
pub(crate) const SOURCES: [(&str, Keeps); 13] = [
    ("cloudwatch", Keeps::StoreWithRepeats),
    ("digests", Keeps::Store),
    ("file", Keeps::Store),
    ("github_audit", Keeps::StoreWithRepeats),
    ("http", Keeps::Nobody),
    ("kafka", Keeps::System),
    ("kinesis", Keeps::Store),
    ("memory", Keeps::Store),
    ("pubsub", Keeps::System),
    ("s3", Keeps::Store),
    ("sqs", Keeps::System),
    ("stdin", Keeps::Nobody),
    ("syslog", Keeps::Nobody),
];

/// What was read until nothing more was there.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The text of each record, or the reason it was refused for.
    pub(crate) texts: Vec<String>,
    pub(crate) positions: Vec<String>,
    /// All marks laid over one another, as the store keeps them.
    pub(crate) mark: Mark,
}

impl Seen {
    /// Position and text of each, once.
    fn records(&self) -> BTreeSet<(String, String)> {
        self.positions.iter().cloned().zip(self.texts.iter().cloned()).collect()
    }

    pub(crate) fn add(&mut self, batch: Batch) {
        for record in batch.records {
            self.positions.push(record.position);
            self.texts.push(match record.body {
                Body::Whole(text) => String::from_utf8_lossy(&text).into_owned(),
                Body::Refused { reason, .. } => format!("{reason:?}"),
            });
        }
        let moved: BTreeMap<_, _> = batch.mark.0;
        self.mark.0.extend(moved);
    }
}

/// Reads and commits until the source is idle or exhausted.
pub(crate) async fn drain(source: &mut impl Source) -> Seen {
    let mut seen = Seen::default();
    loop {
        match source.next().await.expect("nothing fails here") {
            Next::Batch(batch) => {
                let mark = batch.mark.clone();
                seen.add(batch);
                source.commit(mark).await.expect("the commit is taken");
            }
            Next::Idle | Next::Exhausted => return seen,
            Next::Revoked(partitions) => panic!("{partitions:?} was revoked"),
        }
    }
}

/// `next`, dropped again and again before it is ready.
pub(crate) async fn next_after_drops(source: &mut impl Source) -> Next {
    for _ in 0..8 {
        let mut next = pin!(source.next());
        if let Poll::Ready(next) = next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return next.expect("nothing fails here");
        }
    }
    source.next().await.expect("nothing fails here")
}

/// The source yields `records` in order though calls are dropped, and nothing twice after the commit.
pub(crate) async fn yields_all_in_order(source: &mut impl Source, records: &[String]) {
    let mut seen = Seen::default();
    while seen.texts.len() < records.len() {
        match next_after_drops(source).await {
            Next::Batch(batch) => {
                let mark = batch.mark.clone();
                seen.add(batch);
                source.commit(mark).await.expect("the commit is taken");
            }
            Next::Idle => {}
            other @ (Next::Exhausted | Next::Revoked(_)) => panic!("ended early: {other:?}, {:?}", seen.texts.len()),
        }
    }
    assert_eq!(seen.texts, records);
    let mut positions = seen.positions.clone();
    positions.sort();
    positions.dedup();
    assert_eq!(positions.len(), records.len(), "every position is its own");
}

/// Whatever was committed last, a new source made from it reads exactly the rest, each record at the position that it had.
pub(crate) async fn resumes_from_every_mark<S: Source>(open: impl Fn(&Mark) -> S, records: &[String]) {
    let mut first = open(&Mark::default());
    let mut before = Seen::default();
    let whole = drain(&mut open(&Mark::default())).await;
    loop {
        let rest = drain(&mut open(&before.mark)).await;
        let all: Vec<_> = before.texts.iter().chain(&rest.texts).cloned().collect();
        assert_eq!(all, records, "from {:?}", before.mark);
        let positions: Vec<_> = before.positions.iter().chain(&rest.positions).cloned().collect();
        assert_eq!(positions, whole.positions, "from {:?}", before.mark);
        match next_after_drops(&mut first).await {
            Next::Batch(batch) => before.add(batch),
            Next::Idle | Next::Exhausted => break,
            Next::Revoked(partitions) => panic!("{partitions:?} was revoked"),
        }
    }
    assert_eq!(before.texts, records);
}

/// Whatever was committed last, a new source made from it reads the rest, and perhaps again what lies before it: every record
/// stands at the position that it had the first time.
pub(crate) async fn resumes_with_repeats<S: Source>(open: impl AsyncFn(&Mark) -> S) {
    let whole = drain(&mut open(&Mark::default()).await).await.records();
    let mut first = open(&Mark::default()).await;
    let mut before = Seen::default();
    loop {
        let mark = before.mark.clone();
        let rest = drain(&mut open(&mark).await).await.records();
        let mut all = before.records();
        assert!(rest.iter().all(|record| whole.contains(record)), "another position, from {mark:?}");
        all.extend(rest);
        assert_eq!(all, whole, "from {mark:?}");
        match next_after_drops(&mut first).await {
            Next::Batch(batch) => before.add(batch),
            Next::Idle | Next::Exhausted => break,
            Next::Revoked(partitions) => panic!("{partitions:?} was revoked"),
        }
    }
}

/// What a source read and did not commit is handed out again to the next, at the same positions, and what was committed is
/// not. `open` is given no mark: the system behind it keeps the position.
pub(crate) async fn hands_out_again_what_was_not_committed<S: Source>(open: impl AsyncFn() -> S, records: &[String]) {
    let read = async |source: &mut S, count: usize, commits: bool| {
        let mut seen = Seen::default();
        while seen.texts.len() < count {
            match source.next().await.expect("nothing fails here") {
                Next::Batch(batch) => {
                    let mark = batch.mark.clone();
                    seen.add(batch);
                    if commits {
                        source.commit(mark).await.expect("the commit is taken");
                    }
                }
                Next::Idle => {}
                other @ (Next::Exhausted | Next::Revoked(_)) => panic!("{other:?}"),
            }
        }
        seen
    };
    let mut forgetful = open().await;
    let uncommitted = read(&mut forgetful, records.len(), false).await;
    drop(forgetful);
    let mut careful = open().await;
    let again = read(&mut careful, records.len(), true).await;
    assert_eq!(again.records(), uncommitted.records());
    assert_eq!(again.texts.len(), records.len());
    drop(careful);
    let mut last = open().await;
    let end = tokio::time::timeout(PATIENCE, async {
        loop {
            match last.next().await.expect("nothing fails here") {
                Next::Batch(batch) if batch.records.is_empty() => {}
                other => return other,
            }
        }
    });
    let end = end.await.expect("it says that there is nothing more");
    assert!(matches!(end, Next::Idle), "what was committed is not handed out again: {end:?}");
}

/// Enough records for several batches.
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{{\"number\":{number}}}")).collect()
}

#[tokio::test]
async fn the_memory_source_keeps_the_contract() {
    use super::memory::{Memory, Turn};
    let records = numbered(30);
    let script: Vec<_> =
        records.chunks(7).map(|chunk| Turn::lines(&chunk.iter().map(String::as_str).collect::<Vec<_>>())).collect();
    yields_all_in_order(&mut Memory::new("memory", script.clone(), &Mark::default()), &records).await;
    resumes_from_every_mark(|mark| Memory::new("memory", script.clone(), mark), &records).await;
}

#[tokio::test]
async fn standard_input_keeps_the_contract() {
    use super::stdin::Stdin;
    let records = numbered(2_000);
    let text = records.join("\n");
    let mut source = Stdin::over(text.as_bytes(), "run", 1_000);
    yields_all_in_order(&mut source, &records).await;
    assert!(matches!(source.next().await, Ok(Next::Exhausted)));
}

#[test]
fn each_source_is_listed_once_in_the_order_of_names() {
    assert!(SOURCES.is_sorted_by(|one, other| one.0 < other.0), "{SOURCES:?}");
}
