//! One page of the log: how it is asked for and read.

use bytes::Bytes;
use engine::time::Timestamp;
use reqwest::Client;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::access::Access;
use super::call::{Trouble, call, client, passing};
use super::look::{Ask, Entry, Page};
use super::settings::Settings;
use crate::source::SourceError;

/// The most that the API lists at once.
const PAGE: &str = "100";

const DOING: &str = "ask for the audit log";

/// What a token must be allowed.
const NEEDS: &str = "the token needs the permission Administration (read) of the organisation, or the scope read:audit_log, and \
                     approval where the organisation asks for it";

/// The API, for one log.
pub(super) struct Api {
    client: Client,
    access: Access,
    settings: Settings,
}

/// A page, and when the next may be asked for if not at once.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) page: Page,
    pub(super) not_before: Option<Timestamp>,
}

/// What we read of an entry; all of it is handed on.
#[derive(Deserialize)]
struct Head<'e> {
    #[serde(rename = "_document_id", borrow, default)]
    id: Option<std::borrow::Cow<'e, str>>,
    #[serde(rename = "@timestamp", default)]
    timestamp: Option<i64>,
    #[serde(default)]
    created_at: Option<i64>,
}

impl Api {
    pub(super) fn new(settings: &Settings) -> Result<Self, SourceError> {
        Ok(Self { client: client()?, access: Access::open(settings)?, settings: settings.clone() })
    }

    /// Asks for a page. A token that is not taken is exchanged once, if it can be.
    pub(super) async fn page(&self, ask: Ask, now: Timestamp) -> Result<Answered, Trouble> {
        let url = match &ask {
            Ask::Since(moment) => self.first(*moment),
            Ask::Page(url) => url.clone(),
        };
        let mut answer = self.get(&url, now).await;
        if matches!(answer, Err(Trouble::Unauthorised(_))) && self.access.forget() {
            answer = self.get(&url, now).await;
        }
        let answer = answer.map_err(|trouble| match (trouble, &ask) {
            // Without a cursor the question is the same each time: a person has to mend it.
            (Trouble::Refused(error), Ask::Since(_)) => Trouble::Failed(error),
            (Trouble::Refused(error), Ask::Page(_)) => Trouble::Refused(passing(error.doing)),
            (trouble, _) => trouble,
        })?;
        let entries = entries(&answer.body)
            .map_err(|error| Trouble::Failed(passing(format!("{DOING}: the answer is no list of entries: {error}"))))?;
        let next = next_of(&answer.headers, &url).map_err(Trouble::Failed)?;
        if next.as_ref() == Some(&url) {
            // Taken as the end it could lose entries, followed it could turn for ever.
            return Err(Trouble::Refused(passing(format!("{DOING}: the page follows itself"))));
        }
        Ok(Answered { page: Page { entries, next }, not_before: answer.not_before })
    }

    async fn get(&self, url: &str, now: Timestamp) -> Result<super::call::Answer, Trouble> {
        let token = self.access.token(&self.client, now).await?;
        call(self.client.get(url).bearer_auth(token), DOING, NEEDS, now).await
    }

    /// The first page of a look at what happened since `moment`.
    fn first(&self, moment: Timestamp) -> String {
        // The search knows whole seconds.
        let second = Timestamp::from_millis(moment.micros().div_euclid(1_000_000) * 1_000).to_string();
        let phrase = format!("created:>={}+00:00", second.get(..19).unwrap_or(&second));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("phrase", &phrase)
            .append_pair("include", self.settings.include.name())
            .append_pair("order", "asc")
            .append_pair("per_page", PAGE)
            .finish();
        format!("{}/audit-log?{query}", self.settings.url(&self.settings.path()))
    }
}

/// The entries of a page, each as it came.
fn entries(body: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
    let raw: Vec<&RawValue> = serde_json::from_slice(body)?;
    Ok(raw.into_iter().map(|raw| entry(raw.get())).collect())
}

