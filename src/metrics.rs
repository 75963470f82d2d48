//! Every metric, declared once. `docs/metrics.md` is generated from this table.
//!
//! Labels come from the configuration (names of sources and sinks) and from enums of ours, never from
//! events, so their number is bounded.

use std::sync::LazyLock;

use engine::time::Timestamp;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::store::Queue;

/// All of them. Global because a process has one `/metrics`; the engine knows nothing of it.
pub(crate) static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::new().expect("names and labels below are valid and distinct"));

/// Upper bounds of latency buckets in seconds: a commit takes about 1 ms, a sink up to its timeout.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

macro_rules! metrics {
    ($($field:ident: $type:ident, $name:literal, $help:literal $(, [$($label:literal),+])?;)+) => {
        /// Handles of every metric.
        #[derive(Debug)]
        pub(crate) struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $type,)+
        }

        impl Metrics {
            fn new() -> prometheus::Result<Self> {
                let registry = Registry::new();
                $(
                    let $field = metrics!(@new $type, $name, $help $(, [$($label),+])?)?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { registry, $($field,)+ })
            }
        }

        /// Name, type, labels and meaning of each, in order of declaration.
        pub(crate) const TABLE: &[(&str, &str, &[&str], &str)] =
            &[$(($name, stringify!($type), &[$($($label),+)?], $help),)+];
    };
    (@new Histogram, $name:literal, $help:literal) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()))
    };
    (@new HistogramVec, $name:literal, $help:literal, [$($label:literal),+]) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets(SECONDS.to_vec()), &[$($label),+])
    };
    (@new $type:ident, $name:literal, $help:literal, [$($label:literal),+]) => {
        $type::new(Opts::new($name, $help), &[$($label),+])
    };
    (@new $type:ident, $name:literal, $help:literal) => { $type::new($name, $help) };
}

