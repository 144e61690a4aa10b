//! Seventh room: a receiver gets what its grant allows, and no more.
//!
//! Grants do not limit fields yet, so there is one copy for everybody: the frame
//! as it came.

use bytes::Bytes;
use wissel_identifiers::InboxName;

use super::deduplicate::Claim;
use super::route::Routed;
use super::validate::Admitted;

/// A message in the forms in which its receivers are to get it.
#[derive(Debug)]
pub struct Minimised {
    pub(super) admitted: Admitted,
    pub(super) claim: Claim,
    pub(super) copies: Vec<Copy>,
}

/// One form of the message, and the inboxes that get it.
#[derive(Debug)]
pub struct Copy {
    pub(super) event: Bytes,
    pub(super) inboxes: Vec<InboxName>,
}

/// One copy for each distinct set of fields; none when there is no inbox.
pub fn minimise(routed: Routed) -> Minimised {
    let Routed { admitted, claim, inboxes } = routed;
    let copies = if inboxes.is_empty() {
        Vec::new()
    } else {
        vec![Copy { event: admitted.event.frame().clone(), inboxes }]
    };
    Minimised { admitted, claim, copies }
}
