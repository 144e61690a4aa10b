use std::time::Duration;

use wissel_proto::wissel::v1 as pb;

use crate::ClientError;
use crate::convert::span;

/// How an inbox behaves. `None`: as the gateway is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxSettings {
    /// How many times a delivery is handed out before it is given up on, at least 1.
    pub max_attempts: Option<u32>,
    /// How long a delivery waits after its first attempt, from 1 ms to 24 h; twice as long
    /// after each further one.
    pub retry_initial: Option<Duration>,
    /// The longest that it waits, from 1 ms to 24 h.
    pub retry_max: Option<Duration>,
    /// How old a message may be when it is handed out.
    pub max_age: Option<Duration>,
    /// The most deliveries that wait or are in flight.
    pub max_deliveries: Option<u64>,
    /// The most bytes of their events.
    pub max_bytes: Option<u64>,
    /// What becomes of a message for which there is no room.
    pub when_full: Option<WhenFull>,
    /// Whether its owner takes its messages with an AMQP 0-9-1 client of its own, from the
    /// queue `wissel.direct.NAME`; only on RabbitMQ.
    pub direct_amqp: bool,
    /// Whether nothing is handed out: streams stay open, and messages keep coming in.
    pub paused: bool,
    /// Whether nothing comes in, as if it were full; what is there is handed out.
    pub draining: bool,
}

/// What becomes of a message that comes to an inbox without room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is refused to its publisher, with `INBOX_FULL`; nothing of it is kept.
    Refuse,
    /// It becomes a dead letter of the inbox.
    DeadLetter,
}

impl InboxSettings {
    pub(crate) fn to_proto(self) -> pb::InboxSettings {
        let span = |duration: Option<Duration>| duration.and_then(|one| one.try_into().ok());
        let when_full = match self.when_full {
            None => pb::WhenFull::Unspecified,
            Some(WhenFull::Refuse) => pb::WhenFull::Refuse,
            Some(WhenFull::DeadLetter) => pb::WhenFull::DeadLetter,
        };
        pb::InboxSettings {
            max_attempts: self.max_attempts,
            retry_initial: span(self.retry_initial),
            retry_max: span(self.retry_max),
            max_age: span(self.max_age),
            max_deliveries: self.max_deliveries,
            max_bytes: self.max_bytes,
            when_full: when_full.into(),
            direct_amqp: self.direct_amqp,
            paused: self.paused,
            draining: self.draining,
        }
    }

    pub(crate) fn read(settings: pb::InboxSettings) -> Result<Self, ClientError> {
        let optional = |field, given: Option<prost_types::Duration>| {
            given.map(|given| span(field, Some(given))).transpose()
        };
        let when_full = match settings.when_full() {
            pb::WhenFull::Unspecified => None,
            pb::WhenFull::Refuse => Some(WhenFull::Refuse),
            pb::WhenFull::DeadLetter => Some(WhenFull::DeadLetter),
        };
        Ok(Self {
            max_attempts: settings.max_attempts,
            retry_initial: optional("retry_initial", settings.retry_initial)?,
            retry_max: optional("retry_max", settings.retry_max)?,
            max_age: optional("max_age", settings.max_age)?,
            max_deliveries: settings.max_deliveries,
            max_bytes: settings.max_bytes,
            when_full,
            direct_amqp: settings.direct_amqp,
            paused: settings.paused,
            draining: settings.draining,
        })
    }
}