metrics! {
    events: IntCounterVec, "lapwing_events_total", "Events normalised", ["source"];
    events_matched: IntCounterVec, "lapwing_events_matched_total", "Events that some rule matched", ["source"];
    events_duplicate: IntCounterVec, "lapwing_events_duplicate_total", "Matched events that had been counted before", ["source"];
    events_late: IntCounter, "lapwing_events_late_total", "Matched events that came too late for their window";
    rejects: IntCounterVec, "lapwing_rejects_total", "Records that could not be read, kept as dead letters", ["source", "reason"];
    bytes: IntCounterVec, "lapwing_bytes_total", "Bytes of records read", ["source"];
    events_future: IntCounterVec, "lapwing_events_future_total", "Events whose time lay ahead of the clock by more than 5 min, and was taken for that moment", ["source"];
    source_lag: GaugeVec, "lapwing_source_lag_seconds", "Wall time less the newest event time", ["source"];
    source_up: IntGaugeVec, "lapwing_source_up", "1 while the source works, 0 while its system fails", ["source"];
    source_errors: IntCounterVec, "lapwing_source_errors_total", "Failures of the system behind a source", ["source"];
    source_gaps: IntCounterVec, "lapwing_source_gaps_total", "Times that records of a source were found to be missing for good: deleted before they were read, or altered", ["source"];
    source_backlog: IntGaugeVec, "lapwing_source_backlog", "Records or messages that are known to wait at the system behind a source, where it says so", ["source"];
    source_behind: GaugeVec, "lapwing_source_behind_seconds", "How far behind the newest record at its system a source reads, where that says so", ["source"];
    source_ingestion_delay: GaugeVec, "lapwing_source_ingestion_delay_seconds", "Longest time from an event to its arrival at the system behind a source, among those that came last", ["source"];
    source_duplicates: IntCounterVec, "lapwing_source_duplicates_total", "Events that the system behind a source brought again and that were left out", ["source"];
    source_late: IntCounterVec, "lapwing_source_late_total", "Events that became readable after the first look that should have shown them, by how late: up to this age", ["source", "age"];
    source_throttled: IntCounterVec, "lapwing_source_throttled_total", "Requests of a source that its system refused for coming too soon", ["source"];
    source_gaps_suspected: IntCounterVec, "lapwing_source_gaps_suspected_total", "Times that a source may have missed something: found by a look further back than it usually takes, or kept for too short by its system", ["source"];
    alerts: IntCounterVec, "lapwing_alerts_total", "Alerts raised", ["severity"];
    anomaly_held_back: IntCounter, "lapwing_anomaly_held_back_total", "Alerts of rules that learn that were held back for the budget, and stand in the digest of their day";
    alert_revisions: IntCounterVec, "lapwing_alert_revisions_total", "Changes of alerts that people were told", ["severity"];
    commit_seconds: Histogram, "lapwing_commit_seconds", "Time of one durable commit";
    commit_failures: IntCounter, "lapwing_commit_failures_total", "Commits that the disk refused; each is tried again";
    committing: IntGauge, "lapwing_committing", "1 while commits work, 0 while the disk refuses them and nothing is accepted";
    retired: IntCounterVec, "lapwing_retired_total", "What left the store by age or size", ["what"];
    retention_errors: IntCounter, "lapwing_retention_errors_total", "Times that what is old could not be removed; it is tried again";
    checkpoint_errors: IntCounter, "lapwing_checkpoint_errors_total", "Times that the log of the store could not be emptied into its file; it is tried again";
    kept_bytes: IntGauge, "lapwing_kept_bytes", "Text of the alerts and messages that are kept; `retention.mib_max` bounds it";
    outbox_rows: IntGaugeVec, "lapwing_outbox_rows", "Messages that wait for a sink", ["sink"];
    outbox_oldest_age: GaugeVec, "lapwing_outbox_oldest_age_seconds", "Age of the oldest message that waits for a sink", ["sink"];
    deliveries: IntCounterVec, "lapwing_deliveries_total", "Attempts to deliver by what came of them", ["sink", "outcome"];
    delivery_seconds: HistogramVec, "lapwing_delivery_seconds", "Time of one attempt to deliver", ["sink"];
    dead_letters: IntGaugeVec, "lapwing_dead_letters", "Messages that were given up", ["sink"];
    revisions_unreadable: IntCounter, "lapwing_revisions_unreadable_total", "Changes of alerts that the store could not read back; nobody was told";
    rules: IntGauge, "lapwing_rules", "Rules that are loaded";
    config_reloads: IntCounterVec, "lapwing_config_reloads_total", "Times that the configuration was read again: followed, refused as a whole, or waiting for a restart in what is no source", ["outcome"];
    rules_reloads: IntCounterVec, "lapwing_rules_reloads_total", "Reloads of the rules by outcome", ["outcome"];
    http_requests: IntCounterVec, "lapwing_http_requests_total", "HTTP answers by route and status", ["route", "status"];
    http_connections: IntGauge, "lapwing_http_connections", "Connections that are open";
    http_connections_refused: IntCounter, "lapwing_http_connections_refused_total", "Connections turned away, or closed while nothing was asked on them, because as many were open as are served";
    state_keys: IntGauge, "lapwing_state_keys", "Keys that windows remember";
    state_evictions: IntCounter, "lapwing_state_evictions_total", "Keys that had to leave because of the cap";
    state_bytes: IntGauge, "lapwing_state_bytes", "Bytes of what windows remember, without what the allocator adds";
    state_forgotten: IntCounter, "lapwing_state_forgotten_total", "Keys that were forgotten because their rule asks something else since a reload";
    snapshot_seconds: Histogram, "lapwing_snapshot_seconds", "Time that commits wait for a copy of the state, which is then written beside them";
    seen_ids: IntGauge, "lapwing_seen_ids", "Ids of counted events that are remembered, the last 2,000,000 at most; only of sources that may bring one again";
    source_missing: IntGaugeVec, "lapwing_source_missing", "1 when a source has failed for 30 min: alerts of rules that read it are partial", ["source"];
    lineage_credentials: IntGauge, "lapwing_lineage_credentials", "Credentials whose origin and uses are known";
    lineage_evictions: IntCounter, "lapwing_lineage_evictions_total", "Credentials that left because lineage.credentials_max was reached";
    lineage_expired: IntCounter, "lapwing_lineage_expired_total", "Credentials that left because they were over for 30 days";
    lineage_findings: IntCounterVec, "lapwing_lineage_findings_total", "What was odd about credentials, by kind", ["kind"];
    deploys: IntCounterVec, "lapwing_deploys_total", "Deploys that were judged, each revision again, by verdict: explained, unknown, unexplained", ["verdict"];
    deploys_facts: IntGauge, "lapwing_deploys_facts", "Facts about deploys that are kept";
    deploys_judge_seconds: Histogram, "lapwing_deploys_judge_seconds", "Time that judging all deploys took";
    coverage: IntGaugeVec, "lapwing_coverage_cells", "What should arrive, by account, region and kind of log, and whether it does: seen, waiting, missing, silent; and what arrives unexpected", ["state"];
    coverage_unlisted: IntCounter, "lapwing_coverage_unlisted_total", "Times that a record's account was not listed: too many that nobody expects are, or its name is too long";
    coverage_list_errors: IntCounter, "lapwing_coverage_list_errors_total", "Times that a list of accounts could not be read; the last one stays in force";
    process_start: Gauge, "lapwing_process_start_time_seconds", "Start of the process in seconds since the epoch";
    build_info: IntGaugeVec, "lapwing_build_info", "Always 1; the version is the label", ["version"];
}

