//! Every setting. `docs/config.md` is generated from the comments here.
//!
//! The file is YAML; unknown keys are refused with file, line and column. Secrets are `${NAME}` or
//! `{file: path}`, so the file itself holds none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connect::secret::Secret;
use connect::{sink, source};
use engine::detect::Budget;
use engine::normalise::Format;
use engine::rule::{Placeholders, Severity};
use serde::{Deserialize, Deserializer};

use crate::rules::Places;

mod coverage;
mod enrichment;
mod expand;
mod lineage;
mod organisation;
mod prints;
mod sense;
mod system;

pub(crate) use coverage::{Coverage, Expect};
pub(crate) use enrichment::Enrichment;
pub(crate) use lineage::{Deploys, Lineage, books, read as read_policy};
pub(crate) use organisation::Organisation;
pub(crate) use prints::{Print, Prints};
pub(crate) use system::System;

/// The top of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Folder of the store and the archive. One Lapwing a folder.
    #[serde(default = "data")]
    pub data: PathBuf,
    /// Address of console, API, metrics and ingest.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// What the console, the API and `/metrics` ask for as `Authorization: Bearer …`. Required to listen beyond
    /// loopback.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Listen beyond loopback without `token`, or with `http` sources that have no token of their own: anyone who
    /// can connect may read alerts, or push events.
    #[serde(default)]
    pub listen_without_token: bool,
    /// Answer `/metrics` to whoever can connect, although `token` is set: for a scraper that cannot send it.
    #[serde(default)]
    pub metrics_without_token: bool,
    /// Where people reach the console, for links in messages, such as `"https://lapwing.example.org"`. Without
    /// `token`, the API answers to this name, `localhost` and addresses only.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Files or folders of rules beside the shipped ones.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
    /// What `%name%` stands for in rules that use `|expand`, such as `admins: [root, "adm_*"]`.
    #[serde(default)]
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Files or folders of mappings beside the shipped ones: which names of a field mean the same, such as those of
    /// ECS and OCSF. Read again when they change, as rules are.
    #[serde(default)]
    pub mappings: Vec<PathBuf>,
    /// What is known of addresses.
    #[serde(default)]
    pub enrichment: Enrichment,
    /// What rules that learn may know of those who are watched.
    #[serde(default)]
    pub organisation: Organisation,
    /// Whether the shipped rules are used.
    #[serde(default = "yes")]
    pub shipped_rules: bool,
    /// How many alerts of rules that learn people want in a day, such as `"20/day"`: the most unusual are told, of one key
    /// three at most, and the rest stands in one informational alert a day. Critical ones and all other rules are told as ever.
    /// Such alerts then wait for all sources that such rules read. Without it all are told.
    #[serde(default, deserialize_with = "budget")]
    pub budget: Option<Budget>,
    /// Threads that match; 0 means one a core.
    #[serde(default)]
    pub workers: usize,
    /// Where records come from, by a name of your choice.
    #[serde(default)]
    pub sources: BTreeMap<String, Source>,
    /// Where alerts go, by a name of your choice.
    #[serde(default)]
    pub sinks: BTreeMap<String, Sink>,
    /// Who is told what. Without any, every sink is told everything.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// What should arrive, so that what does not is an alert.
    #[serde(default)]
    pub coverage: Coverage,
    /// Where each credential came from, and what is odd about its use.
    #[serde(default)]
    pub lineage: Lineage,
    /// What explains each change to what runs.
    #[serde(default)]
    pub deploys: Deploys,
    /// What is kept of matched events.
    #[serde(default)]
    pub archive: Archive,
    /// What windows may remember.
    #[serde(default)]
    pub state: State,
    /// How long alerts and messages are kept.
    #[serde(default)]
    pub retention: Retention,
    /// Limits of ingest by HTTP.
    #[serde(default)]
    pub ingest: Ingest,
    /// No setting: what the parts of the file say, to see when they say something else.
    #[serde(skip)]
    pub(crate) prints: Prints,
}

