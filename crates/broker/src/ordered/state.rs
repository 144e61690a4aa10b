//! What one consumer of the bus brought, in lanes, and who has it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{
    Arrival, Attempt, BusError, Delivery, DeliveryTag, Envelope, MessageId, Settle, Settlement,
};
use wissel_message::EventView;

use super::WINDOW;
use super::receiver::Receiver;
use crate::clock;

/// What one consumer of the bus brought, and who has it.
#[derive(Default)]
pub(super) struct State {
    /// While there are receivers.
    source: Option<Source>,
    receivers: Vec<Receiver>,
    next_receiver: u64,
    /// By number: in the order of arrival.
    items: BTreeMap<u64, Item>,
    next_item: u64,
    /// The items of each subject, in their order. Only the first is handed out.
    lanes: HashMap<u64, VecDeque<u64>, foldhash::fast::RandomState>,
    /// Items that may be handed out.
    ready: BTreeSet<u64>,
    /// Items that wait for their retry.
    waiting: BTreeSet<(Instant, u64)>,
    /// Attempts that the bus did not hear of, by message.
    attempts: HashMap<Copy, Attempts, foldhash::fast::RandomState>,
}

/// What is to become a receiver: where its deliveries go, its credit, and what is cancelled
/// when it is none any more.
pub(super) type Joining = (mpsc::Sender<Arrival>, u16, CancellationToken);

/// The consumer of the bus.
struct Source {
    settler: Arc<dyn Settle>,
    stop: CancellationToken,
}

/// A delivery that is not settled.
struct Item {
    tag: DeliveryTag,
    envelope: Envelope,
    /// As the bus knows it.
    attempt: u32,
    lane: Option<u64>,
}

/// A message, as it came or replayed: these are two deliveries.
pub(crate) type Copy = (MessageId, bool);

impl Item {
    fn copy(&self) -> Copy {
        (self.envelope.message_id, self.envelope.replayed)
    }
}

/// The attempts of a message, and when it may come again.
struct Attempts {
    /// How many in all.
    count: u32,
    /// The latest, as many as a bus keeps.
    made: Vec<Attempt>,
    not_before: Instant,
}

/// The most messages of which attempts are remembered.
const REMEMBERED_MAX: usize = 4 * WINDOW as usize;

impl State {
    // === receivers ===

    /// Adds a receiver to those that there are; none when there is none.
    pub(super) fn join(&mut self, joining: Joining) -> Option<u64> {
        self.source.as_ref()?;
        let id = self.add_receiver(joining);
        self.hand_out();
        Some(id)
    }

    /// Begins to consume, for a first receiver.
    pub(super) fn begin(
        &mut self,
        settler: Arc<dyn Settle>,
        stop: CancellationToken,
        joining: Joining,
    ) -> u64 {
        self.source = Some(Source { settler, stop });
        self.add_receiver(joining)
    }

    /// What settles on the bus, while the inbox is consumed.
    pub(super) fn settler(&self) -> Option<Arc<dyn Settle>> {
        self.source.as_ref().map(|source| Arc::clone(&source.settler))
    }

    fn add_receiver(&mut self, (arrivals, credit, gone): Joining) -> u64 {
        let id = self.next_receiver;
        self.next_receiver += 1;
        self.receivers.push(Receiver::new(id, arrivals, credit, gone));
        id
    }

    /// What it held may be handed out to others; after the last one everything goes back to
    /// the bus.
    pub(super) fn remove_receiver(&mut self, id: u64) {
        let Some(index) = self.receivers.iter().position(|receiver| receiver.id == id) else {
            return;
        };
        let gone = self.receivers.swap_remove(index);
        gone.gone.cancel();
        self.ready.extend(gone.held);
        if self.receivers.is_empty() {
            self.end();
        } else {
            self.hand_out();
        }
    }

