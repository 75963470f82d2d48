//! Keeps what it is sent and answers as it was told: the sink of tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Answer, Message, Now, Reply};

/// A sink in memory. Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    attempts: Vec<Attempt>,
    script: VecDeque<Answer>,
}

/// One attempt to send.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was sent.
    pub message: Message,
    /// When.
    pub at: Now,
    /// What was answered.
    pub answer: Answer,
}

impl Memory {
    /// The next attempt without an answer yet gets this one. After the last, all is delivered.
    pub fn will_answer(&self, answer: Answer) {
        self.state().script.push_back(answer);
    }

    /// All attempts so far, in order.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.clone()
    }

    /// What was delivered, in order: each message as often as it was accepted.
    #[must_use]
    pub fn delivered(&self) -> Vec<Message> {
        let accepted = |attempt: &&Attempt| matches!(attempt.answer, Answer::Delivered(_));
        self.state().attempts.iter().filter(accepted).map(|attempt| attempt.message.clone()).collect()
    }

    pub(super) fn send(&self, message: &Message, at: Now) -> Answer {
        let mut state = self.state();
        let answer = state.script.pop_front().unwrap_or_else(|| Answer::Delivered(Reply::default()));
        state.attempts.push(Attempt { message: message.clone(), at, answer: answer.clone() });
        answer
    }

    /// A test that panicked while holding the lock leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