/// One source: its kind of log and exactly one of the systems below.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Kind of log, such as `aws.cloudtrail`; `auto` recognises each record.
    #[serde(deserialize_with = "format", default = "auto")]
    pub kind: Format,
    /// How far out of order its events ordinarily come, such as `"2m"`: windows that can only be judged when all of
    /// their events are there wait for as long. Without it: SQS and S3 20 min, CloudWatch, Kinesis and GitHub's audit log
    /// 2 min, Kafka 30 s, others 1 min, but never longer than `lateness`.
    #[serde(default, with = "humantime_serde")]
    pub delay: Option<Duration>,
    /// How late an event may come and still be counted; what it changes is revised. At most 24 h.
    #[serde(with = "humantime_serde", default = "lateness")]
    pub lateness: Duration,
    /// A file that is followed.
    pub file: Option<source::file::Settings>,
    /// Standard input.
    pub stdin: Option<Stdin>,
    /// `POST /v1/events/{name}`.
    pub http: Option<source::http::Settings>,
    /// GitHub webhooks.
    pub github: Option<source::github::Settings>,
    /// GitHub's audit log, asked for by its API.
    pub github_audit: Option<source::github_audit::Settings>,
    /// GitLab webhooks and audit event streams.
    pub gitlab: Option<source::gitlab::Settings>,
    /// What is sent to a Splunk HTTP Event Collector.
    pub splunk: Option<source::splunk::Settings>,
    /// OpenTelemetry's logs, exported over HTTP.
    pub otlp: Option<source::otlp::Settings>,
    /// Okta event hooks.
    pub okta: Option<source::okta::Settings>,
    /// Amazon Data Firehose, delivering to an HTTP endpoint.
    pub firehose: Option<source::firehose::Settings>,
    /// Syslog and lines of JSON over TCP, TLS, UDP and sockets of this machine.
    pub syslog: Option<source::syslog::Settings>,
    /// Google Cloud Pub/Sub, pulled from a subscription.
    pub pubsub: Option<source::pubsub::Settings>,
    /// Google Cloud Pub/Sub, pushed by a subscription to `POST /v1/events/{name}`.
    pub pubsub_push: Option<source::pubsub_push::Settings>,
    /// Amazon CloudWatch Logs.
    #[cfg(feature = "aws")]
    pub cloudwatch: Option<source::cloudwatch::Settings>,
    /// Amazon SQS: events, or notifications about objects in S3, which are read.
    #[cfg(feature = "aws")]
    pub sqs: Option<source::sqs::Settings>,
    /// Amazon S3, by listing.
    #[cfg(feature = "aws")]
    pub s3: Option<source::s3::Settings>,
    /// CloudTrail's digests, which prove that no log file was deleted or altered.
    #[cfg(feature = "aws")]
    pub digests: Option<source::digests::Settings>,
    /// Amazon Kinesis Data Streams.
    #[cfg(feature = "aws")]
    pub kinesis: Option<source::kinesis::Settings>,
    /// Apache Kafka.
    #[cfg(feature = "kafka")]
    pub kafka: Option<source::kafka::Settings>,
}

/// `stdin`: lines from standard input.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stdin {}

/// One sink: exactly one of the systems below.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sink {
    /// A generic webhook, signed as Standard Webhooks.
    pub webhook: Option<sink::webhook::Settings>,
    /// A Slack incoming webhook.
    pub slack: Option<sink::slack::Settings>,
    /// PagerDuty Events v2.
    pub pagerduty: Option<sink::pagerduty::Settings>,
    /// JSON lines on standard output.
    pub stdout: Option<sink::stdout::Settings>,
}

/// A route: alerts that pass every condition go to its sinks. An alert takes every route that it passes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// At least this severe.
    #[serde(default = "informational")]
    pub severity: Severity,
    /// Of one of these kinds of log; empty means any.
    #[serde(default)]
    pub kinds: Vec<engine::event::Kind>,
    /// Names of sinks.
    pub sinks: Vec<String>,
}

