//! From digest to digest: each is verified, compared with the one before, and its log files with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use engine::time::{Span, Timestamp};
use tokio::task::JoinSet;

use super::digest::{Digest, Found, Link, LogFile, chain, file, is_backfill, region};
use super::keys::Keys;
use super::logs;
use crate::source::aws::object::{Named, Objects, Why};
use crate::source::s3::list::{self, Listed};
use crate::source::unpack::unpack;
use crate::source::{Gap, Remedy, SourceError};

/// How late a digest may come after the next one: as long, one that is missing is waited for.
const GRACE: Span = Span::seconds(3_600);

/// Days are listed anew from here before the newest known digest: late ones sort before it.
const AGAIN: Span = Span::seconds(2 * 86_400);

/// Log files read at once.
const FILES_MAX: usize = 8;

/// Chains that are remembered: far more than accounts times regions. Of others it is told again, as the same gap.
const CHAINS_MAX: usize = 50_000;

/// Unpacked; a digest names at most some thousand log files.
const DIGEST_BYTES_MAX: u64 = 64 << 20;

/// One bucket's chains and how far each was verified.
pub(super) struct Walk {
    pub(super) objects: Objects,
    pub(super) keys: Keys,
    pub(super) bucket: String,
    pub(super) patterns: Vec<String>,
    pub(super) since: Timestamp,
    pub(super) overdue: Span,
    /// By prefix and name.
    pub(super) chains: BTreeMap<String, Link>,
    pub(super) round: Option<Round>,
    /// Chains of which it was said that nothing comes, and since which digest.
    pub(super) silent: BTreeMap<String, String>,
}

/// One look for new digests.
#[derive(Debug, Default)]
pub(super) struct Round {
    prefixes: VecDeque<String>,
    digests: VecDeque<(String, Listed)>,
    /// Chains that wait for a digest that may be late.
    held: BTreeSet<String>,
}

/// What one step came to.
#[derive(Debug)]
pub(super) enum Step {
    /// A digest was verified, or one is overdue: what is missing, and how far that chain has come.
    Told { gaps: Vec<Gap>, moved: Option<(String, Link)> },
    /// Something was looked at, and there is nothing to say.
    More,
    /// All that there is was verified.
    Rest,
}

impl Walk {
    /// One step. It changes nothing unless it succeeds, so a failed one is taken again.
    pub(super) async fn step(&mut self, now: Timestamp) -> Result<Step, SourceError> {
        let Some(round) = &self.round else {
            let mut prefixes = VecDeque::new();
            for pattern in &self.patterns {
                prefixes.extend(list::expand(&self.objects.client, &self.bucket, pattern).await?);
            }
            self.round = Some(Round { prefixes, ..Round::default() });
            return Ok(Step::More);
        };
        if let Some((name, listed)) = round.digests.front().cloned() {
            return self.look(name, listed, now).await;
        }
        if let Some(prefix) = round.prefixes.front().cloned() {
            let digests = self.list(&prefix).await?;
            if let Some(round) = &mut self.round {
                round.digests = digests;
                round.prefixes.pop_front();
            }
            return Ok(Step::More);
        }
        if let Some(gap) = self.missed(now) {
            return Ok(Step::Told { gaps: vec![gap], moved: None });
        }
        self.round = None;
        Ok(Step::Rest)
    }

    /// The digests of a prefix that are not verified yet, each chain in the order of time.
    async fn list(&self, prefix: &str) -> Result<VecDeque<(String, Listed)>, SourceError> {
        let start = format!("{}/{prefix}", self.bucket);
        let known = self.chains.range(start.clone()..).take_while(|(name, _)| name.starts_with(&start));
        let newest = known.map(|(_, link)| link.end.minus(AGAIN)).max().unwrap_or(self.since);
        let day = newest.to_string().get(..10).unwrap_or_default().replace('-', "/");
        let (mut after, mut digests) = (format!("{prefix}{day}"), VecDeque::new());
        loop {
            let page = list::page(&self.objects.client, &self.bucket, prefix, &after).await?;
            after = page.objects.last().map_or(after, |last| last.key.clone());
            for listed in page.objects {
                let Some(trail) = chain(&listed.key) else { continue };
                let name = format!("{}/{prefix}{trail}{}", self.bucket, suffix(&listed.key));
                let is_known = self.chains.get(&name).is_some_and(|link| link.covers(&listed.key));
                if !is_known {
                    digests.push_back((name, listed));
                }
            }
            if !page.is_cut {
                return Ok(digests);
            }
        }
    }

