//! Messages of an inbox, as those see them who mend it: neither the subject nor the data is
//! shown, and to operators no number that may be a person's, wherever a publisher or receiver
//! put it.

use wissel_broker::{Caller, masked};
use wissel_bus::{Attempt, DeadLetter, Envelope, Stand, Unsettled};
use wissel_identifiers::InboxName;
use wissel_message::EventView;
use wissel_proto::wissel::v1 as pb;

use crate::fields::timestamp;

/// Who looks decides what is shown.
struct Shown {
    is_operator: bool,
    event: Option<EventView>,
}

impl Shown {
    fn of(caller: &Caller, envelope: &Envelope) -> Self {
        let is_operator = caller.is_operator();
        Self { is_operator, event: EventView::decode(envelope.event.clone()).ok() }
    }

    fn text(&self, text: &str) -> String {
        if self.is_operator { masked(text) } else { text.to_owned() }
    }

    /// Empty when the event cannot be read.
    fn attribute(&self, read: fn(&EventView) -> &str) -> String {
        self.event.as_ref().map(|event| self.text(read(event))).unwrap_or_default()
    }

    fn history(&self, history: &[Attempt]) -> Vec<pb::Attempt> {
        let write = |one: &Attempt| pb::Attempt {
            number: one.number,
            at: timestamp(one.at),
            reason: self.text(&one.reason),
            before_redrive: one.before_redrive,
        };
        history.iter().map(write).collect()
    }
}

pub(crate) fn write_dead_letter(
    caller: &Caller,
    inbox: &InboxName,
    dead_letter: DeadLetter,
) -> pb::DeadLetter {
    let DeadLetter { id, envelope, attempts, died_at, reason, history } = dead_letter;
    let shown = Shown::of(caller, &envelope);
    pb::DeadLetter {
        dead_letter_id: id.0,
        inbox: inbox.to_string(),
        message_id: envelope.message_id.to_string(),
        source: shown.attribute(EventView::source),
        id: shown.attribute(EventView::id),
        r#type: shown.attribute(EventView::event_type),
        publisher: envelope.publisher.to_string(),
        admitted_at: timestamp(envelope.admitted_at),
        died_at: timestamp(died_at),
        attempts,
        reason: shown.text(&reason),
        history: shown.history(&history),
    }
}

pub(crate) fn write_unsettled(caller: &Caller, unsettled: Unsettled) -> pb::UnsettledDelivery {
    let Unsettled { envelope, attempt, stand, history } = unsettled;
    let shown = Shown::of(caller, &envelope);
    let (state, due_at) = match stand {
        Stand::Ready => (pb::DeliveryState::Ready, None),
        Stand::InFlight => (pb::DeliveryState::InFlight, None),
        Stand::Delayed(due) => (pb::DeliveryState::Delayed, timestamp(due)),
    };
    pb::UnsettledDelivery {
        message_id: envelope.message_id.to_string(),
        source: shown.attribute(EventView::source),
        id: shown.attribute(EventView::id),
        r#type: shown.attribute(EventView::event_type),
        publisher: envelope.publisher.to_string(),
        admitted_at: timestamp(envelope.admitted_at),
        attempt,
        state: state.into(),
        due_at,
        history: shown.history(&history),
        size: envelope.event.len() as u64,
    }
}
