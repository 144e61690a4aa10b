//! One slice of the window: a keyspace.
//!
//! | key | value |
//! |---|---|
//! | 0, number of an inbox (4 bytes) | its name |
//! | 1, identity (16 bytes) | a [`Stored`] receipt, with the numbers of this slice, unless it is [`Young`] |
//! | 2 | how many units of the capacity are in use (8 bytes) |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fjall::compaction::Leveled;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};
use wissel_identifiers::InboxName;

use crate::filter::Filter;
use crate::remembered::Stored;
use crate::young::{Together, Young};
use crate::{Identity, ReceiptsError, Remembered};

const INBOX: u8 = 0;
const RECEIPT: u8 = 1;
const UNITS: u8 = 2;

/// A slice's own write buffer, in bytes. Only the youngest slice is written to.
const WRITE_BUFFER_BYTES: u64 = 8 << 20;

/// So many tables are merged at a time. Keys are random, so each merge writes all that there are
/// again; the engine slows its writer down from 20 tables.
const MERGED_TABLES: u8 = 16;

/// A slice as it is read.
#[derive(Clone)]
pub(crate) struct Slice {
    /// Younger slices have higher ones.
    pub(crate) number: u64,
    /// When it began; it ends when the next one begins.
    pub(crate) began: SystemTime,
    filter: Arc<Filter>,
    keyspace: Keyspace,
    young: Arc<Young>,
}

/// What the one who writes a slice knows of it. Its memory grows with the inboxes that
/// there are, not with the messages.
#[derive(Default)]
pub(crate) struct Writing {
    pub(crate) units: u64,
    inboxes: HashMap<InboxName, u32>,
    /// Those of the last receipt, with their numbers: the next one's are mostly the same.
    last: (Arc<[InboxName]>, Vec<u32>),
}

impl Slice {
    /// A new slice, for so many units.
    pub(crate) fn create(
        database: &Database,
        number: u64,
        began: SystemTime,
        units: u64,
    ) -> Result<Self, ReceiptsError> {
        let since = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{number}-{}", since.as_millis());
        let keyspace = database.keyspace(&name, options)?;
        let filter = Filter::for_units(units);
        filter.complete();
        let young = Arc::new(Young::open(database, number)?);
        Ok(Self { number, began, filter: Arc::new(filter), keyspace, young })
    }

    /// The slice of this name; none when it is the name of something else. It is found by
    /// reading until its filter is made.
    pub(crate) fn open(database: &Database, name: &str) -> Result<Option<Self>, ReceiptsError> {
        let parts = name.split_once('-');
        let parts = parts.and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        let Some((number, milliseconds)) = parts else { return Ok(None) };
        let began = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        let keyspace = database.keyspace(name, options)?;
        let filter = Arc::new(Filter::for_units(0));
        let young = Arc::new(Young::open(database, number)?);
        Ok(Some(Self { number, began, filter, keyspace, young }))
    }

    /// What is remembered here of a message.
    pub(crate) fn find(&self, identity: Identity) -> Result<Option<Remembered>, ReceiptsError> {
        if !self.filter.may_know(identity) {
            return Ok(None);
        }
        let stored = match self.young.find(identity) {
            Some(value) => Stored::decode(&value)?,
            None => match self.keyspace.get(receipt_key(identity))? {
                Some(value) => Stored::decode(&value)?,
                None => return Ok(None),
            },
        };
        let inboxes: Result<Arc<[InboxName]>, ReceiptsError> =
            stored.inboxes.iter().map(|number| self.inbox(*number)).collect();
        Ok(Some(Remembered {
            message_id: stored.message_id,
            admitted_at: stored.admitted_at,
            inboxes: inboxes?,
        }))
    }

    fn inbox(&self, number: u32) -> Result<InboxName, ReceiptsError> {
        let name = self.keyspace.get(inbox_key(number))?;
        parse_inbox(&name.ok_or_else(damaged_inbox)?)
    }

    /// Writes receipts, all or none. They are with the operating system then.
    pub(crate) fn write(
        &self,
        database: &Database,
        writing: &mut Writing,
        entries: &[(Identity, Remembered)],
    ) -> Result<(), ReceiptsError> {
        let mut batch = database.batch();
        let mut together = Together::default();
        for (identity, remembered) in entries {
            if writing.last.0 != remembered.inboxes {
                let numbers = remembered.inboxes.iter();
                let numbers = numbers.map(|inbox| self.number(&mut batch, writing, inbox));
                writing.last = (Arc::clone(&remembered.inboxes), numbers.collect());
            }
            let numbers = &writing.last.1;
            together.add(*identity, |value| {
                Stored::encode(remembered.message_id, remembered.admitted_at, numbers, value);
            });
            self.filter.add(*identity);
            writing.units += remembered.units();
        }
        batch.insert(&self.keyspace, [UNITS], writing.units.to_be_bytes());
        self.young.insert(&mut batch, &together);
        batch.commit()?;
        self.young.inserted(&together);
        if self.young.are_enough() {
            self.age(database)?;
        }
        Ok(())
    }

