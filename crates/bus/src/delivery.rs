use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;
use wissel_identifiers::Oin;

use crate::{BusError, InboxName};

/// Wissel's own id of a message: a UUID version 7, given at admission.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

/// Which fields of its data a message was cut down to. Two are equal when they allow the
/// same, in any process; what it means is for the broker to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldsKey(pub u64);

/// A message as it travels on a bus. Its `Debug` output tells the length of the
/// event, not the event.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Wissel's own id; the same in every inbox.
    pub message_id: MessageId,
    /// The party that published it.
    pub publisher: Oin,
    /// When it was admitted. A bus keeps milliseconds.
    pub admitted_at: SystemTime,
    /// To which fields `event` was cut down; none: it is as it was published.
    pub fields: Option<FieldsKey>,
    /// Whether it comes from the archive, at its receiver's own request.
    pub replayed: bool,
    /// The CloudEvent that the receiver is to get, in the CloudEvents protobuf
    /// format. A bus never looks inside.
    pub event: Bytes,
}

/// One message and the inboxes that it goes to.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The message.
    pub envelope: Envelope,
    /// Each at most once.
    pub inboxes: Vec<InboxName>,
    /// Until when it is kept in the archive as well; none: not at all. Milliseconds are
    /// kept.
    pub archive_until: Option<SystemTime>,
    /// What it outlives once it is answered.
    pub outlives: Outlives,
    /// Which others it keeps its order with: those of the same number. One of another lane
    /// may overtake it while both are on their way into an inbox.
    pub lane: u64,
}

/// What a message outlives from the moment at which its enqueueing is answered. A bus may
/// keep it more safely than is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outlives {
    /// A loss of power.
    #[default]
    PowerLoss,
    /// The end of the process; a loss of power may take what came in the last second. For
    /// messages that nobody waits for after one.
    Process,
}

impl Enqueue {
    /// A message that goes to these inboxes, not to the archive, and outlives a loss of power,
    /// in lane 0.
    #[must_use]
    pub fn new(envelope: Envelope, inboxes: Vec<InboxName>) -> Self {
        Self { envelope, inboxes, archive_until: None, outlives: Outlives::PowerLoss, lane: 0 }
    }
}

/// Names a delivery for its consumer; of no use to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag(pub u64);

/// One message in one inbox, handed to a consumer that must settle it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// For [`Settle::settle`].
    pub tag: DeliveryTag,
    /// The message.
    pub envelope: Envelope,
    /// 1, and 1 more for each [`Settlement::Retry`] before.
    pub attempt: u32,
}

/// What comes to a consumer.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// A delivery to settle.
    Delivery(Delivery),
    /// Everything that this consumer held was taken back by the bus, because a
    /// connection broke; it will come again under new tags. Consumption goes on.
    Interrupted,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It was processed; it is gone.
    Acknowledge,
    /// It is given back as if it had not been handed out.
    Release,
    /// It comes again, not before `after` has passed, with its attempt one
    /// higher. A bus may wait up to 10 % longer, or 100 ms if that is more.
    Retry {
        /// The least time to wait.
        after: Duration,
        /// Why this attempt came to nothing, for operators.
        reason: String,
    },
    /// It becomes a dead letter.
    DeadLetter {
        /// Why, for operators.
        reason: String,
        /// Attempts that the bus did not hear of, oldest first: they count as attempts, and
        /// their reasons are kept. Of more than [`Attempt::KEPT`] these are the latest.
        unheard: Vec<Attempt>,
        /// Whether this delivery was handed out: it is no attempt otherwise.
        handed_out: bool,
    },
}

/// How much a consumer may have unsettled at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Deliveries, from 1; 0 is taken as 1.
    pub deliveries: u16,
    /// Bytes of their events. While it has so many it gets nothing more: the last one may go
    /// over it, and one of any size flows alone.
    pub bytes: u64,
}

/// A running consumption of one inbox. Dropping it gives back what it holds.
pub struct Consumer {
    /// Holds at most the credit (and one [`Arrival::Interrupted`]). Ends when the
    /// inbox is removed or the bus closed.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// Settles what arrived.
    pub settler: Arc<dyn Settle>,
}

