//! What is on disk, and how it is read.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `messages` | the first message's number | a [pack] of messages, or one alone |
//! | `shares` | the same | how many still have each message of a pack; of one alone, once one of several was done with it |
//! | `ready` | inbox, place of the first | the [slots](slot::Slot) of a run of deliveries, or of one, and its history once it was retried or redriven |
//! | `settled` | inbox, place of the first | which deliveries of a run are done with, once one is: a bit each |
//! | `delayed` | due, inbox, place | one slot and its history |
//! | `dead` | inbox, died, number | the same, the last attempt included |
//! | `archive` | admitted, message | until when it is kept, how many were given it, and which of its pack it is |
//! | `archive_ends` | until, admitted, message | |
//! | `inboxes` | name | the inbox's number; never used again for another |
//! | `meta` | `format`, `next_inbox` | a number |

pub(crate) mod archive;
mod browse;
mod census;
pub(crate) mod engine;
pub(crate) mod keys;
mod messages;
pub(crate) mod pack;
mod ready;
mod shares;
pub(crate) mod slot;

use std::path::Path;

use wissel_bus::{DeadLetter, DeadLetterId, PAGE_BYTES, Page};

pub(crate) use census::{Census, InboxCensus};
use engine::{Batch, Database, Keyspace, PersistMode, UserValue};
use keys::{DeadKey, damaged, decode_u32, from_ms};
use messages::Reader;
pub(crate) use ready::Cursor;
pub(crate) use shares::Shares;
use slot::decode_dead;

use crate::EmbeddedBusError;

/// Written into every directory, checked when one is opened.
const FORMAT: u32 = 4;

/// The open database.
pub(crate) struct Storage {
    database: Database,
    pub(crate) messages: Keyspace,
    pub(crate) shares: Keyspace,
    pub(crate) ready: Keyspace,
    pub(crate) settled: Keyspace,
    pub(crate) delayed: Keyspace,
    pub(crate) dead: Keyspace,
    pub(crate) archive: Keyspace,
    pub(crate) archive_ends: Keyspace,
    pub(crate) inboxes: Keyspace,
    pub(crate) meta: Keyspace,
}

