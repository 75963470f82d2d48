//! From settings to running sources and sinks: the only place that knows which systems exist. A new one is
//! one line here and one in `config.rs`.

use std::sync::Arc;

use anyhow::Context;
use connect::probe::Probe;
use connect::sink::{PagerDuty, Sink, Slack, Stdout, Webhook};
use connect::source::{Mark, file, firehose, github, github_audit, gitlab, http, okta, otlp, pubsub, pubsub_push};
use connect::source::{splunk, stdin, syslog};
use engine::time::Span;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{self, System};
use crate::feed::{self, Feed, Manners};
use crate::workers::Load;

/// Longest line of a source that has no limit of its own.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A source of any system, ready to run.
pub(crate) enum Inflow {
    /// A file that is followed.
    File(file::File),
    /// Standard input.
    Stdin(stdin::Stdin),
    /// Pushed by HTTP.
    Http(http::Http),
    /// Syslog and lines of JSON over sockets.
    Syslog(Box<syslog::Syslog>),
    /// GitHub's audit log by its API.
    GithubAudit(Box<github_audit::GithubAudit>),
    /// Google Cloud Pub/Sub.
    Pubsub(Box<pubsub::Pubsub>),
    /// Amazon CloudWatch Logs.
    #[cfg(feature = "aws")]
    CloudWatch(Box<connect::source::cloudwatch::CloudWatch>),
    /// Amazon SQS.
    #[cfg(feature = "aws")]
    Sqs(Box<connect::source::sqs::Sqs>),
    /// Amazon S3, by listing.
    #[cfg(feature = "aws")]
    S3(Box<connect::source::s3::S3>),
    /// CloudTrail's digests.
    #[cfg(feature = "aws")]
    Digests(Box<connect::source::digests::Digests>),
    /// Amazon Kinesis Data Streams.
    #[cfg(feature = "aws")]
    Kinesis(Box<connect::source::kinesis::Kinesis>),
    /// Apache Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<connect::source::kafka::Kafka>),
}

/// A source, the web server's half if it is pushed to, and how it is known.
pub(crate) type Opened = (Inflow, Option<http::Inlet>);

impl Inflow {
    /// Feeds the pipeline until the source is exhausted or told to stop.
    pub(crate) async fn run(self, feed: Arc<Feed>, inbox: mpsc::Sender<Load>, stop: CancellationToken) {
        match self {
            Self::File(source) => feed::run(source, feed, inbox, stop).await,
            Self::Stdin(source) => feed::run(source, feed, inbox, stop).await,
            Self::Http(source) => feed::run(source, feed, inbox, stop).await,
            Self::Syslog(source) => feed::run(*source, feed, inbox, stop).await,
            Self::GithubAudit(source) => feed::run(*source, feed, inbox, stop).await,
            Self::Pubsub(source) => feed::run(*source, feed, inbox, stop).await,
            #[cfg(feature = "aws")]
            Self::CloudWatch(source) => feed::run(*source, feed, inbox, stop).await,
            #[cfg(feature = "aws")]
            Self::Sqs(source) => feed::run(*source, feed, inbox, stop).await,
            #[cfg(feature = "aws")]
            Self::S3(source) => feed::run(*source, feed, inbox, stop).await,
            #[cfg(feature = "aws")]
            Self::Digests(source) => feed::run(*source, feed, inbox, stop).await,
            #[cfg(feature = "aws")]
            Self::Kinesis(source) => feed::run(*source, feed, inbox, stop).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => feed::run(*source, feed, inbox, stop).await,
        }
    }

    /// Whether its marks are positions that a restart continues from.
    pub(crate) fn keeps_position(&self) -> bool {
        match self {
            // Of Pub/Sub and SQS the subscription and the queue keep it.
            Self::Stdin(_) | Self::Http(_) | Self::Syslog(_) | Self::Pubsub(_) => false,
            Self::File(_) | Self::GithubAudit(_) => true,
            #[cfg(feature = "aws")]
            Self::Sqs(_) => false,
            #[cfg(feature = "aws")]
            Self::CloudWatch(_) | Self::S3(_) | Self::Digests(_) | Self::Kinesis(_) => true,
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => true,
        }
    }