/// Settles deliveries of one consumer.
#[async_trait]
pub trait Settle: Send + Sync + 'static {
    /// Settles each; one answer each, in order. An acknowledgement is answered
    /// when the bus has taken it, and may be lost in a crash: the delivery then
    /// comes again. A retry or a dead letter is answered when it is durable.
    /// A tag that the consumer does not hold gives [`BusError::NotHeld`].
    async fn settle(
        &self,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>>;
}

/// A message that becomes a dead letter of an inbox without having been in it.
#[derive(Debug, Clone)]
pub struct Burial {
    /// The message.
    pub envelope: Envelope,
    /// Among the dead letters of this inbox.
    pub inbox: InboxName,
    /// Why, for operators.
    pub reason: String,
}

impl Credit {
    /// Of so many bytes, unless something else is said.
    pub const BYTES: u64 = 64 << 20;

    /// So many deliveries, of [`Credit::BYTES`].
    #[must_use]
    pub fn of(deliveries: u16) -> Self {
        Self { deliveries, bytes: Self::BYTES }
    }
}

impl Settlement {
    /// A dead letter that was handed out, of whose attempts the bus knows.
    pub fn dead_letter(reason: impl Into<String>) -> Self {
        Self::DeadLetter { reason: reason.into(), unheard: Vec::new(), handed_out: true }
    }

    /// One that was given up in place of being handed out: no attempt more than before.
    pub fn not_handed_out(reason: impl Into<String>) -> Self {
        Self::DeadLetter { reason: reason.into(), unheard: Vec::new(), handed_out: false }
    }
}

/// Names a dead letter within its inbox. Its text sorts as the dead letters do:
/// oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub String);

/// A delivery that was given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it within its inbox.
    pub id: DeadLetterId,
    /// The message.
    pub envelope: Envelope,
    /// How many attempts of it came to an end, since its last redrive: by what its receiver said, by the
    /// end of a lease, or with its own. One that was given back, as when a stream breaks, is not
    /// among them, nor one of an AMQP client that gave it back.
    pub attempts: u32,
    /// When. A bus keeps milliseconds.
    pub died_at: SystemTime,
    /// Why.
    pub reason: String,
    /// The attempts before its end, oldest first; of many the last [`Attempt::KEPT`]. Those
    /// before a redrive come first. The last of all is not among them when it was given up at
    /// that one: it ended when this died, and for the same reason.
    pub history: Vec<Attempt>,
}

/// An attempt that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which, from 1; 0 for none: so the message was given up before a redrive, without being
    /// handed out.
    pub number: u32,
    /// When it ended. A bus keeps milliseconds.
    pub at: SystemTime,
    /// Why it came to nothing.
    pub reason: String,
    /// Whether it was made before the message was redriven, since when attempts are counted
    /// from 1 again.
    pub before_redrive: bool,
}

impl Attempt {
    /// How many attempts of a delivery are kept, the latest, those before a redrive among them.
    pub const KEPT: usize = 20;

    /// One that is not from before a redrive.
    #[must_use]
    pub fn new(number: u32, at: SystemTime, reason: impl Into<String>) -> Self {
        Self { number, at, reason: reason.into(), before_redrive: false }
    }

    /// At which attempt a delivery goes on, or is given up, that was at this one when the bus
    /// last heard of it: after those that it did not hear of. One that was not handed out is at
    /// the one before.
    #[must_use]
    pub fn count(heard: u32, unheard: &[Self], handed_out: bool) -> u32 {
        let next = unheard.last().map_or(0, |last| last.number.saturating_add(1));
        heard.max(next).saturating_sub(u32::from(!handed_out))
    }

    /// The history of a dead letter that is redriven: what it had, and how it was given up. That
    /// has the number of its attempts, and gets 0 when the last of them is in its history, so
    /// that it was given up without being handed out.
    #[must_use]
    pub fn before_redrive(mut history: Vec<Self>, mut last: Self) -> Vec<Self> {
        let heard = history.last().filter(|one| !one.before_redrive);
        if heard.is_some_and(|one| one.number >= last.number) {
            last.number = 0;
        }
        history.push(last);
        for attempt in &mut history {
            attempt.before_redrive = true;
        }
        history.drain(..history.len().saturating_sub(Self::KEPT));
        history
    }
}

impl MessageId {
    /// A new one, of this moment.
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("message_id", &self.message_id)
            .field("publisher", &self.publisher)
            .field("admitted_at", &self.admitted_at)
            .field("fields", &self.fields)
            .field("replayed", &self.replayed)
            .field("event_length", &self.event.len())
            .finish()
    }
}
