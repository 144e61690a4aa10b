//! Cases (the pattern **dispatch**): a message to the one party that is competent, of which
//! it is known how it stands until it is decided.
//!
//! ```text
//! published -> the competent party's inbox
//!           -> the exchange's inbox -> opened here, with what is due ([`watch`])
//!
//! status of the competent party -> held against the case ([`acting`]) -> the sender's inbox
//! a moment that is due          -> reminder, lapse or decision ([`due`]) -> the outbox
//! ```
//!
//! A case may be a report of doubt about registered data (the pattern **report**): those who
//! doubt the same are told the same, and a correction ends their reports ([`reports`]).
//!
//! The id of a case is that of its message. Everything that changes one is done one after the
//! other, so that a decision and the end of the term do not pass each other.

mod acting;
mod due;
mod messages;
mod reports;
mod state;
mod watch;

use tokio::sync::{Mutex, Notify};
use wissel_broker::{Reason, Refusal};

pub use acting::StatusChange;
pub(crate) use acting::is_concerned;
pub use state::Status;

/// Cases at one gateway.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    /// Held by whoever changes a case.
    turn: Mutex<()>,
    /// That something may be due earlier than it was.
    due: Notify,
    /// That a case was opened.
    opened: Notify,
}

fn unknown() -> Refusal {
    Refusal::new(Reason::UnknownCase, "there is no such case that you may see")
}
