//! Whether what the file says makes sense as a whole.

use std::time::Duration;

use connect::source;

use super::{Config, Retention, Sink, Source, system};

/// Shorter waits end before the disk has answered.
const ACK_LEAST: Duration = Duration::from_millis(100);

/// Segments of what windows remember have 64 KiB each, and some are always open.
const STATE_MIB_LEAST: usize = 16;

/// More threads than any machine has cores.
const WORKERS_MOST: usize = 1_024;

/// Windows are kept for as long.
const LATENESS_MOST: Duration = Duration::from_secs(24 * 3_600);

impl Config {
    /// What cannot be meant, and how to mend it.
    pub(super) fn nonsense(&self) -> Option<String> {
        if let Some(message) = self.open_to_all() {
            return Some(message);
        }
        for name in self.sources.keys().chain(self.sinks.keys()) {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
                return Some(format!("{name:?}: a name may hold letters, digits, `-`, `_` and `.`"));
            }
        }
        for (name, source) in &self.sources {
            if source.systems().len() != 1 {
                return Some(format!("sources.{name}: give exactly one of {}", system::NAMES));
            }
            if let Some(message) = source.untimely().or_else(|| source.unreadable()).or_else(|| source.nonsense()) {
                return Some(format!("sources.{name}: {message}"));
            }
        }
        if self.sources.values().filter(|source| source.stdin.is_some()).count() > 1 {
            return Some("sources: standard input can be read by one source only".to_owned());
        }
        for (name, sink) in &self.sinks {
            let Sink { webhook, slack, pagerduty, stdout } = sink;
            let systems = [webhook.is_some(), slack.is_some(), pagerduty.is_some(), stdout.is_some()];
            if systems.into_iter().filter(|given| *given).count() != 1 {
                return Some(format!("sinks.{name}: give exactly one of webhook, slack, pagerduty, stdout"));
            }
        }
        if let Some(message) = self
            .no_room()
            .or_else(|| self.coverage.nonsense())
            .or_else(|| self.lineage.nonsense())
            .or_else(|| self.deploys.nonsense())
        {
            return Some(message);
        }
        for (place, route) in self.routes.iter().enumerate() {
            if route.sinks.is_empty() {
                return Some(format!("routes[{place}].sinks: name at least one sink, or nobody is told"));
            }
            if let Some(unknown) = route.sinks.iter().find(|sink| !self.sinks.contains_key(*sink)) {
                return Some(format!("routes[{place}]: there is no sink {unknown:?}"));
            }
        }
        None
    }

    /// Limits within which nothing can work.
    fn no_room(&self) -> Option<String> {
        let body_mib_most = (source::http::Limits::default().waiting_bytes_max / 2) >> 20;
        if !(1..=body_mib_most).contains(&self.ingest.body_mib_max) {
            return Some(format!(
                "ingest.body_mib_max: {} is not within 1 to {body_mib_most}: a compressed body is held as sent and decompressed, and both must fit into the memory for all bodies",
                self.ingest.body_mib_max
            ));
        }
        if self.ingest.ack_timeout < ACK_LEAST {
            return Some(
                "ingest.ack_timeout: give 100ms or more, or senders are told 503 before any commit".to_owned(),
            );
        }
        if self.workers > WORKERS_MOST {
            return Some(format!("workers: give {WORKERS_MOST} at most, or 0 for one a core"));
        }
        if self.state.mib_max < STATE_MIB_LEAST {
            return Some(format!("state.mib_max: give {STATE_MIB_LEAST} or more"));
        }
        if self.state.keys_max == 0 {
            return Some("state.keys_max: windows need at least one key".to_owned());
        }
        let Retention { alerts, deliveries, dead_letters, mib_max } = self.retention;
        if alerts.is_zero() || dead_letters.is_zero() || mib_max == 0 {
            return Some(
                "retention: `alerts`, `dead_letters` and `mib_max` must be more than zero, or what nobody has seen yet is gone"
                    .to_owned(),
            );
        }
        (alerts < deliveries.max(dead_letters)).then(|| {
            "retention: messages leave with their alert, so `alerts` must not be shorter than `deliveries` and \
             `dead_letters`"
                .to_owned()
        })
    }

    /// What anybody could do who can connect, unless the file says that this is meant.
    fn open_to_all(&self) -> Option<String> {
        if self.listen.ip().is_loopback() || self.listen_without_token {
            return None;
        }
        let reached = format!("listen: {} can be reached from outside", self.listen);
        let meant = "or `listen_without_token: true` if something in front of it asks for one";
        if self.token.is_none() {
            return Some(format!("{reached}: set `token`, {meant}"));
        }
        let open = |source: &Source| source.http.as_ref().is_some_and(|http| http.token.is_none());
        let (name, _) = self.sources.iter().find(|(_, source)| open(source))?;
        Some(format!("{reached}, and anybody could push to sources.{name}: set its `http.token`, {meant}"))
    }
}

impl Source {
    /// What cannot be meant of where it reads.
    fn unreadable(&self) -> Option<String> {
        #[cfg(feature = "aws")]
        if let Some(settings) = &self.cloudwatch {
            if settings.groups().is_empty() && settings.prefixes().is_empty() {
                return Some("cloudwatch: give log_groups, log_group_prefixes, or both".to_owned());
            }
            if settings.live_tail && settings.groups().is_empty() {
                return Some("cloudwatch.live_tail: it follows log_groups, of which there are none".to_owned());
            }
            // The SDK asks a host whose name begins with `stream-`: behind another address that is somebody else's.
            if settings.live_tail && settings.endpoint_url.is_some() {
                return Some("cloudwatch.live_tail: it has an address of its own, leave out endpoint_url".to_owned());
            }
        }
        let file = self.file.as_ref()?;
        if file.poll.is_zero() {
            return Some("file.poll: give more than zero, such as `250ms`".to_owned());
        }
        if file.line_bytes_max == Some(0) {
            return Some("file.line_bytes_max: give more than zero, or every record is refused".to_owned());
        }
        let twice = file.path.iter().enumerate().find(|(place, path)| file.path[..*place].contains(path));
        twice.map(|(_, path)| format!("file.path: {} is named twice", path.display()))
    }

    /// What cannot be meant of the settings of its system.
    fn nonsense(&self) -> Option<String> {
        let audit = || self.github_audit.as_ref().and_then(source::github_audit::Settings::nonsense);
        let pull = || self.pubsub.as_ref().and_then(source::pubsub::Settings::nonsense);
        let push = || self.pubsub_push.as_ref().and_then(source::pubsub_push::Settings::nonsense);
        let syslog = || self.syslog.as_ref()?.nonsense().map(|message| format!("syslog: {message}"));
        audit().or_else(pull).or_else(push).or_else(syslog)
    }

    /// What cannot be meant of the times of its events.
    fn untimely(&self) -> Option<String> {
        if self.lateness > LATENESS_MOST {
            return Some("lateness: give at most 24 h, as windows are kept for as long".to_owned());
        }
        let delay = self.delay.filter(|delay| *delay > self.lateness)?;
        let (delay, lateness) = (humantime_serde::re::humantime::format_duration(delay), self.lateness);
        let lateness = humantime_serde::re::humantime::format_duration(lateness);
        Some(format!("delay: {delay} is longer than its lateness, {lateness}"))
    }
}
