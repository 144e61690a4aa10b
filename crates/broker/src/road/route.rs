//! Sixth room: which inboxes does the message go to?

use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_routing::Table;

use super::deduplicate::{Claim, Fresh};
use super::validate::Admitted;

/// A message with its inboxes.
#[derive(Debug)]
pub struct Routed {
    pub(super) admitted: Admitted,
    pub(super) claim: Claim,
    pub(super) inboxes: Vec<InboxName>,
}

/// Every inbox with a subscription that matches, whose owner has a grant to
/// receive the type at this moment.
pub fn route(fresh: Fresh, table: &Table<InboxName>, catalogue: &Catalogue) -> Routed {
    let Fresh { admitted, claim } = fresh;
    let mut inboxes = Vec::new();
    table.route(&admitted.event, &mut inboxes);
    let event_type = admitted.event.event_type();
    inboxes.retain(|inbox| catalogue.may_receive(&inbox.owner(), event_type));
    Routed { admitted, claim, inboxes }
}
