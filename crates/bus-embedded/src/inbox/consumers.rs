use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wissel_bus::{Arrival, Delivery, DeliveryTag, Envelope};

use crate::storage::slot::Slot;

/// The consumers of one inbox, and what they hold.
#[derive(Default)]
pub(crate) struct Consumers {
    all: Vec<ConsumerState>,
    /// Who is asked first, so that everyone gets a share.
    turn: usize,
}

pub(crate) struct ConsumerState {
    pub(crate) id: u64,
    pub(crate) credit: usize,
    /// Has room for the whole credit.
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    /// In the order in which they were handed out.
    pub(crate) leases: BTreeMap<u64, Lease>,
    /// Ends the task that waits for the consumer to be dropped.
    pub(crate) gone: CancellationToken,
}

pub(crate) struct Lease {
    pub(crate) slot: Slot,
    /// A retry or a dead letter of it is being written.
    pub(crate) settling: bool,
}

/// What [`Consumers::offer`] did.
pub(crate) enum Offered {
    /// A consumer has it.
    Taken,
    /// Nobody has credit.
    Refused,
    /// This consumer is no more; offer again.
    Gone(ConsumerState),
}

impl Consumers {
    pub(crate) fn add(&mut self, consumer: ConsumerState) {
        self.all.push(consumer);
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut ConsumerState> {
        self.all.iter_mut().find(|consumer| consumer.id == id)
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<ConsumerState> {
        let index = self.all.iter().position(|consumer| consumer.id == id)?;
        Some(self.all.remove(index))
    }

    pub(crate) fn remove_all(&mut self) -> Vec<ConsumerState> {
        std::mem::take(&mut self.all)
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// How many deliveries they hold.
    pub(crate) fn held(&self) -> usize {
        self.all.iter().map(|consumer| consumer.leases.len()).sum()
    }

    /// How many deliveries may be handed out now.
    pub(crate) fn free_credit(&self) -> usize {
        self.all.iter().map(ConsumerState::free_credit).sum()
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.all.iter().flat_map(|consumer| consumer.leases.values())
    }

    /// Hands a delivery to the next consumer that has credit.
    pub(crate) fn offer(&mut self, tag: u64, slot: Slot, envelope: &Envelope) -> Offered {
        let count = self.all.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let consumer = &mut self.all[index];
            if consumer.free_credit() == 0 {
                continue;
            }
            self.turn = index + 1;
            let delivery = Delivery {
                tag: DeliveryTag(tag),
                envelope: envelope.clone(),
                attempt: slot.attempt,
            };
            // The channel has room for the credit, so only its end can be in the way.
            if consumer.arrivals.try_send(Arrival::Delivery(delivery)).is_err() {
                return Offered::Gone(self.all.remove(index));
            }
            let settling = false;
            consumer.leases.insert(tag, Lease { slot, settling });
            return Offered::Taken;
        }
        Offered::Refused
    }
}

impl ConsumerState {
    fn free_credit(&self) -> usize {
        self.credit.saturating_sub(self.leases.len())
    }
}
