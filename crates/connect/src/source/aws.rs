//! What all systems of AWS share: whose credentials are used, how a request is limited, what a refusal means.
//!
//! Requests are never repeated here: each source has a pace of its own.

#[cfg(test)]
pub(crate) mod moto;
pub(crate) mod object;
pub(crate) mod pace;
pub(crate) mod readers;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatchlogs::config::SharedCredentialsProvider;
use aws_sdk_cloudwatchlogs::error::SdkError;
use serde::Deserialize;

use crate::source::{Remedy, SourceError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What CloudTrail names us by in the other account.
const SESSION_NAME: &str = "lapwing";

/// `role`: a role that is assumed to read, usually in another account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The role's ARN, such as `arn:aws:iam::123456789012:role/lapwing-reads`.
    pub arn: String,
    /// What the role's trust policy asks for as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// Another address of STS, such as a VPC endpoint.
    pub endpoint_url: Option<String>,
}

/// How a source reaches an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'s> {
    pub(crate) region: Option<&'s str>,
    pub(crate) role: Option<&'s Role>,
    /// Longest wait for an answer.
    pub(crate) timeout: Duration,
}

impl Access<'_> {
    /// What a client is made from: the credentials of the environment, the profile, the container or the instance, or of a
    /// role that they assume. Both are renewed before they run out.
    ///
    /// # Errors
    /// [`SourceError`] if nobody says which region.
    pub(crate) async fn load(self) -> Result<SdkConfig, SourceError> {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(self.timeout).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(region) = self.region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        if config.region().is_none() {
            let doing = "find the AWS region: set `region` or AWS_REGION".to_owned();
            return Err(SourceError { doing, remedy: Remedy::Person, source: None });
        }
        Ok(match self.role {
            Some(role) => assume(role, config).await,
            None => config,
        })
    }
}

/// The same with the credentials of a role. Asks nobody yet.
pub(super) async fn assume(role: &Role, config: SdkConfig) -> SdkConfig {
    let mut asking = config.to_builder();
    asking.set_endpoint_url(role.endpoint_url.clone());
    let mut provider = AssumeRoleProvider::builder(&role.arn).session_name(SESSION_NAME).configure(&asking.build());
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    config.to_builder().credentials_provider(provider).build()
}

/// Whether waiting helps against a refusal with this code.
pub(crate) fn remedy<E, R>(code: &str, error: &SdkError<E, R>) -> Remedy {
    match code {
        "AccessDenied" | "AccessDeniedException" | "KMSAccessDeniedException" | "AuthFailure" => Remedy::Person,
        "UnrecognizedClientException" | "InvalidSignatureException" | "SignatureDoesNotMatch" => Remedy::Person,
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "InvalidAccessKeyId" => Remedy::Person,
        "ResourceNotFoundException" | "NoSuchBucket" | "QueueDoesNotExist" | "OptInRequired" => Remedy::Person,
        "AWS.SimpleQueueService.NonExistentQueue" => Remedy::Person,
        "KMSDisabledException" | "KMSInvalidStateException" | "KMSNotFoundException" | "KMSOptInRequired" => {
            Remedy::Person
        }
        "InvalidParameterException" | "ValidationException" | "InvalidArgumentException" => Remedy::Person,
        _ => match error {
            // Neither network nor timeout: there are no credentials.
            SdkError::DispatchFailure(failure) if failure.is_other() => Remedy::Person,
            // The request could not even be built: a wrong address.
            SdkError::ConstructionFailure(_) => Remedy::Person,
            _ => Remedy::Wait,
        },
    }
}

/// Whether a refusal with this code asks to slow down.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "KMSThrottlingException"
            | "SlowDown"
    )
}

/// What a person does about a refusal: `rights` were asked for, `name` is wrong otherwise.
pub(super) fn advice(error: &SourceError, rights: &str, name: &str) -> String {
    let said = crate::probe::words(error);
    let has = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
    if has(&["AccessDenied", "not authorized"]) {
        return format!(": allow {rights}");
    }
    if has(&["ResourceNotFound", "NotFoundException"]) {
        return format!(": {name}");
    }
    if has(&["UnrecognizedClient", "InvalidSignature", "SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken"])
    {
        return ": the credentials are wrong or have run out".to_owned();
    }
    if has(&["dispatch failure", "timeout"]) {
        return ": check region, endpoint and network, and whether there are credentials".to_owned();
    }
    String::new()
}
