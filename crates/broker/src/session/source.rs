//! Where a session's deliveries come from: a consumer of the bus, while its inbox is not
//! paused, and another one when the inbox gets or loses its order.

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
    /// Whether the inbox had order when the consumer began.
    ordered: bool,
    paused: bool,
    /// Whether that has changed since: the consumer is to go.
    outdated: bool,
}

impl Source {
    /// Begins to take from an inbox, unless it is paused.
    pub(super) async fn open(
        broker: &Broker,
        inbox: &InboxName,
        credit: u16,
    ) -> Result<Self, BusError> {
        let paused = broker.is_paused(inbox);
        let mut source = Self { credit, consumer: None, ordered: false, paused, outdated: false };
        if !source.paused {
            source.take_up(broker, inbox).await?;
        }
        Ok(source)
    }

    /// Whether nothing is handed out: the inbox is paused, or is to be taken up anew.
    pub(super) fn rests(&self) -> bool {
        self.paused || self.outdated
    }

    /// Whether the inbox got or lost its order, so that it is to be taken up anew.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Looks again at whether the inbox is paused, and ordered.
    pub(super) fn look(&mut self, broker: &Broker, inbox: &InboxName) {
        self.paused = broker.is_paused(inbox);
        // Once it is so it stays so: what the consumer held was taken back.
        self.outdated |= self.consumer.is_some() && self.ordered != broker.is_ordered(inbox);
    }

    /// Takes from the inbox once more, if it does not.
    pub(super) async fn take_up(
        &mut self,
        broker: &Broker,
        inbox: &InboxName,
    ) -> Result<(), BusError> {
        if self.consumer.is_none() {
            let ordered = broker.is_ordered(inbox);
            self.consumer = Some(broker.consume(inbox, self.credit, ordered).await?);
            self.ordered = ordered;
        }
        Ok(())
    }

    /// Takes no more; what was not handed out goes back.
    pub(super) fn let_go(&mut self) {
        self.consumer = None;
        self.outdated = false;
    }

    /// What settles deliveries; none when none is held.
    pub(super) fn settler(&self) -> Option<Arc<dyn Settle>> {
        self.consumer.as_ref().map(|consumer| Arc::clone(&consumer.settler))
    }

    /// Waits for arrivals, at most so many; for ever while nothing is handed out. Says whether
    /// there may be more.
    pub(super) async fn next(&mut self, arrived: &mut Vec<Arrival>, most: usize) -> bool {
        match &mut self.consumer {
            Some(consumer) if !self.paused && !self.outdated => {
                consumer.arrivals.recv_many(arrived, most).await > 0
            }
            _ => future::pending().await,
        }
    }
}

impl Broker {
    /// Whether nothing is handed out of an inbox.
    fn is_paused(&self, inbox: &InboxName) -> bool {
        self.inboxes.read().get(inbox).is_some_and(|settings| settings.paused)
    }

    async fn consume(
        &self,
        inbox: &InboxName,
        deliveries: u16,
        ordered: bool,
    ) -> Result<Consumer, BusError> {
        let credit = Credit { deliveries, bytes: self.options.delivery_bytes };
        if ordered {
            self.ordered.consume(&self.bus, inbox, credit, &self.work).await
        } else {
            self.bus.consume(inbox, credit).await
        }
    }
}