    async fn look(&mut self, name: String, listed: Listed, now: Timestamp) -> Result<Step, SourceError> {
        let is_held = self.round.as_ref().is_some_and(|round| round.held.contains(&name));
        if is_held {
            return Ok(self.pass(None));
        }
        let named = Named { bucket: self.bucket.clone(), key: listed.key.clone(), version: None };
        let mut link = self.chains.get(&name).cloned().unwrap_or_else(|| Link::none(listed.modified));
        let is_first = link.key.is_empty();
        let end = |digest: &Digest| digest.end().unwrap_or(listed.modified);
        let (found, digest) = match self.fetch(&named).await? {
            Ok(read) => read,
            Err(wrong) => {
                link.blame(&named.key);
                return Ok(self.pass(Some((vec![fault(&named, &wrong)], name, link))));
            }
        };
        if is_first && end(&digest) < self.since {
            return Ok(self.pass(None));
        }
        let public_key = match region(&named.key) {
            Some(region) => {
                let fingerprint = &digest.digest_public_key_fingerprint;
                self.keys.find(region, fingerprint, end(&digest)).await?
            }
            None => None,
        };
        let sealed = match public_key {
            Some(public_key) => found.verify(&digest, &public_key),
            None => Err(format!("CloudTrail has no key {}", digest.digest_public_key_fingerprint)),
        };
        let mut gaps = Vec::new();
        match sealed {
            // What it says of others is nobody's word.
            Err(wrong) => {
                gaps.push(fault(&named, &wrong));
                link.blame(&named.key);
            }
            Ok(seal) => {
                if !is_first && !is_backfill(&named.key) {
                    match joint(&named, &digest, &link, now.since(listed.modified)) {
                        Joint::Late => {
                            if let Some(round) = &mut self.round {
                                round.held.insert(name);
                            }
                            return Ok(self.pass(None));
                        }
                        Joint::Fits => {}
                        Joint::Broken(gap) => gaps.push(gap),
                    }
                }
                gaps.extend(self.verify_files(&digest).await?);
                link.advance(&named.key, end(&digest), seal);
            }
        }
        Ok(self.pass(Some((gaps, name, link))))
    }

    /// Goes on behind the digest that was looked at.
    fn pass(&mut self, told: Option<(Vec<Gap>, String, Link)>) -> Step {
        if let Some(round) = &mut self.round {
            round.digests.pop_front();
        }
        let Some((gaps, name, link)) = told else { return Step::More };
        if self.chains.len() >= CHAINS_MAX && !self.chains.contains_key(&name) {
            return Step::Told { gaps, moved: None };
        }
        self.chains.insert(name.clone(), link.clone());
        Step::Told { gaps, moved: Some((name, link)) }
    }

    /// A digest and what it says, or what is wrong with it.
    async fn fetch(&self, named: &Named) -> Result<Result<(Found, Digest), String>, SourceError> {
        let answer = match self.objects.get(named).await {
            Ok(answer) => answer,
            Err(unread) if unread.why == Why::Gone => return Ok(Err("it was deleted before it was read".to_owned())),
            Err(unread) => return Err(unread.error),
        };
        let beside = |name: &str| answer.metadata().and_then(|metadata| metadata.get(name)).cloned();
        let (signature, algorithm) = (beside("signature"), beside("signature-algorithm"));
        if answer.content_length().is_some_and(|length| length.unsigned_abs() > DIGEST_BYTES_MAX) {
            return Ok(Err("it is no digest: it is too large".to_owned()));
        }
        let packed = answer.body.collect().await.map_err(|error| SourceError {
            doing: format!("read {}", named.url()),
            remedy: Remedy::Wait,
            source: Some(error.into()),
        })?;
        let text = match unpack(&packed.into_bytes(), DIGEST_BYTES_MAX) {
            Ok(text) => text,
            Err(error) => return Ok(Err(crate::probe::words(&error))),
        };
        let found = Found { bucket: named.bucket.clone(), key: named.key.clone(), text, signature, algorithm };
        Ok(found.read().map(|digest| (found, digest)))
    }

