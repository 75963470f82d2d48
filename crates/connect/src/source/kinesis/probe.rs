//! Whether the stream can be read, and if not, which right or name is missing.

use aws_sdk_kinesis::Client;

use super::request::{self, Trouble};
use super::settings::Settings;
use super::shard::From;
use crate::clock::Clock;
use crate::probe::{Probe, words};
use crate::source::aws::advice;

/// Asks what the stream is like, for its shards, and for the records of one. Nothing is moved: Kinesis keeps no positions.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let what = format!("stream {}", settings.stream);
    match request::client(settings).await {
        Ok(client) => probe_with(&client, settings).await,
        Err(error) => vec![Probe::bad(what, words(&error))],
    }
}

pub(super) async fn probe_with(client: &Client, settings: &Settings) -> Vec<Probe> {
    let what = format!("stream {}", settings.stream);
    let refused = |what: String, trouble: &Trouble, rights: &str| {
        let (Trouble::Throttled(error) | Trouble::IteratorExpired(error) | Trouble::Failed(error)) = trouble;
        Probe::bad(what, format!("{}{}", words(error), advice(error, rights, "mend its name, region or account")))
    };
    let listed = match request::list(client, &settings.stream).await {
        Ok(listed) => listed,
        Err(trouble) => return vec![refused(what, &trouble, "kinesis:DescribeStreamSummary and kinesis:ListShards")],
    };
    let hours = listed.retention.micros() / 3_600_000_000;
    let mut probes = vec![Probe::good(what, format!("{} shards, keeps records for {hours} h", listed.shards.len()))];
    if let Some((shard, _)) = listed.shards.last() {
        let read = request::read(client, &settings.stream, shard, From::Oldest, Clock::Wall.now()).await;
        probes.push(match read {
            Ok(page) => Probe::good(shard, format!("readable, {} records in a first look", page.records.len())),
            Err(trouble) => refused(
                shard.clone(),
                &trouble,
                "kinesis:GetShardIterator and kinesis:GetRecords, and kms:Decrypt if the stream is encrypted",
            ),
        });
    }
    probes
}
