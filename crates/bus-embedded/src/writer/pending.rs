use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use fjall::{OwnedWriteBatch, PersistMode, UserValue};
use tokio::sync::oneshot;
use wissel_bus::{Attempt, BusError, Envelope, Outlives};

use super::delays::Delays;
use super::{Buried, Command, Incoming, Places};
use crate::EmbeddedBusError;
use crate::inbox::{Inbox, Outcome, Settled};
use crate::shared::Shared;
use crate::storage::Storage;
use crate::storage::archive::{encode_archived, end_key};
use crate::storage::records::{
    ArchiveKey, DeadKey, Slot, decode_history, encode_dead, encode_retried, message_key, ready_key,
    to_ms,
};

/// What is about to be written in one go, and who is to be told.
pub(crate) struct Pending {
    batch: OwnedWriteBatch,
    must_be_durable: bool,
    /// How many inboxes are left to each message of several that one of them is
    /// done with.
    shares: HashMap<u64, u32>,
    /// Why it cannot be written.
    failure: Option<EmbeddedBusError>,
    /// Deliveries that are done with.
    removed: u64,
    effects: Effects,
}

/// What happens once it is written.
#[derive(Default)]
pub(crate) struct Effects {
    arrivals: Vec<Arrived>,
    enqueues: Vec<Enqueued>,
    settlements: Vec<Settlements>,
}

/// A delivery that came into an inbox. With its message when that is at hand.
struct Arrived {
    inbox: Arc<Inbox>,
    slot: Slot,
    envelope: Option<Envelope>,
}

struct Enqueued {
    positions: Vec<usize>,
    answers: Vec<Result<(), BusError>>,
    reply: oneshot::Sender<Vec<Result<(), BusError>>>,
}

struct Settlements {
    inbox: Arc<Inbox>,
    consumer: u64,
    settled: Vec<Settled>,
    reply: Option<oneshot::Sender<Result<(), BusError>>>,
}

/// What came of a commit.
pub(crate) struct Committed {
    pub(crate) outcome: Result<(), EmbeddedBusError>,
    /// False when there was nothing to write.
    pub(crate) wrote: bool,
    /// Deliveries that are done with.
    pub(crate) removed: u64,
    pub(crate) effects: Effects,
}

/// How much is about to be added. Room is made for it at once, as a list of some megabytes
/// would be copied again and again while it grows.
#[derive(Default)]
pub(crate) struct Expected {
    changes: usize,
    arrivals: usize,
}

impl Expected {
    pub(crate) fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut expected = Self::default();
        for command in commands {
            match command {
                Command::Enqueue { items, .. } => {
                    for item in items {
                        let archived = 2 * usize::from(item.archive_until_ms.is_some());
                        expected.changes += 1 + item.inboxes.len() + archived;
                        expected.arrivals += item.inboxes.len();
                    }
                }
                // The delivery, and its message or how many still have that.
                Command::Settle { settled, .. } => expected.changes += 2 * settled.len(),
                _ => {}
            }
        }
        expected
    }
}

impl Pending {
    pub(crate) fn new(storage: &Storage) -> Self {
        Self::expecting(storage, &Expected::default())
    }

    pub(crate) fn expecting(storage: &Storage, expected: &Expected) -> Self {
        Self {
            batch: storage.batch_of(expected.changes),
            must_be_durable: false,
            shares: HashMap::new(),
            failure: None,
            removed: 0,
            effects: Effects {
                arrivals: Vec::with_capacity(expected.arrivals),
                ..Effects::default()
            },
        }
    }

    pub(crate) fn must_be_durable(&self) -> bool {
        self.must_be_durable
    }

    /// What is added must be on the disk when its caller is answered.
    pub(crate) fn make_durable(&mut self) {
        self.must_be_durable = true;
    }

    /// Adds the items of one call.
    pub(crate) fn enqueue(
        &mut self,
        storage: &Storage,
        places: &mut Places,
        items: Vec<Incoming>,
        mut answers: Vec<Result<(), BusError>>,
        reply: oneshot::Sender<Vec<Result<(), BusError>>>,
    ) {
        let mut positions = Vec::with_capacity(items.len());
        for item in items {
            if let Some(gone) = item.inboxes.iter().find(|inbox| inbox.is_removed()) {
                answers[item.position] = Err(BusError::UnknownInbox(gone.name.clone()));
                continue;
            }
            positions.push(item.position);
            self.must_be_durable |= item.outlives == Outlives::PowerLoss;
            self.enqueue_one(storage, item, places.next());
        }
        self.effects.enqueues.push(Enqueued { positions, answers, reply });
    }

