//! What a source can say of how it fares, in plain numbers. Whoever runs it makes metrics of them.

use engine::time::Span;

/// How late an event may come: up to so many seconds each, and longer.
pub const LATE_AGES: [u32; LATE_BUCKETS - 1] = [60, 600, 1_800, 3_600, 21_600];

/// Classes of lateness.
pub const LATE_BUCKETS: usize = 6;

/// Numbers of one source since it was opened. What it cannot know stays at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How far behind the newest record at its system it reads, if that says so.
    pub behind: Option<Span>,
    /// The longest time from an event to its arrival at the system, among those that came last.
    pub ingestion_delay: Option<Span>,
    /// Events that its system brought again and that were left out.
    pub duplicates: u64,
    /// Events that became readable after the first look that should have shown them, by how late: see [`LATE_AGES`].
    pub late: [u64; LATE_BUCKETS],
    /// Requests that its system refused for coming too soon.
    pub throttled: u64,
    /// Times that something may have been missed.
    pub gaps_suspected: u64,
}

#[cfg(any(feature = "aws", test))]
impl Figures {
    /// An event came this late.
    pub(crate) fn came_late(&mut self, by: Span) {
        let class = LATE_AGES.iter().position(|age| by <= Span::seconds(*age));
        self.late[class.unwrap_or(LATE_BUCKETS - 1)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_has_a_class_for_every_length() {
        let mut figures = Figures::default();
        for seconds in [0, 60, 61, 600, 1_801, 80_000] {
            figures.came_late(Span::seconds(seconds));
        }
        assert_eq!(figures.late, [2, 2, 0, 1, 0, 1]);
    }
}
