//! One inbox, in memory.

mod ages;
mod consumers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use wissel_bus::{Attempt, BusError, DeliveryTag, Envelope, InboxState, Level, Settlement, Stand};
use wissel_identifiers::InboxName;

pub(crate) use ages::Ages;
pub(crate) use consumers::ConsumerState;
use consumers::{Consumers, Offered};

use crate::storage::keys::from_ms;
use crate::storage::slot::Slot;
use crate::storage::{Cursor, InboxCensus};

/// One inbox: its name, its number on disk, and what changes.
pub(crate) struct Inbox {
    pub(crate) name: InboxName,
    pub(crate) number: u32,
    /// Never held while the disk is waited for.
    state: Mutex<State>,
}

/// A delivery is in one of four sets: on disk behind the cursor, at hand, leased
/// to a consumer, or delayed. Only the leased and those at hand are in memory;
/// together they are never more than the credit that consumers have had at a
/// time, and one chunk.
struct State {
    removed: bool,
    /// Nothing before this waits on disk.
    cursor: Cursor,
    /// How many wait on disk, at the cursor or behind it.
    waiting: u64,
    /// Given back, or read and not handed out; all before the cursor. By place.
    at_hand: BTreeMap<u64, Slot>,
    delayed: u64,
    dead: u64,
    /// Of the events of all but the dead.
    bytes: u64,
    /// Of those that wait or are delayed, the ones out of the order of age.
    requeued: Ages,
    consumers: Consumers,
    /// Whether the feeder was told.
    called: bool,
}

/// A delivery that was written into the inbox.
pub(crate) struct Arrival<'a> {
    pub(crate) slot: Slot,
    /// Its message, when it is at hand.
    pub(crate) envelope: Option<&'a Envelope>,
    /// It waited here for its retry until now.
    pub(crate) was_delayed: bool,
}

/// What the feeder is to fetch for an inbox.
pub(crate) struct Plan {
    /// At hand, without their messages.
    pub(crate) at_hand: Vec<Slot>,
    /// Then those that wait on disk from here on,
    pub(crate) from: Cursor,
    /// at most so many.
    pub(crate) limit: usize,
    /// Of the messages of all these there is room for so many bytes, the last may go over it.
    pub(crate) bytes: u64,
}

/// Which deliveries on disk are not settled, and what they wait for.
pub(crate) struct Sight {
    leased: BTreeSet<u64>,
    at_hand: BTreeSet<u64>,
    /// The first run that any of these is in.
    first_run: Option<u64>,
    /// From here on they wait on disk; none: none does.
    cursor: Option<Cursor>,
    /// Whether there are retries that wait.
    pub(crate) delayed: bool,
}

/// A settlement that has to be written.
pub(crate) struct Settled {
    /// Where its answer goes.
    pub(crate) position: usize,
    pub(crate) tag: DeliveryTag,
    pub(crate) slot: Slot,
    pub(crate) outcome: Outcome,
}

/// What becomes of a delivery that does not simply go back.
pub(crate) enum Outcome {
    Done,
    Retry { after: std::time::Duration, reason: String },
    Dead { reason: String, unheard: Vec<Attempt>, handed_out: bool },
}

/// Tags are never used twice in a process, so that no consumer can settle by
/// mistake what another holds.
static NEXT_TAG: AtomicU64 = AtomicU64::new(1);

impl Inbox {
    pub(crate) fn new(name: InboxName, number: u32) -> Self {
        Self::from_census(
            number,
            InboxCensus {
                name,
                first: Cursor::default(),
                ready: 0,
                delayed: 0,
                dead: 0,
                bytes: 0,
                requeued: Ages::default(),
            },
        )
    }

    pub(crate) fn from_census(number: u32, census: InboxCensus) -> Self {
        let state = State {
            removed: false,
            cursor: census.first,
            waiting: census.ready,
            at_hand: BTreeMap::new(),
            delayed: census.delayed,
            dead: census.dead,
            bytes: census.bytes,
            requeued: census.requeued,
            consumers: Consumers::default(),
            called: false,
        };
        Self { name: census.name, number, state: Mutex::new(state) }
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.state.lock().removed
    }

