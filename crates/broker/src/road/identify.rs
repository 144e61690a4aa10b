//! Second room: the message gets its publisher.

use wissel_identifiers::Oin;
use wissel_message::EventView;

use super::decode::Received;
use crate::{Caller, Refusal};

/// A message whose publisher is known.
#[derive(Debug)]
pub struct Identified {
    pub(super) event: EventView,
    pub(super) caller: Caller,
    /// Whose message it is: the caller, or the party that the caller acts for.
    pub(super) publisher: Oin,
}

/// Only a party publishes.
pub fn identify(received: Received, caller: &Caller) -> Result<Identified, Refusal> {
    let publisher = caller.party()?;
    Ok(Identified { event: received.event, caller: caller.clone(), publisher })
}
