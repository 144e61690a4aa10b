//! A bus that is driven by hand, beside what it should do.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TryRecvError;
use wissel_bus::{Arrival, BusError, Consumer, Delivery, DeliveryTag};

use super::calls::{Answer, Call};
use super::compare::{Status, Statuses, View, same};
use super::ending::End;
use super::feeding::Feeding;
use super::model::{Model, Order, Which};
use super::queued::Queued;
use super::random::Random;
use super::{Found, Log};
use crate::EmbeddedBus;
use crate::bus::Assembled;
use crate::clock::Clock;
use crate::clock::simulated::Time;
use crate::storage::Storage;
use crate::storage::engine::simulated::Disk;
use crate::storage::keys::to_ms;
use crate::writer::Writer;

/// What is written and not synced is durable after so long.
const SYNC_WITHIN_MS: u64 = 1_000;

/// Disk, time, and the bus between two starts.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) time: Time,
    pub(super) disk: Disk,
    pub(super) model: Model,
    pub(super) statuses: Statuses,
    /// How many names of inboxes there are.
    pub(super) names: usize,
    /// How many messages of a hundred need only outlive the process.
    pub(super) unsynced: usize,
    /// Time goes on by so many milliseconds at most in one go.
    pub(super) pace_ms: usize,
    pub(super) log: Log,
    pub(super) next: u64,
    pub(super) up: Up,
    /// For the tasks of consumers, which run when they are told to.
    runtime: Runtime,
}

/// What a crash takes.
pub(super) struct Up {
    pub(super) bus: Arc<EmbeddedBus>,
    pub(super) storage: Arc<Storage>,
    pub(super) writer: Writer,
    pub(super) feeding: Arc<Mutex<Feeding>>,
    pub(super) consumers: Vec<Consuming>,
    /// What the writer was asked and has not begun.
    pub(super) queued: Vec<Queued>,
    pub(super) calls: Vec<Call>,
    pub(super) ends: Vec<End>,
    /// Nothing but a loss of power takes away what was at this moment.
    pub(super) written: usize,
    // Its other end is with the writer.
    _requests: std::sync::mpsc::Receiver<()>,
}

pub(super) struct Consuming {
    pub(super) id: u64,
    pub(super) inbox: Which,
    pub(super) credit: usize,
    pub(super) consumer: Consumer,
    pub(super) held: Vec<(DeliveryTag, Order)>,
}

impl World {
    pub(super) fn new(seed: u64, log: Log) -> Result<Self, Found> {
        let mut random = Random::of(seed);
        let (time, disk) = (Time::new(), Disk::default());
        let up = Up::on(&disk, &time, random.fork())?;
        let names = random.between(1, 4);
        let unsynced = random.pick(&[0, 20, 90, 100]);
        let pace_ms = random.pick(&[20, 400, 1_500, 12_000, 600_000]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (model, statuses) = (Model::new(), Statuses::new());
        Ok(Self {
            random,
            time,
            disk,
            model,
            statuses,
            names,
            unsynced,
            pace_ms,
            log,
            next: 0,
            up,
            runtime,
        })
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn has_failed(&self) -> bool {
        self.disk.has_failed()
    }

    /// With what the tasks of consumers need.
    pub(super) fn entered<T>(&self, what: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        what()
    }

    /// Lets the tasks of consumers go on.
    pub(super) fn let_tasks_run(&self) {
        self.runtime.block_on(async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
            }
        });
    }

    // === going down and coming up ===

    /// The end of the process, and of the last `lost` writes.
    pub(super) fn crash(&mut self, lost: usize) -> Result<(), Found> {
        self.disk.set_meanwhile(None);
        self.statuses.clear();
        self.disk.crash(lost);
        // Only now, so that nothing that ends can write.
        self.up = Up::on(&self.disk, &self.time, self.random.fork())?;
        self.let_tasks_run();
        self.find_itself()
    }

