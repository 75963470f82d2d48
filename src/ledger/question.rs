//! What people ask of the ledger while it works: answered between two commits, from what it has in memory.

use engine::lineage::{Id, Lineage};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Questions that wait; whoever asks beyond them is told to ask again.
pub(crate) const WAITING: usize = 16;

/// Where a credential came from.
#[derive(Debug)]
pub(crate) struct Question {
    /// Its name, as people write it.
    pub asked: String,
    /// Who waits for the answer.
    pub answer: oneshot::Sender<Answer>,
}

/// What is known.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The credential with all that it joins to.
    Tree(Value),
    /// Several answer to that name.
    Several(Vec<Id>),
    /// None does; these are called alike.
    None {
        /// Their names.
        near: Vec<Id>,
    },
    /// Credentials are not followed.
    NotKept,
}

/// Answers all that were asked. Whoever asked may have gone.
pub(super) fn answer(questions: &mut mpsc::Receiver<Question>, lineage: Option<&Lineage>) {
    while let Ok(Question { asked, answer }) = questions.try_recv() {
        drop(answer.send(lineage.map_or(Answer::NotKept, |lineage| find(lineage, &asked))));
    }
}

/// What a lineage knows of this name.
pub(crate) fn find(lineage: &Lineage, asked: &str) -> Answer {
    let mut found = lineage.find(asked);
    if found.len() > 1 {
        return Answer::Several(found);
    }
    let tree = found.pop().and_then(|id| lineage.trace(&id)).and_then(|tree| serde_json::to_value(&tree).ok());
    tree.map_or_else(|| Answer::None { near: lineage.near(asked) }, Answer::Tree)
}