/// `archive`: what is kept of events that rules matched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    /// Total size in MiB above which the oldest part leaves.
    #[serde(default = "archive_mib")]
    pub mib_max: u64,
    /// Age above which events leave, counted from when they came, in segments of 64 MiB.
    #[serde(with = "humantime_serde", default = "year")]
    pub age_max: Duration,
}

/// `retention`: how long the store keeps what is settled. The oldest leave first; never an alert of which somebody is
/// still to be told, never a message that waits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    /// Time since its last change after which an alert leaves, with its messages.
    #[serde(with = "humantime_serde", default = "year")]
    pub alerts: Duration,
    /// Time after which a delivered message leaves the history of its alert.
    #[serde(with = "humantime_serde", default = "quarter")]
    pub deliveries: Duration,
    /// Time after which a message that was given up, or a record that could not be read, leaves.
    #[serde(with = "humantime_serde", default = "quarter")]
    pub dead_letters: Duration,
    /// Text of alerts and messages together, in MiB, above which the oldest alerts leave with their messages. The file
    /// takes up to half as much again.
    #[serde(default = "store_mib")]
    pub mib_max: u64,
}

/// `state`: what windows may remember. Above it the least recent keys leave, with a metric and an alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Keys over all rules.
    #[serde(default = "keys_max")]
    pub keys_max: usize,
    /// MiB of all windows, and of what they remember of events: 16 or more.
    #[serde(default = "state_mib")]
    pub mib_max: usize,
}

/// `ingest`: limits of `POST /v1/events/{source}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ingest {
    /// Largest body in MiB, as sent and decompressed: 1 to 128, as two of them must fit into the 256 MiB that all
    /// bodies in memory may take together.
    #[serde(default = "body_mib")]
    pub body_mib_max: usize,
    /// Longest wait for the durable commit, such as `"30s"`.
    #[serde(with = "humantime_serde", default = "ack_timeout")]
    pub ack_timeout: Duration,
}

/// What its author can mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("read configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something at a place in the file.
    #[error("{path}:{line}:{column}: {message}")]
    Place {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// Something that the file says as a whole.
    #[error("{path}: {message}")]
    Sense {
        /// The file.
        path: String,
        /// What is wrong and how to mend it.
        message: String,
    },
}

impl Config {
    /// Where its rules are, and what they need.
    pub(crate) fn places(&self) -> Places {
        let placeholders = Placeholders(self.placeholders.clone());
        Places {
            shipped: self.shipped_rules,
            paths: self.rules.clone(),
            placeholders,
            mappings: self.mappings.clone(),
            budget: self.budget,
            enrichment: self.enrichment.clone(),
            zone: self.organisation.time_zone,
        }
    }

    /// Reads and checks a file. Nothing is connected to.
    ///
    /// # Errors
    /// [`ConfigError`] with the place of the first fault.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text, &|name| std::env::var(name).ok())
    }

    /// Checks a text; `lookup` is the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with the place of the first fault.
    pub(crate) fn parse(path: &str, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = expand::expand(path, text, lookup)?;
        let mut config: Self = yaml_serde::from_str(&text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            ConfigError::Place { path: path.to_owned(), line, column, message: advised(message) }
        })?;
        config.prints = Prints::of(&text);
        match config.nonsense() {
            Some(message) => Err(ConfigError::Sense { path: path.to_owned(), message }),
            None => Ok(config),
        }
    }
}

/// What the reader of YAML says, and what to do where its words do not tell.
fn advised(message: &str) -> String {
    let advice = [
        (
            "invalid socket address",
            ": give an address and a port, such as `127.0.0.1:8686`; a name such as localhost is none",
        ),
        ("expected a duration", ", such as `90d`, `20m` or `250ms`"),
        ("unknown field `cloudwatch`", ": or this Lapwing was built without it, build with the feature `aws`"),
        ("unknown field `kinesis`", ": or this Lapwing was built without it, build with the feature `aws`"),
        ("unknown field `kafka`", ": or this Lapwing was built without it, build with the feature `kafka`"),
        ("unknown field `organization`", ": or this Lapwing was built without it, build with the feature `aws`"),
        ("expected struct Config", ": the file says `key: value`, such as `sources: {…}`"),
    ];
    let found = advice.iter().find(|(words, _)| message.contains(words)).map_or("", |(_, advice)| advice);
    format!("{message}{found}")
}

