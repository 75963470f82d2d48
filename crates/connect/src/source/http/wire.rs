//! How one kind of sender talks: what it shows to be let in, how its body holds records, what it wants to hear.
//!
//! Everything else is the same for all that is pushed: limits, memory, batches, and that a request is answered with
//! success only once all of it is durable. A new sender is one file with a [`Wire`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::answer::Answer;
use crate::host;
use crate::secret::{Secret, SecretError};
use crate::source::Body;
use crate::source::cuts::{Cut, Cuts};

/// Longest name of a request.
const NAME_BYTES_MAX: usize = 255;

/// A request without its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What follows the source's own path, without a slash in front; or the whole path, where a sender cannot be given
    /// another than its system's.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// Something to wait for before a sender can be judged.
pub(crate) type Preparing<'w> = Pin<Box<dyn Future<Output = ()> + Send + 'w>>;

/// How one kind of sender talks.
pub(crate) trait Wire: fmt::Debug + Send + Sync {
    /// Whether it is spoken to at this path: most at the source's own only.
    fn serves(&self, path: &str) -> bool {
        path.is_empty()
    }

    /// The answer to a question that needs no permission, such as whether somebody is here.
    fn greet(&self, _method: &Method, _asked: &Asked) -> Option<Response> {
        None
    }

    /// Whether anyone who can connect may push.
    fn is_open(&self) -> bool {
        false
    }

    /// What must be had from elsewhere before [`Wire::admit`] can judge these headers, such as keys. It must not take long.
    fn prepare<'w>(&'w self, _asked: &'w Asked) -> Option<Preparing<'w>> {
        None
    }

    /// Whether the headers let the sender in, looked at before a byte of the body is kept.
    fn admit(&self, asked: &Asked) -> Result<(), Answer>;

    /// Whether nothing but the body shows who sent it: until it is here it may be anybody's.
    fn is_signed(&self) -> bool {
        false
    }

    /// Whether the body, as it was sent, bears the sender's signature.
    fn verify(&self, _asked: &Asked, _sent: &[u8]) -> Result<(), Answer> {
        Ok(())
    }

    /// What the sender calls this request, if it does: a repeat bears the same name, and so do its records.
    fn name(&self, asked: &Asked) -> Result<Option<String>, Answer> {
        named(&asked.headers, "idempotency-key")
    }

    /// The records of a body, decompressed. Called away from the runtime if the body is large. Nothing of it may be
    /// left out in silence: what cannot be read becomes a record that is refused further in.
    fn open(&self, _asked: &Asked, body: Bytes, limits: Room) -> Result<Opened, Answer> {
        Ok(Opened::Records(Cuts::new(body, limits.record_bytes_max)))
    }

    /// The answer as this sender reads it.
    fn answer(&self, _asked: &Asked, answer: Answer) -> Response {
        answer.into_response()
    }
}

/// How much may come out of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Largest record.
    pub(crate) record_bytes_max: usize,
    /// All records together, where they are packed once more inside the body.
    pub(crate) body_bytes_max: usize,
}

/// What a body turned out to hold.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Records, cut out of the body as they are read.
    Records(Cuts),
    /// Records that had to be unpacked, each with its number. They take more memory than the body did, by so many bytes.
    Unpacked {
        /// The records.
        records: Vec<Cut>,
        /// Their bytes.
        bytes: usize,
    },
    /// Records that are unpacked one by one, as they are read: a body of millions of tiny ones takes no more memory for
    /// that. What was unpacked of them already takes so many bytes more than the body did.
    OneByOne {
        /// The records.
        records: Box<dyn Unpack>,
        /// Bytes beside the body.
        bytes: usize,
    },
    /// The same, with what the sender calls the request, where it says so in the body.
    Named {
        /// Its name, if it has one.
        name: Option<String>,
        /// The records.
        records: Box<dyn Unpack>,
        /// Bytes beside the body.
        bytes: usize,
    },
    /// No records: a question, which is answered at once.
    Reply(Response),
}

