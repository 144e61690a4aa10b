//! Messages and deliveries that are followed, as spans of a trace.
//!
//! Whatever is not followed has nothing here, and costs nothing.

use std::time::SystemTime;

use wissel_bus::{DeliveryTag, Envelope, Settlement};
use wissel_identifiers::InboxName;
use wissel_message::{EventView, TRACEPARENT, TraceContext};
use wissel_traces::{Kind, Outcome, Span, Trace, Tracer};

use crate::road::minimise::Minimised;
use crate::road::validate::Admitted;
use crate::{Broker, Caller, Receipt, Refusal};

/// A message on its road, when it is followed.
#[derive(Debug, Default)]
pub(crate) struct Followed(Option<Box<Trace>>);

/// Of a delivery, what is to be told when the bus has settled it.
pub(crate) type Settling = (DeliveryTag, Span);

impl Followed {
    /// Follows a message whose decoding began then, when it is to be followed.
    pub(crate) fn begin(tracer: &Tracer, began: Option<SystemTime>, event: &EventView) -> Self {
        let Some(began) = began else { return Self(None) };
        let mut trace = tracer.follow(event.trace_context());
        if let Some(trace) = &mut trace {
            trace.began_at(began);
            trace.stage("decode", began, true);
            trace.whole().set("messaging.system", "wissel");
            trace.whole().set("messaging.operation.type", "send");
        }
        Self(trace)
    }

    /// Does the work of a stage.
    pub(crate) fn pass<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        self.timed(stage, work, |_| true)
    }

    /// Does the work of a stage that may refuse.
    pub(crate) fn stage<T>(
        &mut self,
        stage: &'static str,
        work: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.timed(stage, work, Result::is_ok)
    }

    fn timed<T>(
        &mut self,
        stage: &'static str,
        work: impl FnOnce() -> T,
        went_well: impl FnOnce(&T) -> bool,
    ) -> T {
        let Some(trace) = &mut self.0 else { return work() };
        let begun = SystemTime::now();
        let done = work();
        trace.stage(stage, begun, went_well(&done));
        done
    }

    /// Says what is known of a message when it is admitted. One that does not say where it
    /// stands in a trace is made to say so, for its receivers.
    pub(crate) fn admitted(self, mut admitted: Admitted) -> Result<Admitted, Refusal> {
        let Some(mut trace) = self.0 else { return Ok(admitted) };
        let whole = trace.whole();
        whole.set("messaging.message.id", admitted.message_id);
        whole.set("cloudevents.event_type", &admitted.grant.event_type);
        whole.set("wissel.party", admitted.publisher);
        let event = &admitted.event;
        if event.attribute(TRACEPARENT).is_none() {
            let frame = event.traced(trace.context(), None);
            admitted.event = EventView::decode(frame).map_err(|error| Refusal::internal(&error))?;
        }
        admitted.followed = Self(Some(trace));
        Ok(admitted)
    }

    /// The message was refused.
    pub(crate) fn refused(self, caller: &Caller, refusal: &Refusal) {
        let Some(mut trace) = self.0 else { return };
        if let Ok(party) = caller.party() {
            trace.whole().set("wissel.party", party);
        }
        trace.whole().set("error.type", refusal.reason.as_str());
        finish(trace, Outcome::Bad("refused"));
    }

    /// The message came to an end short of the bus.
    pub(crate) fn ended(self, outcome: &'static str) {
        if let Some(trace) = self.0 {
            finish(trace, Outcome::Good(outcome));
        }
    }

    /// Those of some messages, by their places.
    pub(crate) fn take_from(messages: &mut [Minimised]) -> Vec<(usize, Self)> {
        let all = messages.iter_mut().enumerate();
        let followed = all.filter_map(|(place, message)| {
            let trace = message.admitted.followed.0.take()?;
            Some((place, Self(Some(trace))))
        });
        followed.collect()
    }

    /// The bus said what became of the message, which it was given then.
    pub(crate) fn enqueued(self, begun: SystemTime, outcome: &Result<Receipt, Refusal>) {
        let Some(mut trace) = self.0 else { return };
        trace.stage("enqueue", begun, outcome.is_ok());
        match outcome {
            Ok(receipt) => {
                let inboxes = u32::try_from(receipt.inboxes.len()).unwrap_or(u32::MAX);
                trace.whole().set_number("wissel.inboxes", inboxes);
                finish(trace, Outcome::Good("durable"));
            }
            Err(refusal) => {
                trace.whole().set("error.type", refusal.reason.as_str());
                finish(trace, Outcome::Bad("refused"));
            }
        }
    }
}

fn finish(mut trace: Box<Trace>, outcome: Outcome) {
    tell(trace.whole(), &outcome, "message followed");
    trace.end(outcome);
}

/// A line in the log that can be found by the trace, and the trace by it.
fn tell(span: &Span, outcome: &Outcome, what: &'static str) {
    let TraceContext { trace_id, span_id, .. } = span.context();
    let (Outcome::Good(outcome) | Outcome::Bad(outcome)) = outcome;
    let (trace_id, span_id) = (format_args!("{trace_id:032x}"), format_args!("{span_id:016x}"));
    tracing::debug!(%trace_id, %span_id, outcome, "{what}");
}

/// Ends the span of a delivery by what becomes of it, and begins that of a retry or a death.
pub(crate) fn settle(
    span: Option<Box<Span>>,
    tag: DeliveryTag,
    settlement: &Settlement,
) -> Option<Settling> {
    let span = span?;
    let (outcome, next) = match settlement {
        Settlement::Acknowledge => (Outcome::Good("acknowledged"), None),
        Settlement::Release => (Outcome::Good("given_back"), None),
        Settlement::Retry { .. } => (Outcome::Bad("retried"), Some("retry")),
        Settlement::DeadLetter { .. } => (Outcome::Bad("dead_letter"), Some("dead-letter")),
    };
    tell(&span, &outcome, "delivery followed");
    let next = next.map(|name| (tag, span.child(name)));
    span.end(outcome);
    next
}

impl Broker {
    /// The most bytes of one message.
    #[must_use]
    pub fn message_bytes_max(&self) -> usize {
        self.options.limits.frame
    }

    /// A span of what happens to a delivery, when its message is followed.
    pub(crate) fn delivery_span(
        &self,
        name: &'static str,
        trace: Option<TraceContext>,
        envelope: &Envelope,
        inbox: &InboxName,
    ) -> Option<Box<Span>> {
        let mut span = self.options.tracer.span(name, Kind::Producer, trace)?;
        span.set("messaging.system", "wissel");
        span.set("messaging.destination.name", inbox);
        span.set("messaging.message.id", envelope.message_id);
        span.set("wissel.party", inbox.owner());
        if envelope.replayed {
            span.set("wissel.replayed", true);
        }
        Some(span)
    }

    /// The span of a delivery that dies without being handed out.
    pub(crate) fn death_span(&self, envelope: &Envelope, inbox: &InboxName) -> Option<Box<Span>> {
        if !self.options.tracer.is_on() {
            return None;
        }
        let trace = EventView::decode(envelope.event.clone()).ok()?.trace_context();
        self.delivery_span("dead-letter", trace, envelope, inbox)
    }
}
