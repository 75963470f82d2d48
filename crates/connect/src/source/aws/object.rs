//! One object of S3, read as a stream and cut into records.
//!
//! A record is known by bucket, key, version and its number in the object, so that the same object leads to the same
//! positions whenever and by whatever road it is read. Memory: a record within the limit and what came last.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::remedy;
use crate::source::stream::Stream;
use crate::source::unpack::{Unpack, Unpackable};
use crate::source::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Body, Gap, Record, Refusal, Remedy, SourceError};

/// Opened in one go: worth the way to another thread.
const OPENED_BYTES: usize = 256 << 10;

/// A client of S3 at the usual address, or at another.
pub(crate) fn client(loaded: &SdkConfig, endpoint_url: Option<&str>) -> Client {
    let mut config = aws_sdk_s3::config::Builder::from(loaded);
    if let Some(endpoint_url) = endpoint_url {
        // Other addresses seldom have a name for each bucket.
        config = config.endpoint_url(endpoint_url).force_path_style(true);
    }
    Client::from_conf(config.build())
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// One of its versions; without it the newest.
    pub(crate) version: Option<String>,
}

/// How objects are read.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) client: Client,
    /// A longer record is refused alone.
    pub(crate) record_bytes_max: usize,
    /// Of what is behind so many bytes, unpacked, nothing is read.
    pub(crate) object_bytes_max: u64,
}

/// Why an object could not be read to its end.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) why: Why,
    pub(crate) error: SourceError,
}

/// What that means for its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was deleted.
    Gone,
    /// We may not read it.
    Denied,
    /// Its bytes are no text.
    Corrupt,
    /// Nothing: it is tried again.
    Passing,
}

/// An object being read.
pub(crate) struct Reader {
    named: Named,
    version: String,
    body: ByteStream,
    /// What came and was not opened yet.
    packed: Bytes,
    /// Only absent while it is opened on another thread.
    text: Option<Box<Text>>,
    has_ended: bool,
    /// What ends it early, once what stands before that was handed over.
    broken: Option<Unread>,
}

/// How far an object was read when reading it broke off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    version: String,
    number: u64,
}

/// The next records of an object.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) records: Vec<Record>,
    pub(crate) reached: Reached,
    /// There are no more.
    pub(crate) is_last: bool,
}

/// Bytes that are opened and cut.
struct Text {
    unpack: Unpack,
    stream: Stream,
    opened: Vec<u8>,
}

impl Named {
    /// As people write it.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// Whether a bucket and an object can be called so.
    pub(crate) fn is_possible(&self) -> bool {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (3..=255).contains(&self.bucket.len()) && self.bucket.bytes().all(is_letter) && !self.key.is_empty()
    }

    /// Whether it holds no events: folders that the console made, and what CloudTrail signs its log files with.
    pub(crate) fn holds_no_events(&self) -> bool {
        self.key.ends_with('/') || self.key.contains("/CloudTrail-Digest/")
    }

    /// What is left of an object that nobody can read: its name, among the records that could not be read.
    pub(crate) fn refused(&self, unread: &Unread) -> Record {
        let head = serde_json::json!({
            "bucket": self.bucket, "key": self.key, "versionId": self.version,
            "error": crate::probe::words(&unread.error),
        });
        let position = format!("{}/{}", self.bucket, self.key);
        let head = crate::source::lines::head(head.to_string().as_bytes());
        Record { position, body: Body::Refused { head, reason: Refusal::Unreadable } }
    }

    /// What is missing with it if it was there and is deleted.
    pub(crate) fn gap(&self, why: Why) -> Option<Gap> {
        let what = || format!("{} was deleted before it was read: all of its records are missing", self.url());
        (why == Why::Gone).then(|| Gap { id: format!("{}/{}", self.bucket, self.key), what: what() })
    }
}

impl Objects {
    /// Asks for an object.
    pub(crate) async fn get(&self, named: &Named) -> Result<GetObjectOutput, Unread> {
        let request = self.client.get_object().bucket(&named.bucket).key(&named.key);
        request.set_version_id(named.version.clone()).send().await.map_err(|error| unread(named, error))
    }

    /// Begins to read an object.
    pub(crate) async fn open(&self, named: Named) -> Result<Reader, Unread> {
        let answer = self.get(&named).await?;
        let version = answer.version_id().filter(|version| *version != "null").or(answer.e_tag()).unwrap_or_default();
        let version = version.trim_matches('"').to_owned();
        let (unpack, stream) = (Unpack::new(self.object_bytes_max), Stream::new(self.record_bytes_max));
        let text = Some(Box::new(Text { unpack, stream, opened: Vec::new() }));
        Ok(Reader { named, version, body: answer.body, packed: Bytes::new(), text, has_ended: false, broken: None })
    }
}

