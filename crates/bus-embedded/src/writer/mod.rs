//! The one thread that writes. Everything that reaches it while it writes is
//! written together next, with one fdatasync; what comes alone waits for nothing.

mod archive;
pub(crate) mod delays;
pub(crate) mod jobs;
mod leaving;
mod packing;
mod pending;
#[cfg(test)]
mod tests;
mod trimming;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wissel_bus::{BusError, Envelope, Outlives, Selection};
use wissel_identifiers::InboxName;

use crate::EmbeddedBusError;
use crate::inbox::{Inbox, Settled};
use crate::queue::Taken;
use crate::shared::Shared;
use crate::storage::engine::PersistMode;
use crate::storage::{Census, Storage};
use crate::upkeep::Removals;
use archive::ArchiveEnds;
use delays::Delays;
pub(crate) use jobs::Fate;
use jobs::Job;
use pending::{Effects, Expected, Pending};
use trimming::Trimming;

/// What the writer is asked to do.
pub(crate) enum Command {
    /// `answers` has one for each item of the call; those of `items` are still to
    /// be had.
    Enqueue {
        items: Vec<Incoming>,
        answers: Vec<Result<(), BusError>>,
        reply: oneshot::Sender<Vec<Result<(), BusError>>>,
    },
    /// Of one consumer. The reply comes when it is durable.
    Settle {
        inbox: Arc<Inbox>,
        consumer: u64,
        settled: Vec<Settled>,
        reply: Option<oneshot::Sender<Result<(), BusError>>>,
    },
    Bury {
        buried: Vec<Buried>,
        reply: oneshot::Sender<Result<(), BusError>>,
    },
    OpenInbox {
        name: InboxName,
        reply: oneshot::Sender<Result<(), BusError>>,
    },
    RemoveInbox {
        name: InboxName,
        reply: oneshot::Sender<Result<(), BusError>>,
    },
    EndDeadLetters {
        inbox: Arc<Inbox>,
        selection: Selection,
        fate: Fate,
        reply: oneshot::Sender<Result<u64, BusError>>,
    },
}

/// A message to be enqueued.
pub(crate) struct Incoming {
    /// Where its answer goes.
    pub(crate) position: usize,
    pub(crate) envelope: Envelope,
    /// Each once; none only when it is for the archive.
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    /// Until when it is kept in the archive.
    pub(crate) archive_until_ms: Option<u64>,
    /// What it outlives when its caller is answered.
    pub(crate) outlives: Outlives,
}

/// A message that is to be a dead letter at once.
pub(crate) struct Buried {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) envelope: Envelope,
    pub(crate) reason: String,
}

/// Acknowledgements, and messages that need only outlive the process, are durable after this
/// time at the latest, also when nothing else is written.
const SYNC_WITHIN: Duration = Duration::from_secs(1);

/// Gives places, each once.
pub(crate) struct Places(u64);

impl Places {
    fn next(&mut self) -> u64 {
        let place = self.0;
        self.0 += 1;
        place
    }
}

/// The state of the writing thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    storage: Arc<Storage>,
    by_number: HashMap<u32, Arc<Inbox>>,
    places: Places,
    next_inbox: u32,
    delays: Delays,
    archive_ends: ArchiveEnds,
    jobs: VecDeque<Job>,
    trimming: Trimming,
    /// Since when something is written and not synced.
    unsynced_since: Option<Instant>,
    removals: Removals,
}

