use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use uuid::Uuid;
use wissel_identifiers::Oin;
use wissel_message::{Event, EventView, TRACEPARENT, TraceContext, Value};
use wissel_proto::wissel::v1 as pb;

use super::check_lease;
use super::settlements::{Settlement, Verdict};
use crate::ClientError;
use crate::convert::{moment, parsed};

/// One message in one inbox, to be settled: [acknowledged](Delivery::acknowledge),
/// [retried](Delivery::retry) or [rejected](Delivery::reject).
///
/// It holds the frame that it came in, perhaps with the deliveries that came along: keep the
/// event, and not the delivery, of what is to be kept for long.
///
/// It can be moved to another task and settled there. One that is dropped
/// unsettled keeps its credit until its lease ends; then the message comes again.
///
/// Settling is answered when it has been handed to the stream, several together
/// where that is possible. When it does not reach the gateway, the message comes
/// again; [`OpenInbox::close`](crate::OpenInbox::close) tells of how many that may be so.
#[must_use = "a delivery that is not settled comes again when its lease ends"]
pub struct Delivery {
    view: EventView,
    /// What the view shows, copied once somebody asks for it.
    event: OnceLock<Event>,
    message_id: Uuid,
    publisher: Oin,
    admitted_at: SystemTime,
    attempt: u32,
    lease_ends_at: SystemTime,
    deadline: Option<SystemTime>,
    replayed: bool,
    trace: Option<TraceContext>,
    hold: Hold,
    to_worker: mpsc::Sender<Settlement>,
}

/// Whether a delivery is still held by the stream that it came by.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) delivery_id: u64,
    pub(super) message_id: Uuid,
    is_lost: Arc<AtomicBool>,
}

impl Delivery {
    /// Fails when the event, or what stands beside it, cannot be read.
    pub(super) fn read(
        delivery: pb::Delivery,
        to_worker: mpsc::Sender<Settlement>,
    ) -> Result<Self, ClientError> {
        let view = EventView::decode(delivery.event)
            .map_err(|error| ClientError::protocol(format!("event: {error}")))?;
        let of_event = || match view.attribute(TRACEPARENT) {
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let trace = delivery.traceparent.parse().ok().or_else(of_event);
        let message_id = parsed("message_id", &delivery.message_id)?;
        Ok(Self {
            view,
            event: OnceLock::new(),
            trace,
            message_id,
            publisher: parsed("publisher", &delivery.publisher)?,
            admitted_at: moment("admitted_at", delivery.admitted_at)?,
            attempt: delivery.attempt,
            lease_ends_at: moment("lease_ends_at", delivery.lease_ends_at)?,
            deadline: delivery.deadline.map(|at| moment("deadline", Some(at))).transpose()?,
            replayed: delivery.replayed,
            hold: Hold::new(delivery.delivery_id, message_id),
            to_worker,
        })
    }

    /// The message, as the receiver is entitled to see it.
    #[must_use]
    pub fn event(&self) -> &Event {
        self.event.get_or_init(|| Event::from_view(&self.view))
    }

    /// Wissel's own id of the message, a UUID version 7, as on the receipt. The
    /// same message may be delivered more than once, always with this id.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// The party that published it.
    #[must_use]
    pub fn publisher(&self) -> Oin {
        self.publisher
    }

    /// When Wissel admitted it, millisecond precision.
    #[must_use]
    pub fn admitted_at(&self) -> SystemTime {
        self.admitted_at
    }

    /// How many times it has been handed out from this inbox, this time included.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the lease ends by the gateway's clock, unless it is extended.
    #[must_use]
    pub fn lease_ends_at(&self) -> SystemTime {
        self.lease_ends_at
    }

    /// By when the receiver is to be done with it, when there is such a moment.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        self.deadline
    }

    /// Whether it was brought by a replay.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// Where its receiver goes on in the trace of the message: at the span of this delivery
    /// when the gateway follows it, else where its publisher stands; none when that is unknown.
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Whether it is known to be held no longer; the message comes again, and
    /// settling this delivery changes nothing.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        self.hold.is_lost()
    }

    /// The message was processed; it never comes again.
    ///
    /// # Errors
    /// [`ClientError::LeaseLost`] when the delivery is known to be held no longer,
    /// [`ClientError::Closed`] when the inbox was dropped.
    pub async fn acknowledge(self) -> Result<(), ClientError> {
        self.settle(Verdict::Acknowledge).await
    }

    /// The message is to come again, not before `after` (at most 24 h) has passed.
    /// The reason is for operators: at most 500 characters, never personal data.
    ///
    /// # Errors
    /// As [`Delivery::acknowledge`]; [`ClientError::InvalidArgument`] when `after`
    /// is too long: the delivery then stays until its lease ends.
    pub async fn retry(
        self,
        after: Duration,
        reason: impl Into<String>,
    ) -> Result<(), ClientError> {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        if after > LONGEST {
            return Err(ClientError::invalid("after", "expected at most 24 h"));
        }
        let reason = reason.into();
        self.settle(Verdict::Retry { after: Some(after), reason }).await
    }

    /// The message is to come again as the inbox is set: later after each attempt. The
    /// reason is as for [`Delivery::retry`].
    ///
    /// # Errors
    /// As [`Delivery::acknowledge`].
    pub async fn retry_later(self, reason: impl Into<String>) -> Result<(), ClientError> {
        let reason = reason.into();
        self.settle(Verdict::Retry { after: None, reason }).await
    }

    /// The message is given up on: it becomes a dead letter that an operator sees.
    /// The reason is required: at most 500 characters, never personal data.
    ///
    /// # Errors
    /// As [`Delivery::acknowledge`]; [`ClientError::InvalidArgument`] when there is
    /// no reason: the delivery then stays until its lease ends.
    pub async fn reject(self, reason: impl Into<String>) -> Result<(), ClientError> {
        let reason = reason.into();
        if reason.trim().is_empty() {
            return Err(ClientError::invalid("reason", "expected why, in words"));
        }
        self.settle(Verdict::Reject { reason }).await
    }

    /// More time is needed: the lease ends this long from now, from 1 s to 15 min.
    ///
    /// # Errors
    /// As [`Delivery::acknowledge`]; [`ClientError::InvalidArgument`] for another
    /// lease.
    pub async fn extend_lease(&self, lease: Duration) -> Result<(), ClientError> {
        check_lease(lease)?;
        self.settle(Verdict::Extend { lease }).await
    }

    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }

    async fn settle(&self, verdict: Verdict) -> Result<(), ClientError> {
        self.hold.check()?;
        let settlement = Settlement { hold: self.hold.clone(), verdict };
        let sent = self.to_worker.send(settlement).await;
        sent.map_err(|_| self.hold.check().err().unwrap_or(ClientError::Closed))
    }
}

// === impl Hold ===

impl Hold {
    pub(super) fn new(delivery_id: u64, message_id: Uuid) -> Self {
        Self { delivery_id, message_id, is_lost: Arc::new(AtomicBool::new(false)) }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    fn check(&self) -> Result<(), ClientError> {
        if self.is_lost() {
            return Err(ClientError::LeaseLost { delivery_id: self.delivery_id });
        }
        Ok(())
    }
}

impl fmt::Debug for Delivery {
    /// The event shows neither `subject` nor `data`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message_id", &self.message_id)
            .field("event", &self.view)
            .field("publisher", &self.publisher)
            .field("attempt", &self.attempt)
            .field("is_lease_lost", &self.is_lease_lost())
            .finish_non_exhaustive()
    }
}
