//! What a record is and when it happened, from a few members at its top: enough for a record that no rule matches.

use super::{DEPTH_CEILING, Format, Limits, json, moment, scan, trim};
use crate::event::Kind;
use crate::time::Timestamp;

/// One of those members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'a> {
    Absent,
    Text(&'a str),
    /// Anything else but a list.
    Other,
}

/// The body as text, if it may be one record and nothing about its bytes is unusual.
pub(crate) fn record<'b>(format: Format, body: &'b [u8], limits: &Limits) -> Option<(Kind, &'b str)> {
    let kind = match format {
        Format::Known(kind @ (Kind::AwsCloudtrail | Kind::Json)) => kind,
        // By far the most frequent; what it turns out to be is looked at in `time`.
        Format::Auto => Kind::AwsCloudtrail,
        Format::Known(Kind::GithubAudit | Kind::GithubWebhook) => return None,
    };
    let body = trim(body);
    let plain = body.len() <= limits.bytes
        && scan::is_plain(body, limits.depth.min(DEPTH_CEILING))
        && !scan::begins_with_member(body, "Records");
    if plain { Some((kind, str::from_utf8(body).ok()?)) } else { None }
}

/// The members that [`time`] needs; none for a kind that is always normalised in full.
pub(crate) fn members(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::AwsCloudtrail => &["eventName", "eventTime", "eventVersion", "eventSource"],
        Kind::Json => &json::TIMES,
        Kind::GithubAudit | Kind::GithubWebhook => &[],
    }
}

/// When the record happened, if these members show that it is one event of this kind.
pub(crate) fn time<'a>(format: Format, kind: Kind, member: impl Fn(usize) -> Member<'a>) -> Option<Timestamp> {
    let text = |number| match member(number) {
        Member::Text(text) if !text.is_empty() => Some(text),
        Member::Text(_) | Member::Absent | Member::Other => None,
    };
    match kind {
        Kind::AwsCloudtrail => {
            text(0)?;
            let recognised = || {
                let version = !matches!(member(2), Member::Absent);
                version && text(3).is_some_and(|source| !source.starts_with("aws:"))
            };
            let is_trail = matches!(format, Format::Known(_)) || recognised();
            if is_trail { moment::from_text(text(1)?) } else { None }
        }
        // A number may be a time too: then the record is read in full.
        Kind::Json => {
            let first = (0..json::TIMES.len()).find(|number| !matches!(member(*number), Member::Absent))?;
            moment::from_text(text(first)?)
        }
        Kind::GithubAudit | Kind::GithubWebhook => None,
    }
}
