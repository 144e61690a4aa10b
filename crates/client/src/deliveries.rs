use std::time::SystemTime;

use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin};
use wissel_proto::wissel::v1 as pb;

use crate::convert::{moment, parsed};
use crate::dead_letters::attempts;
use crate::{Attempt, Client, ClientError};

/// A message in an inbox that is not settled. The message's data is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsettledDelivery {
    /// Wissel's own id of the message.
    pub message_id: Uuid,
    /// The message's `source`.
    pub source: String,
    /// The message's `id`.
    pub id: String,
    /// The message's `type`.
    pub event_type: String,
    /// The party that published it.
    pub publisher: Oin,
    /// When Wissel admitted it.
    pub admitted_at: SystemTime,
    /// The attempt that it is at, or waits for: 1, and 1 more for each retry before.
    pub attempt: u32,
    /// What it waits for.
    pub state: DeliveryState,
    /// The attempts before, oldest first; of many the last 20.
    pub history: Vec<Attempt>,
    /// How long the event is, in bytes.
    pub size: u64,
}

/// What a message that is not settled waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// For a receiver.
    Ready,
    /// For its receiver to settle it.
    InFlight,
    /// For its retry, due then.
    Delayed(SystemTime),
}

impl Client {
    /// The first messages of an inbox that are not settled, at most so many (1 to 1,000), and
    /// none behind that with which they are 4 MiB, in the order in which they are handed out.
    /// Looking takes nothing out.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_INBOX`, or with `BUS_UNAVAILABLE` when the
    /// bus is RabbitMQ and the inbox is read at another gateway only.
    pub async fn list_deliveries(
        &self,
        inbox: &InboxName,
        most: u32,
    ) -> Result<Vec<UnsettledDelivery>, ClientError> {
        let body = pb::ListDeliveriesRequest { inbox: inbox.to_string(), page_size: most };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.list_deliveries(request).await }
            })
            .await?;
        response.deliveries.into_iter().map(TryInto::try_into).collect()
    }
}

impl TryFrom<pb::UnsettledDelivery> for UnsettledDelivery {
    type Error = ClientError;

    fn try_from(delivery: pb::UnsettledDelivery) -> Result<Self, ClientError> {
        let state = match delivery.state() {
            pb::DeliveryState::Ready => DeliveryState::Ready,
            pb::DeliveryState::InFlight => DeliveryState::InFlight,
            pb::DeliveryState::Delayed => {
                DeliveryState::Delayed(moment("due_at", delivery.due_at)?)
            }
            pb::DeliveryState::Unspecified => {
                return Err(ClientError::protocol("no state of a delivery; expected one"));
            }
        };
        Ok(Self {
            message_id: parsed("message_id", &delivery.message_id)?,
            source: delivery.source,
            id: delivery.id,
            event_type: delivery.r#type,
            publisher: parsed("publisher", &delivery.publisher)?,
            admitted_at: moment("admitted_at", delivery.admitted_at)?,
            attempt: delivery.attempt,
            state,
            history: attempts(delivery.history)?,
            size: delivery.size,
        })
    }
}
