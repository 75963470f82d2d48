//! The public keys that CloudTrail signs digests with: others for each region.

use std::collections::BTreeMap;

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata;
use aws_sdk_cloudtrail::primitives::DateTime;
use engine::time::{Span, Timestamp};

use crate::source::SourceError;
use crate::source::aws::remedy;

/// A key is asked for that was valid around the digest.
const AROUND: Span = Span::seconds(86_400);

/// Keys by region and fingerprint. There are few, and those that were fetched stay.
pub(super) struct Keys {
    loaded: SdkConfig,
    endpoint_url: Option<String>,
    known: BTreeMap<(String, String), Vec<u8>>,
}

impl Keys {
    pub(super) fn new(loaded: SdkConfig, endpoint_url: Option<String>) -> Self {
        Self { loaded, endpoint_url, known: BTreeMap::new() }
    }

    /// The key with this fingerprint, which signed at about `moment`; nothing if CloudTrail has none such.
    pub(super) async fn find(
        &mut self,
        region: &str,
        fingerprint: &str,
        moment: Timestamp,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        let name = (region.to_owned(), fingerprint.to_owned());
        if !self.known.contains_key(&name) {
            self.fetch(region, moment).await?;
        }
        Ok(self.known.get(&name).cloned())
    }

    async fn fetch(&mut self, region: &str, moment: Timestamp) -> Result<(), SourceError> {
        let mut config = aws_sdk_cloudtrail::config::Builder::from(&self.loaded).region(Region::new(region.to_owned()));
        if let Some(endpoint_url) = &self.endpoint_url {
            config = config.endpoint_url(endpoint_url);
        }
        let client = Client::from_conf(config.build());
        let seconds = |moment: Timestamp| DateTime::from_secs(moment.micros().div_euclid(1_000_000));
        let mut token = None;
        loop {
            let request = client.list_public_keys().set_next_token(token);
            let request = request.start_time(seconds(moment.minus(AROUND))).end_time(seconds(moment.plus(AROUND)));
            let answer = request.send().await.map_err(|error| {
                let code = error.code().unwrap_or_default().to_owned();
                let needs =
                    if code.contains("AccessDenied") { ": the role needs cloudtrail:ListPublicKeys" } else { "" };
                let doing = format!("ask CloudTrail in {region} for its public keys{needs}");
                SourceError { doing, remedy: remedy(&code, &error), source: Some(error.into()) }
            })?;
            for key in answer.public_key_list() {
                if let (Some(fingerprint), Some(value)) = (key.fingerprint(), key.value()) {
                    self.known.insert((region.to_owned(), fingerprint.to_owned()), value.as_ref().to_vec());
                }
            }
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
    }
}