impl Storage {
    /// Opens or creates the database in the directory.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self, EmbeddedBusError> {
        let opened = Database::open(path, cache_bytes);
        let storage = Self::on(opened.map_err(|error| open_error(path, error))?)?;
        storage.check_format(path)?;
        sync_parent(path).map_err(|error| open_error(path, error.into()))?;
        Ok(storage)
    }

    /// The same on a disk that is simulated.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn simulated(disk: &engine::simulated::Disk) -> Result<Self, EmbeddedBusError> {
        let storage = Self::on(Database::Simulated(disk.clone()))?;
        storage.check_format(Path::new("nowhere"))?;
        Ok(storage)
    }

    fn on(database: Database) -> Result<Self, EmbeddedBusError> {
        Ok(Self {
            messages: database.keyspace("messages")?,
            shares: database.keyspace("shares")?,
            ready: database.keyspace("ready")?,
            settled: database.keyspace("settled")?,
            delayed: database.keyspace("delayed")?,
            dead: database.keyspace("dead")?,
            archive: database.keyspace("archive")?,
            archive_ends: database.keyspace("archive_ends")?,
            inboxes: database.keyspace("inboxes")?,
            meta: database.keyspace("meta")?,
            database,
        })
    }

    fn check_format(&self, path: &Path) -> Result<(), EmbeddedBusError> {
        let found = match self.meta.get("format")? {
            Some(value) => match decode_u32("meta", &value) {
                Ok(FORMAT) => return Ok(()),
                Ok(other) => other.to_string(),
                Err(_) => "unknown".to_owned(),
            },
            None if self.inboxes.is_empty()? => {
                let mut batch = self.batch();
                batch.insert(&self.meta, "format", FORMAT.to_be_bytes());
                return self.commit(batch, PersistMode::SyncData);
            }
            None => "none".to_owned(),
        };
        Err(EmbeddedBusError::Format { path: path.to_owned(), found, expected: FORMAT })
    }

    /// A batch to be given to [`Storage::commit`].
    pub(crate) fn batch(&self) -> Batch {
        self.batch_of(0)
    }

    /// The same, with room for so many changes.
    pub(crate) fn batch_of(&self, changes: usize) -> Batch {
        self.database.batch(changes)
    }

    /// Writes all of the batch or nothing.
    pub(crate) fn commit(
        &self,
        batch: Batch,
        persist: PersistMode,
    ) -> Result<(), EmbeddedBusError> {
        Ok(batch.commit(persist)?)
    }

    /// Makes everything durable that was committed without it.
    pub(crate) fn sync(&self) -> Result<(), EmbeddedBusError> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    /// A page of dead letters.
    pub(crate) fn dead_letters(
        &self,
        inbox: u32,
        page: &Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, EmbeddedBusError> {
        let after = match &page.after {
            None => None,
            Some(id) => match DeadKey::from_id(inbox, id) {
                Some(key) => Some(key),
                None => return Ok(Vec::new()),
            },
        };
        let (mut letters, mut bytes) = (Vec::new(), 0);
        let mut reader = self.reader();
        for (key, value) in self.dead_entries(inbox, after, page.limit)? {
            let letter = read_dead(&mut reader, key, &value)?;
            bytes += letter.envelope.event.len();
            letters.push(letter);
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(letters)
    }

    /// Those of these that are there, up to the one with which they are so many bytes. Says at
    /// how many keys it looked.
    pub(crate) fn dead_letters_of(
        &self,
        keys: &[DeadKey],
        bytes_max: usize,
    ) -> Result<(Vec<DeadLetter>, usize), EmbeddedBusError> {
        let mut letters = Vec::new();
        let mut reader = self.reader();
        let (mut looked_at, mut bytes) = (0, 0);
        for key in keys {
            looked_at += 1;
            let Some(value) = self.dead.get(key.encode())? else { continue };
            let letter = match read_dead(&mut reader, *key, &value) {
                // Redriven or purged by others just now.
                Err(_) if self.dead.get(key.encode())?.is_none() => continue,
                read => read?,
            };
            bytes += letter.envelope.event.len();
            letters.push(letter);
            if bytes >= bytes_max {
                break;
            }
        }
        Ok((letters, looked_at))
    }

    /// One dead letter; none when there is none of this id.
    pub(crate) fn dead_letter(
        &self,
        inbox: u32,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, EmbeddedBusError> {
        let Some(key) = DeadKey::from_id(inbox, id) else { return Ok(None) };
        let found = self.dead.get(key.encode())?;
        found.map(|value| read_dead(&mut self.reader(), key, &value)).transpose()
    }

    /// At most `limit` dead letters of the inbox, behind `after`.
    pub(crate) fn dead_entries(
        &self,
        inbox: u32,
        after: Option<DeadKey>,
        limit: usize,
    ) -> Result<Vec<(DeadKey, UserValue)>, EmbeddedBusError> {
        use std::ops::Bound;
        let least = DeadKey { inbox, died_ms: 0, number: 0 };
        let start = match after {
            Some(key) => Bound::Excluded(key.encode()),
            None => Bound::Included(least.encode()),
        };
        let end = Bound::Included(last_dead_key(inbox).encode());
        let mut entries = Vec::new();
        for entry in self.dead.range((start, end)).take(limit) {
            let (key, value) = entry.into_inner()?;
            entries.push((DeadKey::decode(&key)?, value));
        }
        Ok(entries)
    }

    /// The youngest dead letter of the inbox.
    pub(crate) fn youngest_dead(&self, inbox: u32) -> Result<Option<DeadKey>, EmbeddedBusError> {
        let least = DeadKey { inbox, died_ms: 0, number: 0 };
        let whole = least.encode()..=last_dead_key(inbox).encode();
        match self.dead.range(whole).next_back() {
            Some(entry) => Ok(Some(DeadKey::decode(&entry.key()?)?)),
            None => Ok(None),
        }
    }
}

fn read_dead(
    reader: &mut Reader<'_>,
    key: DeadKey,
    value: &[u8],
) -> Result<DeadLetter, EmbeddedBusError> {
    let (slot, reason, history) = decode_dead(value)?;
    let envelope = reader.message(slot.message)?;
    Ok(DeadLetter {
        id: key.to_id(),
        envelope: envelope.ok_or(damaged("messages", "a message for each dead letter"))?,
        attempts: slot.attempt,
        died_at: from_ms(key.died_ms),
        reason,
        history,
    })
}

fn last_dead_key(inbox: u32) -> DeadKey {
    DeadKey { inbox, died_ms: u64::MAX, number: u64::MAX }
}

/// The engine syncs its own directory; that the directory exists is for the one
/// above it to keep.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match std::path::absolute(path)?.parent() {
        Some(parent) if cfg!(unix) => std::fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn open_error(path: &Path, error: engine::Error) -> EmbeddedBusError {
    let path = path.to_owned();
    match error {
        engine::Error::Locked => EmbeddedBusError::InUse { path },
        engine::Error::InvalidVersion(found) => {
            EmbeddedBusError::Format { path, found: format!("{found:?}"), expected: FORMAT }
        }
        other => EmbeddedBusError::Open { path, source: Box::new(other) },
    }
}