    /// The inbox is consumed no longer. Attempts are remembered.
    pub(super) fn end(&mut self) {
        self.forget_items();
        for receiver in self.receivers.drain(..) {
            receiver.gone.cancel();
        }
        if let Some(source) = self.source.take() {
            source.stop.cancel();
        }
    }

    /// The bus took everything back, and brings it again.
    pub(super) fn interrupted(&mut self) {
        self.forget_items();
        self.receivers.retain_mut(Receiver::interrupt);
    }

    fn forget_items(&mut self) {
        self.items.clear();
        self.lanes.clear();
        self.ready.clear();
        self.waiting.clear();
    }

    // === deliveries ===

    pub(super) fn arrive(&mut self, delivery: Delivery) {
        let Delivery { tag, envelope, attempt } = delivery;
        let number = self.next_item;
        self.next_item += 1;
        let lane = self.lane_of(&envelope);
        self.items.insert(number, Item { tag, envelope, attempt, lane });
        let first = match lane {
            Some(lane) => {
                let lane = self.lanes.entry(lane).or_default();
                lane.push_back(number);
                lane.len() == 1
            }
            None => true,
        };
        if first {
            self.may_go(number);
            self.hand_out();
        }
    }

    /// The subject, hashed; none when there is none, or the message cannot be read: that is
    /// for the session to find out.
    fn lane_of(&self, envelope: &Envelope) -> Option<u64> {
        let event = EventView::decode(envelope.event.clone()).ok()?;
        event.subject().map(|subject| self.lanes.hasher().hash_one(subject))
    }

    /// An item is the first of its lane: it is ready, unless its retry is not due.
    fn may_go(&mut self, number: u64) {
        let Some(item) = self.items.get(&number) else { return };
        let attempts = self.attempts.get(&item.copy());
        match attempts.map(|attempts| attempts.not_before) {
            Some(due) if due > Instant::now() => {
                self.waiting.insert((due, number));
            }
            _ => {
                self.ready.insert(number);
            }
        }
    }

    /// When to look next: when a retry is due, or soon when a receiver has yet to take up
    /// what is void.
    pub(super) fn next_due(&self) -> Option<Instant> {
        const SOON: Duration = Duration::from_millis(20);
        let starved = !self.ready.is_empty() && self.receivers.iter().any(Receiver::is_behind);
        let soon = starved.then(|| Instant::now() + SOON);
        let due = self.waiting.first().map(|(due, _)| *due);
        [soon, due].into_iter().flatten().min()
    }

    pub(super) fn bring_back_due(&mut self) {
        let now = Instant::now();
        while let Some((due, number)) = self.waiting.first().copied()
            && due <= now
        {
            self.waiting.pop_first();
            self.ready.insert(number);
        }
        self.hand_out();
    }

    /// Hands what is ready, in its order, to receivers that have credit, in turn.
    pub(super) fn hand_out(&mut self) {
        while let Some(&number) = self.ready.first() {
            let next = self.receivers.iter_mut().filter(|receiver| receiver.has_credit());
            // The one with the most credit, so that everyone gets a share.
            let Some(receiver) = next.max_by_key(|receiver| receiver.free_credit()) else { return };
            self.ready.pop_first();
            let Some(item) = self.items.get(&number) else { continue };
            let made = self.attempts.get(&item.copy());
            let unheard = made.map_or(0, |attempts| attempts.count);
            let delivery = Delivery {
                tag: DeliveryTag(number),
                envelope: item.envelope.clone(),
                attempt: item.attempt.saturating_add(unheard),
            };
            if !receiver.take(number, delivery) {
                // It is leaving; whoever watches it takes it out.
                self.ready.insert(number);
                return;
            }
        }
    }

