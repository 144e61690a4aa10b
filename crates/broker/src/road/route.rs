//! Sixth room: which inboxes does the message go to?

use wissel_catalogue::Audience;
use wissel_routing::Table;

use super::deduplicate::{Claim, Fresh};
use super::room::Reservation;
use super::validate::Admitted;
use crate::direction::{Destination, owners};
use crate::entitlement::Target;
use crate::{Reason, Refusal};

/// A message with its inboxes.
#[derive(Debug)]
pub struct Routed {
    pub(super) admitted: Admitted,
    pub(super) claim: Claim,
    pub(super) targets: Vec<Target>,
    /// Inboxes that have no room: it becomes a dead letter there.
    pub(super) full: Vec<Target>,
    /// The room that it takes in others.
    pub(super) reservations: Vec<Reservation>,
}

/// Every inbox with a subscription that matches. The rights of their owners, with row
/// limits and fields, are part of the table: it is changed before a catalogue comes into
/// force, and a delivery is held against the catalogue once more.
///
/// # Errors
/// [`Reason::AudienceUnmet`] when the event type needs another number of recipients.
pub fn route(fresh: Fresh, table: &Table<Target>) -> Result<Routed, Refusal> {
    let Fresh { admitted, claim } = fresh;
    let mut targets = Vec::new();
    let audience = match &admitted.destination {
        Destination::Subscribed => {
            table.route(&admitted.event, &mut targets);
            admitted.audience
        }
        Destination::One(party) | Destination::Asked(party) => {
            table.route(&admitted.event, &mut targets);
            if let Some(party) = party {
                targets.retain(|target| target.watches || target.inbox.owner() == *party);
            }
            Audience::ExactlyOne
        }
        Destination::Target(target) => {
            targets.push(target.clone());
            Audience::ExactlyOne
        }
    };
    if audience != Audience::Any {
        check_audience(audience, &targets)?;
    }
    Ok(Routed { admitted, claim, targets, full: Vec::new(), reservations: Vec::new() })
}

/// A recipient is a party: two of its inboxes are one recipient. The exchange is none.
fn check_audience(audience: Audience, targets: &[Target]) -> Result<(), Refusal> {
    let recipients = targets.iter().filter(|target| !target.watches);
    let found = owners(recipients.map(|target| &target.inbox)).len();
    if audience.is_met_by(found) {
        return Ok(());
    }
    let message = format!(
        "the message finds {found} recipients, and its event type needs {audience}; nothing of it was kept"
    );
    Err(Refusal::of_field(Reason::AudienceUnmet, "type", message))
}