/// Records on their way out of a body.
pub(crate) trait Unpack: Iterator<Item = Cut> + fmt::Debug + Send {}

impl<Cutter: Iterator<Item = Cut> + fmt::Debug + Send> Unpack for Cutter {}

/// One record that was unpacked, refused if it is above the limit.
pub(crate) fn cut(line: u64, bytes: Bytes, limits: Room) -> Cut {
    let body = if bytes.len() > limits.record_bytes_max {
        Body::Refused { head: crate::source::lines::head(&bytes), reason: crate::source::Refusal::TooLong }
    } else {
        Body::Whole(bytes)
    };
    Cut { line, body }
}

/// A header that names the request, if it is there.
///
/// # Errors
/// When it could not stand in a record's position.
pub(crate) fn named(headers: &HeaderMap, header: &str) -> Result<Option<String>, Answer> {
    let Some(value) = headers.get(header) else {
        return Ok(None);
    };
    let name = value.as_bytes();
    if !is_name(name) {
        let wanted = format!("the header {header} must be 1 to {NAME_BYTES_MAX} visible ASCII characters");
        return Err(Answer::Unreadable(wanted));
    }
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
}

/// Whether this can stand in a record's position.
pub(crate) fn is_name(name: &[u8]) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// Whether a header says `type/subtype` of this media type, whatever parameters follow.
pub(crate) fn is_media(headers: &HeaderMap, media: &str) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(media))
}

/// A text that a sender must show. Equal hashes are found in constant time, so it cannot be guessed byte by byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token(blake3::Hash);

impl Token {
    /// From the setting.
    ///
    /// # Errors
    /// [`SecretError`] if there should be one and there is none: an unset variable must not become a token that everybody
    /// knows.
    pub(crate) fn read(secret: &Secret) -> Result<Self, SecretError> {
        Ok(Self(blake3::hash(secret.read()?.expose().as_bytes())))
    }

    /// Whether this is it.
    pub(crate) fn is(self, shown: &[u8]) -> bool {
        self.0 == blake3::hash(shown)
    }

    /// Whether a header shows it.
    pub(crate) fn in_header(self, headers: &HeaderMap, header: &str) -> Result<(), Answer> {
        let shown = headers.get(header).is_some_and(|value| self.is(value.as_bytes().trim_ascii()));
        if shown { Ok(()) } else { Err(Answer::Unauthorised) }
    }

    /// Whether `Authorization` shows it behind this scheme.
    pub(crate) fn authorises(self, headers: &HeaderMap, scheme: &str) -> Result<(), Answer> {
        let shown = headers.get(AUTHORIZATION).is_some_and(|value| {
            let split = value.as_bytes().split_at_checked(scheme.len());
            split.is_some_and(|(said, token)| {
                said.eq_ignore_ascii_case(scheme.as_bytes())
                    && token.first() == Some(&b' ')
                    && self.is(token.trim_ascii())
            })
        });
        if shown { Ok(()) } else { Err(Answer::Unauthorised) }
    }
}

/// Our own: lines, an array or a document of JSON, with a bearer token or without any.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) token: Option<Token>,
}

impl Wire for Plain {
    fn is_open(&self) -> bool {
        self.token.is_none()
    }

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        match self.token {
            Some(token) => token.authorises(&asked.headers, "Bearer"),
            // No page of another site knows the token; without one, any page could push what it likes.
            None if !host::comes_from_us(&asked.headers) => Err(Answer::Foreign),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_whole_behind_its_scheme_or_not_at_all() {
        let token = Token::read(&Secret::from_text("s3cret".to_owned())).unwrap();
        for (shown, enters) in [
            ("Bearer s3cret", true),
            ("bearer  s3cret ", true),
            ("Bearers3cret", false),
            ("Bearer s3cre", false),
            ("Splunk s3cret", false),
            ("s3cret", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, shown.parse().unwrap())]);
            assert_eq!(token.authorises(&headers, "Bearer").is_ok(), enters, "{shown:?}");
        }
        assert!(token.authorises(&HeaderMap::new(), "Bearer").is_err());
    }
}