impl Metrics {
    /// The exposition text.
    ///
    /// # Errors
    /// Never in practice; the encoder writes to memory.
    pub(crate) fn text(&self) -> prometheus::Result<String> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Makes the series of a source exist from the start, at zero, so that an absence is never a guess.
    pub(crate) fn expect_source(&self, source: &str) {
        let known = [&self.events, &self.events_matched, &self.events_duplicate, &self.bytes];
        for counter in known.into_iter().chain([&self.source_errors, &self.source_gaps]) {
            counter.with_label_values(&[source]).inc_by(0);
        }
        self.source_up.with_label_values(&[source]).set(1);
        self.source_missing.with_label_values(&[source]).set(0);
    }

    /// A source left the configuration: what it counted stays, what it is like now does not.
    pub(crate) fn forget_source(&self, source: &str) {
        for gauge in [&self.source_up, &self.source_missing, &self.source_backlog] {
            // It may never have been shown.
            drop(gauge.remove_label_values(&[source]));
        }
        for gauge in [&self.source_lag, &self.source_behind, &self.source_ingestion_delay] {
            drop(gauge.remove_label_values(&[source]));
        }
    }

    /// Makes the series of a sink exist from the start.
    pub(crate) fn expect_sink(&self, sink: &str) {
        for outcome in ["delivered", "retry", "refused", "misconfigured", "gone"] {
            self.deliveries.with_label_values(&[sink, outcome]).inc_by(0);
        }
        self.outbox(sink, &Queue::default(), Timestamp::default());
    }

    /// What waits for a sink now.
    pub(crate) fn outbox(&self, sink: &str, queue: &Queue, now: Timestamp) {
        let age = queue.oldest.map_or(0.0, |oldest| now.since(oldest).micros() as f64 / 1e6);
        self.outbox_rows.with_label_values(&[sink]).set(i64::try_from(queue.rows).unwrap_or(i64::MAX));
        self.outbox_oldest_age.with_label_values(&[sink]).set(age);
        self.dead_letters.with_label_values(&[sink]).set(i64::try_from(queue.dead).unwrap_or(i64::MAX));
    }
}

/// The page `docs/metrics.md`.
#[must_use]
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nGenerated from `src/metrics.rs`; a test compares. Scraped at `/metrics`.\n\n\
         | name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for (name, sort, labels, help) in TABLE {
        let sort = match *sort {
            "IntCounter" | "IntCounterVec" => "counter",
            "Histogram" | "HistogramVec" => "histogram",
            _ => "gauge",
        };
        page += &format!("| `{name}` | {sort} | {} | {help} |\n", labels.join(", "));
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_can_be_registered_and_written() {
        assert!(super::METRICS.text().unwrap().contains("lapwing_rules 0"));
    }

    #[test]
    fn the_page_in_docs_is_the_table_in_the_source() {
        let kept = std::fs::read_to_string("docs/metrics.md").unwrap_or_default();
        assert!(kept == super::page(), "docs/metrics.md is not up to date: run `make docs`");
    }
}
