//! What a receiver may have, at the moment of delivery.

use std::time::SystemTime;

use bytes::Bytes;
use wissel_bus::{Envelope, FieldsKey, Said};
use wissel_catalogue::{Action, Catalogue, EventType, Grant};
use wissel_filter::DataFacts;
use wissel_identifiers::Oin;
use wissel_message::{EventView, TraceContext, expiry_time};

use super::Session;
use super::expiring::too_old;
use super::opening::INBOX_OF_ITS_OWN;
use crate::policy::Policy;
use crate::questions::Questions;
use crate::road::minimise::{key_of, minimise_event};
use crate::{Reason, Refusal, clock};

/// A delivery that is handed out.
pub(crate) struct Entitled {
    /// What the receiver gets.
    pub(crate) event: Bytes,
    /// What that was cut down to.
    pub(crate) fields: Option<FieldsKey>,
    /// Where the message stands in a trace.
    pub(crate) trace: Option<TraceContext>,
    /// By when it is to be done with it.
    pub(super) deadline: Option<SystemTime>,
}

/// Why a delivery is not handed out.
pub(crate) enum Withheld {
    /// Its owner has no right to it.
    Dead(String),
    /// It is too old.
    Expired(String),
    /// It is a question that nobody waits for any more.
    Over,
    /// Its owner has, and the caller has not.
    NotForCaller(Refusal),
}

impl Withheld {
    fn dead(reason: impl Into<String>) -> Self {
        Self::Dead(reason.into())
    }
}

impl Session {
    /// The message as the receiver may have it at this moment. What was routed under an
    /// earlier grant is held against the one of now.
    pub(super) fn entitled(
        &self,
        envelope: &Envelope,
        catalogue: &Catalogue,
    ) -> Result<Entitled, Withheld> {
        if let Some(refusal) = &self.refused {
            return Err(Withheld::NotForCaller(refusal.clone()));
        }
        let owner = self.inbox.owner();
        let questions = &self.broker.questions;
        entitled(owner, &self.policy(), envelope, catalogue, questions, |event_type| {
            self.caller.check_mandate(catalogue, Action::Receive, event_type).map_err(|_| {
                let description = format!(
                    "its next message, of type {event_type}, is outside the mandate, and waits for \
                     party {owner}; {INBOX_OF_ITS_OWN}"
                );
                Refusal::of_field(Reason::NoMandate, "open.inbox", description)
            })
        })
    }

    /// Why the caller has no right to the inbox any more, when it has none.
    pub(super) fn check_right(&self) -> Option<Refusal> {
        let refused = || self.caller.check_may_receive(&self.broker.catalogue.load()).err();
        self.refused.clone().or_else(refused)
    }
}

/// The message as the owner of an inbox may have it at this moment, when the caller may.
pub(crate) fn entitled(
    owner: Oin,
    policy: &Policy,
    envelope: &Envelope,
    catalogue: &Catalogue,
    questions: &Questions,
    caller_may: impl FnOnce(&str) -> Result<(), Refusal>,
) -> Result<Entitled, Withheld> {
    let event = EventView::decode(envelope.event.clone())
        .map_err(|error| Withheld::dead(Said::Unreadable(&error.to_string())))?;
    let rights = catalogue.rights(event.event_type());
    let right = rights.and_then(|rights| Some((rights, rights.receive_grant(&owner)?)));
    let (rights, grant) = right.ok_or_else(|| Withheld::dead(Said::GrantGone))?;
    let event_type = &rights.event_type;
    if event_type.ask.is_some() && questions.is_over(&event) {
        return Err(Withheld::Over);
    }
    check_row_limits(grant, &event, envelope.fields)?;
    caller_may(event.event_type()).map_err(Withheld::NotForCaller)?;
    if let Some(reason) = too_old(policy, &event, envelope, clock::wall()) {
        let is_question = event_type.ask.is_some();
        return Err(if is_question { Withheld::Over } else { Withheld::Expired(reason) });
    }
    let deadline = deadline(&event, envelope, event_type);
    let trace = event.trace_context();
    match &grant.fields {
        Some(fields) if envelope.fields != Some(key_of(fields)) => {
            let event = minimise_event(&event, fields);
            let event = event.map_err(|refusal| Withheld::dead(refusal.as_said()))?;
            Ok(Entitled { event, fields: Some(key_of(fields)), trace, deadline })
        }
        _ => {
            let (event, fields) = (envelope.event.clone(), envelope.fields);
            Ok(Entitled { event, fields, trace, deadline })
        }
    }
}

/// Holds a message, cut down to these fields, against the row limits of now. Those that look
/// into what the receiver does not get held when it was cut down under the same grant; under
/// another, they can be told only when what they look into is still there.
fn check_row_limits(
    grant: &Grant,
    event: &EventView,
    stored: Option<FieldsKey>,
) -> Result<(), Withheld> {
    if let (Some(fields), Some(stored)) = (&grant.fields, stored)
        && !fields.hidden.is_empty()
    {
        if stored == key_of(fields) {
            return Ok(());
        }
        let data = DataFacts::of(event);
        let is_there = |place: &String| data.as_ref().is_some_and(|it| it.value(place).is_some());
        if !fields.hidden.iter().all(is_there) {
            return Err(Withheld::dead(Said::LimitsUntold));
        }
    }
    if grant.covers(event) { Ok(()) } else { Err(Withheld::dead(Said::OutsideLimits)) }
}

/// The deadline of the event type, or `expirytime` when that is earlier. What was replayed
/// has no deadline of its type: that has passed.
fn deadline(event: &EventView, envelope: &Envelope, event_type: &EventType) -> Option<SystemTime> {
    let event_type = Some(event_type).filter(|_| !envelope.replayed);
    let of_type = event_type.and_then(|one| one.deadline_of(envelope.admitted_at));
    let expires_at = expiry_time(event).ok().flatten().and_then(|moment| moment.to_system_time());
    [of_type, expires_at].into_iter().flatten().min()
}
