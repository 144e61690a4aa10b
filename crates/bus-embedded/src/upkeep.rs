//! Gives disk space back.
//!
//! The engine gives back what was removed when it merges tables, and it merges by
//! size. What removes a long queue is small, so the queue would stay on disk until
//! as much again was written. This thread has the engine merge when most of what
//! is on disk was removed; that costs less than the removals did.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::EmbeddedBusError;
use crate::shared::Shared;
use crate::storage::Storage;
use crate::storage::engine::Keyspace;

/// After so many removals it is worth a look.
const LOOK_AFTER: u64 = 100_000;

/// Less than this on disk is not worth the work.
const WORTHWHILE_BYTES: u64 = 256 << 20;

/// How long to wait until the engine has written what is in memory.
const FLUSH_PATIENCE: Duration = Duration::from_secs(60);

/// Counts removals, and asks for a merge when it is due.
pub(crate) struct Removals {
    since_merge: u64,
    look_at: u64,
    requests: SyncSender<()>,
}

impl Removals {
    /// What was removed before is unknown, so the first look is soon.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (requests, receiver) = sync_channel(1);
        let removals = Self { since_merge: LOOK_AFTER, look_at: LOOK_AFTER, requests };
        (removals, receiver)
    }

    pub(crate) fn add(&mut self, count: u64) {
        self.since_merge += count;
    }

    pub(crate) fn worth_a_look(&self) -> bool {
        self.since_merge >= self.look_at
    }

    /// Asks for a merge when much more was removed than is `live`.
    pub(crate) fn look(&mut self, storage: &Storage, live: u64) {
        self.look_at = self.since_merge + LOOK_AFTER;
        let mostly_removed = self.since_merge / 2 >= live;
        if !mostly_removed || storage.messages.disk_space() < WORTHWHILE_BYTES {
            return;
        }
        match self.requests.try_send(()) {
            Ok(()) => {
                self.since_merge = 0;
                self.look_at = LOOK_AFTER;
            }
            // One is waiting, or the thread is gone.
            Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// Merges when asked, until the writer is gone.
pub(crate) fn run(shared: &Shared, storage: &Storage, requests: &Receiver<()>) {
    while requests.recv().is_ok() {
        for keyspace in [&storage.messages, &storage.ready, &storage.shares, &storage.settled] {
            if shared.check().is_err() {
                break;
            }
            if let Err(error) = merge(shared, keyspace) {
                tracing::warn!(%error, "cannot give disk space back");
            }
        }
    }
}

fn merge(shared: &Shared, keyspace: &Keyspace) -> Result<(), EmbeddedBusError> {
    let before = keyspace.disk_space();
    let started = Instant::now();
    keyspace.rotate_memtable()?;
    while keyspace.is_being_flushed() {
        if shared.check().is_err() || started.elapsed() > FLUSH_PATIENCE {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    keyspace.major_compact()?;
    tracing::info!(
        keyspace = keyspace.name(),
        bytes_before = before,
        bytes_after = keyspace.disk_space(),
        elapsed = ?started.elapsed(),
        "gave disk space back"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::clock::Clock;
    use crate::storage::engine::PersistMode;
    use crate::storage::keys::message_key;

    const MESSAGES: u64 = 2_000;

    #[test]
    fn a_merge_gives_back_the_space_of_what_was_removed() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(directory.path(), 1 << 20).unwrap();
        let shared = Shared::new(HashMap::new(), Clock::Machine);

        let mut batch = storage.batch();
        for message in 0..MESSAGES {
            let body: Vec<u8> = (0..1024_u64).map(|i| (i * message % 251) as u8).collect();
            batch.insert(&storage.messages, message_key(message), body);
        }
        storage.commit(batch, PersistMode::Buffer).unwrap();
        merge(&shared, &storage.messages).unwrap();
        let full = storage.messages.disk_space();
        assert!(full > 100_000, "only {full} bytes");

        let mut batch = storage.batch();
        for message in 1..MESSAGES {
            batch.remove(&storage.messages, message_key(message));
        }
        storage.commit(batch, PersistMode::Buffer).unwrap();
        merge(&shared, &storage.messages).unwrap();
        let left = storage.messages.disk_space();
        assert!(left < full / 10, "{left} bytes are left of {full}");
        assert_eq!(storage.messages.len(), 1);
    }

    #[test]
    fn little_is_not_worth_a_merge() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(directory.path(), 1 << 20).unwrap();
        let (mut removals, requests) = Removals::new();
        removals.add(10 * LOOK_AFTER);
        assert!(removals.worth_a_look());
        removals.look(&storage, 0);
        assert!(!removals.worth_a_look());
        assert!(requests.try_recv().is_err());
    }
}
