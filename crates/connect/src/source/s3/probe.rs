//! Whether the bucket may be listed and its objects read.

use super::{Settings, client, list};
use crate::probe::{Probe, words};
use crate::source::aws::object::{Named, Objects};

/// Lists the first keys of each prefix and opens the first object.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let client = match client(settings).await {
        Ok(client) => client,
        Err(error) => return vec![Probe::bad("credentials", words(&error))],
    };
    let objects = Objects { client, record_bytes_max: settings.record_bytes_max, object_bytes_max: u64::MAX };
    let mut probes = Vec::new();
    for pattern in settings.prefixes.all() {
        probes.extend(look(&objects, &settings.bucket, pattern).await);
    }
    probes
}

/// What is found under a prefix.
pub(crate) async fn look(objects: &Objects, bucket: &str, pattern: &str) -> Vec<Probe> {
    let what = format!("s3://{bucket}/{pattern}");
    let found = match list::expand(&objects.client, bucket, pattern).await {
        Ok(found) => found,
        Err(error) => return vec![Probe::bad(what, words(&error))],
    };
    for prefix in &found {
        let page = match list::page(&objects.client, bucket, prefix, "").await {
            Ok(page) => page,
            Err(error) => return vec![Probe::bad(what, words(&error))],
        };
        let Some(first) = page.objects.into_iter().find(|object| !object.key.ends_with('/')) else { continue };
        let named = Named { bucket: bucket.to_owned(), key: first.key, version: None };
        let mut probes = vec![Probe::good(what, format!("{} prefixes, may be listed", found.len()))];
        probes.push(match objects.get(&named).await {
            Ok(_) => Probe::good(format!("object {}", named.url()), "may be read"),
            Err(unread) => Probe::bad(format!("object {}", named.url()), words(&unread.error)),
        });
        return probes;
    }
    vec![Probe::bad(
        what,
        "nothing is there yet, so whether objects may be read is not known: mend the prefix, or wait",
    )]
}
