//! Requests to Kinesis and what their answers mean. None is repeated here: each shard has a pace of its own.

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use engine::time::{Span, Timestamp};

use super::layout::Listed;
use super::settings::{Settings, Stream};
use super::shard::{From, Look};
use crate::source::aws::{self, Access};
use crate::source::{Remedy, SourceError};

/// An answer holds 10 MB at most.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Shards on one page of a listing: as many as AWS allows.
const LISTED_MAX: i32 = if cfg!(test) { 4 } else { 1_000 };

/// Why an answer did not come.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Too many looks at this shard: slow down.
    Throttled(SourceError),
    /// The iterator is older than five minutes: ask by the last record.
    IteratorExpired(SourceError),
    /// Anything else.
    Failed(SourceError),
}

/// What one look at a shard brought.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: VecDeque<Raw>,
    pub(super) look: Look,
}

/// A record of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) sequence: String,
    /// When it came to the stream.
    pub(super) arrived: Timestamp,
    pub(super) data: Bytes,
}

/// A client with the credentials of the environment or of the role.
pub(super) async fn client(settings: &Settings) -> Result<Client, SourceError> {
    let region = settings.region.as_deref().or(settings.stream.region());
    let loaded = Access { region, role: settings.role.as_ref(), timeout: ANSWER_TIMEOUT }.load().await?;
    let mut config = aws_sdk_kinesis::config::Builder::from(&loaded);
    config.set_endpoint_url(settings.endpoint_url.clone());
    Ok(Client::from_conf(config.build()))
}

/// Asks what the stream is like and for all of its shards.
pub(super) async fn list(client: &Client, stream: &Stream) -> Result<Listed, Trouble> {
    let (name, arn) = named(stream);
    let asked = client.describe_stream_summary().set_stream_name(name.clone()).set_stream_arn(arn.clone()).send().await;
    let answer = asked.map_err(|error| trouble(format!("describe stream {stream}"), error))?;
    let summary = answer.stream_description_summary();
    let hours = summary.map_or(0, |summary| summary.retention_period_hours());
    let created = summary.map(|summary| moment(summary.stream_creation_timestamp()));
    let mut listed = Listed {
        created: created.unwrap_or_default(),
        retention: Span::seconds(u32::try_from(hours).unwrap_or(0).saturating_mul(3_600)),
        shards: Vec::new(),
    };
    let mut token = None;
    loop {
        let request = client.list_shards().max_results(LISTED_MAX);
        // The token stands for the stream: named beside it, it is refused.
        let request = match token {
            None => request.set_stream_name(name.clone()).set_stream_arn(arn.clone()),
            Some(token) => request.next_token(token),
        };
        let answer =
            request.send().await.map_err(|error| trouble(format!("list the shards of stream {stream}"), error))?;
        for shard in answer.shards() {
            let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
            let parents = parents.into_iter().flatten().map(str::to_owned).collect();
            listed.shards.push((shard.shard_id().to_owned(), parents));
        }
        token = answer.next_token;
        if token.is_none() {
            return Ok(listed);
        }
    }
}

/// Looks at a shard.
pub(super) async fn read(
    client: &Client,
    stream: &Stream,
    shard: &str,
    from: From,
    asked: Timestamp,
) -> Result<Page, Trouble> {
    let doing = || format!("read {shard} of stream {stream}");
    let iterator = match from {
        From::Iterator(iterator) => iterator,
        from => iterator(client, stream, shard, from).await?,
    };
    let (_, arn) = named(stream);
    let answer = client.get_records().shard_iterator(iterator).set_stream_arn(arn).send().await;
    let answer = answer.map_err(|error| trouble(doing(), error))?;
    let records: VecDeque<Raw> = answer
        .records
        .into_iter()
        .map(|record| Raw {
            arrived: record.approximate_arrival_timestamp.as_ref().map_or(asked, moment),
            sequence: record.sequence_number,
            data: record.data.into_inner().into(),
        })
        .collect();
    let behind_ms = answer.millis_behind_latest.unwrap_or(0);
    let look = Look {
        asked,
        last: records.back().map(|raw| (raw.sequence.clone(), raw.arrived)),
        next: answer.next_shard_iterator,
        behind: Span::from_micros(behind_ms.saturating_mul(1_000)),
    };
    Ok(Page { records, look })
}

async fn iterator(client: &Client, stream: &Stream, shard: &str, from: From) -> Result<String, Trouble> {
    let doing = format!("ask where to read {shard} of stream {stream}");
    let (name, arn) = named(stream);
    let request = client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn).shard_id(shard);
    let request = match from {
        From::Iterator(iterator) => return Ok(iterator),
        From::Oldest => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
        From::Moment(moment) => request
            .shard_iterator_type(ShardIteratorType::AtTimestamp)
            .timestamp(DateTime::from_millis(moment.millis())),
        From::At(sequence) => {
            request.shard_iterator_type(ShardIteratorType::AtSequenceNumber).starting_sequence_number(sequence)
        }
        From::After(sequence) => {
            request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(sequence)
        }
    };
    let answer = request.send().await.map_err(|error| trouble(doing.clone(), error))?;
    let missing = || Trouble::Failed(SourceError { doing, remedy: Remedy::Wait, source: None });
    answer.shard_iterator.ok_or_else(missing)
}

fn named(stream: &Stream) -> (Option<String>, Option<String>) {
    match stream.arn() {
        Some(arn) => (None, Some(arn.to_owned())),
        None => (Some(stream.name().to_owned()), None),
    }
}

fn moment(time: &DateTime) -> Timestamp {
    Timestamp::from_millis(time.to_millis().unwrap_or_default())
}

fn trouble<E>(doing: String, error: SdkError<E>) -> Trouble
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let mut error = SourceError { doing, remedy: aws::remedy(&code, &error), source: Some(error.into()) };
    match code.as_str() {
        code if aws::is_throttling(code) => Trouble::Throttled(error),
        "ExpiredIteratorException" => {
            error.remedy = Remedy::Wait;
            Trouble::IteratorExpired(error)
        }
        _ => Trouble::Failed(error),
    }
}
