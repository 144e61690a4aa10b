use std::time::{Duration, SystemTime};

use tonic::transport::Channel;
use wissel_identifiers::{InboxName, Oin};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::operations_client::OperationsClient;

use crate::convert::{moment, parsed, present, span};
use crate::{Client, ClientError, InboxSettings, Listing};

/// A durable queue of a party, and how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxState {
    /// Its name, which names the owner.
    pub name: InboxName,
    /// Deliveries that wait: ready, or waiting for a retry. Not those in flight.
    pub depth: u64,
    /// More may wait than `depth` says: on RabbitMQ messages that another gateway, or this one
    /// before it was started again, sent together count as one until it has met them.
    pub depth_is_least: bool,
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
    /// How it behaves, where that is not as the gateway is set.
    pub settings: InboxSettings,
    /// How it behaves: by its settings, and as the gateway is set where it has none; what is
    /// `None` then sets no limit. `None` in all: an older gateway does not say, nor does an
    /// [`Overview`](crate::Overview).
    pub in_effect: Option<InboxSettings>,
    /// Who has it open at the gateway that was asked; only from [`Client::get_inbox`].
    pub receivers: Vec<Receiver>,
}

/// One that has an inbox open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receiver {
    /// The party that receives.
    pub party: Oin,
    /// For which party it acts, when it acts for another.
    pub on_behalf_of: Option<Oin>,
    /// Since when.
    pub since: SystemTime,
    /// The most deliveries that it has in hand at a time.
    pub credit: u32,
    /// How many it has in hand now.
    pub in_hand: u64,
    /// When it settled something last; `None`: nothing yet.
    pub settled_at: Option<SystemTime>,
}

/// How the gateway fares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// The version of Wissel, for example `0.1.0`.
    pub version: String,
    /// The bus: `embedded` or `amqp`.
    pub bus: String,
    /// True when every check holds.
    pub ready: bool,
    /// One sentence on the bus's state; empty for whoever is no operator.
    pub bus_detail: String,
    /// How long the gateway has been up.
    pub uptime: Duration,
    /// Subscriptions in force.
    pub subscriptions: u64,
    /// Inboxes open.
    pub inboxes: u64,
    /// What time it was there; `None`: an older gateway, which does not say.
    pub now: Option<SystemTime>,
    /// What must hold for the gateway to be ready.
    pub checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// `bus`, `inboxes`, `disk`, `records`, `catalogue` or `running`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// One sentence; empty for whoever is no operator.
    pub detail: String,
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

    /// Changes settings of an inbox, those that are named: `max_attempts`, `retry_initial`,
    /// `retry_max`, `max_age`, `max_deliveries`, `max_bytes`, `when_full`, `direct_amqp`,
    /// `paused`, `draining`. One that is named and `None` is as the gateway is set from then on.
    ///
    /// # Errors
    /// As [`Client::get_inbox`]; [`ClientError::Refused`] with `INVALID_REQUEST` for
    /// settings that make no sense.
    pub async fn set_inbox(
        &self,
        name: &InboxName,
        settings: &InboxSettings,
        names: &[&str],
    ) -> Result<InboxState, ClientError> {
        if names.is_empty() {
            return Err(ClientError::invalid("names", "expected at least one setting"));
        }
        let paths = names.iter().map(ToString::to_string).collect();
        let body = pb::UpdateInboxRequest {
            name: name.to_string(),
            settings: Some(settings.to_proto()),
            update_mask: Some(prost_types::FieldMask { paths }),
        };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.update_inbox(request).await }
            })
            .await?;
        present("inbox", response.inbox)?.try_into()
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
            ready: response.ready,
            bus_detail: response.bus_detail,
            uptime: span("uptime", response.uptime)?,
            subscriptions: response.subscriptions,
            inboxes: response.inboxes,
            now: response.now.and_then(|now| now.try_into().ok()),
            checks: response.checks.into_iter().map(Into::into).collect(),
        })
    }

    pub(crate) fn operations(&self, channel: Channel) -> OperationsClient<Channel> {
        let limit = self.settings().max_message_bytes;
        OperationsClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

impl GatewayStatus {
    /// Whether messages pass: bus and inboxes are there, and the gateway does not stop. It may
    /// still not be ready, because little disk is left.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let holds = |name| self.checks.iter().any(|check| check.name == name && check.ok);
        ["bus", "inboxes", "running"].into_iter().all(holds)
    }
}

impl From<pb::Check> for Check {
    fn from(pb::Check { name, ok, detail }: pb::Check) -> Self {
        Self { name, ok, detail }
    }
}

impl TryFrom<pb::Inbox> for InboxState {
    type Error = ClientError;

    fn try_from(inbox: pb::Inbox) -> Result<Self, ClientError> {
        let oldest_age = inbox.oldest_age.map(|age| span("oldest_age", Some(age)));
        Ok(Self {
            name: parsed("name", &inbox.name)?,
            depth: inbox.depth,
            depth_is_least: inbox.depth_is_least,
            delayed: inbox.delayed,
            in_flight: inbox.in_flight,
            consumers: inbox.consumers,
            oldest_age: oldest_age.transpose()?,
            dead_letters: inbox.dead_letters,
            settings: InboxSettings::read(inbox.settings.unwrap_or_default())?,
            in_effect: inbox.in_effect.map(InboxSettings::read).transpose()?,
            receivers: inbox
                .receivers
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::Receiver> for Receiver {
    type Error = ClientError;

    fn try_from(receiver: pb::Receiver) -> Result<Self, ClientError> {
        let principal = Some(&receiver.on_behalf_of).filter(|oin| !oin.is_empty());
        let settled_at = receiver.settled_at.map(|at| moment("settled_at", Some(at)));
        Ok(Self {
            party: parsed("party", &receiver.party)?,
            on_behalf_of: principal.map(|oin| parsed("on_behalf_of", oin)).transpose()?,
            since: moment("since", receiver.since)?,
            credit: receiver.credit,
            in_hand: receiver.in_hand,
            settled_at: settled_at.transpose()?,
        })
    }
}