    /// What is there must be what was there at a moment, and not before one that was promised.
    fn find_itself(&mut self) -> Result<(), Found> {
        let page = self.random.between(1, 40);
        let view = View::of(&self.up.bus, self.names, page)?;
        let (mut found, mut unlike) = (None, None);
        for state in self.model.possible() {
            match view.compare(state, &self.statuses, self.model.latest_ms) {
                Ok(()) => {
                    found = Some(state.clone());
                    break;
                }
                Err(other) => unlike = unlike.or(Some(other)),
            }
        }
        let Some(found) = found else {
            let why = unlike.map(|Found(other)| other).unwrap_or_default();
            return Err(Found(format!("after a start, beside what was last: {why}")));
        };
        self.model.settle_on(found, self.time.passed_ms());
        self.up.written = self.model.latest();
        super::audit::audit(&self.up.storage)?;
        let mut hasher = DefaultHasher::new();
        self.disk.digest(&mut hasher);
        self.log.note(hasher.finish());
        Ok(())
    }

    /// The bus shows what it should.
    pub(super) fn look(&mut self) -> Result<(), Found> {
        let page = self.random.between(1, 40);
        let view = View::of(&self.up.bus, self.names, page)?;
        view.compare(&self.model.state, &self.statuses, self.model.latest_ms)?;
        super::audit::audit(&self.up.storage)
    }

    // === the writer ===

    /// What the writer does when it looks once. False when it ended.
    pub(super) fn step(&mut self) -> Result<bool, Found> {
        self.model.latest_ms = self.model.latest_ms.max(to_ms(self.time.wall()));
        let had_failed = self.has_failed();
        let taken = self.up.bus.shared.commands.take_now();
        if had_failed {
            self.up.queued.clear();
        } else {
            self.foresee(taken.commands.len());
        }
        let goes_on = self.up.writer.step(taken);
        if !had_failed {
            self.follow_ends()?;
        }
        self.let_tasks_run();
        self.hear(had_failed)?;
        if !self.has_failed() {
            self.up.written = self.model.latest();
            if let Some(then_ms) = self.time.passed_ms().checked_sub(SYNC_WITHIN_MS)
                && goes_on
            {
                self.model.promise_until(then_ms);
            }
        }
        self.collect()?;
        self.is_well()?;
        Ok(goes_on)
    }

