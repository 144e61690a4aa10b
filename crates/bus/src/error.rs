use crate::{DeliveryTag, InboxName};

/// Why a bus could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The inbox does not exist.
    #[error("inbox {0} does not exist; open it first")]
    UnknownInbox(InboxName),
    /// The consumer does not hold the delivery: it was settled before, or taken
    /// back by the bus.
    #[error("delivery {} is not held by this consumer", .0.0)]
    NotHeld(DeliveryTag),
    /// Not now; trying again later may succeed. What was asked may still happen.
    #[error("the bus is not available: {reason}")]
    Unavailable {
        /// What is the matter, for operators.
        reason: String,
    },
    /// The bus's storage failed. Nothing more is taken until it is restarted.
    #[error("the storage of the bus failed: {reason}")]
    Storage {
        /// What is the matter, for operators.
        reason: String,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}