impl Default for Archive {
    fn default() -> Self {
        Self { mib_max: archive_mib(), age_max: year() }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { alerts: year(), deliveries: quarter(), dead_letters: quarter(), mib_max: store_mib() }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { keys_max: keys_max(), mib_max: state_mib() }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { body_mib_max: body_mib(), ack_timeout: ack_timeout() }
    }
}

fn budget<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Budget>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    let name = String::deserialize(deserializer)?;
    format_of(&name).map_err(serde::de::Error::custom)
}

/// A kind's name, or `auto`.
///
/// # Errors
/// When it is neither; says what is known.
pub(crate) fn format_of(name: &str) -> Result<Format, engine::event::UnknownKind> {
    if name == "auto" { Ok(Format::Auto) } else { name.parse().map(Format::Known) }
}

fn auto() -> Format {
    Format::Auto
}

fn data() -> PathBuf {
    PathBuf::from("/var/lib/lapwing")
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8686))
}

fn yes() -> bool {
    true
}

fn informational() -> Severity {
    Severity::Informational
}

fn archive_mib() -> u64 {
    10 << 10
}

fn keys_max() -> usize {
    1_000_000
}

fn state_mib() -> usize {
    1 << 10
}

fn lateness() -> Duration {
    Duration::from_secs(1_200)
}

fn store_mib() -> u64 {
    4 << 10
}

fn year() -> Duration {
    Duration::from_secs(31_536_000)
}

fn quarter() -> Duration {
    Duration::from_secs(7_776_000)
}

fn body_mib() -> usize {
    16
}