    /// Nothing but a disk that fails makes the bus fail.
    pub(super) fn is_well(&self) -> Result<(), Found> {
        match self.up.bus.shared.failure() {
            Some(why) if !self.has_failed() => Err(Found(format!("the bus failed: {why}"))),
            Some(why) if !["StorageFull", "Poisoned"].iter().any(|known| why.contains(known)) => {
                Err(Found(format!("the bus failed of itself: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// Polls the calls that are under way.
    pub(super) fn hear(&mut self, had_failed: bool) -> Result<(), Found> {
        for mut call in std::mem::take(&mut self.up.calls) {
            match call.poll() {
                Some(answer) => self.heard(&call, answer, had_failed)?,
                None if call.expected.is_some() => {
                    return Err(Found(format!("call {} has no answer", call.number)));
                }
                None => self.up.calls.push(call),
            }
        }
        Ok(())
    }

    pub(super) fn heard(
        &mut self,
        call: &Call,
        answer: Answer,
        had_failed: bool,
    ) -> Result<(), Found> {
        self.log.note(call.number);
        if let Answer::Count(answer) = &answer
            && let Some(at) = self.up.ends.iter().position(|end| end.call == call.number)
        {
            let end = self.up.ends.remove(at);
            return self.ended(end, answer, had_failed);
        }
        // For none, nothing is written.
        let of_none = matches!(answer, Answer::Count(Ok(0)));
        let answers = answer.each();
        if had_failed && call.expected.is_none() {
            return match answers.iter().any(Result::is_ok) && !of_none {
                true => {
                    Err(Found(format!("call {} was answered by a disk that failed", call.number)))
                }
                false => Ok(()),
            };
        }
        let Some(expected) = &call.expected else {
            return Err(Found(format!("call {} was answered too soon: {answers:?}", call.number)));
        };
        same("answers", &answers.len(), &expected.len())?;
        for (position, (answer, expected)) in answers.iter().zip(expected).enumerate() {
            let failed = self.has_failed() && matches!(answer, Err(BusError::Storage { .. }));
            if !expected.is(answer) && !failed {
                let call = call.number;
                return Err(Found(format!(
                    "call {call}: answer {position} is {answer:?}, expected {expected:?}"
                )));
            }
        }
        if let Some((moment, outlives_power)) = call.promises
            && answers.iter().any(Result::is_ok)
        {
            self.up.written = self.up.written.max(moment);
            if outlives_power {
                self.model.promise(moment);
            }
        }
        Ok(())
    }

    // === consumers ===

    /// Takes what was handed out, and holds it against the order of each inbox.
    pub(super) fn collect(&mut self) -> Result<(), Found> {
        let mut handed: Vec<(usize, Delivery)> = Vec::new();
        let mut over = Vec::new();
        for (index, consuming) in self.up.consumers.iter_mut().enumerate() {
            loop {
                match consuming.consumer.arrivals.try_recv() {
                    Ok(Arrival::Delivery(delivery)) => handed.push((index, delivery)),
                    Ok(Arrival::Interrupted) => return Err(Found("interrupted".to_owned())),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        over.push(index);
                        break;
                    }
                }
            }
        }
        // In the order in which they were handed out, of all consumers.
        handed.sort_by_key(|(_, delivery)| delivery.tag);
        for (index, delivery) in handed {
            self.take(index, &delivery)?;
        }
        for index in over.into_iter().rev() {
            let gone = self.up.consumers.remove(index);
            if self.model.exists(gone.inbox) && !self.has_failed() {
                return Err(Found(format!("consumer {} of {:?} ended", gone.id, gone.inbox)));
            }
        }
        Ok(())
    }

    fn take(&mut self, index: usize, delivery: &Delivery) -> Result<(), Found> {
        let consuming = &mut self.up.consumers[index];
        let Delivery { tag, envelope, attempt } = delivery;
        (envelope.message_id.0.as_u128(), attempt, consuming.id).hash(self.log.hasher());
        if self.disk.has_failed() {
            return Ok(());
        }
        let which = consuming.inbox;
        if !self.model.exists(which) {
            return Ok(());
        }
        let inbox = &self.model.state.inboxes[&which.index];
        let first = inbox.ready.iter().find(|(order, _)| !self.statuses.contains_key(order));
        let Some((order, expected)) = first else {
            return Err(Found(format!("{which:?}: {envelope:?} comes, and nothing waits")));
        };
        self.log.write(|| {
            format!("consumer {} gets {}", consuming.id, envelope.message_id.0.as_u128())
        });
        same("what comes", envelope, &*expected.envelope)
            .and_then(|()| same("attempt", attempt, &expected.attempt))
            .map_err(|Found(what)| Found(format!("{which:?}: {what}")))?;
        consuming.held.push((*tag, *order));
        self.statuses.insert(*order, Status::Leased(consuming.id));
        Ok(())
    }

    /// How many deliveries the consumer may still be given.
    fn free_credit(&self, consuming: &Consuming) -> usize {
        let its = [Status::Leased(consuming.id), Status::Settling(consuming.id)];
        let taken = self.statuses.values().filter(|status| its.contains(status)).count();
        consuming.credit.saturating_sub(taken)
    }

    /// When all threads are at rest, nothing waits for a consumer that has credit.
    pub(super) fn nothing_is_held_up(&self) -> Result<(), Found> {
        for consuming in &self.up.consumers {
            let inbox = &self.model.state.inboxes[&consuming.inbox.index];
            let waiting = inbox.ready.keys().filter(|order| !self.statuses.contains_key(order));
            let (free, waiting) = (self.free_credit(consuming), waiting.count());
            if free > 0 && waiting > 0 {
                let Consuming { id, inbox, .. } = consuming;
                return Err(Found(format!(
                    "{waiting} wait in {inbox:?}, and consumer {id} has credit for {free}"
                )));
            }
        }
        Ok(())
    }
}

impl Up {
    fn on(disk: &Disk, time: &Time, random: Random) -> Result<Self, Found> {
        let storage = Arc::new(Storage::simulated(disk)?);
        let clock = Clock::Simulated(time.clone());
        let assembled = EmbeddedBus::assemble(Arc::clone(&storage), clock)?;
        let Assembled { bus, writer, requests } = assembled;
        let feeding = Feeding::new(Arc::clone(&bus.shared), Arc::clone(&storage), random);
        let feeding = Arc::new(Mutex::new(feeding));
        let meanwhile = Arc::clone(&feeding);
        disk.set_meanwhile(Some(Box::new(move || meanwhile.lock().meanwhile())));
        Ok(Self {
            bus: Arc::new(bus),
            storage,
            writer,
            feeding,
            consumers: Vec::new(),
            queued: Vec::new(),
            calls: Vec::new(),
            ends: Vec::new(),
            written: 0,
            _requests: requests,
        })
    }
}
