//! Where a record says that it is from: what should arrive is told by account and region, and so is what does.
//!
//! Read of every record, matched or not, so it is found in the glance or looked up in a document that was parsed anyway,
//! and nothing is copied.

use sonic_rs::{JsonValueTrait, Value};

use super::glance::{self, Member};
use super::lead;
use crate::event::{Event, Kind};

/// The account and the region of a record; what it does not say is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home<'r> {
    /// The account, organisation, project, subscription or tenant whose log it is of.
    pub account: Option<&'r str>,
    /// The region.
    pub region: Option<&'r str>,
}

impl<'r> Home<'r> {
    /// From the first of these places that holds a text.
    pub(super) fn at(record: &'r Value, accounts: &[&str], regions: &[&str]) -> Self {
        let first = |places: &[&str]| places.iter().find_map(|place| said(record, place));
        Self { account: first(accounts), region: first(regions) }
    }

    /// Of a path such as `group/project` the group is the account.
    pub(super) fn of_path(path: Option<&'r str>) -> Self {
        let account = path.and_then(|path| path.split('/').next()).filter(|group| !group.is_empty());
        Self { account, region: None }
    }
}

/// Where an event is from.
#[must_use]
pub fn home(event: &Event) -> Home<'_> {
    (event.kind.reading().home)(&event.raw)
}

/// The text at the end of a path of members, if there is one. The whole name as one key wins, as for rules.
pub(super) fn said<'r>(record: &'r Value, path: &str) -> Option<&'r str> {
    let flat = path.contains('.').then(|| record.get(path)).flatten();
    flat.or_else(|| lead::value(record, path))?.as_str().filter(|text| !text.is_empty())
}

/// The same from the members of a glance; nothing if that takes a closer look.
pub(crate) fn glanced<'r>(kind: Kind, member: impl Fn(usize) -> Member<'r>) -> Option<Home<'r>> {
    let Some(places) = glance::homes(kind) else { return Some(Home::default()) };
    let text = |place: usize| match member(place) {
        Member::Absent => Some(None),
        Member::Text(text) => Some(Some(text).filter(|text| !text.is_empty())),
        // Escapes in it, or no text at all.
        Member::Object | Member::Other => None,
    };
    let [account, region] = places.map(text);
    Some(Home { account: account?, region: region? })
}

#[cfg(test)]
mod tests {
    use crate::normalise::{Format, Limits, normalise};

    use super::*;

    #[test]
    fn records_say_whose_they_are_in_the_words_of_their_vendor() {
        let azure = "/SUBSCRIPTIONS/11111111-2222-4333-8444-555555555555/resourceGroups/web";
        for (kind, record, account, region) in [
            (
                Kind::AwsCloudtrail,
                r#"{"eventName":"x","eventTime":"2026-11-20T09:00:00Z","recipientAccountId":"1","awsRegion":"r","userIdentity":{"accountId":"2"}}"#.to_owned(),
                Some("1"),
                Some("r"),
            ),
            (
                Kind::AwsCloudtrail,
                r#"{"eventName":"x","eventTime":"2026-11-20T09:00:00Z","userIdentity":{"accountId":"2"},"requestParameters":{"recipientAccountId":"3","awsRegion":"s"}}"#.to_owned(),
                None,
                None,
            ),
            (
                Kind::AwsEventbridge,
                r#"{"account":"1","region":"r","source":"aws.ecs","detail-type":"t","time":"2026-11-20T09:00:00Z","detail":{}}"#.to_owned(),
                Some("1"),
                Some("r"),
            ),
            (
                Kind::GithubAudit,
                r#"{"action":"a","@timestamp":1763630043000,"org":["acme"],"business":"all"}"#.to_owned(),
                Some("acme"),
                None,
            ),
            (
                Kind::GitlabAudit,
                r#"{"author_id":1,"entity_id":1,"entity_type":"Project","entity_path":"acme/web/app","created_at":"2026-11-20T09:00:00Z"}"#.to_owned(),
                Some("acme"),
                None,
            ),
            (
                Kind::GcpAudit,
                r#"{"logName":"projects/acme/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-11-20T09:00:00Z","resource":{"labels":{"location":"europe-west3"}},"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"}}"#.to_owned(),
                Some("acme"),
                Some("europe-west3"),
            ),
            (
                Kind::AzureActivity,
                format!(r#"{{"time":"2026-11-20T09:00:00Z","resourceId":"{azure}","operationName":"o","location":"westeurope"}}"#),
                Some("11111111-2222-4333-8444-555555555555"),
                Some("westeurope"),
            ),
            (Kind::Json, r#"{"time":"2026-11-20T09:00:00Z","account":"1"}"#.to_owned(), None, None),
        ] {
            let (mut events, mut rejects) = (Vec::new(), Vec::new());
            normalise(Format::Known(kind), record.as_bytes(), "t", &Limits::default(), &mut events, &mut rejects);
            assert_eq!(rejects, [], "{record}");
            assert_eq!(home(&events[0]), Home { account, region }, "{record}");
        }
    }
}
