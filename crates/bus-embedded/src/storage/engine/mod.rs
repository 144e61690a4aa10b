//! The storage engine below the bus.
//!
//! It is [fjall], and in tests one in memory that can be made to fail, and to lose what a
//! crash may lose. Without tests, of this or of what stands on the bus, each of these has one
//! variant, and nothing is chosen while the bus runs.

#[cfg(any(test, feature = "simulation"))]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;

use std::ops::RangeBounds;
use std::path::Path;

use fjall::{CompressionType, KeyspaceCreateOptions, KvPair, OwnedWriteBatch, UserKey};

pub(crate) use fjall::{Error, PersistMode, Result, UserValue};

/// The first keeps itself free for flushing, and passes work on to others: again and again, at
/// the cost of a processor, while nobody is free. So one merges, and one more takes what is
/// passed on, unless two keyspaces are merged at once.
const ENGINE_THREADS: usize = 3;

/// All that is kept, in keyspaces that are written to together.
#[derive(Clone)]
pub(crate) enum Database {
    Fjall(fjall::Database),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(simulated::Disk),
}

/// Keys in their order, each with its value.
pub(crate) enum Keyspace {
    Fjall(fjall::Keyspace),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(simulated::Keyspace),
}

/// Changes to keyspaces, of which all are made or none.
pub(crate) enum Batch {
    Fjall(OwnedWriteBatch),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(simulated::Batch),
}

/// Entries of a keyspace, in the order of their keys.
pub(crate) enum Entries {
    Fjall(fjall::Iter),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(simulated::Entries),
}

/// One of them, which may turn out not to be readable.
pub(crate) enum Entry {
    Fjall(fjall::Guard),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(KvPair),
}

// === impl Database ===

impl Database {
    /// Opens or creates the one in this directory.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self> {
        // Whoever waits for a message to be durable would wait for its compression as well.
        let builder = fjall::Database::builder(path).journal_compression(CompressionType::None);
        let builder = builder.cache_size(cache_bytes).worker_threads(ENGINE_THREADS);
        Ok(Self::Fjall(builder.open()?))
    }

    pub(crate) fn keyspace(&self, name: &'static str) -> Result<Keyspace> {
        match self {
            Self::Fjall(database) => {
                Ok(Keyspace::Fjall(database.keyspace(name, KeyspaceCreateOptions::default)?))
            }
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(disk) => Ok(Keyspace::Simulated(disk.keyspace(name))),
        }
    }

    /// A batch with room for so many changes.
    pub(crate) fn batch(&self, changes: usize) -> Batch {
        match self {
            Self::Fjall(database) => {
                Batch::Fjall(OwnedWriteBatch::with_capacity(database.clone(), changes))
            }
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(disk) => Batch::Simulated(disk.batch()),
        }
    }

    /// Makes durable what was committed.
    pub(crate) fn persist(&self, mode: PersistMode) -> Result<()> {
        match self {
            Self::Fjall(database) => database.persist(mode),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(disk) => disk.persist(),
        }
    }
}

// === impl Batch ===

impl Batch {
    pub(crate) fn insert(
        &mut self,
        keyspace: &Keyspace,
        key: impl Into<UserKey>,
        value: impl Into<UserValue>,
    ) {
        match (self, keyspace) {
            (Self::Fjall(batch), Keyspace::Fjall(keyspace)) => batch.insert(keyspace, key, value),
            #[cfg(any(test, feature = "simulation"))]
            (Self::Simulated(batch), Keyspace::Simulated(keyspace)) => {
                batch.change(keyspace, key.into(), Some(value.into()));
            }
            #[cfg(any(test, feature = "simulation"))]
            _ => panic!("a batch of one engine and a keyspace of another"),
        }
    }

