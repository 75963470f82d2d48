//! The systems that a source may be of: the one list of them.

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
    /// GitLab webhooks and streams.
    Gitlab(&'s source::gitlab::Settings),
    /// Amazon Data Firehose.
    Firehose(&'s source::firehose::Settings),
    /// Amazon CloudWatch Logs.
    #[cfg(feature = "aws")]
    CloudWatch(&'s source::cloudwatch::Settings),
    /// Apache Kafka.
    #[cfg(feature = "kafka")]
    Kafka(&'s source::kafka::Settings),
}

/// What the file may say, in the order of the documentation.
pub(super) const NAMES: &str = "file, stdin, http, github, gitlab, firehose, cloudwatch, kafka";

impl Source {
    /// The systems that it names: exactly one, once the configuration was checked.
    pub(crate) fn systems(&self) -> Vec<System<'_>> {
        let given = [
            self.file.as_ref().map(System::File),
            self.stdin.map(|Stdin {}| System::Stdin),
            self.http.as_ref().map(System::Http),
            self.github.as_ref().map(System::Github),
            self.gitlab.as_ref().map(System::Gitlab),
            self.firehose.as_ref().map(System::Firehose),
            #[cfg(feature = "aws")]
            self.cloudwatch.as_ref().map(System::CloudWatch),
            #[cfg(feature = "kafka")]
            self.kafka.as_ref().map(System::Kafka),
        ];
        given.into_iter().flatten().collect()
    }
}
