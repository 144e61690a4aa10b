//! Queues from which the owner of an inbox takes its messages with a client of its own.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BusError, Envelope, InboxName};

/// What some buses can do: beside an inbox, keep a second, short queue that its owner
/// reads itself, without Wissel in between. What is in it was handed over: Wissel settles
/// none of it, but takes back what waits.
#[async_trait]
pub trait DirectQueues: Send + Sync {
    /// Creates the queue of an inbox when it does not exist. Doing it again changes nothing.
    async fn open(&self, inbox: &InboxName) -> Result<(), BusError>;

    /// Puts messages at the end of the queue, in their order; one answer each, given when it
    /// is durable. One that fails may still arrive.
    async fn hand_over(
        &self,
        inbox: &InboxName,
        messages: &[DirectMessage],
    ) -> Vec<Result<Handed, BusError>>;

    /// Takes all that waits in the queue, and puts each message back or among the dead
    /// letters of the inbox, as `judge` says. They keep their order. What a client holds
    /// stays with it. Says how many stayed and how many died. After a crash in the middle
    /// some may be there twice. Nothing may be handed over meanwhile.
    async fn review(
        &self,
        inbox: &InboxName,
        judge: &(dyn for<'e> Fn(&'e Envelope) -> Judgement + Send + Sync),
    ) -> Result<Reviewed, BusError>;

    /// How the queue of an inbox fares.
    async fn inspect(&self, inbox: &InboxName) -> Result<DirectState, BusError>;

    /// Puts all that waits in the queue back at the end of the inbox, and removes the queue,
    /// unless a client consumes it.
    async fn remove(&self, inbox: &InboxName) -> Result<Removal, BusError>;
}

/// A message as a client that is not Wissel's gets it: attributes by name, and data.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectMessage {
    /// The message. Its event ends with its data.
    pub envelope: Envelope,
    /// How many bytes at the end of the event are its data.
    pub data_length: usize,
    /// The media type of the data.
    pub content_type: Option<String>,
    /// Every other attribute by its name, the required ones as well.
    pub attributes: Vec<(String, DirectValue)>,
    /// When it becomes a dead letter should it wait that long; none: never. Milliseconds are
    /// kept.
    pub expires_at: Option<SystemTime>,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq)]
pub enum DirectValue {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
}

/// What became of a message that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// It is durable in the queue.
    Durable,
    /// There is no room; later there may be.
    Full,
}

/// What is to become of a message that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is put back, as it is here.
    Keep(Box<DirectMessage>),
    /// It becomes a dead letter, for this reason.
    Bury(String),
}

/// How a queue fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectState {
    /// How many messages wait in it; those that a client holds are not known.
    pub waiting: u64,
    /// How many clients consume it.
    pub clients: u32,
}

/// What a review came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reviewed {
    /// How many messages were put back.
    pub kept: u64,
    /// How many became dead letters.
    pub buried: u64,
}

/// What became of a queue that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// A client consumes it, so it stays.
    InUse,
}

// === impl DirectMessage ===

impl DirectMessage {
    /// The event without its data.
    #[must_use]
    pub fn head(&self) -> Bytes {
        self.envelope.event.slice(..self.head_length())
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> Bytes {
        self.envelope.event.slice(self.head_length()..)
    }

    fn head_length(&self) -> usize {
        self.envelope.event.len().saturating_sub(self.data_length)
    }
}

impl fmt::Debug for DirectMessage {
    /// Neither attributes nor data are shown: they may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectMessage")
            .field("envelope", &self.envelope)
            .field("data_length", &self.data_length)
            .field("content_type", &self.content_type)
            .field("attributes", &self.attributes.len())
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl fmt::Debug for DirectValue {
    /// The value is not shown: it may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean(_) => "Boolean",
            Self::Integer(_) => "Integer",
            Self::Text(_) => "Text",
            Self::Bytes(_) => "Bytes",
        })
    }
}
