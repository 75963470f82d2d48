//! Who may be connected: so many at a time. When all seats are taken, whoever has been silent for longest leaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// A connection that brought a message since then keeps its seat, however many wait.
const SILENCE_LEAST: Duration = Duration::from_secs(60);

/// Between two looks for one that has been silent for long enough.
const LOOK: Duration = Duration::from_secs(1);

/// All seats.
#[derive(Debug)]
pub(super) struct Seats {
    free: Arc<Semaphore>,
    taken: Mutex<(u64, BTreeMap<u64, Taken>)>,
    silence: Duration,
}

#[derive(Debug)]
struct Taken {
    heard: Instant,
    leave: CancellationToken,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    /// Somebody else is to have it.
    pub(super) leave: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// So many.
    pub(super) fn new(count: usize) -> Arc<Self> {
        Self::with_silence(count, SILENCE_LEAST)
    }

    fn with_silence(count: usize, silence: Duration) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, taken: Mutex::default(), silence })
    }

    /// Waits for one. Cancel-safe.
    pub(super) async fn take(self: &Arc<Self>, source: &str) -> Seat {
        let mut said = false;
        loop {
            let permit = match self.free.clone().try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    if !self.close_longest_silent() && !said {
                        tracing::warn!(%source, "all connections are taken: new ones wait");
                        said = true;
                    }
                    match tokio::time::timeout(LOOK, self.free.clone().acquire_owned()).await {
                        Ok(Ok(permit)) => permit,
                        Ok(Err(_)) | Err(_) => continue,
                    }
                }
            };
            let leave = CancellationToken::new();
            let mut taken = self.taken();
            taken.0 += 1;
            let number = taken.0;
            taken.1.insert(number, Taken { heard: Instant::now(), leave: leave.clone() });
            drop(taken);
            return Seat { seats: self.clone(), number, leave, _permit: permit };
        }
    }

    /// Whether somebody leaves.
    fn close_longest_silent(&self) -> bool {
        let taken = self.taken();
        // Those that were asked to leave are on their way.
        let staying = taken.1.values().filter(|taken| !taken.leave.is_cancelled());
        let Some(longest) = staying.min_by_key(|taken| taken.heard) else { return true };
        let is_silent = longest.heard.elapsed() >= self.silence;
        if is_silent {
            longest.leave.cancel();
        }
        is_silent
    }

    fn taken(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Taken>)> {
        // A panic elsewhere leaves the map whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A message came.
    pub(super) fn heard(&self) {
        if let Some(taken) = self.seats.taken().1.get_mut(&self.number) {
            taken.heard = Instant::now();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().1.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_been_silent_for_longest_leaves_for_a_new_one() {
        let seats = Seats::with_silence(2, Duration::ZERO);
        let (first, second) = (seats.take("s").await, seats.take("s").await);
        first.heard();
        let third = {
            let seats = seats.clone();
            tokio::spawn(async move { seats.take("s").await })
        };
        second.leave.cancelled().await;
        assert!(!first.leave.is_cancelled());
        drop(second);
        let third = third.await.unwrap();
        assert!(!third.leave.is_cancelled());
        assert_eq!(seats.taken().1.len(), 2);
    }

    #[tokio::test]
    async fn who_speaks_keeps_the_seat_and_a_new_one_waits() {
        let seats = Seats::new(1);
        let first = seats.take("s").await;
        assert!(!seats.close_longest_silent());
        assert!(tokio::time::timeout(Duration::ZERO, seats.take("s")).await.is_err());
        assert!(!first.leave.is_cancelled());
        drop(first);
        seats.take("s").await;
    }
}
