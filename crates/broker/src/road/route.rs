//! Sixth room: which inboxes does the message go to?

use wissel_identifiers::Oin;
use wissel_routing::Table;

use super::deduplicate::{Claim, Fresh};
use super::room::Reservation;
use super::validate::Admitted;
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
    table.route(&admitted.event, &mut targets);
    if !admitted.audience.is_met_by(targets.len()) {
        check_audience(&admitted, &targets)?;
    }
    Ok(Routed { admitted, claim, targets, full: Vec::new(), reservations: Vec::new() })
}

/// A recipient is a party: two of its inboxes are one recipient.
fn check_audience(admitted: &Admitted, targets: &[Target]) -> Result<(), Refusal> {
    let mut parties: Vec<Oin> = targets.iter().map(|target| target.inbox.owner()).collect();
    parties.sort_unstable();
    parties.dedup();
    if admitted.audience.is_met_by(parties.len()) {
        return Ok(());
    }
    let found = parties.len();
    let message = format!(
        "the message finds {found} recipients, and its event type needs {}; nothing of it was kept",
        admitted.audience
    );
    Err(Refusal::of_field(Reason::AudienceUnmet, "type", message))
}