impl Writer {
    /// `inboxes` are those of the census.
    pub(crate) fn new(
        shared: Arc<Shared>,
        storage: Arc<Storage>,
        census: &Census,
        inboxes: Vec<Arc<Inbox>>,
        removals: Removals,
    ) -> Self {
        let trimming = Trimming::starting(shared.clock.instant());
        Self {
            shared,
            storage,
            by_number: inboxes.into_iter().map(|inbox| (inbox.number, inbox)).collect(),
            places: Places(census.next_place),
            next_inbox: census.next_inbox,
            delays: Delays::starting(census.next_due_ms),
            archive_ends: ArchiveEnds::starting(census.archive_ends_ms),
            jobs: census.removed.iter().map(|&n| Job::purge(n)).collect(),
            trimming,
            unsynced_since: None,
            removals,
        }
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            let until = self.next_wake();
            let taken = self.shared.commands.take(until);
            if !self.step(taken) {
                break;
            }
        }
        self.end();
    }

    /// Does what it is asked, and what is due. False when nothing more comes.
    pub(crate) fn step(&mut self, taken: Taken) -> bool {
        self.bring_back_due();
        for command in self.group(taken.commands) {
            self.carry_out(command);
        }
        self.shared.commands.done(taken.cost);
        if taken.ended {
            return false;
        }
        self.work_on_job();
        self.trim_archive();
        self.trim_packs();
        self.sync_if_late();
        self.look_at_removals();
        true
    }

    /// All that was written is durable.
    pub(crate) fn end(&mut self) {
        if self.unsynced_since.is_some() {
            self.sync();
        }
    }

    /// When there is something to do without being asked.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let clock = &self.shared.clock;
        if !self.jobs.is_empty() {
            return Some(clock.instant());
        }
        if self.shared.failure().is_some() {
            return None;
        }
        let sync_at = self.unsynced_since.map(|since| since + SYNC_WITHIN);
        let trims = [self.archive_ends.next_trim(clock), self.trimming.next()];
        let due = [sync_at, self.delays.next_due(clock)].into_iter().chain(trims);
        due.flatten().min()
    }

    /// Writes enqueues and settlements together; gives back what has to be done
    /// one at a time, with what came before it already written.
    fn group(&mut self, commands: Vec<Command>) -> Vec<Command> {
        let mut apart = Vec::new();
        let now = self.shared.clock.wall();
        let mut pending = Pending::expecting(&self.storage, &Expected::of(&commands));
        for command in commands {
            match command {
                Command::Enqueue { items, answers, reply } => {
                    let ends = items.iter().filter_map(|item| item.archive_until_ms);
                    self.archive_ends.expect(ends);
                    pending.enqueue(&self.storage, &mut self.places, items, answers, reply);
                }
                // What it had goes with it, settled or not.
                Command::Settle { inbox, reply, .. } if inbox.is_removed() => {
                    let gone = Err(BusError::UnknownInbox(inbox.name.clone()));
                    let _ = reply.map(|reply| reply.send(gone));
                }
                Command::Settle { inbox, consumer, settled, reply } => {
                    let (places, delays) = (&mut self.places, &mut self.delays);
                    for one in &settled {
                        pending.settle(&self.storage, places, delays, now, inbox.number, one);
                    }
                    pending.settled(inbox, consumer, settled, reply);
                }
                other => apart.push(other),
            }
        }
        self.write(pending);
        apart
    }

    /// Writes what is pending and tells everyone.
    fn write(&mut self, pending: Pending) {
        let durable = pending.must_be_durable();
        let (outcome, effects) = self.commit(pending, durable);
        effects.tell(&self.shared, outcome.as_ref().err());
    }

    /// Writes what is pending, and notes what came of it. Nobody is told yet.
    fn commit(&mut self, pending: Pending, durable: bool) -> (Result<(), BusError>, Effects) {
        let committed = pending.commit(&self.storage);
        self.removals.add(committed.removed);
        let now = self.shared.clock.instant();
        self.trimming.expect(committed.worth_a_trim, now);
        (self.note(committed.outcome, durable, committed.wrote), committed.effects)
    }

    /// Notes that something was written, or could not be.
    fn note(
        &mut self,
        outcome: Result<(), EmbeddedBusError>,
        durable: bool,
        wrote: bool,
    ) -> Result<(), BusError> {
        match outcome {
            Ok(()) => {
                // Of nothing the engine writes nothing, and syncs nothing.
                if wrote && durable {
                    self.unsynced_since = None;
                } else if wrote {
                    let clock = &self.shared.clock;
                    self.unsynced_since.get_or_insert_with(|| clock.instant());
                }
                Ok(())
            }
            Err(error) => {
                self.shared.fail(&error);
                Err(error.into())
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        // A caller that no longer listens is no reason to stop.
        match command {
            Command::OpenInbox { name, reply } => {
                let _ = reply.send(self.open_inbox(&name));
            }
            Command::RemoveInbox { name, reply } => {
                let _ = reply.send(self.remove_inbox(&name));
            }
            Command::Bury { buried, reply } => {
                let _ = reply.send(self.bury(&buried));
            }
            Command::EndDeadLetters { inbox, selection, fate, reply } => {
                match Job::dead_letters(&self.storage, inbox, &selection, fate, reply) {
                    Ok(job) => self.jobs.push_back(job),
                    Err(error) => self.shared.fail(&error),
                }
            }
            Command::Enqueue { .. } | Command::Settle { .. } => {
                debug_assert!(false, "these are written together");
            }
        }
    }

    fn bury(&mut self, all: &[Buried]) -> Result<(), BusError> {
        if let Some(gone) = all.iter().find(|buried| buried.inbox.is_removed()) {
            return Err(BusError::UnknownInbox(gone.inbox.name.clone()));
        }
        let now = self.shared.clock.wall();
        let mut pending = Pending::new(&self.storage);
        for buried in all {
            pending.bury(&self.storage, &mut self.places, now, buried);
        }
        self.commit(pending, true).0?;
        for buried in all {
            buried.inbox.buried(1);
        }
        Ok(())
    }

    fn open_inbox(&mut self, name: &InboxName) -> Result<(), BusError> {
        if self.shared.find(name).is_some() {
            // After a removal that could not be written it may be gone all the same.
            return self.shared.check_storage();
        }
        let number = self.next_inbox;
        let next = number.checked_add(1).ok_or_else(|| BusError::Storage {
            reason: "every inbox number was used".to_owned(),
        })?;
        let mut batch = self.storage.batch();
        let value = number.to_be_bytes();
        batch.insert(&self.storage.inboxes, name.as_str(), value);
        batch.insert(&self.storage.meta, "next_inbox", next.to_be_bytes());
        let outcome = self.storage.commit(batch, PersistMode::SyncData);
        self.note(outcome, true, true)?;

        self.next_inbox = next;
        let inbox = Arc::new(Inbox::new(name.clone(), number));
        self.by_number.insert(number, Arc::clone(&inbox));
        self.shared.insert(&inbox);
        Ok(())
    }

    fn remove_inbox(&mut self, name: &InboxName) -> Result<(), BusError> {
        let Some(inbox) = self.shared.find(name) else {
            // After an opening that could not be written it may be there all the same.
            return self.shared.check_storage();
        };
        let mut batch = self.storage.batch();
        batch.remove(&self.storage.inboxes, name.as_str());
        let outcome = self.storage.commit(batch, PersistMode::SyncData);
        self.note(outcome, true, true)?;

        self.shared.forget(name);
        self.by_number.remove(&inbox.number);
        inbox.remove();
        self.jobs.push_back(Job::purge(inbox.number));
        Ok(())
    }

    fn look_at_removals(&mut self) {
        if self.removals.worth_a_look() {
            let live = self.by_number.values().map(|inbox| inbox.held()).sum();
            self.removals.look(&self.storage, live);
        }
    }

    fn sync_if_late(&mut self) {
        if let Some(since) = self.unsynced_since
            && self.shared.clock.since(since) >= SYNC_WITHIN
        {
            self.sync();
        }
    }

    fn sync(&mut self) {
        self.unsynced_since = None;
        if let Err(error) = self.storage.sync() {
            self.shared.fail(&error);
        }
    }
}
