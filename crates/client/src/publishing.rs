use std::time::SystemTime;

use bytes::Bytes;
use tonic::Code;
use uuid::Uuid;
use wissel_identifiers::InboxName;
use wissel_message::Event;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publishing_client::PublishingClient;

use crate::convert::{moment, parsed, present};
use crate::{Client, ClientError, Refusal};

/// The most messages in one batch.
pub const MAX_BATCH: usize = 1_000;

/// What a request holds besides the events and their lengths, in bytes.
const ROOM_FOR_FRAMING: usize = 64;

/// Proof that a message is durable, and where it went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Wissel's own id of the message, a UUID version 7, the same in every inbox.
    pub message_id: Uuid,
    /// The message's `source`, as published.
    pub source: String,
    /// The message's `id`, as published.
    pub id: String,
    /// When the message was admitted, millisecond precision.
    pub admitted_at: SystemTime,
    /// The inboxes it went to; empty when nobody entitled subscribes to it.
    pub inboxes: Vec<InboxName>,
    /// True when this `source` and `id` was published before: this is the first
    /// receipt again, and nothing was delivered anew.
    pub repeated: bool,
    /// What the message should be and is not, by the NL GOV profile for CloudEvents.
    pub warnings: Vec<Warning>,
}

/// What a message should be and is not. It was taken nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The attribute.
    pub field: String,
    /// The name of the rule, such as `nlgov-source`.
    pub rule: String,
    /// What was found, and what was expected.
    pub description: String,
}

impl From<pb::Warning> for Warning {
    fn from(warning: pb::Warning) -> Self {
        let pb::Warning { field, rule, description } = warning;
        Self { field, rule, description }
    }
}

impl Client {
    /// Publishes one message. The receipt comes when the message is durable in
    /// every inbox that it was routed to.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the gateway refuses the message: nothing of
    /// it was kept. Any other error leaves open whether it was; publishing it
    /// again is safe.
    pub async fn publish(&self, event: &Event) -> Result<Receipt, ClientError> {
        let event = self.frame(event)?;
        let response = self
            .call(pb::PublishRequest { event }, |channel, request| {
                let mut service = self.publishing(channel);
                async move { service.publish(request).await }
            })
            .await?;
        present("receipt", response.receipt)?.try_into()
    }

    /// Publishes several messages at once. One outcome each, in order; a refused
    /// message does not stop the others. A refusal that
    /// [is for now](Refusal::is_for_now) may succeed later.
    ///
    /// # Errors
    /// [`ClientError::InvalidArgument`] for more than [`MAX_BATCH`] messages, or
    /// more than a request holds. Any other error is about the batch as a whole,
    /// and leaves open which messages were kept; publishing all again is safe.
    pub async fn publish_batch(
        &self,
        events: &[Event],
    ) -> Result<Vec<Result<Receipt, Refusal>>, ClientError> {
        if events.len() > MAX_BATCH {
            return Err(ClientError::invalid(
                "events",
                format!("{} messages; expected at most {MAX_BATCH}", events.len()),
            ));
        }
        let events: Vec<Bytes> = events.iter().map(Event::encode).collect();
        self.check_size(events.iter().map(framed_length).sum())?;

        let count = events.len();
        let response = self
            .call(pb::PublishBatchRequest { events }, |channel, request| {
                let mut service = self.publishing(channel);
                async move { service.publish_batch(request).await }
            })
            .await?;
        if response.outcomes.len() != count {
            return Err(ClientError::protocol(format!(
                "{} outcomes for {count} messages",
                response.outcomes.len()
            )));
        }
        let outcomes = response.outcomes.into_iter();
        outcomes.map(|outcome| read_result(outcome.result)).collect()
    }

    pub(crate) fn publishing(
        &self,
        channel: tonic::transport::Channel,
    ) -> PublishingClient<tonic::transport::Channel> {
        let limit = self.settings().max_message_bytes;
        PublishingClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }

    /// The event in the protobuf format, when a request has room for it.
    pub(crate) fn frame(&self, event: &Event) -> Result<Bytes, ClientError> {
        let frame = event.encode();
        self.check_size(framed_length(&frame))?;
        Ok(frame)
    }

    fn check_size(&self, bytes: usize) -> Result<(), ClientError> {
        let limit = self.settings().max_message_bytes;
        if bytes.saturating_add(ROOM_FOR_FRAMING) > limit {
            return Err(ClientError::invalid(
                "events",
                format!("{bytes} bytes; a request holds at most {limit}"),
            ));
        }
        Ok(())
    }
}

/// What an event takes in a request that holds several.
pub(crate) fn framed_length(event: &Bytes) -> usize {
    const TAG_AND_LENGTH: usize = 6;
    event.len() + TAG_AND_LENGTH
}

/// What became of a message.
pub(crate) fn read_result(
    result: Option<pb::publish_outcome::Result>,
) -> Result<Result<Receipt, Refusal>, ClientError> {
    match present("result", result)? {
        pb::publish_outcome::Result::Receipt(receipt) => Receipt::try_from(receipt).map(Ok),
        pb::publish_outcome::Result::Refusal(status) if status.code == Code::Ok as i32 => {
            Err(ClientError::protocol("a refusal with code OK"))
        }
        pb::publish_outcome::Result::Refusal(status) => Ok(Err(Refusal::from_rpc(&status))),
    }
}

impl TryFrom<pb::Receipt> for Receipt {
    type Error = ClientError;

    fn try_from(receipt: pb::Receipt) -> Result<Self, ClientError> {
        let inboxes = receipt.inboxes.iter();
        let inboxes: Result<_, _> = inboxes.map(|name| parsed("inboxes", name)).collect();
        Ok(Self {
            message_id: parsed("message_id", &receipt.message_id)?,
            source: receipt.source,
            id: receipt.id,
            admitted_at: moment("admitted_at", receipt.admitted_at)?,
            inboxes: inboxes?,
            repeated: receipt.repeated,
            warnings: receipt.warnings.into_iter().map(Into::into).collect(),
        })
    }
}
