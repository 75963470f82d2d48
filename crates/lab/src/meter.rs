//! What a process took: processor time in user mode, and memory.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Processor time that this process has spent in user mode, all threads together.
///
/// # Panics
/// Never: asking about oneself cannot fail.
#[must_use]
pub fn user_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    Duration::from_micros(u64::try_from(usage.user_time().num_microseconds()).unwrap_or(0))
}

/// The most memory that this process has held at a time, in bytes; nothing where the system does not say.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// The memory that this process holds now, in bytes; nothing where the system does not say.
#[must_use]
pub fn bytes() -> Option<u64> {
    status("VmRSS:")
}

fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_user_time() {
        let before = user_time();
        let mut chance = crate::chance::Chance::new(1);
        let mut drawn = 0_u64;
        while user_time() == before || drawn == 0 {
            drawn += 1 + chance.below(2);
        }
        assert!(user_time() > before);
    }
}
