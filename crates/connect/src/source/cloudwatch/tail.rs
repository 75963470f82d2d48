//! Live Tail: told within about a second that something came to a log group, the source looks at once.
//!
//! A hint and nothing more. A session leaves out what is above 500 events a second, ends after three hours and knows nothing of
//! what came before it; so every event is read with FilterLogEvents, whether there was a hint or not, and a session that cannot
//! be had costs nothing but speed.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::StartLiveTailResponseStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::request::{failure, trouble};
use crate::source::SourceError;

/// AWS takes no more groups in one session.
pub(super) const GROUPS_MAX: usize = 10;

/// A session says something every second, be it that nothing came. After this long it is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A session that lived so long was a good one, however it ended.
const GOOD_AFTER: Duration = Duration::from_secs(300);

/// Between two sessions: doubles from here while none can be had …
const AWAY_FIRST: Duration = Duration::from_secs(1);
/// … to here.
const AWAY_LAST: Duration = Duration::from_secs(300);

/// Says which groups have something new, as long as it lives.
pub(super) struct Tail {
    hints: Arc<Hints>,
    /// The session, which ends with this.
    _session: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Hints {
    groups: Mutex<BTreeSet<String>>,
    came: Notify,
}

/// A group and the two names that a session may know it by.
struct Tailed {
    /// As it is configured.
    group: String,
    arn: String,
}

impl Tail {
    /// Follows these groups, at most [`GROUPS_MAX`].
    pub(super) fn follow(client: Client, groups: Vec<String>) -> Self {
        let hints = Arc::<Hints>::default();
        let mut session = JoinSet::new();
        session.spawn(follow(client, groups, hints.clone()));
        Self { hints, _session: session }
    }

    /// Returns once some group has something new. Cancel-safe.
    pub(super) async fn came(&self) {
        self.hints.came.notified().await;
    }

    /// Groups that have something new since the last call.
    pub(super) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.hints.groups())
    }
}

impl Hints {
    /// A panic elsewhere leaves the set whole.
    fn groups(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, group: &str) {
        self.groups().insert(group.to_owned());
        self.came.notify_one();
    }
}

impl Tailed {
    /// A session names a group by its ARN, by its name, or by its account and its name.
    fn is(&self, named: &str) -> bool {
        let named = named.trim_end_matches(":*");
        let name = |text: &str| text.rsplit(':').next().unwrap_or_default().to_owned();
        self.arn == named || name(&self.arn) == name(named)
    }
}

async fn follow(client: Client, groups: Vec<String>, hints: Arc<Hints>) {
    let mut away = AWAY_FIRST;
    loop {
        let began = Instant::now();
        let ended = session(&client, &groups, &hints).await;
        let was_good = began.elapsed() >= GOOD_AFTER;
        if was_good {
            away = AWAY_FIRST;
        }
        if let Err(error) = ended {
            let error = crate::probe::words(&error);
            // After three hours AWS ends each with an error.
            match was_good {
                true => tracing::debug!(%error, "live tail ended, another one begins"),
                false => tracing::warn!(%error, "no live tail: new events are seen at the next poll"),
            }
        }
        tokio::time::sleep(away).await;
        away = (away * 2).min(AWAY_LAST);
    }
}

/// One session, to its end.
async fn session(client: &Client, groups: &[String], hints: &Hints) -> Result<(), SourceError> {
    let mut tailed = Vec::new();
    for group in groups {
        match arn(client, group).await {
            Ok(arn) => tailed.push(Tailed { group: group.clone(), arn }),
            // The others are followed all the same.
            Err(error) => {
                tracing::warn!(%group, error = %crate::probe::words(&error), "log group is not followed live")
            }
        }
    }
    if tailed.is_empty() {
        return Err(failure("follow log groups: none of them is there".to_owned()));
    }
    let mut stream = begin(client, tailed.iter().map(|tailed| tailed.arn.clone()).collect()).await?;
    // What came before the session began is nobody's hint.
    tailed.iter().for_each(|tailed| hints.give(&tailed.group));
    loop {
        let silent = |_| failure("follow log groups: the session fell silent".to_owned());
        let said = tokio::time::timeout(SILENCE_MAX, stream.recv()).await.map_err(silent)?;
        match said.map_err(|error| trouble("follow log groups".to_owned(), false, error).error())? {
            Some(StartLiveTailResponseStream::SessionUpdate(update)) => {
                for event in update.session_results() {
                    let named = event.log_group_identifier().unwrap_or_default();
                    tailed.iter().filter(|tailed| tailed.is(named)).for_each(|tailed| hints.give(&tailed.group));
                }
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

type Stream = aws_sdk_cloudwatchlogs::primitives::event_stream::EventReceiver<
    StartLiveTailResponseStream,
    aws_sdk_cloudwatchlogs::types::error::StartLiveTailResponseStreamError,
>;

async fn begin(client: &Client, arns: Vec<String>) -> Result<Stream, SourceError> {
    let doing = || "begin a live tail".to_owned();
    let request = client.start_live_tail().set_log_group_identifiers(Some(arns)).send();
    // The timeouts of the client end with the head of the answer.
    let answer = tokio::time::timeout(SILENCE_MAX, request).await.map_err(|_| failure(doing()))?;
    Ok(answer.map_err(|error| trouble(doing(), false, error).error())?.response_stream)
}

/// A session takes ARNs only.
async fn arn(client: &Client, group: &str) -> Result<String, SourceError> {
    if group.starts_with("arn:") {
        return Ok(group.trim_end_matches(":*").to_owned());
    }
    let doing = || format!("look for the ARN of log group {group}");
    let mut token = None;
    loop {
        let request = client.describe_log_groups().log_group_name_prefix(group).set_next_token(token.clone());
        let answer = request.send().await.map_err(|error| trouble(doing(), false, error).error())?;
        let found = answer.log_groups().iter().find(|found| found.log_group_name() == Some(group));
        if let Some(arn) = found.and_then(|found| found.log_group_arn().or(found.arn())) {
            return Ok(arn.trim_end_matches(":*").to_owned());
        }
        let more = answer.next_token;
        // They come in order: what stands behind it is another one, and a page that follows itself none at all.
        let is_behind = answer.log_groups.iter().flatten().any(|found| found.log_group_name() > Some(group));
        let is_over = is_behind || more == token;
        token = more;
        if token.is_none() || is_over {
            return Err(failure(doing()));
        }
    }
}

/// Begins a session and ends it at once.
///
/// # Errors
/// [`SourceError`] if it cannot be had.
pub(super) async fn tried(client: &Client, groups: &[String]) -> Result<(), SourceError> {
    let mut arns = Vec::new();
    for group in groups.iter().take(GROUPS_MAX) {
        arns.push(arn(client, group).await?);
    }
    begin(client, arns).await.map(drop)
}
