//! Third room: may this party publish this type of event?

use wissel_catalogue::Catalogue;
use wissel_identifiers::Oin;
use wissel_message::{EventView, Limits, Violations};

use super::identify::Identified;
use crate::{Reason, Refusal};

/// A message that its publisher may publish.
#[derive(Debug)]
pub struct Authorised {
    pub(super) event: EventView,
    pub(super) publisher: Oin,
}

/// Two hash look-ups. A message without a type is refused for all the rules that
/// it breaks, since no right can be looked up for it.
pub fn authorise(
    identified: Identified,
    catalogue: &Catalogue,
    limits: &Limits,
) -> Result<Authorised, Refusal> {
    let Identified { event, publisher } = identified;
    let event_type = event.event_type();
    if catalogue.may_publish(&publisher, event_type) {
        return Ok(Authorised { event, publisher });
    }
    if catalogue.event_type(event_type).is_some() {
        return Err(Refusal::of_field(
            Reason::NotGranted,
            "type",
            format!("party {publisher} has no grant to publish this event type"),
        ));
    }
    if let Err(violations) = wissel_message::validate(&event, limits) {
        let type_is_at_fault = |all: &Violations| all.iter().any(|one| one.field == "type");
        if type_is_at_fault(&violations) {
            return Err(violations.into());
        }
    }
    Err(Refusal::of_field(
        Reason::UnknownEventType,
        "type",
        "not an event type of the catalogue; expected one that it lists, spelled exactly so",
    ))
}