    /// What is wrong with the log files that a digest vouches for.
    async fn verify_files(&self, digest: &Digest) -> Result<Vec<Gap>, SourceError> {
        let mut files = digest.log_files.iter().cloned();
        let (mut under_way, mut gaps) = (JoinSet::new(), Vec::new());
        loop {
            while under_way.len() < FILES_MAX
                && let Some(file) = files.next()
            {
                under_way.spawn(verify_file(self.objects.clone(), file));
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(verified)) => gaps.extend(verified?),
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panicked) => std::panic::resume_unwind(panicked),
                    Err(_) => break,
                },
            }
        }
        gaps.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(gaps)
    }

    /// A chain of which no digest has come for long, if that was not said.
    fn missed(&mut self, now: Timestamp) -> Option<Gap> {
        for (name, link) in &self.chains {
            let is_regular = !link.key.is_empty() && !is_backfill(&link.key);
            let is_late = is_regular && now.since(link.end) > self.overdue;
            if is_late && self.silent.insert(name.clone(), link.key.clone()).as_ref() != Some(&link.key) {
                return Some(Gap {
                    id: format!("{}#last", link.key),
                    what: format!(
                        "no digest has come since {}, the last is s3://{}/{}: CloudTrail writes one an hour, unless the \
                         trail or its log file validation was stopped",
                        link.end, self.bucket, link.key
                    ),
                });
            }
        }
        None
    }
}

/// How a digest fits the one before.
enum Joint {
    Fits,
    /// The one before may still come.
    Late,
    Broken(Gap),
}

/// How a digest of this age fits those before.
fn joint(named: &Named, digest: &Digest, before: &Link, age: Span) -> Joint {
    let (Some(bucket), Some(key)) = (&digest.previous_bucket, &digest.previous_key) else {
        // Only the first of a chain names none.
        let (end, start) = (before.end, &digest.digest_start_time);
        return Joint::Broken(Gap {
            id: format!("{}#begins", named.key),
            what: format!(
                "the chain of digests begins anew with {}: log files between {end} and {start} are vouched for by none. \
                 Somebody stopped the trail or its log file validation, or deleted the trail",
                named.url()
            ),
        });
    };
    if *key == before.key {
        let broken = |wrong: String| Joint::Broken(fault(named, &wrong));
        return digest.mismatch(before).map_or(Joint::Fits, broken);
    }
    // What is wrong with that one was told.
    if before.faulty.contains(key) {
        return Joint::Fits;
    }
    if file(key) <= file(&before.key) {
        return Joint::Broken(fault(named, &format!("it follows {key}, which is not the last one before it")));
    }
    // Had it been there, the listing would have had it before this one: it is missing, or late.
    if age < GRACE {
        return Joint::Late;
    }
    let what = format!(
        "the digest s3://{bucket}/{key} is missing, and whatever was before it since {}: log files of that time are vouched \
         for by none",
        before.end
    );
    Joint::Broken(Gap { id: format!("{key}#missing"), what })
}

async fn verify_file(objects: Objects, file: LogFile) -> Result<Option<Gap>, SourceError> {
    let named = Named { bucket: file.s3_bucket, key: file.s3_object, version: None };
    let wrong = match logs::hash(&objects, &named).await {
        Ok(hash) if hash.eq_ignore_ascii_case(&file.hash_value) => return Ok(None),
        Ok(_) => "was altered: its content is not what CloudTrail wrote",
        Err(unread) => match unread.why {
            Why::Gone => "is missing: it was deleted after CloudTrail wrote it",
            Why::Corrupt => "was altered: its content is not even gzip",
            Why::Denied | Why::Passing => return Err(unread.error),
        },
    };
    Ok(Some(Gap { id: format!("{}#file", named.key), what: format!("the log file {} {wrong}", named.url()) }))
}

fn fault(named: &Named, wrong: &str) -> Gap {
    let what = format!("the digest {} does not verify: {wrong}; its log files are vouched for by none", named.url());
    Gap { id: format!("{}#digest", named.key), what }
}

fn suffix(key: &str) -> &'static str {
    if is_backfill(key) { "_backfill" } else { "" }
}
