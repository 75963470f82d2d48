//! What a source says of how it fares, as metrics.

use connect::source::{Figures, LATE_BUCKETS};
use engine::time::Span;
use prometheus::GaugeVec;

use crate::metrics::METRICS;

/// Up to these ages, as [`connect::source::LATE_AGES`] has them.
const AGES: [&str; LATE_BUCKETS] = ["1m", "10m", "30m", "1h", "6h", "longer"];

/// What was shown so far.
#[derive(Debug, Default)]
pub(super) struct Shown(Figures);

impl Shown {
    /// Shows what is new.
    pub(super) fn update(&mut self, source: &str, backlog: Option<u64>, now: Figures) {
        if let Some(records) = backlog {
            let records = i64::try_from(records).unwrap_or(i64::MAX);
            METRICS.source_backlog.with_label_values(&[source]).set(records);
        }
        if self.0 == now {
            return;
        }
        gauge(&METRICS.source_behind, source, now.behind);
        gauge(&METRICS.source_ingestion_delay, source, now.ingestion_delay);
        let before = std::mem::replace(&mut self.0, now);
        for (counter, before, after) in [
            (&METRICS.source_duplicates, before.duplicates, now.duplicates),
            (&METRICS.source_throttled, before.throttled, now.throttled),
            (&METRICS.source_gaps_suspected, before.gaps_suspected, now.gaps_suspected),
        ] {
            counter.with_label_values(&[source]).inc_by(after.saturating_sub(before));
        }
        for (age, (before, after)) in AGES.into_iter().zip(before.late.into_iter().zip(now.late)) {
            METRICS.source_late.with_label_values(&[source, age]).inc_by(after.saturating_sub(before));
        }
    }
}

fn gauge(gauge: &GaugeVec, source: &str, length: Option<Span>) {
    if let Some(length) = length {
        gauge.with_label_values(&[source]).set(length.micros() as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_ages_are_those_of_the_source() {
        let seconds = connect::source::LATE_AGES.map(Span::seconds);
        let written = AGES[..LATE_BUCKETS - 1].iter().map(|age| age.parse::<Span>().unwrap());
        assert!(written.eq(seconds));
        let mut shown = Shown::default();
        for throttled in [3, 5, 5] {
            let behind = Some(Span::seconds(throttled as u32));
            let now = Figures { throttled, behind, late: [0, 0, 1, 0, 0, 0], ..Figures::default() };
            shown.update("figures", Some(throttled), now);
        }
        assert_eq!(METRICS.source_backlog.with_label_values(&["figures"]).get(), 5);
        assert_eq!(METRICS.source_throttled.with_label_values(&["figures"]).get(), 5);
        assert_eq!(METRICS.source_late.with_label_values(&["figures", "30m"]).get(), 1);
        assert_eq!(METRICS.source_behind.with_label_values(&["figures"]).get(), 5.0);
    }
}
