//! Where a session's deliveries come from: a consumer of the bus, while its inbox is not
//! paused.

use std::future;
use std::sync::Arc;

use wissel_bus::{Arrival, BusError, Consumer, Credit, Settle};
use wissel_identifiers::InboxName;

use crate::Broker;

/// The consumer of a session, and whether it is to have one.
pub(super) struct Source {
    credit: u16,
    /// None while the inbox is paused and nothing of it is held.
    consumer: Option<Consumer>,
    paused: bool,
}

impl Source {
    /// Begins to take from an inbox, unless it is paused.
    pub(super) async fn open(
        broker: &Broker,
        inbox: &InboxName,
        credit: u16,
    ) -> Result<Self, BusError> {
        let mut source = Self { credit, consumer: None, paused: broker.is_paused(inbox) };
        if !source.paused {
            source.take_up(broker, inbox).await?;
        }
        Ok(source)
    }

    /// Whether the inbox is paused.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Looks again at whether the inbox is paused.
    pub(super) fn look(&mut self, broker: &Broker, inbox: &InboxName) {
        self.paused = broker.is_paused(inbox);
    }

    /// Takes from the inbox once more, if it does not.
    pub(super) async fn take_up(
        &mut self,
        broker: &Broker,
        inbox: &InboxName,
    ) -> Result<(), BusError> {
        if self.consumer.is_none() {
            self.consumer = Some(broker.consume(inbox, self.credit).await?);
        }
        Ok(())
    }

    /// Takes no more; what was not handed out goes back.
    pub(super) fn let_go(&mut self) {
        self.consumer = None;
    }

    /// What settles deliveries; none when none is held.
    pub(super) fn settler(&self) -> Option<Arc<dyn Settle>> {
        self.consumer.as_ref().map(|consumer| Arc::clone(&consumer.settler))
    }

    /// Waits for arrivals, at most so many; for ever while the inbox is paused. Says whether
    /// there may be more.
    pub(super) async fn next(&mut self, arrived: &mut Vec<Arrival>, most: usize) -> bool {
        match &mut self.consumer {
            Some(consumer) if !self.paused => consumer.arrivals.recv_many(arrived, most).await > 0,
            _ => future::pending().await,
        }
    }
}

impl Broker {
    /// Whether nothing is handed out of an inbox.
    fn is_paused(&self, inbox: &InboxName) -> bool {
        self.inboxes.read().get(inbox).is_some_and(|settings| settings.paused)
    }

    async fn consume(&self, inbox: &InboxName, deliveries: u16) -> Result<Consumer, BusError> {
        let credit = Credit { deliveries, bytes: self.options.delivery_bytes };
        if self.is_ordered(inbox) {
            self.ordered.consume(&self.bus, inbox, credit, &self.work).await
        } else {
            self.bus.consume(inbox, credit).await
        }
    }
}
