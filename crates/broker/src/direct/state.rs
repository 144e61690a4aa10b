//! How an inbox fares, when an AMQP client of its owner reads it.

use std::time::SystemTime;

use wissel_bus::{BusError, DirectState, InboxState};
use wissel_identifiers::InboxName;
use wissel_store::InboxSettings;

use crate::{Broker, clock};

impl Broker {
    /// How an inbox fares. When its owner has an AMQP client for it, what waits in the queue of
    /// that client waits in the inbox, and the clients of the queue are consumers of the inbox;
    /// the forwarder between the two is none.
    pub(crate) async fn inspect(
        &self,
        inbox: &InboxName,
        settings: &InboxSettings,
    ) -> Result<InboxState, BusError> {
        let state = self.bus.inspect(inbox).await?;
        let Some(direct) = self.bus.direct().filter(|_| settings.direct_amqp) else {
            return Ok(state);
        };
        let queue = direct.inspect(inbox).await?;
        let unread_since = self.forwarders.unread_since(inbox, queue);
        Ok(together(state, queue, unread_since))
    }
}

/// When the messages that wait in the queue were admitted is not known without taking them out
/// of it: they count as being as old as the queue has been unread.
fn together(inbox: InboxState, queue: DirectState, unread_since: Option<SystemTime>) -> InboxState {
    InboxState {
        depth: inbox.depth + queue.waiting,
        consumers: inbox.consumers.saturating_sub(1) + queue.clients,
        oldest: [inbox.oldest, unread_since].into_iter().flatten().min(),
        ..inbox
    }
}

impl super::Forwarders {
    /// Since when something has waited in a queue that no client consumes, as far as was seen.
    fn unread_since(&self, inbox: &InboxName, queue: DirectState) -> Option<SystemTime> {
        let mut unread = self.unread.lock();
        if queue.waiting == 0 || queue.clients > 0 {
            unread.remove(inbox);
            return None;
        }
        Some(*unread.entry(inbox.clone()).or_insert_with(clock::wall))
    }
}
