use async_trait::async_trait;

use crate::{BusError, DeadLetter, DeadLetterId, InboxName};

/// A walk over dead letters of one inbox: each that was there when the walk began is handed
/// out once, in the order of the inbox's dead letters, and whoever walks decides what
/// becomes of it. The whole of a walk is work in proportion to the dead letters, however
/// many steps it takes; a bus may go over them once more in some minutes.
///
/// Dropping a walk ends it, and loses nothing: what was not redriven or purged is left. A
/// redrive or purge that has begun is done to its end.
///
/// A walk outlives a connection that breaks. What others do with dead letters meanwhile may
/// have to wait for its next call, so whoever holds a walk goes on with it.
#[async_trait]
pub trait DeadLetterWalk: Send {
    /// The next ones, at most `limit`, and fewer when they are large; none: those were all.
    /// What the call before handed out, and was neither redriven nor purged, is left.
    async fn next(&mut self, limit: usize) -> Result<Vec<DeadLetter>, BusError>;

    /// Puts these, of what the last [`DeadLetterWalk::next`] handed out, at the end of the
    /// inbox `to`, as [`Bus::redrive`](crate::Bus::redrive) does: each is durable there
    /// before it is gone here. Says how many. What is no longer there is passed over. After
    /// an error some of them may be redriven.
    async fn redrive(&mut self, ids: &[DeadLetterId], to: &InboxName) -> Result<u64, BusError>;

    /// Removes these, of what the last [`DeadLetterWalk::next`] handed out, for good. Says
    /// how many. What is no longer there is passed over.
    async fn purge(&mut self, ids: &[DeadLetterId]) -> Result<u64, BusError>;

    /// Ends the walk; answers when what was looked at and left is back in its place.
    async fn end(self: Box<Self>);
}
