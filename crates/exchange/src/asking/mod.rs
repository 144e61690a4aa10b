//! Asking: a question, and its answer by a deadline.

mod answer;
mod gather;
mod listen;
mod question;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;
use wissel_bus::Envelope;
use wissel_identifiers::Oin;

pub use answer::{Answer, Failure, FailureCode};
pub use gather::{Gathered, Outcome};

/// A question to one party.
#[derive(Debug, Clone)]
pub struct Question {
    /// The message, in the CloudEvents protobuf format.
    pub event: Bytes,
    /// Who is to answer; none: the only party that may and has an inbox for it.
    pub to: Option<Oin>,
    /// How long to wait; none, or more than the catalogue allows: as the catalogue says.
    pub within: Option<Duration>,
}

/// The questions of askers that wait at this gateway.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    open: Mutex<HashMap<Uuid, Arc<Open>>>,
}

/// A question whose asker waits.
#[derive(Debug)]
struct Open {
    asker: Oin,
    /// The event type of answers.
    answer_type: Arc<str>,
    /// Whether an answer is on its way.
    answered: Mutex<bool>,
    /// To the asker, from who was asked. Holds the answer, and a few that do not count.
    answers: mpsc::Sender<Envelope>,
}
