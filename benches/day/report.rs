//! The figures as a page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use lab::table;

use crate::sender::Sent;
use crate::service::Commits;

/// One run.
pub(crate) struct Report {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) alerts: usize,
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) replayed: Duration,
    pub(crate) sent: Sent,
    pub(crate) delays: Vec<Duration>,
    pub(crate) commits: Commits,
    /// Processor time in seconds by name of thread.
    pub(crate) threads: BTreeMap<String, f64>,
    pub(crate) peak_bytes: u64,
}

impl Report {
    /// Markdown.
    pub(crate) fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::from(
            "# Benches\n\nWritten by the last run of `make bench`: figures of one machine on one day. Compare only figures of the\n\
             same machine.\n\n## `day`: a user's day, end to end\n\n\
             The service as it ships, shipped rules, an empty store on disk, a webhook receiver. Client, service and\n\
             receiver share the machine. A run whose alerts differ from those of `lapwing replay` on the same bytes fails.\n\n",
        );
        writeln!(page, "- machine: {}", table::machine())?;
        writeln!(page, "- commit: {}", table::commit())?;
        let mean = self.bytes as f64 / self.events as f64;
        writeln!(
            page,
            "- corpus: {} CloudTrail records of {mean:.0} bytes on average, made of `samples/day/cloudtrail.jsonl.gz` \
             by `lab::corpus::stream` over 8 hours",
            self.events
        )?;
        let (batch, connections) = (self.batch, self.connections);
        writeln!(page, "- load: `POST` of {batch} records, {connections} connections, the next when one is answered")?;
        writeln!(page, "- command: `make bench`\n")?;

        page += "| figure | value |\n|---|---|\n";
        for (figure, value) in self.rows() {
            writeln!(page, "| {figure} | {value} |")?;
        }
        Ok(page)
    }

    fn rows(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let mut row = |figure: &str, value: String| rows.push((figure.to_owned(), value));
        let posts: Vec<Duration> = self.sent.posts.iter().map(|post| post.took).collect();
        let seconds = self.sent.took.as_secs_f64();
        row("accepted, durably", format!("{:.0} events/s", self.events as f64 / seconds));
        row("", format!("{:.1} MB/s", self.bytes as f64 / seconds / 1e6));
        row("answers that asked to wait", self.sent.refused.to_string());
        row("`POST`, p50", milliseconds(quantile(&posts, 0.5)));
        row("`POST`, p99", milliseconds(quantile(&posts, 0.99)));
        row("alerts found, as by replay", self.alerts.to_string());
        row("event sent to alert delivered, p50", milliseconds(quantile(&self.delays, 0.5)));
        row("event sent to alert delivered, p99", milliseconds(quantile(&self.delays, 0.99)));
        row("… of so many first messages", self.delays.len().to_string());
        row("commits", format!("{:.0}", self.commits.number));
        row("commit, p50", format!("{:.1} ms", self.commits.p50 * 1e3));
        row("commit, p99", format!("{:.1} ms", self.commits.p99 * 1e3));
        row("peak memory", format!("{:.0} MiB", self.peak_bytes as f64 / f64::from(1 << 20)));
        let processor: f64 = self.threads.values().sum();
        row("processor time", format!("{processor:.2} s, {:.1} µs an event", processor / self.events as f64 * 1e6));
        for (name, time) in &self.threads {
            row(&format!("… {name}"), format!("{time:.2} s"));
        }
        let replayed = self.events as f64 / self.replayed.as_secs_f64();
        row("`lapwing replay` on one thread", format!("{replayed:.0} events/s"));
        rows
    }
}

fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
