//! What every source promises, as one test that each of them passes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Batch, Body, Mark, Next, Source};

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

/// Whatever was committed last, a new source made from it reads exactly the rest.
pub(crate) async fn resumes_from_every_mark<S: Source>(open: impl Fn(&Mark) -> S, records: &[String]) {
    let mut first = open(&Mark::default());
    let mut before = Seen::default();
    loop {
        let rest = drain(&mut open(&before.mark)).await;
        let all: Vec<_> = before.texts.iter().chain(&rest.texts).cloned().collect();
        assert_eq!(all, records, "from {:?}", before.mark);
        match next_after_drops(&mut first).await {
            Next::Batch(batch) => before.add(batch),
            Next::Idle | Next::Exhausted => break,
            Next::Revoked(partitions) => panic!("{partitions:?} was revoked"),
        }
    }
    assert_eq!(before.texts, records);
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
