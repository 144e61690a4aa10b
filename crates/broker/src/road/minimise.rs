//! Seventh room: a receiver gets what its grant allows, and no more.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use wissel_bus::FieldsKey;
use wissel_catalogue::Fields;
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use super::deduplicate::Claim;
use super::room::Reservation;
use super::route::Routed;
use super::validate::Admitted;
use crate::direction::{RECIPIENTS, list, owners};
use crate::entitlement::Target;
use crate::reports::REPORTS;
use crate::{Reason, Refusal};

/// A message in the forms in which its receivers are to get it.
#[derive(Debug)]
pub struct Minimised {
    pub(crate) admitted: Admitted,
    pub(super) claim: Claim,
    pub(super) copies: Vec<Copy>,
    /// Kept until the message is durable.
    pub(super) reservations: Vec<Reservation>,
}

impl Minimised {
    /// How many inboxes get the message.
    pub(crate) fn inbox_count(&self) -> usize {
        let copies = self.copies.iter().filter(|copy| !copy.watches);
        copies.map(|copy| copy.inboxes.len() + copy.full.len()).sum()
    }

    /// Those inboxes, for each of some messages. Messages that stand together and go to the same
    /// share them, as they nearly always do.
    pub(crate) fn shared_inboxes(messages: &[Self]) -> Vec<Arc<[InboxName]>> {
        let mut shared: Vec<Arc<[InboxName]>> = Vec::with_capacity(messages.len());
        for message in messages {
            let last = shared.last().filter(|last| last.iter().eq(message.inboxes()));
            let inboxes = match last {
                Some(last) => Arc::clone(last),
                None => message.inboxes().cloned().collect(),
            };
            shared.push(inboxes);
        }
        shared
    }

    /// Those inboxes.
    pub(crate) fn inboxes(&self) -> impl Iterator<Item = &InboxName> {
        let copies = self.copies.iter().filter(|copy| !copy.watches);
        copies.flat_map(|copy| copy.inboxes.iter().chain(&copy.full))
    }

    /// Those among them that have no room.
    pub(crate) fn full_inboxes(&self) -> impl Iterator<Item = &InboxName> {
        self.copies.iter().flat_map(|copy| &copy.full)
    }
}

/// One form of the message, and the inboxes that get it.
#[derive(Debug)]
pub struct Copy {
    /// To which fields it was cut down.
    pub(super) fields: Option<FieldsKey>,
    pub(super) event: Bytes,
    pub(super) inboxes: Vec<InboxName>,
    /// Of inboxes without room, among whose dead letters it goes.
    pub(super) full: Vec<InboxName>,
    /// Whether it is the exchange's own, of which a receipt does not tell.
    pub(super) watches: bool,
}

/// A form that is being made, and who gets it.
struct Form {
    fields: Option<Arc<Fields>>,
    watches: bool,
    inboxes: Vec<InboxName>,
    full: Vec<InboxName>,
}

/// One copy for each distinct set of fields, however many receivers share it; none when
/// there is no inbox. A receiver that is allowed everything gets the frame as it came.
///
/// # Errors
/// [`Reason::MinimisedDataInvalid`] when what is left of `data` does not fit what is left
/// of its schema.
pub fn minimise(routed: Routed) -> Result<Minimised, Refusal> {
    let Routed { admitted, claim, targets, full, reservations } = routed;
    let recipients = recipients(&targets, &full);
    let most = targets.len();
    let mut forms: Forms = SmallVec::new();
    for Target { inbox, fields, watches } in targets {
        Form::of(fields, watches, most, &mut forms).inboxes.push(inbox);
    }
    for Target { inbox, fields, watches } in full {
        Form::of(fields, watches, 0, &mut forms).full.push(inbox);
    }
    let mut copies = Vec::with_capacity(forms.len());
    for Form { fields, watches, inboxes, full } in forms {
        let event = match &fields {
            None => admitted.event.frame().clone(),
            Some(fields) => minimise_event(&admitted.event, fields)?,
        };
        let event = if watches { told_of(event, &recipients, &admitted) } else { event };
        let fields = fields.map(|fields| key_of(&fields));
        copies.push(Copy { fields, event, inboxes, full, watches });
    }
    Ok(Minimised { admitted, claim, copies, reservations })
}

/// Nearly always one, so that they take no memory of their own.
type Forms = SmallVec<[Form; 2]>;

impl Form {
    /// That with these fields; made when there is none yet, the first of all with room for so
    /// many inboxes.
    fn of(fields: Option<Arc<Fields>>, watches: bool, most: usize, forms: &mut Forms) -> &mut Self {
        let index = forms.iter().position(|form| {
            form.watches == watches && is_same(form.fields.as_ref(), fields.as_ref())
        });
        let index = index.unwrap_or_else(|| {
            let inboxes = Vec::with_capacity(if forms.is_empty() { most } else { 0 });
            forms.push(Self { fields, watches, inboxes, full: Vec::new() });
            forms.len() - 1
        });
        &mut forms[index]
    }
}

/// The parties that get the message; an empty text when nobody watches.
fn recipients(targets: &[Target], full: &[Target]) -> String {
    let all = || targets.iter().chain(full);
    if !all().any(|target| target.watches) {
        return String::new();
    }
    let recipients = all().filter(|target| !target.watches);
    list(&owners(recipients.map(|target| &target.inbox)))
}

/// The exchange's copy, which tells who else has one, and which reports it ends.
fn told_of(event: Bytes, recipients: &str, admitted: &Admitted) -> Bytes {
    let with = |event: Bytes, name: &str, text: &str| match EventView::decode(event.clone()) {
        Ok(view) => view.with_attribute(name, text),
        Err(_) => event,
    };
    let told = with(event, RECIPIENTS, recipients);
    match &admitted.reports {
        Some(reports) => with(told, REPORTS, reports),
        None => told,
    }
}

/// Grants on one event type that allow the same fields share one set.
fn is_same(one: Option<&Arc<Fields>>, other: Option<&Arc<Fields>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// By which a copy says what it was cut down to, so that a delivery can tell whether that
/// is what the receiver may have by then. Times cannot: clocks go back, and a message that
/// is under way while the catalogue changes is of both.
pub(crate) fn key_of(fields: &Fields) -> FieldsKey {
    FieldsKey(fields.key)
}

/// The message with the fields of its data that are allowed.
pub(crate) fn minimise_event(event: &EventView, fields: &Fields) -> Result<Bytes, Refusal> {
    let Some(data) = event.data_bytes() else {
        return Ok(event.frame().clone());
    };
    let refuse = |what: &str| {
        Err(Refusal::of_field(
            Reason::MinimisedDataInvalid,
            "data",
            format!("cannot be limited to the fields that a receiver may have: {what}"),
        ))
    };
    let text = std::str::from_utf8(&data).ok().filter(|_| event.has_json_data());
    let Some(text) = text else {
        return refuse("it is not JSON");
    };
    let minimised = match fields.set.minimise(text) {
        Ok(minimised) => minimised,
        Err(fault) => return refuse(&fault.to_string()),
    };
    if !fields.projection.is_certain()
        && let Err(faults) = fields.projection.validate(&minimised)
    {
        return refuse(&format!("what is left breaks the schema: {faults}"));
    }
    Ok(event.with_data(minimised.as_bytes()))
}