    pub(crate) fn remove(&mut self, keyspace: &Keyspace, key: impl Into<UserKey>) {
        match (self, keyspace) {
            (Self::Fjall(batch), Keyspace::Fjall(keyspace)) => batch.remove(keyspace, key),
            #[cfg(any(test, feature = "simulation"))]
            (Self::Simulated(batch), Keyspace::Simulated(keyspace)) => {
                batch.change(keyspace, key.into(), None);
            }
            #[cfg(any(test, feature = "simulation"))]
            _ => panic!("a batch of one engine and a keyspace of another"),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Fjall(batch) => batch.is_empty(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(batch) => batch.is_empty(),
        }
    }

    /// Writes all of it or nothing. Does nothing at all when it is empty.
    pub(crate) fn commit(self, persist: PersistMode) -> Result<()> {
        match self {
            Self::Fjall(batch) => batch.durability(Some(persist)).commit(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(batch) => batch.commit(persist),
        }
    }
}

// === impl Keyspace ===

impl Keyspace {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Fjall(keyspace) => keyspace.name(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(keyspace) => keyspace.name(),
        }
    }

    pub(crate) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<UserValue>> {
        match self {
            Self::Fjall(keyspace) => keyspace.get(key),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(keyspace) => Ok(keyspace.get(key.as_ref())),
        }
    }

    pub(crate) fn iter(&self) -> Entries {
        match self {
            Self::Fjall(keyspace) => Entries::Fjall(keyspace.iter()),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(keyspace) => Entries::Simulated(keyspace.range::<&[u8]>(..)),
        }
    }

    pub(crate) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Entries {
        match self {
            Self::Fjall(keyspace) => Entries::Fjall(keyspace.range(range)),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(keyspace) => Entries::Simulated(keyspace.range(range)),
        }
    }

    pub(crate) fn first_key_value(&self) -> Option<Entry> {
        match self {
            Self::Fjall(keyspace) => keyspace.first_key_value().map(Entry::Fjall),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => self.iter().next(),
        }
    }

    pub(crate) fn last_key_value(&self) -> Option<Entry> {
        match self {
            Self::Fjall(keyspace) => keyspace.last_key_value().map(Entry::Fjall),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => self.iter().next_back(),
        }
    }

    pub(crate) fn is_empty(&self) -> Result<bool> {
        match self {
            Self::Fjall(keyspace) => keyspace.is_empty(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => Ok(self.iter().next().is_none()),
        }
    }

    /// How many there are; looks at each.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    // === giving space back ===

    /// In bytes, on disk.
    pub(crate) fn disk_space(&self) -> u64 {
        match self {
            Self::Fjall(keyspace) => keyspace.disk_space(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => 0,
        }
    }

    /// Has the engine write what is in memory to a table.
    pub(crate) fn rotate_memtable(&self) -> Result<()> {
        match self {
            Self::Fjall(keyspace) => keyspace.rotate_memtable().map(|_| ()),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => Ok(()),
        }
    }

    /// Whether something is still being written to a table.
    pub(crate) fn is_being_flushed(&self) -> bool {
        match self {
            Self::Fjall(keyspace) => keyspace.sealed_memtable_count() > 0,
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => false,
        }
    }

    /// Merges all tables.
    pub(crate) fn major_compact(&self) -> Result<()> {
        match self {
            Self::Fjall(keyspace) => keyspace.major_compact(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(_) => Ok(()),
        }
    }
}

// === impl Entries ===

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        match self {
            Self::Fjall(entries) => entries.next().map(Entry::Fjall),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(entries) => entries.next().map(Entry::Simulated),
        }
    }
}

impl DoubleEndedIterator for Entries {
    fn next_back(&mut self) -> Option<Entry> {
        match self {
            Self::Fjall(entries) => entries.next_back().map(Entry::Fjall),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(entries) => entries.next_back().map(Entry::Simulated),
        }
    }
}

// === impl Entry ===

impl Entry {
    pub(crate) fn into_inner(self) -> Result<KvPair> {
        match self {
            Self::Fjall(entry) => entry.into_inner(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated(entry) => Ok(entry),
        }
    }

    pub(crate) fn key(self) -> Result<UserKey> {
        match self {
            Self::Fjall(entry) => entry.key(),
            #[cfg(any(test, feature = "simulation"))]
            Self::Simulated((key, _)) => Ok(key),
        }
    }

    #[cfg(test)]
    pub(crate) fn value(self) -> Result<UserValue> {
        self.into_inner().map(|(_, value)| value)
    }
}