    // === consumers come and go ===

    pub(crate) fn has_consumers(&self) -> bool {
        self.state.lock().consumers.count() > 0
    }

    /// Whether a consumer can take something now.
    pub(crate) fn has_credit(&self) -> bool {
        self.state.lock().consumers.free_credit() > 0
    }

    /// True when the feeder has to be told. Refused when the inbox was removed,
    /// or `closed` says that the bus is.
    pub(crate) fn attach(
        &self,
        consumer: ConsumerState,
        closed: impl Fn() -> bool,
    ) -> Result<bool, BusError> {
        let mut state = self.state.lock();
        if closed() {
            return Err(BusError::Closed);
        }
        if state.removed {
            return Err(BusError::UnknownInbox(self.name.clone()));
        }
        state.consumers.add(consumer);
        Ok(state.call_feeder())
    }

    /// Gives back what the consumer holds. True when the feeder has to be told.
    pub(crate) fn detach(&self, consumer: u64) -> bool {
        let mut state = self.state.lock();
        if let Some(gone) = state.consumers.remove(consumer) {
            state.take_back(gone);
        }
        state.call_feeder()
    }

    /// Ends every consumer.
    pub(crate) fn detach_all(&self) {
        let mut state = self.state.lock();
        for gone in state.consumers.remove_all() {
            state.take_back(gone);
        }
    }

    /// From now on nothing is taken and nothing handed out.
    pub(crate) fn remove(&self) {
        self.state.lock().removed = true;
        self.detach_all();
    }

    // === deliveries come in ===

