//! Whether digests may be listed and read, and public keys be asked for.

use aws_sdk_cloudtrail::error::ProvideErrorMetadata;

use super::{Settings, load};
use crate::probe::{Probe, words};
use crate::source::aws::object::{self, Objects};
use crate::source::s3;

/// Lists digests, opens one, and asks CloudTrail for its public keys.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let loaded = match load(settings).await {
        Ok(loaded) => loaded,
        Err(error) => return vec![Probe::bad("credentials", words(&error))],
    };
    let client = object::client(&loaded, settings.endpoint_url.as_deref());
    let objects = Objects { client, record_bytes_max: 0, object_bytes_max: 0 };
    let mut probes = Vec::new();
    for pattern in settings.prefixes.all() {
        probes.extend(s3::look(&objects, &settings.bucket, pattern).await);
    }
    let mut config = aws_sdk_cloudtrail::config::Builder::from(&loaded);
    config.set_endpoint_url(settings.cloudtrail_endpoint_url.clone().or(loaded.endpoint_url().map(str::to_owned)));
    let asked = aws_sdk_cloudtrail::Client::from_conf(config.build()).list_public_keys().send().await;
    probes.push(match asked {
        Ok(answer) => Probe::good("public keys", format!("{} are known", answer.public_key_list().len())),
        Err(error) if error.code().is_some_and(|code| code.contains("AccessDenied")) => {
            Probe::bad("public keys", format!("{}: the role needs cloudtrail:ListPublicKeys", words(&error)))
        }
        Err(error) => Probe::bad("public keys", words(&error)),
    });
    probes
}
