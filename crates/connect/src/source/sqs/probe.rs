//! Whether the queue is there and lets us in. No message is received: that would count as a receipt of it.

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;

use super::queue::Queue;
use super::{Settings, load, queue};
use crate::probe::{Probe, words};

/// A receipt that was never given: whoever may delete hears that it is none, whoever may not hears that.
const NO_RECEIPT: &str = "lapwing-check";

/// Asks for the queue's attributes, and asks for what cannot be done, so that a refusal says what we may not do.
pub async fn probe(settings: &Settings) -> Vec<Probe> {
    let loaded = match load(settings).await {
        Ok(loaded) => loaded,
        Err(error) => return vec![Probe::bad("credentials", words(&error))],
    };
    let queue = queue(settings, &loaded);
    let mut probes = attributes(&queue, settings).await;
    probes.extend([receive(&queue).await, delete(&queue).await, hide(&queue).await]);
    probes
}

pub(super) async fn attributes(queue: &Queue, settings: &Settings) -> Vec<Probe> {
    let what = format!("queue {}", queue.url);
    let asked = queue.client.get_queue_attributes().queue_url(&queue.url).attribute_names(QueueAttributeName::All);
    let answer = match asked.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let why = match error.code().unwrap_or_default() {
                "AccessDenied" | "AccessDeniedException" => "the role needs sqs:GetQueueAttributes",
                "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => {
                    "create it, or mend queue_url, region or account"
                }
                _ => "check address, region and credentials",
            };
            return vec![Probe::bad(what, format!("{}: {why}", words(&error)))];
        }
    };
    let value = |name: QueueAttributeName| answer.attributes().and_then(|all| all.get(&name)).map(String::as_str);
    let waiting = value(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or("0");
    let mut probes = vec![Probe::good(what, format!("there, about {waiting} messages wait"))];
    if let Some(key) = value(QueueAttributeName::KmsMasterKeyId) {
        probes.push(Probe::good(format!("key {key}"), "encrypts the messages: the role needs kms:Decrypt with it"));
    }
    let limit = value(QueueAttributeName::RedrivePolicy).and_then(redrive_after);
    if let Some(limit) = limit.filter(|limit| *limit <= settings.receives_max) {
        let most = settings.receives_max;
        let why = format!(
            "after {limit} receipts SQS itself moves a message to a dead-letter queue, which nobody reads: set \
             maxReceiveCount above receives_max, which is {most}"
        );
        probes.push(Probe::bad("redrive policy", why));
    }
    probes
}

/// `maxReceiveCount`, which people write as a number or as text.
fn redrive_after(policy: &str) -> Option<usize> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    count.as_u64().and_then(|count| usize::try_from(count).ok()).or_else(|| count.as_str()?.parse().ok())
}

async fn receive(queue: &Queue) -> Probe {
    // None may be asked for, so none is received.
    let asked = queue.client.receive_message().queue_url(&queue.url).max_number_of_messages(0).wait_time_seconds(0);
    told("receive", "sqs:ReceiveMessage", asked.send().await.err().map(|error| (code(&error), words(&error))))
}

async fn delete(queue: &Queue) -> Probe {
    let asked = queue.client.delete_message().queue_url(&queue.url).receipt_handle(NO_RECEIPT);
    told("delete", "sqs:DeleteMessage", asked.send().await.err().map(|error| (code(&error), words(&error))))
}

async fn hide(queue: &Queue) -> Probe {
    let asked = queue.client.change_message_visibility().queue_url(&queue.url).receipt_handle(NO_RECEIPT);
    let answer = asked.visibility_timeout(0).send().await;
    let refusal = answer.err().map(|error| (code(&error), words(&error)));
    told("extend the time of messages", "sqs:ChangeMessageVisibility", refusal)
}

fn code(error: &impl ProvideErrorMetadata) -> String {
    error.code().unwrap_or_default().to_owned()
}

/// What a refusal says about the permission: one for what was asked means that we may ask.
fn told(what: &str, permission: &str, refusal: Option<(String, String)>) -> Probe {
    match refusal {
        Some((code, words)) if code.contains("AccessDenied") => {
            Probe::bad(what, format!("{words}: the role needs {permission}"))
        }
        // Without an answer nothing is known of the permission.
        Some((code, words)) if code.is_empty() => Probe::bad(what, words),
        Some(_) | None => Probe::good(what, format!("{permission} is not refused")),
    }
}