fn ack_timeout() -> Duration {
    Duration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse("lapwing.yaml", text, &|_| None).unwrap_err().to_string()
    }

    /// It names every system.
    #[cfg(all(feature = "aws", feature = "kafka"))]
    #[test]
    fn the_example_is_a_valid_configuration() {
        let text = std::fs::read_to_string("deploy/lapwing.example.yaml").unwrap();
        Config::parse("lapwing.example.yaml", &text, &|_| Some("x".repeat(32))).unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let message = refusal("listen: 127.0.0.1:1\nsources:\n  trail:\n    kind: auto\n    flie: {path: a}\n");
        assert!(message.starts_with("lapwing.yaml:5:5: "), "{message}");
        assert!(message.contains("unknown field `flie`"), "{message}");
    }

    #[test]
    fn what_is_open_to_all_must_be_meant() {
        for text in [
            "listen: 127.0.0.1:80\nsources: {a: {http: {}}}",
            "listen: 0.0.0.0:80\ntoken: abc\nsources: {a: {http: {token: def}}}",
            "listen: 0.0.0.0:80\nlisten_without_token: true\nsources: {a: {http: {}}}",
            "sources: {a: {syslog: {tcp: '127.0.0.1:6514', udp: '[::1]:514'}}}",
            "sources: {a: {syslog: {tcp: '0.0.0.0:6514', tls: {certificate: c, key: k, client_ca: a}}}}",
            "sources: {a: {syslog: {udp: '0.0.0.0:514', listen_without_certificates: true}}}",
        ] {
            Config::parse("lapwing.yaml", text, &|_| None).unwrap();
        }
    }

    #[cfg(not(feature = "kafka"))]
    #[test]
    fn a_system_that_was_left_out_of_the_build_is_told_so() {
        let message = refusal("sources: {a: {kafka: {brokers: [b], topics: [t], group: g}}}");
        assert!(message.contains("build with the feature `kafka`"), "{message}");
    }

    #[cfg(feature = "aws")]
    #[test]
    fn a_source_of_cloudwatch_without_a_group_is_refused() {
        let message = refusal("sources: {a: {cloudwatch: {region: eu-central-1}}}");
        assert!(message.contains("give log_groups, log_group_prefixes, or both"), "{message}");
        let message = refusal("sources: {a: {cloudwatch: {log_group_prefixes: [a], live_tail: true}}}");
        assert!(message.contains("it follows log_groups"), "{message}");
        let source = "{log_groups: [a], live_tail: true, endpoint_url: 'https://example.org'}";
        let message = refusal(&format!("sources: {{a: {{cloudwatch: {source}}}}}"));
        assert!(message.contains("leave out endpoint_url"), "{message}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        for (text, hint) in [
            ("listen: 0.0.0.0:80", "set `token`"),
            ("listen: 0.0.0.0:80\ntoken: abc\nsources: {a: {http: {}}}", "set its `http.token`"),
            ("sources: {a: {kind: auto}}", "exactly one of file"),
            ("sources: {a: {kind: nope, stdin: {}}}", "known are aws.cloudtrail"),
            ("ingest: {body_mib_max: 0}", "not within 1 to 128"),
            ("ingest: {body_mib_max: 129}", "not within 1 to 128"),
            ("sources: {a: {stdin: {}, lateness: 25h}}", "at most 24 h"),
            ("sources: {a: {stdin: {}, delay: 21m}}", "longer than its lateness"),
            ("state: {mib_max: 1}", "16 or more"),
            ("state: {keys_max: 0}", "at least one key"),
            ("retention: {alerts: 30d}", "`alerts` must not be shorter"),
            ("retention: {mib_max: 0}", "more than zero"),
            ("retention: {alerts: 0s, deliveries: 0s, dead_letters: 0s}", "more than zero"),
            ("retention: {alerts: 400}", "such as `90d`"),
            ("ingest: {ack_timeout: 0s}", "100ms or more"),
            ("workers: 5000000", "1024 at most"),
            ("listen: localhost:8686", "such as `127.0.0.1:8686`"),
            ("- sources", "such as `sources: {…}`"),
            ("sources: {a: {stdin: {}}, b: {stdin: {}}}", "one source only"),
            ("sources: {a: {file: {path: [x, y, x]}}}", "x is named twice"),
            ("sources: {a: {file: {path: x, poll: 0s}}}", "more than zero"),
            ("sources: {a: {file: {path: x, line_bytes_max: 0}}}", "more than zero"),
            ("sources: {a: {syslog: {}}}", "at least one of `tcp`"),
            ("sources: {a: {syslog: {tcp: '0.0.0.0:6514'}}}", "set `tls` with `client_ca`"),
            ("sources: {a: {syslog: {tcp: '[::]:6514', tls: {certificate: c, key: k}}}}", "set `tls` with `client_ca`"),
            ("sources: {a: {syslog: {udp: '0.0.0.0:514'}}}", "UDP knows no senders"),
            ("sources: {a: {syslog: {udp: '127.0.0.1:514', zone: CET}}}", "such as `\"+02:00\"`"),
            ("sources: {a: {syslog: {unix: /run/s, unix_mode: rw}}}", "three octal digits"),
            ("sources: {a: {syslog: {unix: /run/s, message_bytes_max: 100}}}", "give 2048 to"),
            ("sinks: {a: {stdout: {}}}\nroutes: [{sinks: []}]", "nobody is told"),
            ("sinks: {a: {}}", "exactly one of webhook"),
            ("routes: [{sinks: [nobody]}]", "there is no sink \"nobody\""),
            ("sources: {'a b': {stdin: {}}}", "a name may hold"),
            ("coverage: {expect: [{kinds: [aws.cloudtrail]}]}", "coverage.expect[0]: say whose logs"),
            ("organisation: {time_zone: Berlin}", "no time zone such as Europe/Berlin"),
            ("coverage: {expect: [{accounts: [x]}]}", "name at least one kind"),
            ("coverage: {expect: [{kinds: [json], accounts: [' ']}]}", "a name is blank"),
            ("coverage: {expect: [{kinds: [json], accounts: [x], silent_after: 10ms}]}", "a second or more"),
        ] {
            let message = refusal(text);
            assert!(message.contains(hint), "{text}: {message}");
        }
    }
}
