//! Places at which a test may end the process: one between every two steps that a crash could part.
//!
//! With `LAPWING_FAIL=committing:3` the thread whose third commit is about to become true stops there for good and says so
//! on stderr; the test sends SIGKILL, at once or after the others ran on for a while. Builds without debug assertions, as
//! releases are, hold none of it: [`point`] is then an empty function. A test compiles this file both ways and looks.

/// Where the process may end. Named for what has just been done, or is about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The state is restored, nothing listens yet.
    Restored,
    /// A source yielded a batch.
    Read,
    /// The batch is with the workers.
    Handed,
    /// It was matched.
    Matched,
    /// It was counted and applied, in memory.
    Applied,
    /// Its events are in the archive, the store knows nothing of them.
    Archived,
    /// All of the transaction is written and nothing of it is true.
    Committing,
    /// It is true, and nobody was told.
    Committed,
    /// The source is about to be told.
    Acknowledging,
    /// The source was told; HTTP answers are on their way.
    Acknowledged,
    /// Revisions are about to go into the outbox.
    Routing,
    /// They are in it.
    Routed,
    /// Messages are taken out to be sent.
    Taken,
    /// A message is about to be sent.
    Posting,
    /// Its receiver answered, and it is not marked.
    Posted,
    /// It is marked.
    Marked,
    /// The snapshot of a stop in order is about to be written.
    Saving,
    /// The parts of a snapshot are written, and it is not in force.
    Parted,
    /// It is, and the journal that led to it is still there.
    InForce,
    /// All is written, and the process has not ended.
    Saved,
}

#[cfg(debug_assertions)]
pub(crate) use armed::point;

/// Nothing, in a build that people run.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_: Point) {}

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;

    /// Names a point, and the pass at which it acts.
    const VARIABLE: &str = "LAPWING_FAIL";

    struct Armed {
        point: String,
        left: AtomicU64,
    }

    /// Goes no further if this is the place and the pass.
    pub(crate) fn point(point: Point) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let Some(armed) = ARMED.get_or_init(read) else { return };
        if armed.point != format!("{point:?}").to_lowercase() || armed.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // Nobody left to read it is no reason to go on.
        drop(writeln!(std::io::stderr(), "{VARIABLE}: reached {}", armed.point));
        loop {
            std::thread::park();
        }
    }

    fn read() -> Option<Armed> {
        let text = std::env::var(VARIABLE).ok()?;
        let armed = parse(&text);
        assert!(armed.is_some(), "{VARIABLE}={text}: wanted is point:pass");
        armed
    }

    fn parse(text: &str) -> Option<Armed> {
        let (point, pass) = text.split_once(':')?;
        Some(Armed { point: point.to_owned(), left: AtomicU64::new(pass.parse().ok()?) })
    }
}
