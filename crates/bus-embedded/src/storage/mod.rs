//! What is on disk, and how it is read.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `messages` | message | the envelope |
//! | `shares` | message | how many still have it, once one of several was done with it |
//! | `ready` | inbox, place | the delivery's [`Slot`], and its history once it was retried |
//! | `delayed` | due, inbox, place | its slot and history |
//! | `dead` | inbox, died, number | its slot and history, the last attempt included |
//! | `archive` | admitted, message | until when it is kept, and how many were given it |
//! | `archive_ends` | until, admitted, message | |
//! | `inboxes` | name | the inbox's number; never used again for another |
//! | `meta` | `format`, `next_inbox` | a number |

pub(crate) mod archive;
mod browse;
mod census;
pub(crate) mod records;

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, UserValue};
use wissel_bus::{DeadLetter, DeadLetterId, Page};

pub(crate) use census::{Census, InboxCensus};
use records::{
    DeadKey, Slot, decode_body, decode_dead, decode_u32, from_ms, message_key, parse_ready_key,
    ready_key,
};

use crate::EmbeddedBusError;

/// Written into every directory, checked when one is opened.
const FORMAT: u32 = 3;

/// Bodies read in one go are at most this much together, or one body.
const READ_BYTES_MAX: usize = 8 << 20;

/// The open database.
pub(crate) struct Storage {
    database: Database,
    pub(crate) messages: Keyspace,
    pub(crate) shares: Keyspace,
    pub(crate) ready: Keyspace,
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
        let opened = Database::builder(path).cache_size(cache_bytes).open();
        let database = opened.map_err(|error| open_error(path, error))?;
        let options = KeyspaceCreateOptions::default;
        let storage = Self {
            messages: database.keyspace("messages", options)?,
            shares: database.keyspace("shares", options)?,
            ready: database.keyspace("ready", options)?,
            delayed: database.keyspace("delayed", options)?,
            dead: database.keyspace("dead", options)?,
            archive: database.keyspace("archive", options)?,
            archive_ends: database.keyspace("archive_ends", options)?,
            inboxes: database.keyspace("inboxes", options)?,
            meta: database.keyspace("meta", options)?,
            database,
        };
        storage.check_format(path)?;
        sync_parent(path).map_err(|error| open_error(path, error.into()))?;
        Ok(storage)
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
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch()
    }

    /// The same, with room for so many changes.
    pub(crate) fn batch_of(&self, changes: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.database.clone(), changes)
    }

    /// Writes all of the batch or nothing.
    pub(crate) fn commit(
        &self,
        batch: OwnedWriteBatch,
        persist: PersistMode,
    ) -> Result<(), EmbeddedBusError> {
        Ok(batch.durability(Some(persist)).commit()?)
    }

    /// Makes everything durable that was committed without it.
    pub(crate) fn sync(&self) -> Result<(), EmbeddedBusError> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    /// At most `limit` deliveries of the inbox, from the place on.
    pub(crate) fn ready_slots(
        &self,
        inbox: u32,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Slot>, EmbeddedBusError> {
        let mut slots = Vec::new();
        let whole = ready_key(inbox, from)..=ready_key(inbox, u64::MAX);
        for entry in self.ready.range(whole).take(limit) {
            let (key, value) = entry.into_inner()?;
            let (_, place) = parse_ready_key(&key)?;
            slots.push(Slot::decode(place, &value)?);
        }
        Ok(slots)
    }

    /// The bodies of the first of these messages: of all, unless together they
    /// are very large, and of one at least. None where there is no such message.
    pub(crate) fn bodies(
        &self,
        messages: &[u64],
    ) -> Result<Vec<Option<UserValue>>, EmbeddedBusError> {
        let mut bodies = Vec::with_capacity(messages.len());
        let mut total = 0;
        if let Some((first, last)) = neighbours(messages) {
            let mut entries = self
                .messages
                .range(message_key(first)..=message_key(last))
                .map(fjall::Guard::into_inner)
                .peekable();
            for &message in messages {
                let key = message_key(message);
                while entries
                    .next_if(|entry| entry.as_ref().is_ok_and(|(found, _)| **found < key[..]))
                    .is_some()
                {}
                let body = match entries.next_if(|entry| match entry {
                    Ok((found, _)) => **found == key[..],
                    Err(_) => true,
                }) {
                    Some(entry) => Some(entry?.1),
                    None => None,
                };
                total += body.as_ref().map_or(0, |body| body.len());
                bodies.push(body);
                if total >= READ_BYTES_MAX {
                    break;
                }
            }
            return Ok(bodies);
        }
        for &message in messages {
            let body = self.messages.get(message_key(message))?;
            total += body.as_ref().map_or(0, |body| body.len());
            bodies.push(body);
            if total >= READ_BYTES_MAX {
                break;
            }
        }
        Ok(bodies)
    }

    /// How many of the holders of a message still have it.
    pub(crate) fn shares_left(&self, message: u64, holders: u32) -> Result<u32, EmbeddedBusError> {
        match self.shares.get(message_key(message))? {
            Some(value) => decode_u32("shares", &value),
            None => Ok(holders),
        }
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
        let mut letters = Vec::new();
        for (key, value) in self.dead_entries(inbox, after, page.limit)? {
            letters.push(self.read_dead(key, &value)?);
        }
        Ok(letters)
    }

    /// One dead letter; none when there is none of this id.
    pub(crate) fn dead_letter(
        &self,
        inbox: u32,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, EmbeddedBusError> {
        let Some(key) = DeadKey::from_id(inbox, id) else { return Ok(None) };
        let found = self.dead.get(key.encode())?;
        found.map(|value| self.read_dead(key, &value)).transpose()
    }

    fn read_dead(&self, key: DeadKey, value: &[u8]) -> Result<DeadLetter, EmbeddedBusError> {
        let (slot, reason, history) = decode_dead(value)?;
        let body = self
            .messages
            .get(message_key(slot.message))?
            .ok_or(records::damaged("messages", "a message for each dead letter"))?;
        Ok(DeadLetter {
            id: key.to_id(),
            envelope: decode_body(body)?,
            attempts: slot.attempt,
            died_at: from_ms(key.died_ms),
            reason,
            history,
        })
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

fn last_dead_key(inbox: u32) -> DeadKey {
    DeadKey { inbox, died_ms: u64::MAX, number: u64::MAX }
}

/// The first and the last, when they ascend and lie so close together that one
/// pass over what is between them costs less than a search for each.
fn neighbours(messages: &[u64]) -> Option<(u64, u64)> {
    let (&first, &last) = (messages.first()?, messages.last()?);
    let count = u64::try_from(messages.len()).ok()?;
    let close = last.checked_sub(first)? < count.saturating_mul(2);
    (count > 2 && close && messages.is_sorted_by(|a, b| a < b)).then_some((first, last))
}

/// The engine syncs its own directory; that the directory exists is for the one
/// above it to keep.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match std::path::absolute(path)?.parent() {
        Some(parent) if cfg!(unix) => std::fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn open_error(path: &Path, error: fjall::Error) -> EmbeddedBusError {
    let path = path.to_owned();
    match error {
        fjall::Error::Locked => EmbeddedBusError::InUse { path },
        fjall::Error::InvalidVersion(found) => {
            EmbeddedBusError::Format { path, found: format!("{found:?}"), expected: FORMAT }
        }
        other => EmbeddedBusError::Open { path, source: Box::new(other) },
    }
}
