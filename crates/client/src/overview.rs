//! How all inboxes fare together.

use std::time::{Duration, SystemTime};

use wissel_proto::wissel::v1 as pb;

use crate::convert::{moment, present, span};
use crate::{Client, ClientError, InboxState};

/// How all inboxes that the caller may see fare together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Overview {
    /// When they were looked at; `None` when they were not yet.
    pub taken_at: Option<SystemTime>,
    /// All together.
    pub totals: InboxTotals,
    /// What went by; only for an operator.
    pub traffic: Option<Traffic>,
    /// Inboxes, in the order that was asked for.
    pub inboxes: Vec<InboxActivity>,
}

/// Inboxes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxTotals {
    /// Inboxes.
    pub inboxes: u64,
    /// Inboxes with a concern.
    pub concerns: u64,
    /// Inboxes with deliveries that have waited for 30 s, and no receiver.
    pub unread: u64,
    /// Deliveries that wait for a receiver.
    pub waiting: u64,
    /// Deliveries that wait for a retry.
    pub delayed: u64,
    /// Deliveries with a receiver.
    pub in_flight: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Streams that are open.
    pub consumers: u64,
    /// Age of the oldest delivery that is not settled.
    pub oldest_age: Option<Duration>,
}

/// What went through the gateway between its last two looks, some seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages that had an outcome, in a second.
    pub messages_per_second: f64,
    /// Deliveries that they became, in a second.
    pub enqueued_per_second: f64,
    /// Deliveries that were handed out, in a second.
    pub handed_out_per_second: f64,
    /// From a message that came to its receipt.
    pub receipt: Option<Latency>,
    /// From the admission of a message to the first time that it was handed out.
    pub delivery: Option<Latency>,
}

/// How long something took, within a factor of 2.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// Half of them took at most so long.
    pub p50: Duration,
    /// 99 of 100 took at most so long.
    pub p99: Duration,
}

/// An inbox, and what goes on in it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InboxActivity {
    /// Its state. Settings are not told here.
    pub inbox: InboxState,
    /// Deliveries that came, in a second.
    pub came_per_second: f64,
    /// Deliveries that were acknowledged, in a second, at this gateway.
    pub settled_per_second: f64,
    /// Why it needs somebody to look: `no receiver`, `slow`, `dead letters`.
    pub concern: Option<String>,
    /// How many deliveries were there at the looks before, oldest first.
    pub history: Vec<u32>,
}

/// By what inboxes are ordered: the highest first, but names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InboxOrder {
    /// Those that need somebody to look, the gravest first.
    #[default]
    Concern,
    /// How many deliveries wait or are in flight.
    Depth,
    /// How old the oldest delivery is.
    Oldest,
    /// How many deliveries come in a second.
    Came,
    /// How many are done with in a second.
    Settled,
    /// How many dead letters there are.
    DeadLetters,
    /// The name.
    Name,
}

impl Client {
    /// How all inboxes fare together, and the first `limit` (at most 1,000) of them behind
    /// the first `skip`. It is at most `max_age` old, 500 ms at least, unless looking at all
    /// of them takes long.
    ///
    /// # Errors
    /// When the gateway cannot be reached, or refuses.
    pub async fn overview(
        &self,
        order: InboxOrder,
        skip: u32,
        limit: u32,
        max_age: Duration,
    ) -> Result<Overview, ClientError> {
        let order = match order {
            InboxOrder::Concern => pb::InboxOrder::Concern,
            InboxOrder::Depth => pb::InboxOrder::Depth,
            InboxOrder::Oldest => pb::InboxOrder::Oldest,
            InboxOrder::Came => pb::InboxOrder::Came,
            InboxOrder::Settled => pb::InboxOrder::Settled,
            InboxOrder::DeadLetters => pb::InboxOrder::DeadLetters,
            InboxOrder::Name => pb::InboxOrder::Name,
        };
        let body = pb::GetOverviewRequest {
            order: order.into(),
            page_size: limit,
            skip,
            max_age: prost_types::Duration::try_from(max_age).ok(),
        };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.operations(channel);
                async move { service.get_overview(request).await }
            })
            .await?;
        response.try_into()
    }
}

impl TryFrom<pb::GetOverviewResponse> for Overview {
    type Error = ClientError;

    fn try_from(response: pb::GetOverviewResponse) -> Result<Self, ClientError> {
        let taken_at = response.taken_at.map(|at| moment("taken_at", Some(at))).transpose()?;
        let totals = present("totals", response.totals)?;
        let oldest_age = totals.oldest_age.map(|age| span("oldest_age", Some(age))).transpose()?;
        let inboxes = response.inboxes.into_iter().map(InboxActivity::try_from);
        Ok(Self {
            taken_at,
            totals: InboxTotals {
                inboxes: totals.inboxes,
                concerns: totals.concerns,
                unread: totals.unread,
                waiting: totals.waiting,
                delayed: totals.delayed,
                in_flight: totals.in_flight,
                dead_letters: totals.dead_letters,
                consumers: totals.consumers,
                oldest_age,
            },
            traffic: response.traffic.map(Traffic::try_from).transpose()?,
            inboxes: inboxes.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::Traffic> for Traffic {
    type Error = ClientError;

    fn try_from(traffic: pb::Traffic) -> Result<Self, ClientError> {
        let latency = |read: pb::Latency| -> Result<Latency, ClientError> {
            Ok(Latency { p50: span("p50", read.p50)?, p99: span("p99", read.p99)? })
        };
        Ok(Self {
            messages_per_second: traffic.messages_per_second,
            enqueued_per_second: traffic.enqueued_per_second,
            handed_out_per_second: traffic.handed_out_per_second,
            receipt: traffic.receipt.map(latency).transpose()?,
            delivery: traffic.delivery.map(latency).transpose()?,
        })
    }
}

impl TryFrom<pb::InboxActivity> for InboxActivity {
    type Error = ClientError;

    fn try_from(activity: pb::InboxActivity) -> Result<Self, ClientError> {
        let concern = activity.concern;
        Ok(Self {
            inbox: present("inbox", activity.inbox)?.try_into()?,
            came_per_second: activity.came_per_second,
            settled_per_second: activity.settled_per_second,
            concern: Some(concern).filter(|concern| !concern.is_empty()),
            history: activity.history,
        })
    }
}
