use std::time::{Duration, SystemTime};

use tonic::transport::Channel;
use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::operations_client::OperationsClient;

use crate::convert::{moment, parsed, present, span};
use crate::{Client, ClientError, Listing};

/// A durable queue of a party, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxState {
    /// Its name, which names the owner.
    pub name: InboxName,
    /// Deliveries that wait: ready, or waiting for a retry. Not those in flight.
    pub depth: u64,
    /// Of those, how many wait for a retry.
    pub delayed: u64,
    /// Deliveries leased to receivers and not yet settled.
    pub in_flight: u64,
    /// Streams that are open on it.
    pub consumers: u32,
    /// Age of the oldest delivery that is waiting or in flight; `None` when there
    /// is none.
    pub oldest_age: Option<Duration>,
    /// Deliveries given up on.
    pub dead_letters: u64,
    /// How many times a delivery is handed out before it is given up on; `None` when
    /// that is as the gateway is set.
    pub max_attempts: Option<u32>,
}

/// A delivery that was given up on. The message's data is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Names it within its inbox.
    pub dead_letter_id: String,
    /// The inbox it died in.
    pub inbox: InboxName,
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
    /// When it was given up on.
    pub died_at: SystemTime,
    /// How many times it had been handed out.
    pub attempts: u32,
    /// Why.
    pub reason: String,
}

/// Which dead letters are put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redrive {
    /// Every one of the inbox.
    All,
    /// Those with these ids; one that is no longer there is passed over.
    These(Vec<String>),
}

/// How the gateway fares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// The version of Wissel, for example `0.1.0`.
    pub version: String,
    /// The bus: `embedded` or `amqp`.
    pub bus: String,
    /// True when the bus takes messages now.
    pub bus_ready: bool,
    /// One sentence on the bus's state.
    pub bus_detail: String,
    /// How long the gateway has been up.
    pub uptime: Duration,
    /// Subscriptions in force.
    pub subscriptions: u64,
    /// Inboxes open.
    pub inboxes: u64,
}

impl Client {
    /// The inboxes that the caller may see, ordered by name.
    pub fn list_inboxes(&self) -> Listing<InboxState> {
        let client = self.clone();
        Listing::new(move |page_token| {
            let client = client.clone();
            async move {
                let body = pb::ListInboxesRequest { page_token, ..Default::default() };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.operations(channel);
                        async move { service.list_inboxes(request).await }
                    })
                    .await?;
                let page = response.inboxes.into_iter();
                let page: Result<_, _> = page.map(InboxState::try_from).collect();
                Ok((page?, response.next_page_token))
            }
        })
    }

    /// One inbox, with its state of this moment.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_INBOX` when there is none, or it is
    /// another party's.
    pub async fn get_inbox(&self, name: &InboxName) -> Result<InboxState, ClientError> {
        let body = pb::GetInboxRequest { name: name.to_string() };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.get_inbox(request).await }
            })
            .await?;
        present("inbox", response.inbox)?.try_into()
    }

    /// Changes how many times a delivery of an inbox is handed out before it is given up
    /// on; `None`: as the gateway is set.
    ///
    /// # Errors
    /// As [`Client::get_inbox`].
    pub async fn set_max_attempts(
        &self,
        name: &InboxName,
        max_attempts: Option<u32>,
    ) -> Result<InboxState, ClientError> {
        let body = pb::UpdateInboxRequest { name: name.to_string(), max_attempts };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.update_inbox(request).await }
            })
            .await?;
        present("inbox", response.inbox)?.try_into()
    }

    /// The dead letters of an inbox, oldest first.
    pub fn list_dead_letters(&self, inbox: &InboxName) -> Listing<DeadLetter> {
        let client = self.clone();
        let inbox = inbox.to_string();
        Listing::new(move |page_token| {
            let client = client.clone();
            let inbox = inbox.clone();
            async move {
                let body = pb::ListDeadLettersRequest { inbox, page_token, ..Default::default() };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.operations(channel);
                        async move { service.list_dead_letters(request).await }
                    })
                    .await?;
                let page = response.dead_letters.into_iter();
                let page: Result<_, _> = page.map(DeadLetter::try_from).collect();
                Ok((page?, response.next_page_token))
            }
        })
    }

    /// Puts dead letters back in their inbox, as if newly routed there, and tells
    /// how many. When the answer of a first attempt was lost, those are not
    /// counted again.
    ///
    /// # Errors
    /// [`ClientError::InvalidArgument`] when no dead letter is named;
    /// [`ClientError::Refused`] with `UNKNOWN_INBOX`.
    pub async fn redrive(&self, inbox: &InboxName, which: Redrive) -> Result<u64, ClientError> {
        let (dead_letter_ids, all) = match which {
            Redrive::All => (Vec::new(), true),
            Redrive::These(ids) if ids.is_empty() => {
                return Err(ClientError::invalid("which", "expected at least one dead letter"));
            }
            Redrive::These(ids) => (ids, false),
        };
        let body = pb::RedriveRequest { inbox: inbox.to_string(), dead_letter_ids, all };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.redrive(request).await }
            })
            .await?;
        Ok(response.redriven)
    }

    /// What the gateway is, and how it fares.
    ///
    /// # Errors
    /// When the gateway cannot be reached, or refuses.
    pub async fn status(&self) -> Result<GatewayStatus, ClientError> {
        let response = self
            .call(pb::GetStatusRequest {}, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.get_status(request).await }
            })
            .await?;
        Ok(GatewayStatus {
            version: response.version,
            bus: response.bus,
            bus_ready: response.bus_ready,
            bus_detail: response.bus_detail,
            uptime: span("uptime", response.uptime)?,
            subscriptions: response.subscriptions,
            inboxes: response.inboxes,
        })
    }

    fn operations(&self, channel: Channel) -> OperationsClient<Channel> {
        let limit = self.settings().max_message_bytes;
        OperationsClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

impl TryFrom<pb::Inbox> for InboxState {
    type Error = ClientError;

    fn try_from(inbox: pb::Inbox) -> Result<Self, ClientError> {
        let oldest_age = inbox.oldest_age.map(|age| span("oldest_age", Some(age)));
        Ok(Self {
            name: parsed("name", &inbox.name)?,
            depth: inbox.depth,
            delayed: inbox.delayed,
            in_flight: inbox.in_flight,
            consumers: inbox.consumers,
            oldest_age: oldest_age.transpose()?,
            dead_letters: inbox.dead_letters,
            max_attempts: inbox.max_attempts,
        })
    }
}

impl TryFrom<pb::DeadLetter> for DeadLetter {
    type Error = ClientError;

    fn try_from(letter: pb::DeadLetter) -> Result<Self, ClientError> {
        Ok(Self {
            dead_letter_id: letter.dead_letter_id,
            inbox: parsed("inbox", &letter.inbox)?,
            message_id: parsed("message_id", &letter.message_id)?,
            source: letter.source,
            id: letter.id,
            event_type: letter.r#type,
            publisher: parsed("publisher", &letter.publisher)?,
            admitted_at: moment("admitted_at", letter.admitted_at)?,
            died_at: moment("died_at", letter.died_at)?,
            attempts: letter.attempts,
            reason: letter.reason,
        })
    }
}
