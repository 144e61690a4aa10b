use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wissel_bus::{Arrival, Credit, Delivery, DeliveryTag, Envelope};

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
    credit: Credit,
    /// Has room for the whole credit.
    arrivals: mpsc::Sender<Arrival>,
    /// In the order in which they were handed out.
    pub(super) leases: BTreeMap<u64, Lease>,
    /// Of the events of all that it holds.
    bytes: u64,
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

    /// For how many bytes there is room.
    pub(crate) fn free_bytes(&self) -> u64 {
        let with_credit = self.all.iter().filter(|consumer| consumer.free_credit() > 0);
        let free = with_credit.map(|one| one.credit.bytes.max(1).saturating_sub(one.bytes));
        free.fold(0, u64::saturating_add)
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
            consumer.holds(tag, slot);
            return Offered::Taken;
        }
        Offered::Refused
    }
}

impl ConsumerState {
    pub(crate) fn new(
        id: u64,
        credit: Credit,
        arrivals: mpsc::Sender<Arrival>,
        gone: CancellationToken,
    ) -> Self {
        Self { id, credit, arrivals, leases: BTreeMap::new(), bytes: 0, gone }
    }

    /// None while it holds as many bytes as it may: so what it holds is over that by one
    /// message at most, and a message of any size has room when it is alone.
    fn free_credit(&self) -> usize {
        if self.bytes >= self.credit.bytes.max(1) {
            return 0;
        }
        usize::from(self.credit.deliveries.max(1)).saturating_sub(self.leases.len())
    }

    fn holds(&mut self, tag: u64, slot: Slot) {
        self.bytes += u64::from(slot.length);
        self.leases.insert(tag, Lease { slot, settling: false });
    }

    /// It holds this no longer.
    pub(super) fn let_go(&mut self, tag: u64) {
        if let Some(lease) = self.leases.remove(&tag) {
            self.bytes -= u64::from(lease.slot.length);
        }
    }
}
