//! Third room: may this party publish this message?

use std::sync::Arc;

use wissel_catalogue::{Action, Catalogue, Grant, TypeRights};
use wissel_identifiers::Oin;
use wissel_message::{EventView, Limits, Violations};

use super::identify::Identified;
use super::source::check_source;
use crate::direction::{Destination, Direction};
use crate::{Caller, Reason, Refusal, reports};

/// A message that its publisher may publish.
#[derive(Debug)]
pub struct Authorised<'c> {
    pub(super) event: EventView,
    pub(super) caller: Caller,
    pub(super) publisher: Oin,
    pub(super) grant: Arc<Grant>,
    pub(super) rights: &'c TypeRights,
    pub(super) destination: Destination,
}

/// The message with its publisher's right; refused when there is none.
pub fn authorise<'c>(
    identified: Identified,
    direction: &Direction,
    catalogue: &'c Catalogue,
    limits: &Limits,
) -> Result<Authorised<'c>, Refusal> {
    let Identified { event, caller, publisher } = identified;
    let (rights, grant) = find_right(&event, &caller, &publisher, catalogue, limits)?;
    let grant = Arc::clone(grant);
    let destination = direction.check(&event, rights)?;
    reports::check_right(&event, &publisher, rights, catalogue)?;
    Ok(Authorised { event, caller, publisher, grant, rights, destination })
}

/// The right by which a publisher may publish a message: two hash look-ups, and no
/// allocation. A message without a known type is refused for all the rules that its type
/// breaks, since no right can be looked up for it.
pub fn find_right<'c>(
    event: &EventView,
    caller: &Caller,
    publisher: &Oin,
    catalogue: &'c Catalogue,
    limits: &Limits,
) -> Result<(&'c TypeRights, &'c Arc<Grant>), Refusal> {
    let event_type = event.event_type();
    let Some(rights) = catalogue.rights(event_type) else {
        return Err(unknown_type(event, limits));
    };
    // The mandate first: what the other party may is not for everybody to find out.
    caller.check_mandate(catalogue, Action::Publish, event_type)?;
    let Some(grant) = rights.publish_grant(publisher) else {
        return Err(Refusal::of_field(
            Reason::NotGranted,
            "type",
            format!("party {publisher} has no grant to publish this event type"),
        ));
    };
    let kvk_number = || catalogue.party(publisher).and_then(|party| party.kvk_number);
    check_source(event.source(), publisher, kvk_number)?;
    if !grant.covers(event) {
        return Err(Refusal::of_field(
            Reason::NotGranted,
            "type",
            format!("the message is outside the row limits of the grant of party {publisher}"),
        ));
    }
    Ok((rights, grant))
}

fn unknown_type(event: &EventView, limits: &Limits) -> Refusal {
    if let Err(violations) = wissel_message::validate(event, limits) {
        let type_is_at_fault = |all: &Violations| all.iter().any(|one| one.field == "type");
        if type_is_at_fault(&violations) {
            return violations.into();
        }
    }
    Refusal::of_field(
        Reason::UnknownEventType,
        "type",
        "not an event type of the catalogue; expected one that it lists, spelled exactly so",
    )
}