    /// What has to be settled on the bus, and of which message: the bus may be done with it when
    /// there is no receiver any more.
    pub(super) fn settle(
        &mut self,
        receiver: u64,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> Result<Option<(Copy, DeliveryTag, Settlement)>, BusError> {
        let number = tag.0;
        let holder = self.receivers.iter_mut().find(|one| one.id == receiver);
        let held = holder.is_some_and(|holder| holder.held.remove(&number));
        let Some(item) = self.items.get(&number).filter(|_| held) else {
            return Err(BusError::NotHeld(tag));
        };
        let copy = item.copy();
        match settlement {
            Settlement::Acknowledge => Ok(Some((copy, item.tag, Settlement::Acknowledge))),
            Settlement::DeadLetter { reason, mut unheard, handed_out } => {
                unheard.splice(0..0, self.unheard(copy));
                let dead = Settlement::DeadLetter { reason, unheard, handed_out };
                Ok(Some((copy, item.tag, dead)))
            }
            Settlement::Release => {
                self.ready.insert(number);
                Ok(None)
            }
            Settlement::Retry { after, reason } => {
                let heard = item.attempt;
                self.remember(copy, heard, reason, Instant::now() + after);
                self.may_go(number);
                Ok(None)
            }
        }
    }

    /// The attempts of a message that the bus did not hear of, oldest first.
    pub(super) fn unheard(&self, copy: Copy) -> Vec<Attempt> {
        self.attempts.get(&copy).map(|attempts| attempts.made.clone()).unwrap_or_default()
    }

    /// The bus is done with what was here for no receiver.
    pub(super) fn forget(&mut self, copy: Copy) {
        self.attempts.remove(&copy);
    }

    fn remember(&mut self, copy: Copy, heard: u32, reason: String, not_before: Instant) {
        if self.attempts.len() >= REMEMBERED_MAX {
            let items = &self.items;
            let here: BTreeSet<Copy> = items.values().map(Item::copy).collect();
            self.attempts.retain(|copy, _| here.contains(copy));
        }
        let empty = || Attempts { count: 0, made: Vec::new(), not_before };
        let attempts = self.attempts.entry(copy).or_insert_with(empty);
        let number = heard.saturating_add(attempts.count);
        attempts.count = attempts.count.saturating_add(1);
        if attempts.made.len() >= Attempt::KEPT {
            attempts.made.remove(0);
        }
        attempts.made.push(Attempt::new(number, clock::wall(), reason));
        attempts.not_before = not_before;
    }

    /// The bus is done with it: the next one of its lane may go. When its receiver was the last
    /// and has gone, it is here no more, and its attempts are: they are not those of a dead letter
    /// that is put back.
    pub(super) fn done(&mut self, number: u64, copy: Copy) {
        self.forget(copy);
        let Some(item) = self.items.remove(&number) else { return };
        let Some(lane_key) = item.lane else { return };
        let Some(lane) = self.lanes.get_mut(&lane_key) else { return };
        debug_assert_eq!(lane.front(), Some(&number));
        lane.pop_front();
        match lane.front().copied() {
            Some(next) => self.may_go(next),
            None => {
                self.lanes.remove(&lane_key);
            }
        }
    }

    /// The bus took it back, and brings it again. So it did with what comes behind it in its
    /// lane, of which the interruption to come tells: that must not go before it.
    pub(super) fn void(&mut self, number: u64) {
        let Some(item) = self.items.remove(&number) else { return };
        let Some(lane_key) = item.lane else { return };
        let Some(lane) = self.lanes.get_mut(&lane_key) else { return };
        lane.retain(|other| *other != number);
        match lane.front().copied() {
            None => {
                self.lanes.remove(&lane_key);
            }
            // It has come again already: there was nothing else to tell of an interruption.
            Some(next)
                if self.items.get(&next).is_some_and(|again| again.copy() == item.copy()) =>
            {
                self.may_go(next);
            }
            Some(_) => {}
        }
    }

    /// It could not be settled: the receiver has it as before, or it is ready again.
    pub(super) fn hold_again(&mut self, receiver: u64, number: u64) {
        if !self.items.contains_key(&number) {
            return;
        }
        match self.receivers.iter_mut().find(|one| one.id == receiver) {
            Some(holder) => {
                holder.held.insert(number);
            }
            None => {
                self.ready.insert(number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
