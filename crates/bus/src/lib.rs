//! The [`Bus`] trait, its words, and the conformance suite that every bus must
//! pass.
//!
//! A bus keeps durable queues, called inboxes, and hands what is in them to
//! consumers. It knows nothing of event types, grants or filters: the broker
//! decides what goes where, the bus sees to it that it gets there.
//!
//! # What a bus promises
//!
//! 1. When [`Bus::enqueue`] answers `Ok` for an item, its message is durable in
//!    every inbox named: a crash of this process, or of the machine, loses
//!    nothing of it.
//! 2. A delivery that is not settled comes again: after its consumer is dropped,
//!    after a crash, after a lost connection. At least once, never less.
//! 3. Deliveries of one lane ([`Enqueue::lane`]) that were never retried come in the
//!    order in which they were enqueued.
//! 4. A consumer that does not take its deliveries holds at most its credit in
//!    memory, in deliveries and in bytes, and holds back nobody else.
//! 5. A dead letter stays until it is redriven or purged.
//!
//! A call that cannot be carried out now waits, for a bounded time, and then
//! fails with [`BusError::Unavailable`].

mod archive;
mod delivery;
mod direct;
mod error;
mod inbox;
mod said;
mod walk;

#[cfg(feature = "conformance")]
pub mod conformance;

use async_trait::async_trait;

pub use archive::{ArchivePage, ArchivePosition, Archived};
pub use delivery::{
    Arrival, Attempt, Burial, Consumer, Credit, DeadLetter, DeadLetterId, Delivery, DeliveryTag,
    Enqueue, Envelope, FieldsKey, MessageId, Outlives, Settle, Settlement,
};
pub use direct::{
    DirectMessage, DirectQueues, DirectState, DirectValue, Handed, Judgement, Removal, Reviewed,
};
pub use error::BusError;
pub use inbox::{InboxState, Level, PAGE_BYTES, Page, Selection, Shown, Stand, Unsettled};
pub use said::Said;
pub use walk::DeadLetterWalk;
pub use wissel_identifiers::{InboxName, ScopedNameError};

/// A durable message bus. See the crate's page for what it promises.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// What operators call this kind of bus: `embedded`, `amqp`.
    fn kind(&self) -> &'static str;

    /// Whether the bus takes messages now.
    fn health(&self) -> Health;

    /// Creates the inbox when it does not exist, and makes it known to this bus.
    /// Doing it again changes nothing.
    async fn open_inbox(&self, inbox: &InboxName) -> Result<(), BusError>;

    /// Removes the inbox with all that is in it, dead letters too. Its consumers
    /// end. Removing what does not exist is no error. Retries that wait may be kept
    /// elsewhere, as on RabbitMQ: they come should the inbox be opened again.
    async fn remove_inbox(&self, inbox: &InboxName) -> Result<(), BusError>;

    /// Puts each message in each of its inboxes; one answer an item, in the order
    /// of the items, given when that item is durable. An item that fails may
    /// still arrive, in some or all of its inboxes; one with an unknown inbox
    /// fails with [`BusError::UnknownInbox`]. An item that is for the archive is durable
    /// there as well; one without inboxes and archive is `Ok`.
    ///
    /// Calls run side by side; items of one call, and of calls made one after
    /// the other without awaiting, keep their order, but for that of different lanes.
    async fn enqueue(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>>;

    /// Puts messages among the dead letters of an inbox at once, with no attempt made; one
    /// answer each, in order, given when it is durable.
    async fn bury(&self, burials: Vec<Burial>) -> Vec<Result<(), BusError>>;

    /// Starts to consume an inbox, with at most `credit` unsettled at a time. Dropping the
    /// [`Consumer`] gives back what it holds.
    async fn consume(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError>;

    /// As [`Bus::consume`], when nobody else consumes the inbox, in any process: begins
    /// when they are gone and what they held was given back, so that deliveries come in
    /// their order, however the ones before ended. After [`Arrival::Interrupted`] it is the
    /// same. While others stay it fails with [`BusError::Unavailable`], after a bounded
    /// time, or brings nothing.
    async fn consume_alone(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError>;

    /// How full the inbox is, at most a second ago; none when there is no such inbox or it
    /// is not known yet. Never waits.
    fn level(&self, inbox: &InboxName) -> Option<Level>;

    /// How the inbox fares.
    async fn inspect(&self, inbox: &InboxName) -> Result<InboxState, BusError>;

    /// The first messages of the inbox that are not settled, at most `limit`, up to the one with
    /// which they are [`PAGE_BYTES`] ([`Shown`]), in the order in which they are handed out,
    /// retries that wait at the end. Looking takes nothing out and changes no order. A bus that
    /// cannot show all without disturbing who consumes shows those that it can, or fails with
    /// [`BusError::Unavailable`].
    async fn browse(&self, inbox: &InboxName, limit: usize) -> Result<Vec<Unsettled>, BusError>;

    /// Whether [`Bus::browse`] shows retries that wait, too. Those that it cannot show are counted
    /// all the same ([`InboxState::delayed`]).
    fn shows_retries(&self) -> bool;

    /// Dead letters of the inbox, oldest first, up to the one with which they are [`PAGE_BYTES`].
    /// A page that is not full ([`Page::is_full`]) was the last.
    async fn dead_letters(
        &self,
        inbox: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, BusError>;

    /// One dead letter of the inbox; none when there is none of this id.
    async fn dead_letter(
        &self,
        inbox: &InboxName,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, BusError>;

    /// Puts dead letters of `inbox` at the end of the inbox `to`, which may be another,
    /// with their attempts counted anew and those before kept in its history, marked as such.
    /// Says how many. A dead letter that is no longer there is passed over. After a crash in the
    /// middle, one may be both redriven and still a dead letter, never neither.
    async fn redrive(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        to: &InboxName,
    ) -> Result<u64, BusError>;

    /// Removes dead letters for good. Says how many.
    async fn purge_dead_letters(
        &self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<u64, BusError>;

    /// Begins to walk over dead letters of the inbox: see [`DeadLetterWalk`]. What is redriven or
    /// purged by and by, or after a look at it, is so in one go, where pages and calls for each
    /// of them may look at all dead letters every time.
    async fn walk_dead_letters<'a>(
        &'a self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<Box<dyn DeadLetterWalk + 'a>, BusError>;

    /// Messages in the archive, in the order of their admission, up to the one with which they
    /// are [`PAGE_BYTES`]. A page that is not full ([`ArchivePage::is_full`]): there are no more
    /// at this moment. What is over its time is not shown.
    async fn archived(&self, page: ArchivePage) -> Result<Vec<Archived>, BusError>;

    /// Queues that the owners of inboxes read with clients of their own; none: this bus has
    /// no such queues.
    fn direct(&self) -> Option<&dyn DirectQueues> {
        None
    }

    /// Stops: consumers end, what they hold is given back, what was enqueued is
    /// durable. Afterwards every call fails with [`BusError::Closed`].
    async fn close(&self);
}

/// Whether a bus takes messages now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// True when [`Bus::enqueue`] is expected to succeed without waiting.
    pub ready: bool,
    /// One sentence for operators.
    pub detail: String,
}