    /// Takes deliveries that were written, in the order of their places. Those
    /// that come with their message go straight to a consumer when nothing waits
    /// before them. True when the feeder has to be told.
    pub(crate) fn arrive<'a>(&self, deliveries: impl Iterator<Item = Arrival<'a>>) -> bool {
        let mut state = self.state.lock();
        for Arrival { slot, envelope, was_delayed } in deliveries {
            if was_delayed {
                // At once, so that nobody counts it twice, or not at all.
                state.delayed = state.delayed.saturating_sub(1);
                state.forget_bytes(&slot);
                state.requeued.remove(slot.admitted_ms);
            }
            state.bytes += u64::from(slot.length);
            let first_in_line = state.waiting == 0 && state.at_hand.is_empty();
            if let Some(envelope) = envelope
                && first_in_line
                && state.hand_out(slot, envelope)
            {
                continue;
            }
            if slot.requeued {
                state.requeued.add(slot.admitted_ms);
            }
            if state.waiting == 0 {
                state.cursor = Cursor::at(&slot);
            }
            state.waiting += 1;
        }
        state.call_feeder()
    }

    // === the feeder ===

    /// What to fetch now: as many as consumers have credit for, at most `limit`.
    pub(crate) fn plan(&self, limit: usize) -> Option<Plan> {
        let mut state = self.state.lock();
        state.called = false;
        let wanted = state.consumers.free_credit().min(limit);
        if wanted == 0 || state.removed {
            return None;
        }
        let at_hand: Vec<Slot> = state.at_hand.values().take(wanted).copied().collect();
        let waiting = usize::try_from(state.waiting).unwrap_or(usize::MAX);
        let limit = (wanted - at_hand.len()).min(waiting);
        let bytes = state.consumers.free_bytes();
        let from = state.cursor;
        (limit > 0 || !at_hand.is_empty()).then_some(Plan { at_hand, from, limit, bytes })
    }

    /// Takes what was read from disk by a plan and hands out what it can, in the
    /// order of the places. What finds no consumer, or comes behind a delivery that
    /// was given back meanwhile, stays at hand. True when the feeder has to be told
    /// again.
    pub(crate) fn fed(&self, read: &[Slot], deliveries: &[(Slot, Envelope)]) -> bool {
        let mut state = self.state.lock();
        for slot in read {
            state.at_hand.insert(slot.place, *slot);
            state.waiting -= 1;
            state.cursor = Cursor::behind(slot);
        }
        for (slot, envelope) in deliveries {
            if state.at_hand.first_key_value().map(|(place, _)| *place) != Some(slot.place) {
                break;
            }
            state.at_hand.pop_first();
            if slot.requeued {
                state.requeued.remove(slot.admitted_ms);
            }
            if !state.hand_out(*slot, envelope) {
                state.give_back(*slot);
                break;
            }
        }
        state.call_feeder()
    }

    // === settling ===

    /// Settles what needs no writing; answers each, and adds what has to be
    /// written to `to_write`. True when the feeder has to be told.
    pub(crate) fn settle(
        &self,
        consumer: u64,
        settlements: Vec<(DeliveryTag, Settlement)>,
        to_write: &mut Vec<Settled>,
    ) -> (Vec<Result<(), BusError>>, bool) {
        let mut state = self.state.lock();
        let mut answers = Vec::with_capacity(settlements.len());
        for (position, (tag, settlement)) in settlements.into_iter().enumerate() {
            let settled = state.settle(consumer, tag, settlement);
            answers.push(settled.map(|to_be_written| {
                to_write.extend(to_be_written.map(|(slot, outcome)| Settled {
                    position,
                    tag,
                    slot,
                    outcome,
                }));
            }));
        }
        let call_feeder = state.call_feeder();
        (answers, call_feeder)
    }

    /// A retry or a dead letter was written, or could not be: then the consumer
    /// still holds it. True when the feeder has to be told.
    pub(crate) fn settled(&self, consumer: u64, settled: &Settled, written: bool) -> bool {
        let mut state = self.state.lock();
        let holder = state.consumers.get_mut(consumer);
        match (holder, written) {
            (Some(holder), true) => {
                holder.let_go(settled.tag.0);
            }
            (Some(holder), false) => {
                if let Some(lease) = holder.leases.get_mut(&settled.tag.0) {
                    lease.settling = false;
                }
            }
            (None, true) => {}
            (None, false) => state.give_back(settled.slot),
        }
        if written {
            match settled.outcome {
                Outcome::Done => {}
                Outcome::Retry { .. } => {
                    state.delayed += 1;
                    state.requeued.add(settled.slot.admitted_ms);
                }
                Outcome::Dead { .. } => {
                    state.dead += 1;
                    state.forget_bytes(&settled.slot);
                }
            }
        }
        state.call_feeder()
    }

    /// Dead letters came that were never in the inbox.
    pub(crate) fn buried(&self, count: u64) {
        self.state.lock().dead += count;
    }

    /// Dead letters were redriven or purged.
    pub(crate) fn dead_gone(&self, count: u64) {
        let mut state = self.state.lock();
        state.dead = state.dead.saturating_sub(count);
    }

    // === inspect ===

    pub(crate) fn level(&self) -> Option<Level> {
        let state = self.state.lock();
        let in_memory = state.at_hand.len() + state.consumers.held();
        let deliveries = state.waiting + count(in_memory) + state.delayed;
        (!state.removed).then_some(Level { deliveries, bytes: state.bytes })
    }

    /// How many deliveries and dead letters there are.
    pub(crate) fn held(&self) -> u64 {
        let state = self.state.lock();
        let in_memory = state.at_hand.len() + state.consumers.leases().count();
        state.waiting + count(in_memory) + state.delayed + state.dead
    }

    /// What to read to see what is not settled.
    pub(crate) fn sight(&self) -> Result<Sight, BusError> {
        let state = self.state.lock();
        if state.removed {
            return Err(BusError::UnknownInbox(self.name.clone()));
        }
        let leased = || state.consumers.leases().map(|lease| &lease.slot);
        Ok(Sight {
            leased: leased().map(|slot| slot.place).collect(),
            at_hand: state.at_hand.keys().copied().collect(),
            first_run: leased().chain(state.at_hand.values()).map(|slot| slot.seat.run).min(),
            // Where nothing waits it may lie far behind.
            cursor: (state.waiting > 0).then_some(state.cursor),
            delayed: state.delayed > 0,
        })
    }

    /// The state, and where the first delivery on disk is that may be older than
    /// the `oldest` of the state.
    pub(crate) fn inspect(&self) -> Result<(InboxState, Option<Cursor>), BusError> {
        let state = self.state.lock();
        if state.removed {
            return Err(BusError::UnknownInbox(self.name.clone()));
        }
        let in_flight = state.consumers.leases().count();
        let leased = state.consumers.leases().map(|lease| lease.slot.admitted_ms);
        let at_hand = state.at_hand.values().map(|slot| slot.admitted_ms);
        let oldest_ms = leased.chain(at_hand).chain(state.requeued.oldest_ms()).min();
        let counted = InboxState {
            depth: state.waiting + count(state.at_hand.len()) + state.delayed,
            depth_is_least: false,
            delayed: state.delayed,
            handed_over: 0,
            in_flight: count(in_flight),
            consumers: u32::try_from(state.consumers.count()).unwrap_or(u32::MAX),
            oldest: oldest_ms.map(from_ms),
            dead_letters: state.dead,
        };
        Ok((counted, (state.waiting > 0).then_some(state.cursor)))
    }
}