    /// How it behaves, where its configuration says nothing else. A consumer group may hand out again what was read, and
    /// who puts records into a stream may put them twice.
    pub(crate) fn manners(&self) -> Manners {
        let minute = Span::seconds(60);
        match self {
            Self::File(_) => Manners { delay: minute, repeats: false, says_idle: true },
            Self::Stdin(_) => Manners { delay: minute, repeats: false, says_idle: false },
            // A relay that lost its connection sends again what it is not sure of.
            Self::Http(_) | Self::Syslog(_) => Manners { delay: minute, repeats: true, says_idle: false },
            Self::GithubAudit(_) => Manners { delay: Span::seconds(120), repeats: true, says_idle: true },
            Self::Pubsub(_) => Manners { delay: minute, repeats: true, says_idle: true },
            #[cfg(feature = "aws")]
            // CloudTrail writes log files that late.
            Self::Sqs(_) | Self::S3(_) => Manners { delay: Span::seconds(1_200), repeats: true, says_idle: true },
            #[cfg(feature = "aws")]
            Self::Digests(_) => Manners { delay: minute, repeats: false, says_idle: true },
            #[cfg(feature = "aws")]
            Self::CloudWatch(_) | Self::Kinesis(_) => {
                Manners { delay: Span::seconds(120), repeats: true, says_idle: true }
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => Manners { delay: Span::seconds(30), repeats: true, says_idle: true },
        }
    }
}

/// Opens a source where `mark` says that it was left. `start` names this run of the process, for positions
/// of records that have none of their own.
///
/// # Errors
/// When its settings cannot work.
pub(crate) async fn open_source(
    name: &str,
    settings: &config::Source,
    mark: &Mark,
    start: &str,
) -> anyhow::Result<Opened> {
    let pushed = |(source, inlet)| (Inflow::Http(source), Some(inlet));
    let system = settings.systems().pop().context("no system is named")?;
    Ok(match system {
        System::File(settings) => (Inflow::File(file::File::new(settings, mark)), None),
        System::Stdin => (Inflow::Stdin(stdin::Stdin::new(start, LINE_BYTES_MAX)), None),
        System::Http(settings) => pushed(http::http(name, settings, start).context("token")?),
        System::Github(settings) => pushed(github::github(name, settings, start).context("secret")?),
        System::Gitlab(settings) => pushed(gitlab::gitlab(name, settings, start).context("token")?),
        System::Splunk(settings) => pushed(splunk::splunk(name, settings, start).context("token")?),
        System::Otlp(settings) => pushed(otlp::otlp(name, settings, start).context("token")?),
        System::Okta(settings) => pushed(okta::okta(name, settings, start).context("secret")?),
        System::Firehose(settings) => pushed(firehose::firehose(name, settings, start).context("access_key")?),
        System::Syslog(settings) => {
            let source = syslog::Syslog::new(name, settings, start, connect::clock::Clock::Wall);
            (Inflow::Syslog(Box::new(source)), None)
        }
        System::GithubAudit(settings) => {
            let source = github_audit::GithubAudit::open(settings, mark, connect::clock::Clock::Wall);
            (Inflow::GithubAudit(Box::new(source.context("set up GitHub's audit log")?)), None)
        }
        System::Pubsub(settings) => {
            let source = pubsub::Pubsub::open(settings, start, connect::clock::Clock::Wall);
            (Inflow::Pubsub(Box::new(source.context("set up Pub/Sub")?)), None)
        }
        System::PubsubPush(settings) => {
            pushed(pubsub_push::pubsub_push(name, settings, start).context("set up Pub/Sub")?)
        }
        #[cfg(feature = "aws")]
        System::CloudWatch(settings) => {
            let clock = connect::clock::Clock::Wall;
            let source = connect::source::cloudwatch::CloudWatch::open(settings, mark, clock).await;
            (Inflow::CloudWatch(Box::new(source.context("set up CloudWatch Logs")?)), None)
        }
        #[cfg(feature = "aws")]
        System::Sqs(settings) => {
            let source = connect::source::sqs::Sqs::open(settings).await;
            (Inflow::Sqs(Box::new(source.context("set up SQS")?)), None)
        }
        #[cfg(feature = "aws")]
        System::S3(settings) => {
            let source = connect::source::s3::S3::open(settings, mark, connect::clock::Clock::Wall).await;
            (Inflow::S3(Box::new(source.context("set up S3")?)), None)
        }
        #[cfg(feature = "aws")]
        System::Digests(settings) => {
            let source = connect::source::digests::Digests::open(settings, mark, connect::clock::Clock::Wall).await;
            (Inflow::Digests(Box::new(source.context("set up CloudTrail digests")?)), None)
        }
        #[cfg(feature = "aws")]
        System::Kinesis(settings) => {
            let clock = connect::clock::Clock::Wall;
            let source = connect::source::kinesis::Kinesis::open(settings, mark, clock).await;
            (Inflow::Kinesis(Box::new(source.context("set up Kinesis")?)), None)
        }
        #[cfg(feature = "kafka")]
        System::Kafka(settings) => {
            let source = connect::source::kafka::Kafka::open(settings, mark).context("set up Kafka consumer")?;
            (Inflow::Kafka(Box::new(source)), None)
        }
    })
}

/// Tries what a source needs of its system, and changes nothing there.
pub(crate) async fn probe(system: System<'_>) -> Vec<Probe> {
    match system {
        System::File(settings) => file::probe(settings),
        System::Stdin => vec![Probe::good("standard input", "is there when the service starts")],
        // Whoever pushes has to try: its secret was read with the configuration.
        System::Http(_)
        | System::Github(_)
        | System::Gitlab(_)
        | System::Splunk(_)
        | System::Otlp(_)
        | System::Okta(_)
        | System::Firehose(_) => {
            vec![Probe::good("secret", "readable; that senders reach us only they can try")]
        }
        System::Syslog(settings) => syslog::probe(settings),
        System::GithubAudit(settings) => github_audit::probe(settings).await,
        System::Pubsub(settings) => pubsub::probe(settings).await,
        System::PubsubPush(settings) => pubsub_push::probe(settings).await,
        #[cfg(feature = "aws")]
        System::Sqs(settings) => connect::source::sqs::probe(settings).await,
        #[cfg(feature = "aws")]
        System::S3(settings) => connect::source::s3::probe(settings).await,
        #[cfg(feature = "aws")]
        System::Digests(settings) => connect::source::digests::probe(settings).await,
        #[cfg(feature = "aws")]
        System::CloudWatch(settings) => connect::source::cloudwatch::probe(settings).await,
        #[cfg(feature = "aws")]
        System::Kinesis(settings) => connect::source::kinesis::probe(settings).await,
        #[cfg(feature = "kafka")]
        System::Kafka(settings) => {
            let settings = settings.clone();
            let tried = tokio::task::spawn_blocking(move || connect::source::kafka::probe(&settings)).await;
            tried.unwrap_or_else(|error| vec![Probe::bad("kafka", error.to_string())])
        }
    }
}

/// Builds a sink.
///
/// # Errors
/// When its settings cannot work.
pub(crate) fn build_sink(settings: &config::Sink) -> anyhow::Result<Sink> {
    if let Some(settings) = &settings.webhook {
        return Webhook::new(settings).map(Sink::Webhook).context("set up webhook");
    }
    if let Some(settings) = &settings.slack {
        return Slack::new(settings).map(Sink::Slack).context("set up Slack");
    }
    if let Some(settings) = &settings.pagerduty {
        return PagerDuty::new(settings).map(Sink::PagerDuty).context("set up PagerDuty");
    }
    Ok(Sink::Stdout(Stdout::new(&settings.stdout.clone().unwrap_or_default())))
}