    fn enqueue_one(&mut self, storage: &Storage, item: Incoming, place: u64) {
        let holders = item.inboxes.len() + usize::from(item.archive_until_ms.is_some());
        let holders = u32::try_from(holders).unwrap_or(u32::MAX);
        let slot = Slot {
            place,
            message: place,
            admitted_ms: to_ms(item.envelope.admitted_at),
            attempt: 1,
            length: u32::try_from(item.envelope.event.len()).unwrap_or(u32::MAX),
            holders,
            requeued: false,
        };
        self.batch.insert(&storage.messages, message_key(slot.message), item.body);
        if let Some(until_ms) = item.archive_until_ms {
            let key = ArchiveKey { admitted_ms: slot.admitted_ms, message: slot.message };
            let value = encode_archived(until_ms, holders);
            self.batch.insert(&storage.archive, key.encode(), value);
            self.batch.insert(&storage.archive_ends, end_key(until_ms, key), []);
        }
        for inbox in item.inboxes {
            self.arrive(storage, &inbox, slot, Some(item.envelope.clone()));
        }
    }

    /// Puts a delivery at its place in the inbox.
    pub(crate) fn arrive(
        &mut self,
        storage: &Storage,
        inbox: &Arc<Inbox>,
        slot: Slot,
        envelope: Option<Envelope>,
    ) {
        self.arrive_with(storage, inbox, slot, slot.encode(), envelope);
    }

    /// The same, with the value of the delivery: its slot, and what comes behind that.
    pub(crate) fn arrive_with(
        &mut self,
        storage: &Storage,
        inbox: &Arc<Inbox>,
        slot: Slot,
        value: impl Into<UserValue>,
        envelope: Option<Envelope>,
    ) {
        let key = ready_key(inbox.number, slot.place);
        self.batch.insert(&storage.ready, key, value);
        self.effects.arrivals.push(Arrived { inbox: Arc::clone(inbox), slot, envelope });
    }

    /// Adds what becomes of a delivery.
    pub(crate) fn settle(
        &mut self,
        storage: &Storage,
        places: &mut Places,
        delays: &mut Delays,
        inbox: u32,
        settled: &Settled,
    ) {
        let slot = settled.slot;
        self.batch.remove(&storage.ready, ready_key(inbox, slot.place));
        match &settled.outcome {
            Outcome::Done => self.finish(storage, &slot),
            Outcome::Retry { after, reason } => {
                let mut history = self.history(storage, inbox, &slot);
                let at = SystemTime::now();
                history.push(Attempt { number: slot.attempt, at, reason: reason.clone() });
                keep_latest(&mut history);
                let again =
                    Slot { attempt: slot.attempt.saturating_add(1), requeued: true, ..slot };
                let key = delays.key(*after, inbox, slot.place);
                let value = encode_retried(&again, &history);
                self.batch.insert(&storage.delayed, key.encode(), value);
                self.must_be_durable = true;
            }
            Outcome::Dead { reason, unheard } => {
                let died_ms = to_ms(SystemTime::now());
                let key = DeadKey { inbox, died_ms, number: places.next() };
                let mut history = self.history(storage, inbox, &slot);
                history.extend_from_slice(unheard);
                keep_latest(&mut history);
                let more = u32::try_from(unheard.len()).unwrap_or(u32::MAX);
                let slot = Slot { attempt: slot.attempt.saturating_add(more), ..slot };
                let value = encode_dead(&slot, &history, died_ms, reason);
                self.batch.insert(&storage.dead, key.encode(), value);
                self.must_be_durable = true;
            }
        }
    }

    /// The attempts before this one, which are on disk beside the delivery.
    fn history(&mut self, storage: &Storage, inbox: u32, slot: &Slot) -> Vec<Attempt> {
        if slot.attempt <= 1 {
            return Vec::new();
        }
        let read = storage.ready.get(ready_key(inbox, slot.place)).map_err(Into::into);
        let read = read.and_then(|value| decode_history(&value.unwrap_or_default()));
        read.unwrap_or_else(|error| {
            self.failure.get_or_insert(error);
            Vec::new()
        })
    }