    /// What is young becomes a table.
    fn age(&self, database: &Database) -> Result<(), ReceiptsError> {
        if self.young.is_empty() {
            return Ok(());
        }
        let mut table = self.keyspace.start_ingestion()?;
        self.young.each(|identity, stored| table.write(receipt_key(identity), stored))?;
        table.finish()?;
        // From here on each is found in the table as well.
        let mut batch = database.batch();
        self.young.remove(&mut batch)?;
        batch.commit()?;
        self.young.removed();
        Ok(())
    }

    /// The number of an inbox; one that has none gets one.
    fn number(&self, batch: &mut OwnedWriteBatch, writing: &mut Writing, inbox: &InboxName) -> u32 {
        if let Some(number) = writing.inboxes.get(inbox) {
            return *number;
        }
        let number = u32::try_from(writing.inboxes.len()).unwrap_or(u32::MAX);
        batch.insert(&self.keyspace, inbox_key(number), inbox.as_str().as_bytes());
        writing.inboxes.insert(inbox.clone(), number);
        writing.units += 1;
        number
    }

    /// How many units of the capacity are in use.
    pub(crate) fn units(&self) -> Result<u64, ReceiptsError> {
        let Some(value) = self.keyspace.get([UNITS])? else { return Ok(0) };
        let bytes = <[u8; 8]>::try_from(&*value);
        let bytes = bytes.map_err(|_| ReceiptsError::Damaged { expected: "a number of units" })?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// What is to be known to go on writing after a restart.
    pub(crate) fn writing(&self) -> Result<Writing, ReceiptsError> {
        let mut writing = Writing { units: self.units()?, ..Writing::default() };
        for entry in self.keyspace.prefix([INBOX]) {
            let (key, name) = entry.into_inner()?;
            let number = key.get(1..).and_then(|number| <[u8; 4]>::try_from(number).ok());
            let number = number.map(u32::from_be_bytes).ok_or_else(damaged_inbox)?;
            writing.inboxes.insert(parse_inbox(&name)?, number);
        }
        Ok(writing)
    }

    /// Takes less memory, as nothing more comes: what is young, or in the write buffer, is put
    /// in tables.
    pub(crate) fn finish(&mut self, database: &Database, units: u64) -> Result<(), ReceiptsError> {
        self.age(database)?;
        self.young.finish();
        self.keyspace.rotate_memtable()?;
        if let Some(filter) = self.filter.shrunk_to(units) {
            self.filter = Arc::new(filter);
        }
        Ok(())
    }

    /// Makes room in the filter for so many units. For a slice that was just opened.
    pub(crate) fn make_room_in_filter(&mut self, units: u64) {
        self.filter = Arc::new(Filter::for_units(units));
    }

    /// Adds to the filter what is on disk. Ends early, and leaves the filter incomplete,
    /// when it is to stop.
    pub(crate) fn fill_filter(&self, is_to_stop: impl Fn() -> bool) -> Result<(), ReceiptsError> {
        const KEYS_BETWEEN_QUESTIONS: usize = 1_024;
        if self.filter.is_complete() {
            return Ok(());
        }
        self.young.each(|identity, _| {
            self.filter.add(identity);
            Ok::<(), ReceiptsError>(())
        })?;
        for (index, entry) in self.keyspace.prefix([RECEIPT]).enumerate() {
            if index.is_multiple_of(KEYS_BETWEEN_QUESTIONS) && is_to_stop() {
                return Ok(());
            }
            let key = entry.key()?;
            let bytes = key.get(1..).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            let bytes = bytes.ok_or(ReceiptsError::Damaged { expected: "an identity" })?;
            self.filter.add(Identity::from_bytes(bytes));
        }
        self.filter.complete();
        Ok(())
    }

    /// Removes the slice, as soon as nobody reads it.
    pub(crate) fn remove(self, database: &Database) -> Result<(), ReceiptsError> {
        let mut batch = database.batch();
        self.young.remove(&mut batch)?;
        batch.commit()?;
        Ok(database.delete_keyspace(self.keyspace)?)
    }
}

/// Keys are random and do not compress.
fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(WRITE_BUFFER_BYTES)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(MERGED_TABLES)))
}

fn receipt_key(identity: Identity) -> [u8; 17] {
    let mut key = [RECEIPT; 17];
    key[1..].copy_from_slice(&identity.to_bytes());
    key
}

fn inbox_key(number: u32) -> [u8; 5] {
    let mut key = [INBOX; 5];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn parse_inbox(name: &[u8]) -> Result<InboxName, ReceiptsError> {
    let name = str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    name.ok_or_else(damaged_inbox)
}

fn damaged_inbox() -> ReceiptsError {
    ReceiptsError::Damaged { expected: "the name of an inbox for each number" }
}