fn entry(text: &str) -> Entry {
    let head = serde_json::from_str::<Head<'_>>(text);
    let (id, time) = head.map_or((None, None), |head| (head.id, head.timestamp.or(head.created_at)));
    // The API has always given one. Without it only its bytes tell an entry that is listed again from another.
    let id = id.map_or_else(|| blake3::hash(text.as_bytes()).to_hex().to_string(), std::borrow::Cow::into_owned);
    Entry { id, time: time.map(Timestamp::from_millis), body: Bytes::copy_from_slice(text.as_bytes()) }
}

/// The next page, which must be of the server that was asked: the token goes nowhere else.
fn next_of(headers: &HeaderMap, asked: &str) -> Result<Option<String>, SourceError> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(next) = links.flat_map(parts).find(|(_, rel)| *rel == "next").map(|(url, _)| url) else {
        return Ok(None);
    };
    let origin = |url: &str| reqwest::Url::parse(url).ok().map(|url| url.origin());
    match origin(next) {
        Some(origin_of_next) if Some(&origin_of_next) == origin(asked).as_ref() => Ok(Some(next.to_owned())),
        // Taken as the end it would lose the rest in silence.
        _ => Err(passing(format!("{DOING}: the next page is said to be at another server, {next}: mend `endpoint`"))),
    }
}

/// The addresses of a `Link` header, each with its relation. An address may hold a comma.
fn parts(links: &str) -> impl Iterator<Item = (&str, &str)> {
    links.split('<').filter_map(|part| {
        let (url, rest) = part.split_once('>')?;
        let rel = rest.split(';').find_map(|parameter| parameter.trim().strip_prefix("rel="))?;
        Some((url, rel.trim_end_matches([',', ' ']).trim_matches('"')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(link: &str) -> HeaderMap {
        HeaderMap::from_iter([(LINK, link.parse().unwrap())])
    }

    #[test]
    fn the_next_page_is_the_one_that_is_called_so_and_at_the_same_server() {
        let asked = "https://api.github.com/organizations/1/audit-log?per_page=100";
        for (link, next, why) in [
            (
                r#"<https://api.github.com/x?after=MS4,x&before=>; rel="next""#,
                Some("after=MS4,x"),
                "an address with a comma",
            ),
            (
                r#"<https://api.github.com/1>; rel="prev", <https://api.github.com/2>; rel="next""#,
                Some("/2"),
                "the second",
            ),
            (
                r#"<https://api.github.com/2>; rel="next", <https://api.github.com/1>; rel="first""#,
                Some("/2"),
                "the first",
            ),
            (r#"<https://api.github.com/2>; rel=next"#, Some("/2"), "no quotes"),
            (r#"<https://api.github.com/1>; rel="first""#, None, "the last page"),
            ("nonsense", None, "no link"),
        ] {
            let found = next_of(&headers(link), asked).unwrap();
            assert_eq!(found.is_some(), next.is_some(), "{why}");
            assert!(found.unwrap_or_default().contains(next.unwrap_or_default()), "{why}");
        }
        assert_eq!(next_of(&HeaderMap::new(), asked).unwrap(), None);
        for elsewhere in ["https://example.org/2", "http://api.github.com/2", "/relative"] {
            let refused = next_of(&headers(&format!("<{elsewhere}>; rel=\"next\"")), asked).unwrap_err();
            assert!(refused.doing.contains("another server"), "{elsewhere}");
        }
    }

    #[test]
    fn an_entry_is_handed_on_as_it_came_under_its_id() {
        let body = r#"[{"@timestamp":1764000000123,"_document_id":"a\u002db","action":"repo.create","x": 1.0}, 7]"#;
        let entries = entries(body.as_bytes()).unwrap();
        assert_eq!((entries[0].id.as_str(), entries[0].time), ("a-b", Some(Timestamp::from_millis(1_764_000_000_123))));
        assert_eq!(entries[0].body, body.as_bytes()[1..body.len() - 4], "no byte of it is changed");
        assert_eq!(
            (entries[1].body.as_ref(), entries[1].time),
            (b"7".as_slice(), None),
            "what is odd is refused further in"
        );
    }
}
