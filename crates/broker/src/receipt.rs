use std::sync::Arc;
use std::time::SystemTime;

use wissel_bus::MessageId;
use wissel_identifiers::InboxName;
use wissel_message::Violation;

/// Proof that a message is durable, and where it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Wissel's own id of the message, the same in every inbox.
    pub message_id: MessageId,
    /// The message's `source`, as published.
    pub source: String,
    /// The message's `id`, as published.
    pub id: String,
    /// When it was admitted.
    pub admitted_at: SystemTime,
    /// The inboxes it went to; none when nobody entitled subscribes to it.
    pub inboxes: Arc<[InboxName]>,
    /// True when this is an earlier publication's receipt again, and nothing was
    /// delivered anew.
    pub repeated: bool,
    /// What the message should be and is not (the rules of the NL GOV profile that say SHOULD).
    pub warnings: Vec<Violation>,
}
