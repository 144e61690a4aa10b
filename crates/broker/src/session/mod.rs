//! One receiver at one inbox: deliveries under leases.

pub(crate) mod entitled;
mod expiring;
mod opening;
mod pausing;
mod recording;
mod settling;
mod source;
mod verdict;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::time::{DelayQueue, delay_queue};
use wissel_bus::{Arrival, Delivery, DeliveryTag, Envelope, MessageId, Said, Settlement};
use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_metrics::{DeadCause, Settled};
use wissel_traces::{Outcome, Span, TraceContext};

use self::entitled::{Entitled, Withheld};
use self::recording::Recording;
use self::settling::settle_or_release;
use self::source::Source;
pub use self::verdict::Verdict;
use crate::followed;
use crate::receivers::Told;
use crate::setbacks::Setback;
use crate::survey::Traffic;
use crate::{Broker, Caller, Reason, Refusal, clock};

/// How a session behaves.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The most deliveries unsettled at a time, from 1.
    pub credit: u16,
    /// How long the receiver has to settle a delivery.
    pub lease: Duration,
}

/// One receiver at one inbox. Dropping it gives back what it holds.
pub struct Session {
    broker: Arc<Broker>,
    inbox: InboxName,
    lease: Duration,
    source: Source,
    /// Changes when an inbox is paused, when it goes on, and when it gets or loses its order.
    pauses: watch::Receiver<u64>,
    /// What the receiver holds, by delivery id.
    held: HashMap<u64, Held>,
    ends_of_leases: DelayQueue<u64>,
    /// Deliveries that the receiver no longer holds, and has yet to hear of. Whoever
    /// settles on its behalf watches [`Session::lost`].
    lost: BTreeSet<u64>,
    settling: FuturesUnordered<Settling>,
    arrived: Vec<Arrival>,
    /// Deliveries that are handed out when they are on record.
    recording: Option<Recording>,
    next_id: u64,
    stopping: CancellationToken,
    caller: Caller,
    /// Where operators see it.
    told: Told,
    /// What is counted of its inbox.
    traffic: Arc<Traffic>,
    /// Changes when another catalogue is in force.
    catalogue_version: watch::Receiver<u64>,
    /// A look at the caller's right now and then, as a mandate ends by itself.
    right_checks: Interval,
    /// Why nothing more is handed out.
    refused: Option<Refusal>,
    /// Where whoever receives stands in a trace of its own.
    receiver: Option<TraceContext>,
    _ticket: TaskTrackerToken,
}

/// A delivery as the receiver gets it.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Names the delivery in this session.
    pub id: u64,
    /// The message.
    pub envelope: Envelope,
    /// How many times it has been handed out, this time included.
    pub attempt: u32,
    /// When the lease ends.
    pub lease_ends_at: SystemTime,
    /// By when the receiver is to be done with it: the deadline of its event type, or
    /// `expirytime` when that is earlier.
    pub deadline: Option<SystemTime>,
    /// Where its receiver goes on in the trace of the message; none: it is not followed here.
    pub trace: Option<TraceContext>,
}

/// What happens in a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// Deliveries for the receiver; at least one, together about a MiB at most.
    Deliveries(Vec<Leased>),
    /// Deliveries that the receiver no longer holds; it will see them again.
    LeaseLost(Vec<u64>),
    /// Nothing more will come.
    Ended(SessionEnd),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// The caller has no right to the inbox any more; what was held is given back.
    Refused(Refusal),
    /// The gateway shuts down; what was held is given back.
    ShuttingDown,
    /// The inbox was removed, or the bus closed.
    InboxClosed,
}

#[derive(Debug)]
struct Held {
    tag: DeliveryTag,
    message_id: MessageId,
    attempt: u32,
    deadline: Option<SystemTime>,
    end_of_lease: delay_queue::Key,
    /// From when it is handed out until it is settled, when it is followed.
    span: Option<Box<Span>>,
}

