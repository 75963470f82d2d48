//! What a record is, when it happened and which event it is, from a few of its members: a record that no rule matches
//! need not be parsed for that.

use super::{DEPTH_CEILING, Format, Kind, Limits, by_position, json, moment, scan, trim};
use crate::event::Uid;
use crate::time::Timestamp;

/// The kinds that it looks at; all others are normalised in full.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// Records of CloudTrail.
    Trail,
    /// Plain JSON.
    Plain,
}

/// One of those members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'a> {
    Absent,
    Text(&'a str),
    Object,
    /// Anything else but a list; or it stands there twice.
    Other,
}

/// The body as text, if it may be one record and nothing about its bytes is unusual.
pub(crate) fn record<'b>(format: Format, body: &'b [u8], limits: &Limits) -> Option<(Kind, &'b str)> {
    let kind = match format {
        Format::Known(kind) => kind,
        // By far the most frequent; what it turns out to be is looked at in `time`.
        Format::Auto => Kind::AwsCloudtrail,
    };
    kind.reading().glance?;
    let body = trim(body);
    let plain = body.len() <= limits.bytes
        && scan::is_plain(body, limits.depth.min(DEPTH_CEILING))
        && !scan::begins_with_member(body, "Records");
    if plain { Some((kind, str::from_utf8(body).ok()?)) } else { None }
}

/// The members that [`time`] and [`super::home`] need; none for a kind that is always normalised in full.
pub(crate) fn members(kind: Kind) -> &'static [&'static str] {
    match kind.reading().glance {
        Some(Look::Trail) => &TRAIL,
        Some(Look::Plain) => &json::TIMES,
        None => &[],
    }
}

/// Of a record of CloudTrail: what it is, and behind [`TRAIL_HOMES`] whose.
const TRAIL: [&str; 6] = ["eventName", "eventTime", "eventVersion", "eventSource", "recipientAccountId", "awsRegion"];
const TRAIL_HOMES: usize = 4;

/// Where among [`members`] the account and the region stand; nothing for a kind that does not say whose its records are.
pub(super) fn homes(kind: Kind) -> Option<[usize; 2]> {
    match kind.reading().glance {
        Some(Look::Trail) => Some([TRAIL_HOMES, TRAIL_HOMES + 1]),
        Some(Look::Plain) | None => None,
    }
}

/// When the record happened, if these members show that it is one event of this kind.
pub(crate) fn time<'a>(format: Format, kind: Kind, member: impl Fn(usize) -> Member<'a>) -> Option<Timestamp> {
    let text = |number| match member(number) {
        Member::Text(text) if !text.is_empty() => Some(text),
        Member::Text(_) | Member::Absent | Member::Object | Member::Other => None,
    };
    match kind.reading().glance {
        Some(Look::Trail) => {
            text(0)?;
            let recognised = || {
                let version = !matches!(member(2), Member::Absent);
                version && text(3).is_some_and(|source| !source.starts_with("aws:"))
            };
            let is_trail = matches!(format, Format::Known(_)) || recognised();
            if is_trail { moment::from_text(text(1)?) } else { None }
        }
        // A number may be a time too: then the record is read in full.
        Some(Look::Plain) => {
            let first = (0..json::TIMES.len()).find(|number| !matches!(member(*number), Member::Absent))?;
            moment::from_text(text(first)?)
        }
        None => None,
    }
}

/// The members that [`uid`] needs.
pub(crate) fn uid_members(kind: Kind) -> &'static [&'static str] {
    match kind.reading().glance {
        Some(Look::Trail) => &["eventID", "recipientAccountId", "userIdentity", "userIdentity.accountId"],
        Some(Look::Plain) => &json::IDENTITY,
        None => &[],
    }
}

/// Which event the record at `position` is; nothing if that takes a closer look.
pub(crate) fn uid<'a>(
    kind: Kind,
    position: &str,
    time: Timestamp,
    member: impl Fn(usize) -> Member<'a>,
) -> Option<Uid> {
    // An empty text is as good as none.
    let text = |number| match member(number) {
        Member::Text(text) => Some(text).filter(|text| !text.is_empty()),
        Member::Absent | Member::Object | Member::Other => None,
    };
    let is_clear = |number| matches!(member(number), Member::Absent | Member::Text(_));
    match kind.reading().glance {
        Some(Look::Trail) => {
            let is_clear = is_clear(0) && is_clear(1) && is_clear(3) && !matches!(member(2), Member::Other);
            let Some(id) = text(0) else { return is_clear.then(|| by_position(position)) };
            let origin = text(1).or_else(|| text(3)).unwrap_or_default();
            is_clear.then(|| Uid { origin: origin.to_owned(), id: id.to_owned() })
        }
        Some(Look::Plain) => {
            let [wrappers, ids] = [json::WRAPPERS.len(), json::IDENTITY.len()];
            if (0..wrappers).any(|number| !matches!(member(number), Member::Absent)) || !(wrappers..ids).all(is_clear) {
                return None;
            }
            let found = (wrappers..ids).find_map(|number| Some((json::IDENTITY[number], text(number)?)));
            Some(found.map_or_else(|| by_position(position), |(name, id)| json::uid(name, id, time)))
        }
        None => None,
    }
}