impl Reader {
    /// Reads on until a batch is full or the object ends. What was `reached` before is left out.
    pub(crate) async fn part(&mut self, reached: &Reached) -> Result<Part, Unread> {
        let known = if reached.version == self.version { reached.number } else { 0 };
        let mut part = Part { records: Vec::new(), reached: Reached::default(), is_last: false };
        part.reached = Reached { version: self.version.clone(), number: known };
        let mut bytes = 0;
        loop {
            while let Some(cut) = self.text.as_mut().and_then(|text| text.stream.cut()) {
                if cut.line <= known {
                    continue;
                }
                part.reached.number = cut.line;
                bytes += cut.body.len();
                let Named { bucket, key, .. } = &self.named;
                let position = format!("{bucket}/{key}@{}#{}", self.version, cut.line);
                part.records.push(Record { position, body: cut.body });
                if part.records.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
                    return Ok(part);
                }
            }
            // What stands before the damage is handed over first.
            if self.broken.is_some() && !part.records.is_empty() {
                return Ok(part);
            }
            if let Some(unread) = self.broken.take() {
                return Err(unread);
            }
            if self.packed.is_empty() {
                if self.has_ended {
                    part.is_last = true;
                    return Ok(part);
                }
                match self.body.try_next().await {
                    Ok(Some(packed)) => self.packed = packed,
                    Ok(None) => self.has_ended = true,
                    Err(error) => return Err(self.broke_off(error)),
                }
            }
            self.broken = self.open_more().await.err();
        }
    }

    /// Opens a part of what came, on a thread where that holds up nobody.
    async fn open_more(&mut self) -> Result<(), Unread> {
        let (mut packed, has_ended) = (std::mem::take(&mut self.packed), self.has_ended);
        let mut text = self.text.take().expect("it is only absent within this function");
        let opening = tokio::task::spawn_blocking(move || {
            let opened = text.take(&mut packed, has_ended);
            (packed, text, opened)
        });
        let (packed, text, opened) = match opening.await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        (self.packed, self.text) = (packed, Some(text));
        opened.map_err(|error| self.corrupt(error))
    }

    fn broke_off(&self, error: aws_sdk_s3::primitives::ByteStreamError) -> Unread {
        let doing = format!("read {} on", self.named.url());
        Unread { why: Why::Passing, error: SourceError { doing, remedy: Remedy::Wait, source: Some(error.into()) } }
    }

    fn corrupt(&self, error: Unpackable) -> Unread {
        let doing = format!("open {}", self.named.url());
        Unread { why: Why::Corrupt, error: SourceError { doing, remedy: Remedy::Person, source: Some(error.into()) } }
    }
}

impl Text {
    /// Opens what was packed until there is enough to cut.
    fn take(&mut self, packed: &mut Bytes, has_ended: bool) -> Result<(), Unpackable> {
        let mut opened = Ok(());
        while opened.is_ok() && !packed.is_empty() && self.opened.len() < OPENED_BYTES {
            opened = self.unpack.open(packed, &mut self.opened);
        }
        let is_last = opened.is_ok() && packed.is_empty() && has_ended;
        if is_last {
            opened = self.unpack.end(&mut self.opened);
        }
        self.stream.feed(&self.opened);
        self.opened.clear();
        if is_last && opened.is_ok() {
            self.stream.end();
        }
        opened
    }
}

/// What a refusal means.
fn unread(named: &Named, error: SdkError<GetObjectError>) -> Unread {
    let code = error.code().unwrap_or_default().to_owned();
    let why = match code.as_str() {
        "NoSuchKey" | "NoSuchVersion" | "NoSuchBucket" | "MethodNotAllowed" => Why::Gone,
        "AccessDenied" | "AllAccessDisabled" | "InvalidObjectState" | "PermanentRedirect" => Why::Denied,
        // Asking again says the same: a key of the customer's encrypts it, or no object can be called so.
        "InvalidRequest" | "InvalidArgument" | "KeyTooLongError" | "InvalidURI" | "InvalidBucketName" => Why::Denied,
        code if code.starts_with("KMS.") => Why::Denied,
        _ if matches!(error, SdkError::ConstructionFailure(_)) => Why::Denied,
        _ => Why::Passing,
    };
    let remedy = match why {
        Why::Gone | Why::Denied | Why::Corrupt => Remedy::Person,
        Why::Passing => remedy(&code, &error),
    };
    let needs = match code.as_str() {
        "AccessDenied" => ": the role needs s3:GetObject on it, and kms:Decrypt if a key of KMS encrypts it",
        "PermanentRedirect" => ": its bucket is in another region, set `region`",
        "InvalidObjectState" => ": it was moved to an archive, restore it",
        code if code.starts_with("KMS.") => ": its key of KMS refuses us",
        _ => "",
    };
    let doing = format!("read {}{needs}", named.url());
    Unread { why, error: SourceError { doing, remedy, source: Some(error.into()) } }
}