/// Whether all of it was carried out.
type Settling = futures::future::BoxFuture<'static, bool>;

/// How long a mandate that has ended may go unnoticed by an inbox in which nothing comes.
const RIGHT_CHECKED_EVERY: Duration = Duration::from_millis(500);
/// How many arrivals are taken up together.
const ARRIVALS_AT_ONCE: usize = 256;
/// Deliveries are handed on when they hold this much together, in bytes.
const BYTES_AT_ONCE: usize = 1 << 20;

impl Session {
    /// The next thing that happens. Nothing is lost when the future is dropped
    /// before it ends.
    pub async fn next(&mut self) -> SessionEvent {
        loop {
            if !self.lost.is_empty() {
                return SessionEvent::LeaseLost(
                    std::mem::take(&mut self.lost).into_iter().collect(),
                );
            }
            if let Some(refusal) = self.check_right() {
                return SessionEvent::Ended(SessionEnd::Refused(refusal));
            }
            if let Some(recording) = &mut self.recording {
                // Kept here while it is awaited, so that nothing is lost with this future.
                let outcome = (&mut recording.records).await;
                if let Some(done) = self.recording.take()
                    && let Some(event) = self.recorded(outcome, done)
                {
                    return event;
                }
                continue;
            }
            self.let_go_if_idle();
            if self.source.rests() {
                // Until a change, or until what is being settled is.
            } else if let Err(error) = self.source.take_up(&self.broker, &self.inbox).await {
                return SessionEvent::Ended(SessionEnd::Refused(error.into()));
            } else if !self.arrived.is_empty() {
                let catalogue = self.broker.catalogue();
                if let Some(deliveries) = self.take_arrivals(&catalogue) {
                    self.recording = Some(self.record(deliveries, catalogue));
                }
                continue;
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return SessionEvent::Ended(SessionEnd::ShuttingDown),
                // The loop looks at the caller's right again.
                Ok(()) = self.catalogue_version.changed() => {}
                Ok(()) = self.pauses.changed() => self.look_again(),
                _ = self.right_checks.tick() => {}
                Some(_) = self.settling.next() => {}
                Some(ended) = self.ends_of_leases.next() => self.lease_ended(ended.into_inner()),
                open = self.source.next(&mut self.arrived, ARRIVALS_AT_ONCE) => {
                    if !open {
                        return SessionEvent::Ended(SessionEnd::InboxClosed);
                    }
                }
            }
        }
    }

    /// Settles deliveries. One that is not held comes back as
    /// [`SessionEvent::LeaseLost`]. What is settled is carried out while
    /// [`Session::next`] or [`Session::settled`] is awaited.
    pub fn settle(&mut self, ids: &[u64], verdict: &Verdict) {
        let mut settlements = Vec::with_capacity(ids.len());
        let mut records = Vec::new();
        let mut spans = Vec::new();
        for id in ids {
            if let Some(held) = self.let_go(*id) {
                let settlement = self.settlement(&held, verdict);
                records.extend(self.setback(Some(&self.caller), &held, &settlement));
                spans.extend(followed::settle(held.span, held.tag, &settlement));
                settlements.push((held.tag, settlement));
            }
        }
        if !settlements.is_empty() {
            self.told.holds(self.held.len());
            self.told.settled();
        }
        self.carry_out(settlements, records, spans);
    }

    /// Whoever receives stands here in a trace of its own, to which deliveries that are
    /// followed are linked.
    pub fn received_in(&mut self, receiver: Option<TraceContext>) {
        self.receiver = receiver;
    }

    /// Gives the receiver more time: the leases end this long from now. One that
    /// is not held comes back as [`SessionEvent::LeaseLost`].
    pub fn extend(&mut self, ids: &[u64], lease: Duration) {
        for id in ids {
            match self.held.get(id) {
                Some(held) => self.ends_of_leases.reset(&held.end_of_lease, lease),
                None => {
                    self.lost.insert(*id);
                }
            }
        }
    }

