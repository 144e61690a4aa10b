use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use wissel_bus::{Attempt, BusError, Selection};

use super::Writer;
use super::pending::Pending;
use crate::EmbeddedBusError;
use crate::inbox::Inbox;
use crate::storage::Storage;
use crate::storage::engine::UserValue;
use crate::storage::keys::{DeadKey, from_ms};
use crate::storage::slot::{Slot, decode_dead};

/// So much is done at a time; then it is the turn of what was asked meanwhile.
/// Fewer in tests, which so meet several turns.
pub(crate) const CHUNK: usize = if cfg!(test) { 16 } else { 1024 };

/// Work that may be too long for one go.
pub(crate) enum Job {
    /// Removes what is left of an inbox that was removed. What waits for a retry
    /// goes when that is due.
    Purge { inbox: u32, from: u64 },
    /// Takes dead letters away.
    DeadLetters(DeadLettersJob),
}

pub(crate) struct DeadLettersJob {
    inbox: Arc<Inbox>,
    source: Source,
    fate: Fate,
    done: u64,
    reply: oneshot::Sender<Result<u64, BusError>>,
}

/// What becomes of dead letters.
pub(crate) enum Fate {
    /// They go to the end of this inbox.
    Redriven(Arc<Inbox>),
    /// They are gone.
    Purged,
}

/// Which dead letters.
pub(crate) enum Source {
    /// Those behind the one and up to the other.
    Range {
        after: Option<DeadKey>,
        last: Option<DeadKey>,
    },
    Named(BTreeSet<DeadKey>),
}

type DeadEntry = (DeadKey, UserValue);

impl Job {
    pub(super) fn purge(inbox: u32) -> Self {
        Self::Purge { inbox, from: 0 }
    }

    pub(super) fn dead_letters(
        storage: &Storage,
        inbox: Arc<Inbox>,
        selection: &Selection,
        fate: Fate,
        reply: oneshot::Sender<Result<u64, BusError>>,
    ) -> Result<Self, EmbeddedBusError> {
        let source = match selection {
            Selection::All => {
                Source::Range { after: None, last: storage.youngest_dead(inbox.number)? }
            }
            Selection::These(ids) => Source::Named(
                ids.iter().filter_map(|id| DeadKey::from_id(inbox.number, id)).collect(),
            ),
        };
        Ok(Self::DeadLetters(DeadLettersJob { inbox, source, fate, done: 0, reply }))
    }
}

impl Source {
    /// The next, and whether there may be more.
    fn next(
        &mut self,
        storage: &Storage,
        inbox: u32,
    ) -> Result<(Vec<DeadEntry>, bool), EmbeddedBusError> {
        match self {
            Self::Range { last: None, .. } => Ok((Vec::new(), false)),
            Self::Range { after, last: Some(last) } => {
                let mut entries = storage.dead_entries(inbox, *after, CHUNK)?;
                let more = entries.len() == CHUNK;
                entries.retain(|(key, _)| key <= last);
                *after = entries.last().map(|(key, _)| *key);
                let more = more && after.is_some_and(|key| key < *last);
                Ok((entries, more))
            }
            Self::Named(keys) => {
                let mut entries = Vec::new();
                for _ in 0..CHUNK {
                    let Some(key) = keys.pop_first() else { break };
                    if let Some(value) = storage.dead.get(key.encode())? {
                        entries.push((key, value));
                    }
                }
                Ok((entries, !keys.is_empty()))
            }
        }
    }
}

impl Writer {
    /// Does a part of the first job; when there is more, it joins the line again.
    pub(super) fn work_on_job(&mut self) {
        match self.jobs.pop_front() {
            None => {}
            Some(Job::Purge { inbox, from }) => match self.purge(inbox, from) {
                Ok(Some(from)) => self.jobs.push_back(Job::Purge { inbox, from }),
                Ok(None) => {}
                // The next start finds what is left.
                Err(error) => self.shared.fail(&error),
            },
            Some(Job::DeadLetters(mut job)) => match self.end_dead_letters(&mut job) {
                Ok(true) => self.jobs.push_back(Job::DeadLetters(job)),
                Ok(false) => {
                    let _ = job.reply.send(Ok(job.done));
                }
                Err(error) => {
                    let _ = job.reply.send(Err(error));
                }
            },
        }
    }

    /// From which place to go on; none when nothing is left.
    fn purge(&mut self, inbox: u32, from: u64) -> Result<Option<u64>, EmbeddedBusError> {
        let mut pending = Pending::new(&self.storage);
        let (mut count, mut go_on) = (0, None);
        for run in self.storage.runs(inbox, from) {
            let run = run?;
            pending.remove_run(&self.storage, inbox, run.first);
            for slot in &run.slots {
                pending.finish(&self.storage, slot);
            }
            count += run.slots.len().max(1);
            go_on = Some(run.last + 1);
            if count >= CHUNK {
                break;
            }
        }
        if go_on.is_none() {
            let dead = self.storage.dead_entries(inbox, None, CHUNK)?;
            for (key, value) in &dead {
                let (slot, _, _) = decode_dead(value)?;
                pending.remove(&self.storage.dead, &key.encode());
                pending.finish(&self.storage, &slot);
            }
            go_on = (dead.len() == CHUNK).then_some(from);
        }
        // When it cannot be written, the next start finds what is left.
        Ok(self.commit(pending, false).0.ok().and(go_on))
    }

    /// Takes the next away. Says whether there may be more.
    fn end_dead_letters(&mut self, job: &mut DeadLettersJob) -> Result<bool, BusError> {
        let DeadLettersJob { inbox, source, fate, done, .. } = job;
        let to = match &*fate {
            Fate::Redriven(to) => Some(to),
            Fate::Purged => None,
        };
        if let Some(gone) = [Some(&*inbox), to].into_iter().flatten().find(|one| one.is_removed()) {
            return Err(BusError::UnknownInbox(gone.name.clone()));
        }
        let next = source.next(&self.storage, inbox.number);
        let (entries, more) = next.inspect_err(|error| self.shared.fail(error))?;
        let mut pending = Pending::new(&self.storage);
        pending.make_durable();
        for (key, value) in &entries {
            let decoded = decode_dead(value);
            let (slot, reason, history) = decoded.inspect_err(|error| self.shared.fail(error))?;
            pending.remove(&self.storage.dead, &key.encode());
            match to {
                Some(to) => {
                    let place = self.places.next();
                    let again = Slot { attempt: 1, requeued: true, ..slot.at(place) };
                    let last = Attempt::new(slot.attempt, from_ms(key.died_ms), reason);
                    let history = Attempt::before_redrive(history, last);
                    pending.arrive_again(&self.storage, to, again, &history, false);
                }
                None => pending.finish(&self.storage, &slot),
            }
        }
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let (outcome, effects) = self.commit(pending, true);
        outcome?;
        inbox.dead_gone(count);
        effects.tell(&self.shared, None);
        *done += count;
        Ok(more)
    }
}
