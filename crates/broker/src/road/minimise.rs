//! Seventh room: a receiver gets what its grant allows, and no more.

use std::sync::Arc;

use bytes::Bytes;
use wissel_catalogue::{Fields, Grant};
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use super::deduplicate::Claim;
use super::route::{Recipient, Routed};
use super::validate::Admitted;
use crate::{Reason, Refusal};

/// A message in the forms in which its receivers are to get it.
#[derive(Debug)]
pub struct Minimised {
    pub(crate) admitted: Admitted,
    pub(super) claim: Claim,
    pub(super) copies: Vec<Copy>,
}

impl Minimised {
    /// How many inboxes get the message.
    pub(crate) fn inbox_count(&self) -> usize {
        self.copies.iter().map(|copy| copy.inboxes.len()).sum()
    }
}

/// One form of the message, and the inboxes that get it.
#[derive(Debug)]
pub struct Copy {
    pub(super) event: Bytes,
    pub(super) inboxes: Vec<InboxName>,
}

/// One copy for each distinct set of fields, however many receivers share it; none when
/// there is no inbox. A receiver that is allowed everything gets the frame as it came.
///
/// # Errors
/// [`Reason::MinimisedDataInvalid`] when what is left of `data` does not fit what is left
/// of its schema.
pub fn minimise(routed: Routed) -> Result<Minimised, Refusal> {
    let Routed { admitted, claim, recipients } = routed;
    let mut forms: Vec<(Option<Arc<Fields>>, Vec<InboxName>)> = Vec::new();
    for Recipient { inbox, grant } in recipients {
        let same = |form: &&mut (Option<Arc<Fields>>, _)| share(&form.0, &grant);
        match forms.iter_mut().find(same) {
            Some((_, inboxes)) => inboxes.push(inbox),
            None => forms.push((grant.fields.clone(), vec![inbox])),
        }
    }
    let mut copies = Vec::with_capacity(forms.len());
    for (fields, inboxes) in forms {
        let event = match fields {
            None => admitted.event.frame().clone(),
            Some(fields) => minimise_event(&admitted.event, &fields)?,
        };
        copies.push(Copy { event, inboxes });
    }
    Ok(Minimised { admitted, claim, copies })
}

/// Whether a grant allows the same fields: those of one event type that do share one set.
fn share(fields: &Option<Arc<Fields>>, grant: &Grant) -> bool {
    match (fields, &grant.fields) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
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