impl Sight {
    /// Nothing in a run before this one is unsettled; none: nothing in any.
    pub(crate) fn from(&self) -> Option<u64> {
        [self.first_run, self.cursor.map(|cursor| cursor.run)].into_iter().flatten().min()
    }

    /// None of what is settled, and about to go.
    pub(crate) fn stand(&self, place: u64) -> Option<Stand> {
        if self.leased.contains(&place) {
            return Some(Stand::InFlight);
        }
        let waits = self.cursor.is_some_and(|cursor| place >= cursor.place);
        (waits || self.at_hand.contains(&place)).then_some(Stand::Ready)
    }
}

impl State {
    /// True when there is something to hand out and the feeder was not told yet.
    fn call_feeder(&mut self) -> bool {
        let something = self.waiting > 0 || !self.at_hand.is_empty();
        let call = something && !self.called && self.consumers.free_credit() > 0;
        self.called |= call;
        call
    }

    /// False when nobody has credit.
    fn hand_out(&mut self, slot: Slot, envelope: &Envelope) -> bool {
        loop {
            let tag = NEXT_TAG.fetch_add(1, Ordering::Relaxed);
            match self.consumers.offer(tag, slot, envelope) {
                Offered::Taken => return true,
                Offered::Refused => return false,
                Offered::Gone(consumer) => self.take_back(consumer),
            }
        }
    }

    fn forget_bytes(&mut self, slot: &Slot) {
        self.bytes = self.bytes.saturating_sub(u64::from(slot.length));
    }

    fn give_back(&mut self, slot: Slot) {
        if slot.requeued {
            self.requeued.add(slot.admitted_ms);
        }
        self.at_hand.insert(slot.place, slot);
    }

    fn take_back(&mut self, consumer: ConsumerState) {
        consumer.gone.cancel();
        for lease in consumer.leases.into_values() {
            // What is settling is the writer's.
            if !lease.settling {
                self.give_back(lease.slot);
            }
        }
    }

    /// What has to be written of it.
    fn settle(
        &mut self,
        consumer: u64,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> Result<Option<(Slot, Outcome)>, BusError> {
        let not_held = BusError::NotHeld(tag);
        let Some(holder) = self.consumers.get_mut(consumer) else {
            return Err(not_held);
        };
        let Some(lease) = holder.leases.get_mut(&tag.0).filter(|lease| !lease.settling) else {
            return Err(not_held);
        };
        let slot = lease.slot;
        let outcome = match settlement {
            Settlement::Release => {
                holder.let_go(tag.0);
                self.give_back(slot);
                return Ok(None);
            }
            Settlement::Acknowledge => {
                holder.let_go(tag.0);
                self.forget_bytes(&slot);
                Outcome::Done
            }
            Settlement::Retry { after, reason } => {
                lease.settling = true;
                Outcome::Retry { after, reason }
            }
            Settlement::DeadLetter { reason, unheard, handed_out } => {
                lease.settling = true;
                Outcome::Dead { reason, unheard, handed_out }
            }
        };
        Ok(Some((slot, outcome)))
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
