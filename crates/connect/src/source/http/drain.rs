//! How fast what waits becomes durable, so that a sender which must wait can be told how long.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is looked at: long enough for several commits, short enough to follow a disk that gets slower.
const WINDOW: Duration = Duration::from_secs(1);
/// Longest wait that is asked for, in seconds: nobody knows when a disk that takes nothing gets well.
const WAIT_MAX: u64 = 30;

/// Bytes that became durable, and since when they are counted.
#[derive(Debug)]
pub(super) struct Drain {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    begun: Instant,
    bytes: f64,
    /// Bytes a second in the window before.
    rate: f64,
}

impl Drain {
    pub(super) fn new(now: Instant) -> Self {
        Self { window: Mutex::new(Window { begun: now, bytes: 0.0, rate: 0.0 }) }
    }

    /// A request of so many bytes is durable.
    pub(super) fn settled(&self, bytes: usize, now: Instant) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(window.begun);
        if since >= WINDOW {
            let rate = window.bytes / since.as_secs_f64();
            *window = Window { begun: now, bytes: 0.0, rate };
        }
        window.bytes += bytes as f64;
    }

    /// Whole seconds, at least one, in which `waiting` bytes become durable if it goes on as it does.
    pub(super) fn wait(&self, waiting: usize, now: Instant) -> u64 {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(window.begun);
        // The longer nothing comes, the less the window before says.
        let rate = if since >= WINDOW { window.bytes / since.as_secs_f64() } else { window.rate };
        if rate == 0.0 {
            // Nothing is known yet: a short question is cheap.
            return 1;
        }
        ((waiting as f64 / rate).ceil() as u64).clamp(1, WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_what_waits_by_what_drains_in_a_second() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let drain = Drain::new(start);
        assert_eq!(drain.wait(1_000, at(0)), 1, "nothing is known yet");
        for millis in (0..=1_000).step_by(100) {
            drain.settled(100, at(millis));
        }
        for (waiting, now, wait, reason) in [
            (1, 1_001, 1, "at least a second"),
            (1_000, 1_500, 1, "a second's worth"),
            (4_500, 1_500, 5, "rounded up"),
            (1_000_000, 1_500, 30, "at most half a minute"),
            (1_000, 11_000, 30, "a disk that takes little since then"),
        ] {
            assert_eq!(drain.wait(waiting, at(now)), wait, "{reason}");
        }
    }

    #[test]
    fn the_longer_nothing_drains_the_longer_is_the_wait() {
        let start = Instant::now();
        let drain = Drain::new(start);
        drain.settled(1_000, start);
        let waits = [1, 5, 100].map(|seconds| drain.wait(1_000, start + Duration::from_secs(seconds)));
        assert_eq!(waits, [1, 5, 30]);
    }
}
