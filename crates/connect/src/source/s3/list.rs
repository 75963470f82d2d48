//! What a bucket holds, page by page.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use engine::time::Timestamp;

use crate::source::SourceError;
use crate::source::aws::remedy;

/// One object as the listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: String,
    /// Changes when the object does.
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
}

/// Part of a listing, in the order of keys.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    /// Whether more keys follow.
    pub(crate) is_cut: bool,
}

/// Up to a thousand keys behind `after`.
pub(crate) async fn page(client: &Client, bucket: &str, prefix: &str, after: &str) -> Result<Page, SourceError> {
    let request = client.list_objects_v2().bucket(bucket).prefix(prefix);
    let request = if after.is_empty() { request } else { request.start_after(after) };
    let answer = request.send().await.map_err(|error| failure(bucket, prefix, error))?;
    let objects = answer.contents().iter().map(|object| Listed {
        key: object.key().unwrap_or_default().to_owned(),
        etag: object.e_tag().unwrap_or_default().to_owned(),
        modified: Timestamp::from_millis(object.last_modified().map_or(0, |time| time.secs().saturating_mul(1_000))),
    });
    Ok(Page { objects: objects.collect(), is_cut: answer.is_truncated().unwrap_or(false) })
}

/// What a prefix with stars stands for now.
pub(crate) async fn expand(client: &Client, bucket: &str, pattern: &str) -> Result<Vec<String>, SourceError> {
    let mut parts = pattern.split('*');
    let mut found = vec![parts.next().unwrap_or_default().to_owned()];
    for rest in parts {
        let mut deeper = Vec::new();
        for prefix in &found {
            for folder in folders(client, bucket, prefix).await? {
                // The slash that ends the name is in both.
                deeper.push(folder + rest.strip_prefix('/').unwrap_or(rest));
            }
        }
        found = deeper;
    }
    Ok(found)
}

async fn folders(client: &Client, bucket: &str, prefix: &str) -> Result<Vec<String>, SourceError> {
    let (mut folders, mut token) = (Vec::new(), None);
    loop {
        let request = client.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
        let answer = request.set_continuation_token(token).send().await;
        let answer = answer.map_err(|error| failure(bucket, prefix, error))?;
        let names = answer.common_prefixes().iter().filter_map(|folder| folder.prefix());
        folders.extend(names.map(str::to_owned));
        token = answer.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            return Ok(folders);
        }
    }
}

fn failure(bucket: &str, prefix: &str, error: SdkError<ListObjectsV2Error>) -> SourceError {
    let code = error.code().unwrap_or_default().to_owned();
    let needs = match code.as_str() {
        "AccessDenied" => ": the role needs s3:ListBucket on the bucket",
        "PermanentRedirect" => ": the bucket is in another region, set `region`",
        "NoSuchBucket" => ": there is no such bucket",
        _ => "",
    };
    let remedy = if code == "PermanentRedirect" { crate::source::Remedy::Person } else { remedy(&code, &error) };
    SourceError { doing: format!("list s3://{bucket}/{prefix}{needs}"), remedy, source: Some(error.into()) }
}
