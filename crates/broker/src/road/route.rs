//! Sixth room: which inboxes does the message go to?

use std::sync::Arc;

use wissel_catalogue::{Catalogue, Grant};
use wissel_identifiers::{InboxName, Oin};
use wissel_routing::Table;

use super::deduplicate::{Claim, Fresh};
use super::validate::Admitted;
use crate::{Reason, Refusal};

/// A message with its inboxes.
#[derive(Debug)]
pub struct Routed {
    pub(super) admitted: Admitted,
    pub(super) claim: Claim,
    pub(super) recipients: Vec<Recipient>,
}

/// An inbox, and by which right it gets the message.
#[derive(Debug)]
pub struct Recipient {
    pub(super) inbox: InboxName,
    pub(super) grant: Arc<Grant>,
}

/// Every inbox with a subscription that matches, whose owner has a grant to receive the
/// type at this moment. The row limits of grants are part of the table.
///
/// # Errors
/// [`Reason::AudienceUnmet`] when the event type needs another number of recipients.
pub fn route(
    fresh: Fresh,
    table: &Table<InboxName>,
    catalogue: &Catalogue,
) -> Result<Routed, Refusal> {
    let Fresh { admitted, claim } = fresh;
    let mut inboxes = Vec::new();
    table.route(&admitted.event, &mut inboxes);
    let rights = catalogue.rights(admitted.event.event_type());
    let mut recipients = Vec::with_capacity(inboxes.len());
    for inbox in inboxes {
        let grant = rights.and_then(|rights| rights.receive_grant(&inbox.owner()));
        if let Some(grant) = grant {
            recipients.push(Recipient { grant: Arc::clone(grant), inbox });
        }
    }
    if !admitted.audience.is_met_by(recipients.len()) {
        check_audience(&admitted, &recipients)?;
    }
    Ok(Routed { admitted, claim, recipients })
}

/// A recipient is a party: two of its inboxes are one recipient.
fn check_audience(admitted: &Admitted, recipients: &[Recipient]) -> Result<(), Refusal> {
    let mut parties: Vec<Oin> = recipients.iter().map(|one| one.grant.party).collect();
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
