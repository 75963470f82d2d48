//! Load: requests that were made ready beforehand, posted over a few connections, each answer timed.
//!
//! It shares the cores with what it measures, so it does nothing that can be done before: the bytes of each
//! request are ready, a thread a connection waits in the system, an answer is read to its end and only its
//! status is looked at.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod catcher;
mod wire;

pub use catcher::{Catcher, Caught};
pub use wire::{Answer, Connection, get, post};

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The next when one is answered.
    Closed,
    /// So many requests a second, whatever the answers do. Delay counts from the moment at which a request was due,
    /// so one slow answer does not hide that others waited behind it.
    Open(f64),
}

/// What is sent, and how.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// To whom.
    pub address: SocketAddr,
    /// Ready, as [`post`] makes them.
    pub requests: &'a [Vec<u8>],
    /// At most this many wait for an answer at a time.
    pub connections: usize,
    /// When.
    pub pace: Pace,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// In the order of the requests.
    pub posts: Vec<Post>,
    /// Answers that asked to wait (429).
    pub refused: usize,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// One request that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Post {
    /// When it was to be sent.
    pub due: Instant,
    /// When it was accepted.
    pub answered: Instant,
}

impl Post {
    /// What its sender waited.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.answered.duration_since(self.due)
    }
}

impl Load<'_> {
    /// Sends all, each until it is accepted: a 429 is sent again after the seconds that it names.
    ///
    /// # Errors
    /// When a connection breaks, or an answer is neither 2xx nor 429.
    ///
    /// # Panics
    /// Never: a thread that panics would be our bug.
    pub fn run(&self) -> io::Result<Sent> {
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        let done: io::Result<Vec<_>> = thread::scope(|scope| {
            let senders: Vec<_> =
                (0..self.connections.max(1)).map(|_| scope.spawn(|| self.lane(start, &next))).collect();
            senders.into_iter().map(|sender| sender.join().expect("a sender does not panic")).collect()
        });
        let took = start.elapsed();
        let (mut posts, mut refused) = (Vec::with_capacity(self.requests.len()), 0);
        for (accepted, asked) in done? {
            posts.extend(accepted);
            refused += asked;
        }
        posts.sort_unstable_by_key(|(place, _)| *place);
        Ok(Sent { posts: posts.into_iter().map(|(_, post)| post).collect(), refused, took })
    }

    /// One connection: takes whatever request is next, until there is none.
    fn lane(&self, start: Instant, next: &AtomicUsize) -> io::Result<(Vec<(usize, Post)>, usize)> {
        let mut connection = Connection::open(self.address)?;
        let (mut posts, mut refused) = (Vec::new(), 0);
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = self.requests.get(place) else { return Ok((posts, refused)) };
            let due = match self.pace {
                Pace::Closed => Instant::now(),
                Pace::Open(rate) => {
                    let due = start + Duration::from_secs_f64(place as f64 / rate);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    due
                }
            };
            loop {
                let answer = connection.exchange(request)?;
                match answer.status {
                    200..300 => break,
                    429 => {
                        refused += 1;
                        thread::sleep(answer.retry_after.unwrap_or(Duration::from_secs(1)));
                    }
                    status => return Err(io::Error::other(format!("answered with {status}: {}", answer.text()))),
                }
            }
            posts.push((place, Post { due, answered: Instant::now() }));
        }
    }
}

#[cfg(test)]
mod tests;
