//! The systems that a source may be of: the one list of them.

use connect::secret::Secret;
use connect::source;

use super::{Source, Stdin};

/// A system with its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum System<'s> {
    /// A file that is followed.
    File(&'s source::file::Settings),
    /// Standard input.
    Stdin,
    /// Pushed to us, in our own words.
    Http(&'s source::http::Settings),
    /// GitHub webhooks.
    Github(&'s source::github::Settings),
    /// GitHub's audit log by its API.
    GithubAudit(&'s source::github_audit::Settings),
    /// GitLab webhooks and streams.
    Gitlab(&'s source::gitlab::Settings),
    /// What is sent to a Splunk collector.
    Splunk(&'s source::splunk::Settings),
    /// OpenTelemetry's logs.
    Otlp(&'s source::otlp::Settings),
    /// Okta event hooks.
    Okta(&'s source::okta::Settings),
    /// Amazon Data Firehose.
    Firehose(&'s source::firehose::Settings),
    /// Syslog and lines of JSON over sockets.
    Syslog(&'s source::syslog::Settings),
    /// Google Cloud Pub/Sub, pulled.
    Pubsub(&'s source::pubsub::Settings),
    /// Google Cloud Pub/Sub, pushed.
    PubsubPush(&'s source::pubsub_push::Settings),
    /// Amazon CloudWatch Logs.
    #[cfg(feature = "aws")]
    CloudWatch(&'s source::cloudwatch::Settings),
    /// Amazon SQS.
    #[cfg(feature = "aws")]
    Sqs(&'s source::sqs::Settings),
    /// Amazon S3, by listing.
    #[cfg(feature = "aws")]
    S3(&'s source::s3::Settings),
    /// CloudTrail's digests.
    #[cfg(feature = "aws")]
    Digests(&'s source::digests::Settings),
    /// Amazon Kinesis Data Streams.
    #[cfg(feature = "aws")]
    Kinesis(&'s source::kinesis::Settings),
    /// Apache Kafka.
    #[cfg(feature = "kafka")]
    Kafka(&'s source::kafka::Settings),
}

/// What the file may say, in the order of the documentation.
pub(super) const NAMES: &str = "file, stdin, http, github, github_audit, gitlab, splunk, otlp, okta, firehose, syslog, pubsub, pubsub_push, \
     cloudwatch, sqs, s3, digests, kinesis, kafka";

impl Source {
    /// The systems that it names: exactly one, once the configuration was checked.
    pub(crate) fn systems(&self) -> Vec<System<'_>> {
        let given = [
            self.file.as_ref().map(System::File),
            self.stdin.map(|Stdin {}| System::Stdin),
            self.http.as_ref().map(System::Http),
            self.github.as_ref().map(System::Github),
            self.github_audit.as_ref().map(System::GithubAudit),
            self.gitlab.as_ref().map(System::Gitlab),
            self.splunk.as_ref().map(System::Splunk),
            self.otlp.as_ref().map(System::Otlp),
            self.okta.as_ref().map(System::Okta),
            self.firehose.as_ref().map(System::Firehose),
            self.syslog.as_ref().map(System::Syslog),
            self.pubsub.as_ref().map(System::Pubsub),
            self.pubsub_push.as_ref().map(System::PubsubPush),
            #[cfg(feature = "aws")]
            self.cloudwatch.as_ref().map(System::CloudWatch),
            #[cfg(feature = "aws")]
            self.sqs.as_ref().map(System::Sqs),
            #[cfg(feature = "aws")]
            self.s3.as_ref().map(System::S3),
            #[cfg(feature = "aws")]
            self.digests.as_ref().map(System::Digests),
            #[cfg(feature = "aws")]
            self.kinesis.as_ref().map(System::Kinesis),
            #[cfg(feature = "kafka")]
            self.kafka.as_ref().map(System::Kafka),
        ];
        given.into_iter().flatten().collect()
    }
}

impl<'s> System<'s> {
    /// Its name in the file and in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Stdin => "stdin",
            Self::Http(_) => "http",
            Self::Github(_) => "github",
            Self::GithubAudit(_) => "github_audit",
            Self::Gitlab(_) => "gitlab",
            Self::Splunk(_) => "splunk",
            Self::Otlp(_) => "otlp",
            Self::Okta(_) => "okta",
            Self::Firehose(_) => "firehose",
            Self::Syslog(_) => "syslog",
            Self::Pubsub(_) => "pubsub",
            Self::PubsubPush(_) => "pubsub_push",
            #[cfg(feature = "aws")]
            Self::CloudWatch(_) => "cloudwatch",
            #[cfg(feature = "aws")]
            Self::Sqs(_) => "sqs",
            #[cfg(feature = "aws")]
            Self::S3(_) => "s3",
            #[cfg(feature = "aws")]
            Self::Digests(_) => "digests",
            #[cfg(feature = "aws")]
            Self::Kinesis(_) => "kinesis",
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
        }
    }

    /// What senders must show, by the name of its setting; a check reads them.
    pub(crate) fn secrets(self) -> Vec<(&'static str, &'s Secret)> {
        match self {
            Self::Http(settings) => settings.token.iter().map(|token| ("http.token", token)).collect(),
            Self::Github(settings) => {
                let previous = settings.previous_secrets.iter().map(|secret| ("github.previous_secrets", secret));
                std::iter::once(("github.secret", &settings.secret)).chain(previous).collect()
            }
            Self::GithubAudit(settings) => {
                let token = settings.token.iter().map(|token| ("github_audit.token", token));
                token.chain(settings.app.iter().map(|app| ("github_audit.app.key", &app.key))).collect()
            }
            Self::Gitlab(settings) => vec![("gitlab.token", &settings.token)],
            Self::Splunk(settings) => vec![("splunk.token", &settings.token)],
            Self::Otlp(settings) => vec![("otlp.token", &settings.token)],
            Self::Okta(settings) => vec![("okta.secret", &settings.secret)],
            Self::Firehose(settings) => vec![("firehose.access_key", &settings.access_key)],
            Self::File(_) | Self::Stdin | Self::Syslog(_) | Self::Pubsub(_) | Self::PubsubPush(_) => Vec::new(),
            #[cfg(feature = "aws")]
            Self::CloudWatch(_) | Self::Sqs(_) | Self::S3(_) | Self::Digests(_) | Self::Kinesis(_) => Vec::new(),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => Vec::new(),
        }
    }
}
