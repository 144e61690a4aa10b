use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use wissel_bus::{Attempt, BusError, Envelope, Outlives};

use super::delays::Delays;
use super::leaving::Leaving;
use super::packing::OpenPack;
use super::{Buried, Command, Incoming, Places};
use crate::EmbeddedBusError;
use crate::inbox::{Arrival, Inbox, Outcome, Settled};
use crate::shared::Shared;
use crate::storage::Storage;
use crate::storage::engine::{Batch, Keyspace, PersistMode};
use crate::storage::keys::{DeadKey, message_key, ready_key, to_ms};
use crate::storage::pack::encode_body;
use crate::storage::slot::{Address, RUN_MAX, Seat, Slot, encode_dead, encode_retried, encode_run};

/// What is about to be written in one go, and who is to be told.
pub(crate) struct Pending {
    pub(super) batch: Batch,
    must_be_durable: bool,
    /// Messages that are to go together.
    pub(super) pack: OpenPack,
    /// Deliveries and messages that somebody is done with.
    pub(super) leaving: Leaving,
    /// Why it cannot be written.
    failure: Option<EmbeddedBusError>,
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
    /// It shares its entry with none, and is in the batch.
    stands_alone: bool,
    /// It waited for its retry in this inbox.
    was_delayed: bool,
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
    /// Half of some pack or more is for nobody any longer.
    pub(crate) worth_a_trim: bool,
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
                        expected.changes += 2 * usize::from(item.archive_until_ms.is_some());
                        expected.arrivals += item.inboxes.len();
                    }
                }
                Command::Settle { settled, .. } => expected.changes += settled.len() / 8,
                _ => {}
            }
        }
        expected.changes += expected.arrivals / 8;
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
            pack: OpenPack::default(),
            leaving: Leaving::default(),
            failure: None,
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
            self.pack(storage, item, places.next());
        }
        self.effects.enqueues.push(Enqueued { positions, answers, reply });
    }

    /// Puts a delivery at its place in the inbox.
    pub(crate) fn arrive(&mut self, inbox: &Arc<Inbox>, slot: Slot, envelope: Option<Envelope>) {
        let (inbox, stands_alone, was_delayed) = (Arc::clone(inbox), false, false);
        let arrived = Arrived { inbox, slot, envelope, stands_alone, was_delayed };
        self.effects.arrivals.push(arrived);
    }

    /// The same of one that waited for its retry, or was redriven.
    pub(crate) fn arrive_again(
        &mut self,
        storage: &Storage,
        inbox: &Arc<Inbox>,
        slot: Slot,
        history: &[Attempt],
        was_delayed: bool,
    ) {
        let key = ready_key(inbox.number, slot.place);
        self.batch.insert(&storage.ready, key, encode_retried(&slot, history));
        let (inbox, envelope, stands_alone) = (Arc::clone(inbox), None, true);
        let arrived = Arrived { inbox, slot, envelope, stands_alone, was_delayed };
        self.effects.arrivals.push(arrived);
    }

    /// Deliveries that came into an inbox together share an entry. Gives each its seat.
    fn write_runs(&mut self, storage: &Storage) {
        let arrivals = &mut self.effects.arrivals;
        arrivals.sort_by_key(|arrived| arrived.inbox.number);
        let together = |a: &Arrived, b: &Arrived| {
            a.inbox.number == b.inbox.number && !a.stands_alone && !b.stands_alone
        };
        for of_one_inbox in arrivals.chunk_by_mut(together) {
            if of_one_inbox[0].stands_alone {
                continue;
            }
            for run in of_one_inbox.chunks_mut(RUN_MAX) {
                let first = run[0].slot.place;
                let of = u8::try_from(run.len()).expect("a run has at most 64");
                for (index, arrived) in (0..).zip(run.iter_mut()) {
                    arrived.slot.seat = Seat { run: first, index, of };
                }
                let key = ready_key(run[0].inbox.number, first);
                let value = encode_run(run.iter().map(|arrived| &arrived.slot));
                self.batch.insert(&storage.ready, key, value);
            }
        }
    }

    /// Adds what becomes of a delivery.
    pub(crate) fn settle(
        &mut self,
        storage: &Storage,
        places: &mut Places,
        delays: &mut Delays,
        now: SystemTime,
        inbox: u32,
        settled: &Settled,
    ) {
        let slot = settled.slot;
        self.leave(storage, inbox, &slot);
        match &settled.outcome {
            Outcome::Done => self.finish(storage, &slot),
            Outcome::Retry { after, reason } => {
                let mut history = self.history(storage, inbox, &slot);
                history.push(Attempt::new(slot.attempt, now, reason.clone()));
                keep_latest(&mut history);
                let again =
                    Slot { attempt: slot.attempt.saturating_add(1), requeued: true, ..slot };
                let key = delays.key(now, *after, inbox, slot.place);
                let value = encode_retried(&again, &history);
                self.batch.insert(&storage.delayed, key.encode(), value);
                self.must_be_durable = true;
            }
            Outcome::Dead { reason, unheard, handed_out } => {
                let died_ms = to_ms(now);
                let key = DeadKey { inbox, died_ms, number: places.next() };
                let mut history = self.history(storage, inbox, &slot);
                history.extend_from_slice(unheard);
                keep_latest(&mut history);
                let attempt = Attempt::count(slot.attempt, unheard, *handed_out);
                let slot = Slot { attempt, ..slot };
                let value = encode_dead(&slot, &history, died_ms, reason);
                self.batch.insert(&storage.dead, key.encode(), value);
                self.must_be_durable = true;
            }
        }
    }

    /// The attempts before this one, which are on disk beside the delivery.
    fn history(&mut self, storage: &Storage, inbox: u32, slot: &Slot) -> Vec<Attempt> {
        if !slot.requeued {
            return Vec::new();
        }
        storage.history_of(inbox, slot).unwrap_or_else(|error| {
            self.fail(error);
            Vec::new()
        })
    }

    /// It cannot be written.
    pub(super) fn fail(&mut self, error: EmbeddedBusError) {
        self.failure.get_or_insert(error);
    }

    /// Adds a dead letter that was never a delivery.
    pub(crate) fn bury(
        &mut self,
        storage: &Storage,
        places: &mut Places,
        now: SystemTime,
        buried: &Buried,
    ) {
        let number = places.next();
        let slot = Slot {
            place: 0,
            seat: Seat::alone(0),
            message: Address { entry: number, part: None },
            admitted_ms: to_ms(buried.envelope.admitted_at),
            attempt: 0,
            length: u32::try_from(buried.envelope.event.len()).unwrap_or(u32::MAX),
            holders: 1,
            requeued: true,
        };
        let died_ms = to_ms(now);
        let key = DeadKey { inbox: buried.inbox.number, died_ms, number };
        let value = encode_dead(&slot, &[], died_ms, &buried.reason);
        self.batch.insert(&storage.messages, message_key(number), encode_body(&buried.envelope));
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

    /// Removes something that is not a delivery's own business.
    pub(crate) fn remove(&mut self, keyspace: &Keyspace, key: &[u8]) {
        self.batch.remove(keyspace, key);
    }

    /// Writes it.
    pub(crate) fn commit(mut self, storage: &Storage) -> Committed {
        self.close_pack(storage);
        self.write_runs(storage);
        let left = self.write_what_left(storage);
        let wrote = !self.batch.is_empty();
        let persist =
            if self.must_be_durable { PersistMode::SyncData } else { PersistMode::Buffer };
        let outcome = match self.failure {
            Some(error) => Err(error),
            None => storage.commit(self.batch, persist),
        };
        Committed {
            outcome,
            wrote,
            removed: left.deliveries,
            worth_a_trim: left.worth_a_trim,
            effects: self.effects,
        }
    }
}

impl Effects {
    /// Tells everyone, with the error when nothing was written.
    pub(crate) fn tell(self, shared: &Shared, error: Option<&BusError>) {
        if error.is_none() {
            hand_over(shared, &self.arrivals);
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

/// Gives each inbox its deliveries, which stand together, in their order, taking its lock once.
fn hand_over(shared: &Shared, arrivals: &[Arrived]) {
    for of_one_inbox in arrivals.chunk_by(|a, b| a.inbox.number == b.inbox.number) {
        let inbox = &of_one_inbox[0].inbox;
        let deliveries = of_one_inbox.iter().map(|arrived| Arrival {
            slot: arrived.slot,
            envelope: arrived.envelope.as_ref(),
            was_delayed: arrived.was_delayed,
        });
        if inbox.arrive(deliveries) {
            shared.feeds.push(inbox);
        }
    }
}
