//! First room: bytes become a CloudEvent, or are refused.

use bytes::Bytes;
use wissel_message::{EventView, Limits};

use crate::{Reason, Refusal};

/// A message of which only the form is known.
#[derive(Debug)]
pub struct Received {
    pub(crate) event: EventView,
}

/// Scans the frame once. The event keeps the frame and copies nothing of it.
pub fn decode(frame: Bytes, limits: &Limits) -> Result<Received, Refusal> {
    if frame.len() > limits.frame {
        return Err(Refusal::new(
            Reason::MessageTooLarge,
            format!(
                "the message has {} bytes, expected at most {}; send large data by reference (dataref)",
                frame.len(),
                limits.frame
            ),
        ));
    }
    match EventView::decode(frame) {
        Ok(event) => Ok(Received { event }),
        Err(error) => Err(Refusal::new(
            Reason::MalformedMessage,
            format!("not a CloudEvent in the protobuf format: {error}"),
        )),
    }
}
