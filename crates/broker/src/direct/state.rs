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
        let mut state = self.bus.inspect(inbox).await?;
        if let Some(direct) = self.bus.direct().filter(|_| settings.direct_amqp) {
            let queue = direct.inspect(inbox).await?;
            state.depth += queue.waiting;
            state.handed_over = queue.waiting;
            state.consumers = state.consumers.saturating_sub(1) + queue.clients;
            // When what waits there was admitted is not known without taking it out: it counts
            // as being as old as the queue has been unread.
            let unread_since = self.forwarders.unread_since(inbox, queue);
            state.oldest = [state.oldest, unread_since].into_iter().flatten().min();
        }
        Ok(state)
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
