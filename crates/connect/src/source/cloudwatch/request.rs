//! Requests to CloudWatch Logs and what their answers mean. None is repeated here: the budget decides.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use engine::time::Timestamp;
use serde::Serialize;

use super::budget::{Account, Budget};
use super::prefixes::{GROUPS_MAX, Group, Listing};
use super::scan::{Ask, Event, Page};
use super::settings::Settings;
use crate::source::aws::{self, Access};
use crate::source::{Remedy, SourceError};

/// A page is at most 1 MB.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a page did not come.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Too many requests: slow down.
    Throttled(SourceError),
    /// The page token is no longer known: begin the scan again.
    TokenRefused(SourceError),
    /// There is no such group.
    Gone(SourceError),
    /// Anything else.
    Failed(SourceError),
}

impl Trouble {
    /// What to say of it.
    pub(super) fn error(self) -> SourceError {
        let (Self::Throttled(error) | Self::TokenRefused(error) | Self::Gone(error) | Self::Failed(error)) = self;
        error
    }
}

/// A record as the normaliser sees it: the vendor's event with the group that it came from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped<'a> {
    event_id: &'a str,
    timestamp: Option<i64>,
    ingestion_time: Option<i64>,
    log_stream_name: Option<&'a str>,
    log_group: &'a str,
    message: &'a str,
}

/// A client with the credentials of the environment or of the role, and the budget of the account that it reads.
pub(super) async fn client(settings: &Settings) -> Result<(Client, Budget), SourceError> {
    let (region, role) = (settings.region.as_deref(), settings.role.as_ref());
    let loaded = Access { region, role, timeout: ANSWER_TIMEOUT }.load().await?;
    let mut config = aws_sdk_cloudwatchlogs::config::Builder::from(&loaded);
    config.set_endpoint_url(settings.endpoint_url.clone());
    let region = loaded.region().map(ToString::to_string);
    let budget = Budget::shared(Account::of(settings, region), settings.requests_per_second);
    Ok((Client::from_conf(config.build()), budget))
}

/// Asks for the groups whose names begin so.
pub(super) async fn groups(client: &Client, prefixes: &[String]) -> Result<Listing, Trouble> {
    let mut listing = Listing::default();
    for prefix in prefixes {
        let mut token = None;
        loop {
            let request = client.describe_log_groups().log_group_name_prefix(prefix).set_next_token(token.take());
            let doing = || format!("look for log groups whose names begin with {prefix}");
            let answer = request.send().await.map_err(|error| trouble(doing(), false, error))?;
            for group in answer.log_groups() {
                let created = Timestamp::from_millis(group.creation_time().unwrap_or_default());
                let name = group.log_group_name().unwrap_or_default().to_owned();
                listing.groups.push(Group { name, created });
            }
            token = answer.next_token;
            // What is not read need not be known by name.
            let is_enough = listing.groups.len() > 2 * GROUPS_MAX;
            listing.is_cut |= is_enough && token.is_some();
            if token.is_none() || is_enough {
                break;
            }
        }
    }
    Ok(listing)
}

/// Asks for one page of `group`.
pub(super) async fn fetch(client: Client, group: String, ask: Ask) -> Result<Page, Trouble> {
    let request = client
        .filter_log_events()
        .start_time(ask.start.millis())
        .end_time(ask.end.millis())
        .set_next_token(ask.token.clone());
    let request = match group.strip_prefix("arn:") {
        // The console copies ARNs with `:*` at the end, which the service refuses.
        Some(_) => request.log_group_identifier(group.trim_end_matches(":*")),
        None => request.log_group_name(&group),
    };
    let answer =
        request.send().await.map_err(|error| trouble(format!("read log group {group}"), ask.token.is_some(), error))?;
    if answer.next_token.is_some() && answer.next_token == ask.token {
        // Taken as the end it could lose events, followed it could turn for ever.
        return Err(Trouble::TokenRefused(failure(format!("read log group {group}: the page follows itself"))));
    }
    let events = answer.events.unwrap_or_default();
    let events = events.iter().map(|event| wrap(&group, ask.start, event)).collect();
    Ok(Page { events, token: answer.next_token })
}

fn wrap(group: &str, start: Timestamp, event: &FilteredLogEvent) -> Event {
    let message = event.message().unwrap_or_default();
    let id = match event.event_id() {
        Some(id) => id.to_owned(),
        // The model allows it, the service has never done it: an id that is the same at the next reading.
        None => format!(
            "{}-{:?}-{}",
            event.log_stream_name().unwrap_or_default(),
            event.timestamp(),
            blake3::hash(message.as_bytes())
        ),
    };
    let wrapped = Wrapped {
        event_id: &id,
        timestamp: event.timestamp(),
        ingestion_time: event.ingestion_time(),
        log_stream_name: event.log_stream_name(),
        log_group: group,
        message,
    };
    let body = serde_json::to_vec(&wrapped).expect("strings and numbers are always JSON");
    let arrived = event.ingestion_time().map(Timestamp::from_millis);
    Event { time: event.timestamp().map_or(start, Timestamp::from_millis), arrived, id, body }
}

pub(super) fn trouble<E, R>(doing: String, with_token: bool, error: SdkError<E, R>) -> Trouble
where
    SdkError<E, R>: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let mut error = SourceError { doing, remedy: aws::remedy(&code, &error), source: Some(error.into()) };
    match code.as_str() {
        code if aws::is_throttling(code) => Trouble::Throttled(error),
        "InvalidParameterException" if with_token => {
            error.remedy = Remedy::Wait;
            Trouble::TokenRefused(error)
        }
        "ResourceNotFoundException" => Trouble::Gone(error),
        _ => Trouble::Failed(error),
    }
}

pub(super) fn failure(doing: String) -> SourceError {
    SourceError { doing, remedy: Remedy::Wait, source: None }
}
