//! Third room: may this party publish this message?

use std::sync::Arc;

use wissel_catalogue::{Action, Catalogue, Grant, TypeRights};
use wissel_identifiers::Oin;
use wissel_message::{EventView, Limits, Violations};

use super::identify::Identified;
use super::source::check_source;
use super::validate;
use crate::direction::{Destination, Direction};
use crate::{Caller, Reason, Refusal, clock, reports};

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
    let mut refused = check_source(event.source(), publisher, kvk_number).err();
    if refused.is_none() && !grant.covers(event) {
        refused = Some(Refusal::of_field(
            Reason::NotGranted,
            "type",
            format!("the message is outside the row limits of the grant of party {publisher}"),
        ));
    }
    match refused {
        None => Ok((rights, grant)),
        Some(refusal) => Err(with_the_rest(refusal, event, rights, grant, limits)),
    }
}

/// The refusal of a message of a type that its sender may publish, with every rule that it breaks
/// besides, so that all can be mended at once.
fn with_the_rest(
    refusal: Refusal,
    event: &EventView,
    rights: &TypeRights,
    grant: &Grant,
    limits: &Limits,
) -> Refusal {
    let checked = validate::check(event, &rights.event_type, grant, limits, clock::wall());
    let Err(rest) = Violations::none_of(checked.broken) else { return refusal };
    let faults = refusal.faults.into_iter().chain(Refusal::from(rest).faults).collect();
    Refusal::of_fields(refusal.reason, faults)
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

#[cfg(test)]
mod tests {
    use wissel_message::{Event, OwnedValue, Timestamp};

    use super::*;

    const PUBLISHER: &str = "00000099000000001000";
    const OTHER: &str = "00000099000000002000";

    fn catalogue() -> Catalogue {
        let text = format!(
            r#"
party = [{{ oin = "{PUBLISHER}", name = "Registry" }}, {{ oin = "{OTHER}", name = "Utrecht" }}]
[[event_type]]
name = "nl.brp.geboorte"
owner = "{PUBLISHER}"
description = "A birth was registered."
[[grant]]
party = "{PUBLISHER}"
type = "nl.brp.geboorte"
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
filters = [{{ exact = {{ gemeente = "0344" }} }}]
"#
        );
        Catalogue::from_toml("test", &text).unwrap()
    }

    /// Why a message that has expired is refused, and the fields at fault.
    fn refused(publisher: &str, source: &str, gemeente: &str) -> (Reason, Vec<String>) {
        let source = format!("urn:nld:oin:{source}:systeem:x");
        let event = Event::builder("1", source, "nl.brp.geboorte")
            .extension("gemeente", gemeente)
            .extension("expirytime", OwnedValue::Timestamp(Timestamp::new(1, 0).unwrap()));
        let event = EventView::decode(event.build().unwrap().encode()).unwrap();
        let (catalogue, oin) = (catalogue(), publisher.parse().unwrap());
        let limits = Limits::default();
        let right = find_right(&event, &Caller::Party(oin), &oin, &catalogue, &limits);
        let refusal = right.map(|_| ()).unwrap_err();
        let fields = refusal.faults.iter().map(|fault| fault.field.clone()).collect();
        (refusal.reason, fields)
    }

    #[test]
    fn who_may_publish_the_type_hears_of_all_that_is_wrong_at_once() {
        let fields = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (reason, faults) = refused(PUBLISHER, OTHER, "0344");
        assert_eq!((reason, faults), (Reason::SourceOfAnother, fields(&["source", "expirytime"])));
        let (reason, faults) = refused(PUBLISHER, PUBLISHER, "0193");
        assert_eq!((reason, faults), (Reason::NotGranted, fields(&["type", "expirytime"])));
        // Who may not is told no more than that.
        let (reason, faults) = refused(OTHER, OTHER, "0344");
        assert_eq!((reason, faults), (Reason::NotGranted, fields(&["type"])));
    }
}
