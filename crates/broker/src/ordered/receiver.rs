use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{Arrival, BusError, Delivery, DeliveryTag, Settle, Settlement};

use super::lanes::Lanes;

/// A session that takes deliveries of an ordered inbox.
pub(super) struct Receiver {
    pub(super) id: u64,
    credit: usize,
    /// Has room for the whole credit, and one interruption.
    arrivals: mpsc::Sender<Arrival>,
    /// The numbers of what it has not settled.
    pub(super) held: BTreeSet<u64>,
    /// Cancelled when it is no receiver any more.
    pub(super) gone: CancellationToken,
}

/// Settles what one receiver holds.
pub(super) struct ReceiverSettler {
    pub(super) lanes: Arc<Lanes>,
    pub(super) receiver: u64,
    pub(super) tasks: TaskTracker,
}

impl Receiver {
    pub(super) fn new(
        id: u64,
        arrivals: mpsc::Sender<Arrival>,
        credit: u16,
        gone: CancellationToken,
    ) -> Self {
        Self { id, credit: usize::from(credit.max(1)), arrivals, held: BTreeSet::new(), gone }
    }

    pub(super) fn free_credit(&self) -> usize {
        self.credit.saturating_sub(self.held.len())
    }

    /// One place is kept for the word of an interruption.
    pub(super) fn has_credit(&self) -> bool {
        self.free_credit() > 0 && self.arrivals.capacity() > 1
    }

    /// Whether it has credit, but has yet to take up what is void since an interruption.
    pub(super) fn is_behind(&self) -> bool {
        self.free_credit() > 0 && self.arrivals.capacity() <= 1
    }

    /// False when it is gone.
    pub(super) fn take(&mut self, number: u64, delivery: Delivery) -> bool {
        let taken = self.arrivals.try_send(Arrival::Delivery(delivery)).is_ok();
        if taken {
            self.held.insert(number);
        }
        taken
    }

    /// What it held is void. False when it cannot be told: it is gone, or did not even take
    /// up the interruption before.
    pub(super) fn interrupt(&mut self) -> bool {
        self.held.clear();
        self.arrivals.try_send(Arrival::Interrupted).is_ok()
    }
}

#[async_trait]
impl Settle for ReceiverSettler {
    async fn settle(
        &self,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>> {
        let (lanes, receiver, count) = (Arc::clone(&self.lanes), self.receiver, settlements.len());
        // To its end, also when nobody waits for it any more: what the bus is done with, the
        // lanes are to know, or what comes after it would wait for ever.
        let settling = self.tasks.spawn(async move { lanes.settle(receiver, settlements).await });
        settling.await.unwrap_or_else(|_| vec![Err(BusError::Closed); count])
    }
}

impl Drop for ReceiverSettler {
    fn drop(&mut self) {
        self.lanes.leave(self.receiver);
    }
}
