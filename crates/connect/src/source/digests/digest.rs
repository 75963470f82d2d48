//! One digest: what it says, and whether CloudTrail signed that.
//!
//! Hashes are over what is packed, not over the gzip around it. What is signed is a text of four lines: the end of the
//! digest's hour, where it is, its hash, and the signature of the one before, or `null`
//! ([CloudTrail's user guide](https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html)).

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Digests at fault that are remembered; one that is forgotten is told again, as the same gap.
const FAULTY_MAX: usize = 100;

/// What CloudTrail calls the only way that it signs.
const ALGORITHM: &str = "SHA256withRSA";

/// What a digest says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Digest {
    pub(super) digest_start_time: String,
    pub(super) digest_end_time: String,
    pub(super) digest_s3_bucket: String,
    pub(super) digest_s3_object: String,
    pub(super) digest_public_key_fingerprint: String,
    #[serde(rename = "previousDigestS3Bucket")]
    pub(super) previous_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object")]
    pub(super) previous_key: Option<String>,
    #[serde(rename = "previousDigestHashValue")]
    pub(super) previous_hash: Option<String>,
    pub(super) previous_digest_signature: Option<String>,
    #[serde(default)]
    pub(super) log_files: Vec<LogFile>,
}

/// A log file of the digest's hour.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogFile {
    pub(super) s3_bucket: String,
    pub(super) s3_object: String,
    pub(super) hash_value: String,
}

/// A digest as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bucket: String,
    pub(super) key: String,
    /// Unpacked.
    pub(super) text: Vec<u8>,
    /// What stands beside it as `signature` and `signature-algorithm`.
    pub(super) signature: Option<String>,
    pub(super) algorithm: Option<String>,
}

/// How far a chain was verified; the value of a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// The last digest that CloudTrail has signed; nothing before the first.
    pub(super) key: String,
    pub(super) end: Timestamp,
    pub(super) seal: Option<Seal>,
    /// Digests behind it that were found at fault. They do not move the chain: anybody who may write into the bucket can
    /// put one there, under the name of any time to come.
    pub(super) faulty: Vec<String>,
}

/// What the next digest says of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    hash: String,
    signature: String,
}

impl Found {
    /// What it says, or what is wrong with it where it lies.
    pub(super) fn read(&self) -> Result<Digest, String> {
        let digest: Digest = serde_json::from_slice(&self.text).map_err(|error| format!("it is no digest: {error}"))?;
        if (&digest.digest_s3_bucket, &digest.digest_s3_object) != (&self.bucket, &self.key) {
            let (bucket, key) = (&digest.digest_s3_bucket, &digest.digest_s3_object);
            return Err(format!("it was put there from s3://{bucket}/{key}"));
        }
        Ok(digest)
    }

    /// Its seal, if this key has signed it.
    pub(super) fn verify(&self, digest: &Digest, public_key: &[u8]) -> Result<Seal, String> {
        let Some(signature) = &self.signature else { return Err("it is not signed".to_owned()) };
        if self.algorithm.as_deref().is_some_and(|algorithm| algorithm != ALGORITHM) {
            return Err("it is not signed as CloudTrail signs".to_owned());
        }
        let bytes = unhex(signature).ok_or("its signature is none")?;
        let hash = hex(&Sha256::digest(&self.text));
        let previous = digest.previous_digest_signature.as_deref().unwrap_or("null");
        let (end, bucket, key) = (&digest.digest_end_time, &self.bucket, &self.key);
        let signed = format!("{end}\n{bucket}/{key}\n{hash}\n{previous}");
        let public_key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key);
        if public_key.verify(signed.as_bytes(), &bytes).is_err() {
            return Err("its signature is not CloudTrail's for what it says: it was altered".to_owned());
        }
        Ok(Seal { hash, signature: signature.to_ascii_lowercase() })
    }
}

impl Link {
    /// Of a chain of which nothing was verified by this moment.
    pub(super) fn none(end: Timestamp) -> Self {
        Self { key: String::new(), end, seal: None, faulty: Vec::new() }
    }

    /// Whether a digest was looked at.
    pub(super) fn covers(&self, key: &str) -> bool {
        file(key) <= file(&self.key) || self.faulty.iter().any(|faulty| faulty == key)
    }

    /// One more is at fault.
    pub(super) fn blame(&mut self, key: &str) {
        if self.faulty.len() >= FAULTY_MAX {
            self.faulty.remove(0);
        }
        self.faulty.push(key.to_owned());
    }

    /// The chain goes on to this digest.
    pub(super) fn advance(&mut self, key: &str, end: Timestamp, seal: Seal) {
        self.faulty.retain(|faulty| file(faulty) > file(key));
        (self.key, self.end, self.seal) = (key.to_owned(), end, Some(seal));
    }
}

impl Digest {
    /// The end of its hour.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.digest_end_time.parse().ok()
    }

    /// What is wrong between it and the one before, which it names.
    pub(super) fn mismatch(&self, before: &Link) -> Option<String> {
        let seal = before.seal.as_ref()?;
        let said = |part: &Option<String>| part.as_deref().map(str::to_ascii_lowercase);
        if said(&self.previous_hash).as_ref() != Some(&seal.hash) {
            return Some(format!("it names another content of the one before, {}", before.key));
        }
        if said(&self.previous_digest_signature).as_ref() != Some(&seal.signature) {
            return Some(format!("it names another signature of the one before, {}", before.key));
        }
        None
    }
}

/// The chain that a digest belongs to: its name without the time. Of one trail, account and region.
pub(super) fn chain(key: &str) -> Option<&str> {
    let name = key.strip_suffix(".json.gz")?;
    let name = name.strip_suffix("_backfill").unwrap_or(name);
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let (trail, time) = name[file..].rsplit_once('_')?;
    let is_time = time.len() == 16 && time.ends_with('Z');
    is_time.then_some(trail)
}

/// Whether it holds log files that came too late for their own digest. Such a one is no part of the chain.
pub(super) fn is_backfill(key: &str) -> bool {
    key.ends_with("_backfill.json.gz")
}

/// The region of a digest, as its key has it.
pub(super) fn region(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once("CloudTrail-Digest/")?;
    let region = rest.split('/').next()?;
    // It becomes part of an address.
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!region.is_empty() && region.bytes().all(is_name)).then_some(region)
}

/// The name of a file without its folders, which hold the day.
pub(super) fn file(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text takes what is written");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_a_trail_in_an_account_and_region() {
        let at = "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2026/11/20/";
        for (file, known) in [
            ("111122223333_CloudTrail-Digest_us-east-2_my_trail_us-east-1_20261120T150131Z.json.gz", true),
            ("111122223333_CloudTrail-Digest_us-east-2_my_trail_us-east-1_20261120T150131Z_backfill.json.gz", true),
            ("111122223333_CloudTrail-Digest_us-east-2_my_trail_us-east-1.json.gz", false),
            ("readme.txt", false),
        ] {
            let trail = known.then_some("111122223333_CloudTrail-Digest_us-east-2_my_trail_us-east-1");
            assert_eq!(chain(&format!("{at}{file}")), trail, "{file}");
        }
        assert_eq!(region(at), Some("us-east-2"));
        assert_eq!(region("a/CloudTrail-Digest/evil.example#/x"), None, "it is part of no address");
    }

    #[test]
    fn hexadecimal_reads_back_and_nothing_else_does() {
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(["0", "zz", "é"].map(unhex), [None, None, None]);
    }
}
