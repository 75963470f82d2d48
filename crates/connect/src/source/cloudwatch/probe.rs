//! Whether the log groups can be read, and if not, which right or name is missing.

use aws_sdk_cloudwatchlogs::Client;
use engine::time::Span;

use super::request;
use super::scan::Ask;
use super::settings::Settings;
use super::tail;
use crate::clock::Clock;
use crate::probe::{Probe, words};
use crate::source::SourceError;
use crate::source::aws::advice;

/// Groups that are tried of those whose names begin alike: each costs a request of a small budget.
const TRIED_MAX: usize = 3;

/// Asks for the last minute of each group, and for the groups of each prefix. Nothing is changed.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    match request::client(settings).await {
        Ok((client, _)) => probe_with(&client, settings).await,
        Err(error) => vec![Probe::bad("CloudWatch Logs", words(&error))],
    }
}

pub(super) async fn probe_with(client: &Client, settings: &Settings) -> Vec<Probe> {
    let mut probes = Vec::new();
    for group in settings.groups() {
        probes.push(read(client, group).await);
    }
    for prefix in settings.prefixes() {
        let what = format!("log groups {prefix}*");
        match request::groups(client, std::slice::from_ref(prefix)).await {
            Err(trouble) => probes.push(refused(what, &trouble.error(), "logs:DescribeLogGroups")),
            Ok(listing) if listing.groups.is_empty() => {
                probes
                    .push(Probe::bad(what, "none in this account and region has such a name: mend it, or create one"));
            }
            Ok(listing) => {
                let more = if listing.is_cut { " or more" } else { "" };
                let said = format!("{}{more} groups have such a name", listing.groups.len());
                probes.push(Probe::good(what, said));
                for group in listing.groups.iter().take(TRIED_MAX) {
                    probes.push(read(client, &group.name).await);
                }
            }
        }
    }
    if settings.live_tail && !settings.groups().is_empty() {
        let what = "live tail".to_owned();
        probes.push(match tail::tried(client, settings.groups()).await {
            Ok(()) => Probe::good(what, "a session can be had"),
            Err(error) => refused(what, &error, "logs:StartLiveTail on the groups and logs:DescribeLogGroups"),
        });
    }
    probes
}

async fn read(client: &Client, group: &str) -> Probe {
    let what = format!("log group {group}");
    let end = Clock::Wall.now();
    let ask = Ask { start: end.minus(Span::seconds(60)), end, token: None };
    match request::fetch(client.clone(), group.to_owned(), ask).await {
        Ok(page) => Probe::good(what, format!("readable, {} events in the last minute", page.events.len())),
        Err(trouble) => refused(what, &trouble.error(), "logs:FilterLogEvents on it"),
    }
}

fn refused(what: String, error: &SourceError, rights: &str) -> Probe {
    let advice = advice(error, rights, "create it, or mend its name, region or account");
    Probe::bad(what, format!("{}{advice}", words(error)))
}