    /// Adds a dead letter that was never a delivery.
    pub(crate) fn bury(&mut self, storage: &Storage, places: &mut Places, buried: &Buried) {
        let number = places.next();
        let slot = Slot {
            place: 0,
            message: number,
            admitted_ms: to_ms(buried.admitted_at),
            attempt: 0,
            length: buried.length,
            holders: 1,
            requeued: true,
        };
        let died_ms = to_ms(SystemTime::now());
        let key = DeadKey { inbox: buried.inbox.number, died_ms, number };
        let value = encode_dead(&slot, &[], died_ms, &buried.reason);
        self.batch.insert(&storage.messages, message_key(number), buried.body.clone());
        self.batch.insert(&storage.dead, key.encode(), value);
        self.must_be_durable = true;
    }

    /// Tells, when it is written, whom the settlements of one call concern.
    pub(crate) fn settled(
        &mut self,
        inbox: Arc<Inbox>,
        consumer: u64,
        settled: Vec<Settled>,
        reply: Option<oneshot::Sender<Result<(), BusError>>>,
    ) {
        self.effects.settlements.push(Settlements { inbox, consumer, settled, reply });
    }

    /// One inbox is done with a message; the last one takes it away.
    pub(crate) fn finish(&mut self, storage: &Storage, slot: &Slot) {
        self.let_go(storage, slot.message, slot.holders);
    }

    /// One of those who hold a message, an inbox or the archive, is done with it.
    pub(crate) fn let_go(&mut self, storage: &Storage, message: u64, holders: u32) {
        self.removed += 1;
        let key = message_key(message);
        if holders <= 1 {
            self.batch.remove(&storage.messages, key);
            return;
        }
        let left = match self.shares.get(&message) {
            Some(left) => *left,
            None => match storage.shares_left(message, holders) {
                Ok(left) => left,
                Err(error) => {
                    self.failure.get_or_insert(error);
                    return;
                }
            },
        };
        self.shares.insert(message, left.saturating_sub(1));
    }

    /// Removes something that is not a delivery's own business.
    pub(crate) fn remove(&mut self, keyspace: &fjall::Keyspace, key: &[u8]) {
        self.batch.remove(keyspace, key);
    }

    /// Writes it.
    pub(crate) fn commit(mut self, storage: &Storage) -> Committed {
        for (message, left) in self.shares.drain() {
            let key = message_key(message);
            if left == 0 {
                self.batch.remove(&storage.messages, key);
                self.batch.remove(&storage.shares, key);
            } else {
                self.batch.insert(&storage.shares, key, left.to_be_bytes());
            }
        }
        let wrote = !self.batch.is_empty();
        let persist =
            if self.must_be_durable { PersistMode::SyncData } else { PersistMode::Buffer };
        let outcome = match self.failure {
            Some(error) => Err(error),
            None => storage.commit(self.batch, persist),
        };
        Committed { outcome, wrote, removed: self.removed, effects: self.effects }
    }
}

impl Effects {
    /// Tells everyone, with the error when nothing was written.
    pub(crate) fn tell(self, shared: &Shared, error: Option<&BusError>) {
        if error.is_none() {
            hand_over(shared, self.arrivals);
        }
        for mut enqueued in self.enqueues {
            if let Some(error) = error {
                for position in enqueued.positions {
                    enqueued.answers[position] = Err(error.clone());
                }
            }
            // A caller that no longer listens is no reason to stop.
            let _ = enqueued.reply.send(enqueued.answers);
        }
        for settlements in self.settlements {
            let Some(reply) = settlements.reply else {
                continue;
            };
            let inbox = &settlements.inbox;
            let mut call_feeder = false;
            for settled in &settlements.settled {
                call_feeder |= inbox.settled(settlements.consumer, settled, error.is_none());
            }
            if call_feeder {
                shared.feeds.push(inbox);
            }
            let _ = reply.send(error.cloned().map_or(Ok(()), Err));
        }
    }
}

fn keep_latest(history: &mut Vec<Attempt>) {
    let many = history.len().saturating_sub(Attempt::KEPT);
    history.drain(..many);
}

/// Gives each inbox its deliveries, in their order, taking its lock once.
fn hand_over(shared: &Shared, mut arrivals: Vec<Arrived>) {
    arrivals.sort_by_key(|arrived| arrived.inbox.number);
    for of_one_inbox in arrivals.chunk_by(|a, b| a.inbox.number == b.inbox.number) {
        let inbox = &of_one_inbox[0].inbox;
        let deliveries =
            of_one_inbox.iter().map(|arrived| (arrived.slot, arrived.envelope.as_ref()));
        if inbox.arrive(deliveries) {
            shared.feeds.push(inbox);
        }
    }
}
