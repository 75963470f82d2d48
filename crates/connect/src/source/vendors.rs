//! What GitHub and GitLab really send, posted with right and wrong proofs: a test against their own payloads, which are not
//! part of this project.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use engine::normalise::{Format, Limits as Depth, normalise};
use flate2::read::MultiGzDecoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::http::Limits;
use super::http::testing::Served;
use crate::secret::Secret;
use crate::source::{github, gitlab};

const SECRET: &str = "a secret of both";

/// The lines of a file of the shared folder, if it is here.
fn samples(name: &str) -> Option<Vec<Value>> {
    let shared = std::env::var_os("LAPWING_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let Ok(file) = std::fs::File::open(shared.join("data/samples").join(name)) else {
        // The runner hides what `eprintln!` writes.
        writeln!(std::io::stderr(), "SKIPPED: no {name}; set LAPWING_SHARED to the folder that holds data/samples")
            .unwrap();
        return None;
    };
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// As GitHub signs.
fn sign(secret: &str, body: &[u8]) -> String {
    let code = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize().into_bytes();
    code.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// How many records there are of each kind, by what the engine makes of them.
fn kinds(records: &[(String, String)]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for (position, text) in records {
        let (mut events, mut rejects) = (Vec::new(), Vec::new());
        normalise(Format::Auto, text.as_bytes(), position, &Depth::default(), &mut events, &mut rejects);
        assert!(rejects.is_empty(), "{position}: {rejects:?}");
        for event in events {
            *kinds.entry(event.kind.to_string()).or_insert(0) += 1;
        }
    }
    kinds
}

#[tokio::test]
async fn webhooks_of_github_enter_by_their_signature_and_are_known_as_such() {
    let Some(samples) = samples("github_webhooks.jsonl.gz") else { return };
    let settings = github::Settings { secret: Secret::from_text(SECRET.to_owned()), previous_secrets: Vec::new() };
    let served = Served::start(github::github("hook", &settings, "run").unwrap(), Limits::default()).await;
    let mut counts = BTreeMap::new();
    for (number, sample) in samples.iter().enumerate() {
        let body = sample["payload"].to_string();
        for secret in [SECRET, "another secret"] {
            let sent = served
                .post(body.clone())
                .header("content-type", "application/json")
                .header("x-github-event", sample["event"].as_str().unwrap())
                .header("x-github-delivery", format!("delivery-{number}"))
                .header("x-hub-signature-256", sign(secret, body.as_bytes()));
            *counts.entry(sent.send().await.unwrap().status().as_u16()).or_insert(0) += 1;
        }
    }
    assert_eq!(counts, BTreeMap::from([(200, samples.len()), (401, samples.len())]));
    let pings = samples.iter().filter(|sample| sample["event"] == "ping").count();
    let records = served.records();
    assert_eq!(kinds(&records), BTreeMap::from([("github.webhook".to_owned(), samples.len() - pings)]));
    assert!(samples.len() > 100 && records[0].0 == "delivery-0#1", "{} {:?}", samples.len(), records[0]);
}

#[tokio::test]
async fn webhooks_of_gitlab_enter_by_their_token_and_are_known_as_such() {
    let Some(samples) = samples("gitlab_webhooks.jsonl.gz") else { return };
    let settings = gitlab::Settings { token: Secret::from_text(SECRET.to_owned()) };
    let served = Served::start(gitlab::gitlab("lab", &settings, "run").unwrap(), Limits::default()).await;
    let mut counts = BTreeMap::new();
    for (number, sample) in samples.iter().enumerate() {
        for (header, token) in [("x-gitlab-token", SECRET), ("x-gitlab-token", "guess"), ("authorization", SECRET)] {
            let sent = served
                .post(sample["event"].to_string())
                .header("content-type", "application/json")
                .header("x-gitlab-event", "Some Hook")
                .header("x-gitlab-instance", "https://gitlab.example.org")
                .header("idempotency-key", format!("event-{number}"))
                .header(header, token);
            *counts.entry(sent.send().await.unwrap().status().as_u16()).or_insert(0) += 1;
        }
    }
    assert_eq!(counts, BTreeMap::from([(200, samples.len()), (401, 2 * samples.len())]));
    assert_eq!(kinds(&served.records()), BTreeMap::from([("gitlab.webhook".to_owned(), samples.len())]));
    assert!(samples.len() > 20, "{}", samples.len());
}
