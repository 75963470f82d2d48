//! A source that plays a script, for tests.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::{Batch, Body, Mark, Next, Record, Remedy, Source, SourceError};

/// One thing that happens at a [`Memory`] source.
#[derive(Clone, Debug)]
pub enum Turn {
    /// These records arrive together.
    Records(Vec<Body>),
    /// Nothing is there.
    Idle,
    /// The system behind it fails once.
    Fail(Remedy),
    /// The partition goes to another consumer.
    Revoked,
}

impl Turn {
    /// These lines arrive together.
    #[must_use]
    pub fn lines(lines: &[&str]) -> Self {
        Self::Records(lines.iter().map(|line| Body::Whole(line.as_bytes().to_vec().into())).collect())
    }
}

/// Plays its script once and is then exhausted.
#[derive(Debug)]
pub struct Memory {
    name: String,
    script: VecDeque<Turn>,
    /// Records handed out, those before the restored mark included.
    records: usize,
    committed: watch::Sender<Mark>,
}

impl Memory {
    /// Plays `script` from `mark` on: turns that it covers have no records left.
    #[must_use]
    pub fn new(name: &str, script: Vec<Turn>, mark: &Mark) -> Self {
        let covered = mark.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let script = uncovered(script, covered);
        Self { name: name.to_owned(), script, records: covered, committed: watch::Sender::new(mark.clone()) }
    }

    /// Follows what is committed.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<Mark> {
        self.committed.subscribe()
    }
}

/// The script without its first `covered` records.
fn uncovered(script: Vec<Turn>, mut covered: usize) -> VecDeque<Turn> {
    let mut rest = VecDeque::new();
    for turn in script {
        match turn {
            Turn::Records(mut bodies) => {
                let gone = covered.min(bodies.len());
                covered -= gone;
                bodies.drain(..gone);
                if !bodies.is_empty() {
                    rest.push_back(Turn::Records(bodies));
                }
            }
            turn @ (Turn::Idle | Turn::Fail(_) | Turn::Revoked) => rest.push_back(turn),
        }
    }
    rest
}

impl Source for Memory {
    async fn next(&mut self) -> Result<Next, SourceError> {
        match self.script.pop_front() {
            None => Ok(Next::Exhausted),
            Some(Turn::Idle) => Ok(Next::Idle),
            Some(Turn::Revoked) => Ok(Next::Revoked(vec![self.name.clone()])),
            Some(Turn::Fail(remedy)) => Err(SourceError { doing: "play the script".to_owned(), remedy, source: None }),
            Some(Turn::Records(bodies)) => {
                let mut records = Vec::with_capacity(bodies.len());
                for body in bodies {
                    records.push(Record { position: self.records.to_string(), body });
                    self.records += 1;
                }
                let mark = Mark([(self.name.clone(), self.records.to_string())].into());
                Ok(Next::Batch(Batch { records, mark, ..Batch::default() }))
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), SourceError> {
        self.committed.send_replace(mark);
        Ok(())
    }
}
