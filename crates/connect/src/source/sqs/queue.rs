//! What is asked of SQS, and what its refusals mean.

use std::fmt::Display;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName, QueueAttributeName,
};

use crate::source::aws::remedy;
use crate::source::{Remedy, SourceError};

/// SQS gives and takes no more at once.
pub(super) const MESSAGES_AT_ONCE: usize = 10;

/// Longest wait for a message that SQS allows: it costs less than asking again and again.
const POLL: Duration = Duration::from_secs(20);

/// One queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) client: Client,
    pub(super) url: String,
    /// How long nobody else sees what was received.
    pub(super) visibility: Duration,
}

/// A message as it came.
#[derive(Debug)]
pub(super) struct Received {
    /// The same whenever it comes.
    pub(super) id: String,
    /// Names this receipt of it.
    pub(super) receipt: String,
    /// How often it has come.
    pub(super) receives: usize,
    pub(super) body: String,
}

impl Queue {
    /// Waits for messages; none if none came in 20 s.
    pub(super) async fn receive(self) -> Result<Vec<Received>, SourceError> {
        let most = i32::try_from(MESSAGES_AT_ONCE).unwrap_or(i32::MAX);
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(most);
        let request = request
            .visibility_timeout(seconds(self.visibility))
            .wait_time_seconds(seconds(POLL))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = request.send().await.map_err(|error| {
            self.failure("receive messages of", "sqs:ReceiveMessage, and kms:Decrypt if the queue is encrypted", error)
        })?;
        let count = |message: &aws_sdk_sqs::types::Message| {
            let count = message.attributes()?.get(&MessageSystemAttributeName::ApproximateReceiveCount)?;
            count.parse().ok()
        };
        let received = |message: aws_sdk_sqs::types::Message| Received {
            receives: count(&message).unwrap_or(1),
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        };
        Ok(answer.messages.unwrap_or_default().into_iter().map(received).collect())
    }

    /// Deletes messages by their receipts, at most ten.
    pub(super) async fn delete(&self, receipts: &[String]) -> Result<(), SourceError> {
        let entry = |(number, receipt): (usize, &String)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string()).receipt_handle(receipt);
            entry.build().expect("id and receipt are given")
        };
        let entries = receipts.iter().enumerate().map(entry).collect();
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer =
            request.send().await.map_err(|error| self.failure("delete messages of", "sqs:DeleteMessage", error))?;
        self.all_taken("delete messages of", answer.failed())
    }

    /// From now on nobody sees these messages for so long, at most ten of them.
    pub(super) async fn hide(&self, receipts: &[String], time: Duration) -> Result<(), SourceError> {
        let entry = |(number, receipt): (usize, &String)| {
            let entry =
                ChangeMessageVisibilityBatchRequestEntry::builder().id(number.to_string()).receipt_handle(receipt);
            entry.visibility_timeout(seconds(time)).build().expect("id and receipt are given")
        };
        let entries = receipts.iter().enumerate().map(entry).collect();
        let request = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries));
        let doing = "hide messages of";
        let answer = request.send().await.map_err(|error| self.failure(doing, "sqs:ChangeMessageVisibility", error))?;
        self.all_taken(doing, answer.failed())
    }

    /// About how many messages wait.
    pub(super) async fn waiting(&self) -> Result<u64, SourceError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let answer =
            request.send().await.map_err(|error| self.failure("count messages of", "sqs:GetQueueAttributes", error))?;
        let count = answer.attributes().and_then(|attributes| attributes.get(&name)?.parse().ok());
        Ok(count.unwrap_or(0))
    }

    fn all_taken(&self, doing: &str, failed: &[BatchResultErrorEntry]) -> Result<(), SourceError> {
        let Some(first) = failed.first() else { return Ok(()) };
        let why = first.message().unwrap_or_else(|| first.code());
        let doing = format!("{doing} {}: {} were refused, one for {why}", self.url, failed.len());
        Err(SourceError { doing, remedy: Remedy::Wait, source: None })
    }

    /// What failed, and which permission may be missing.
    fn failure<E, R>(&self, doing: &str, permission: impl Display, error: SdkError<E, R>) -> SourceError
    where
        SdkError<E, R>: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        let is_of_key = code.starts_with("Kms") && code != "KmsThrottled";
        let remedy = if is_of_key { Remedy::Person } else { remedy(&code, &error) };
        let needs = match code.as_str() {
            "AccessDenied" | "AccessDeniedException" => format!(": the role needs {permission}"),
            _ if is_of_key => ": its key of KMS refuses us".to_owned(),
            _ => String::new(),
        };
        SourceError { doing: format!("{doing} {}{needs}", self.url), remedy, source: Some(Box::new(error)) }
    }
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs().max(u64::from(!time.is_zero()))).unwrap_or(i32::MAX)
}
