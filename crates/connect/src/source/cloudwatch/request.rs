//! One FilterLogEvents request and what its answer means. Requests are never repeated here: the pace decides.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use engine::time::Timestamp;
use serde::Serialize;

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
    /// Anything else.
    Failed(SourceError),
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

/// A client with the credentials of the environment or of the role.
pub(super) async fn client(settings: &Settings) -> Result<Client, SourceError> {
    let (region, role) = (settings.region.as_deref(), settings.role.as_ref());
    let loaded = Access { region, role, timeout: ANSWER_TIMEOUT }.load().await?;
    let mut config = aws_sdk_cloudwatchlogs::config::Builder::from(&loaded);
    config.set_endpoint_url(settings.endpoint_url.clone());
    Ok(Client::from_conf(config.build()))
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
    let answer = request.send().await.map_err(|error| trouble(&group, ask.token.is_some(), error))?;
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
    Event { time: event.timestamp().map_or(start, Timestamp::from_millis), id, body }
}

fn trouble(group: &str, with_token: bool, error: SdkError<FilterLogEventsError>) -> Trouble {
    let code = error.code().unwrap_or_default().to_owned();
    let doing = format!("read log group {group}");
    let mut error = SourceError { doing, remedy: aws::remedy(&code, &error), source: Some(error.into()) };
    match code.as_str() {
        code if aws::is_throttling(code) => Trouble::Throttled(error),
        "InvalidParameterException" if with_token => {
            error.remedy = Remedy::Wait;
            Trouble::TokenRefused(error)
        }
        _ => Trouble::Failed(error),
    }
}

fn failure(doing: String) -> SourceError {
    SourceError { doing, remedy: Remedy::Wait, source: None }
}