    /// Waits until everything that was settled is carried out. False: some of it could not be,
    /// and comes again. No lease ends meanwhile: this is for a receiver that goes, and what it
    /// holds is given back with the session.
    pub async fn settled(&mut self) -> bool {
        let mut all = true;
        while let Some(done) = self.settling.next().await {
            all &= done;
        }
        all
    }

    /// Ends leases and carries out settlements, and takes up no delivery: for while
    /// the receiver does not read. Ends only when the session does.
    pub async fn tend(&mut self) -> SessionEnd {
        loop {
            self.let_go_if_idle();
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return SessionEnd::ShuttingDown,
                Ok(()) = self.pauses.changed() => self.look_again(),
                _ = self.right_checks.tick() => {
                    if let Some(refusal) = self.check_right() {
                        return SessionEnd::Refused(refusal);
                    }
                }
                Some(_) = self.settling.next() => {}
                Some(ended) = self.ends_of_leases.next() => self.lease_ended(ended.into_inner()),
            }
        }
    }

    /// How many deliveries the receiver no longer holds and has yet to hear of, those
    /// that it made up counted in. Grows by what is settled and extended; back to 0
    /// with [`SessionEvent::LeaseLost`].
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// The lease that a delivery has unless it is extended.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    fn take_arrivals(&mut self, catalogue: &Catalogue) -> Option<Vec<Leased>> {
        let mut deliveries = Vec::new();
        let mut bytes = 0;
        let mut taken = 0;
        let arrived = std::mem::take(&mut self.arrived);
        let mut arrivals = arrived.into_iter();
        for arrival in arrivals.by_ref() {
            taken += 1;
            match arrival {
                Arrival::Interrupted => {
                    // What was handed on in this very round is void as well.
                    deliveries.clear();
                    self.everything_was_taken_back();
                }
                Arrival::Delivery(delivery) => {
                    bytes += delivery.envelope.event.len();
                    deliveries.extend(self.lease_out(delivery, catalogue));
                }
            }
            if bytes >= BYTES_AT_ONCE {
                break;
            }
        }
        debug_assert!(taken > 0);
        self.arrived = arrivals.collect();
        if deliveries.is_empty() { None } else { Some(deliveries) }
    }

    /// Leases a delivery to the receiver, unless its owner's right is gone.
    fn lease_out(&mut self, delivery: Delivery, catalogue: &Catalogue) -> Option<Leased> {
        let Delivery { tag, mut envelope, attempt } = delivery;
        let message_id = envelope.message_id;
        let (deadline, trace) = match self.entitled(&envelope, catalogue) {
            Ok(Entitled { event, fields, trace, deadline }) => {
                envelope.event = event;
                envelope.fields = fields;
                (deadline, trace)
            }
            Err(Withheld::Dead(reason)) => {
                self.bury(tag, &envelope, reason, DeadCause::Withheld);
                return None;
            }
            Err(Withheld::Expired(reason)) => {
                self.bury(tag, &envelope, reason, DeadCause::Expired);
                return None;
            }
            Err(Withheld::Over) => {
                let setback = Setback::of(&self.inbox, message_id, None);
                self.carry_out(
                    vec![(tag, Settlement::Acknowledge)],
                    vec![setback.over()],
                    Vec::new(),
                );
                return None;
            }
            Err(Withheld::NotForCaller(refusal)) => {
                self.refused = Some(refusal);
                self.carry_out(vec![(tag, Settlement::Release)], Vec::new(), Vec::new());
                return None;
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let end_of_lease = self.ends_of_leases.insert_at(id, Instant::now() + self.lease);
        let mut span = self.broker.delivery_span("deliver", trace, &envelope, &self.inbox);
        if let Some(span) = &mut span {
            span.set_number("wissel.attempt", attempt);
        }
        if let (Some(span), Some(receiver)) = (&mut span, self.receiver) {
            span.link(receiver);
        }
        let trace = span.as_ref().map(|span| span.context());
        self.held.insert(id, Held { tag, message_id, attempt, deadline, end_of_lease, span });
        self.told.holds(self.held.len());
        let lease_ends_at = clock::wall() + self.lease;
        Some(Leased { id, envelope, attempt, lease_ends_at, deadline, trace })
    }

    /// Makes a dead letter of a delivery that is not handed out.
    fn bury(&mut self, tag: DeliveryTag, envelope: &Envelope, reason: String, cause: DeadCause) {
        self.broker.metrics().dead(cause, 1);
        let settlement = Settlement::not_handed_out(reason);
        let setback = Setback::of(&self.inbox, envelope.message_id, None);
        let record = setback.record(None, &settlement);
        let span = self.broker.death_span(envelope, &self.inbox);
        let spans = span.map(|span| (tag, *span)).into_iter().collect();
        self.carry_out(vec![(tag, settlement)], record.into_iter().collect(), spans);
    }

    fn lease_ended(&mut self, id: u64) {
        let Some(held) = self.held.remove(&id) else {
            return;
        };
        tracing::debug!(inbox = %self.inbox, delivery = id, "lease ended");
        self.lost.insert(id);
        self.told.holds(self.held.len());
        self.broker.metrics().settled(Settled::LeaseEnded, 1);
        let verdict = Verdict::Retry { after: None, reason: Said::LeaseEnded.to_string() };
        let settlement = self.settlement(&held, &verdict);
        let record = self.setback(None, &held, &settlement);
        let spans = followed::settle(held.span, held.tag, &settlement).into_iter().collect();
        self.carry_out(vec![(held.tag, settlement)], record.into_iter().collect(), spans);
    }

    fn everything_was_taken_back(&mut self) {
        self.ends_of_leases.clear();
        for (id, held) in self.held.drain() {
            self.lost.insert(id);
            let _ = followed::settle(held.span, held.tag, &Settlement::Release);
        }
        self.told.holds(0);
    }

    fn let_go(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id);
        match &held {
            Some(held) => {
                self.ends_of_leases.remove(&held.end_of_lease);
            }
            None => {
                self.lost.insert(id);
            }
        }
        held
    }

    /// The record of a delivery that was held and came to nothing.
    fn setback(
        &self,
        by: Option<&Caller>,
        held: &Held,
        settlement: &Settlement,
    ) -> Option<wissel_audit::Record> {
        Setback::of(&self.inbox, held.message_id, Some(held.attempt)).record(by, settlement)
    }

    /// Settles, what came to nothing when that is on record.
    fn carry_out(
        &mut self,
        settlements: Vec<(DeliveryTag, Settlement)>,
        records: Vec<wissel_audit::Record>,
        spans: Vec<followed::Settling>,
    ) {
        if settlements.is_empty() {
            return;
        }
        let Some(settler) = self.source.settler() else { return };
        let (inbox, broker) = (self.inbox.clone(), Arc::clone(&self.broker));
        self.settling.push(Box::pin(async move {
            let (settlements, on_record) =
                broker.when_on_record(settlements, records, &inbox).await;
            let settled = settle_or_release(settler, settlements, inbox).await;
            for (tag, span) in spans {
                let done = !settled.given_back.contains(&tag);
                span.end(if done { Outcome::Good("done") } else { Outcome::Bad("given_back") });
            }
            on_record && settled.all()
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.broker.metrics().session_ended();
        let given_back = self.held.len();
        for (_, held) in self.held.drain() {
            let _ = followed::settle(held.span, held.tag, &Settlement::Release);
        }
        tracing::info!(inbox = %self.inbox, given_back, "inbox left");
    }
}

impl From<SessionEnd> for Refusal {
    fn from(end: SessionEnd) -> Self {
        match end {
            SessionEnd::Refused(refusal) => refusal,
            SessionEnd::ShuttingDown => Self::shutting_down(),
            SessionEnd::InboxClosed => Self::new(Reason::InboxClosed, "the inbox was removed"),
        }
    }
}
