//! Fourth room: every rule that the message breaks, at once.

use std::time::SystemTime;

use wissel_bus::MessageId;
use wissel_identifiers::Oin;
use wissel_message::{EventView, Limits};

use super::authorise::Authorised;
use crate::Refusal;

/// A message that Wissel takes: it has an id of ours and a moment.
#[derive(Debug)]
pub struct Admitted {
    pub(super) event: EventView,
    pub(super) publisher: Oin,
    pub(super) message_id: MessageId,
    pub(super) admitted_at: SystemTime,
}

/// Checks the rules of CloudEvents 1.0 and the limits.
pub fn validate(authorised: Authorised, limits: &Limits) -> Result<Admitted, Refusal> {
    let Authorised { event, publisher } = authorised;
    wissel_message::validate(&event, limits)?;
    Ok(Admitted { event, publisher, message_id: MessageId::now(), admitted_at: SystemTime::now() })
}
