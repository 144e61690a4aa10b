//! An engine in memory that keeps what fjall's journal promises and no more: a batch is there
//! whole or not at all, what is synced stays, and a crash may take the last of what is not.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use fjall::{Error, KvPair, PersistMode, Result, UserKey, UserValue};
use parking_lot::Mutex;

/// A disk that stays when the bus on it is gone.
#[derive(Clone, Default)]
pub struct Disk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

/// What another thread does at this moment, before or after a write.
type Meanwhile = Box<dyn FnMut() + Send>;

#[derive(Default)]
struct State {
    names: Vec<&'static str>,
    maps: Vec<BTreeMap<UserKey, UserValue>>,
    /// How to take back what was written since the last sync, the latest last.
    unsynced: Vec<Vec<Change>>,
    /// Writes and syncs so far.
    writes: u64,
    fault: Option<Fault>,
    failed: bool,
    /// What failed in the middle, and is there when the disk is read again.
    late: Vec<Change>,
}

/// A write that fails, and with it all later ones until the disk is opened again.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// After so many that go well.
    pub after: u64,
    /// Whether it is on disk all the same: its sync failed, or nobody lived to hear of it.
    pub kept: bool,
}

struct Change {
    keyspace: usize,
    key: UserKey,
    value: Option<UserValue>,
}

pub(crate) struct Keyspace {
    disk: Disk,
    index: usize,
    name: &'static str,
}

pub(crate) struct Batch {
    disk: Disk,
    changes: Vec<Change>,
}

/// Looks up one after the other, so that a long keyspace is not copied for its first entry.
pub(crate) struct Entries {
    disk: Disk,
    keyspace: usize,
    from: Bound<UserKey>,
    to: Bound<UserKey>,
}

impl Disk {
    pub(crate) fn keyspace(&self, name: &'static str) -> Keyspace {
        let mut state = self.0.state.lock();
        let known = state.names.iter().position(|other| *other == name);
        let index = known.unwrap_or_else(|| {
            state.names.push(name);
            state.maps.push(BTreeMap::new());
            state.names.len() - 1
        });
        Keyspace { disk: self.clone(), index, name }
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch { disk: self.clone(), changes: Vec::new() }
    }

    pub(crate) fn persist(&self) -> Result<()> {
        self.meanwhile();
        let mut state = self.0.state.lock();
        state.write(true)?;
        state.unsynced.clear();
        Ok(())
    }

    /// What is to happen before and after each write.
    pub(crate) fn set_meanwhile(&self, meanwhile: Option<Meanwhile>) {
        *self.0.meanwhile.lock() = meanwhile;
    }

    /// Nothing else happens beside writes.
    pub fn rests(&self) {
        self.set_meanwhile(None);
    }

    fn meanwhile(&self) {
        if let Some(meanwhile) = &mut *self.0.meanwhile.lock() {
            meanwhile();
        }
    }

    // === faults ===

    /// Which write fails; none: all go well.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.0.state.lock().fault = fault;
    }

    /// Whether a write failed since the disk was opened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.state.lock().failed
    }

    /// How many writes a loss of power may take.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.0.state.lock().unsynced.len()
    }

    /// The end of a process; that of the machine, when the last `lost` writes are gone with it.
    ///
    /// # Panics
    /// When more is to be lost than [`Disk::unsynced`].
    pub fn crash(&self, lost: usize) {
        let mut state = self.0.state.lock();
        for _ in 0..lost {
            let undo = state.unsynced.pop().expect("no more is lost than was not synced");
            for change in undo.into_iter().rev() {
                state.apply(change);
            }
        }
        let late = std::mem::take(&mut state.late);
        if lost == 0 {
            for change in late {
                state.apply(change);
            }
        }
        // The engine syncs what it finds when it is opened.
        state.unsynced.clear();
        (state.fault, state.failed) = (None, false);
    }

    /// Tells two disks apart by what is on them.
    #[cfg(test)]
    pub(crate) fn digest(&self, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        for map in &self.0.state.lock().maps {
            for (key, value) in map {
                key[..].hash(hasher);
                value[..].hash(hasher);
            }
        }
    }
}

impl State {
    /// Counts a write, which may fail.
    fn write(&mut self, whole: bool) -> Result<bool> {
        if self.failed {
            return Err(Error::Poisoned);
        }
        self.writes += 1;
        match &mut self.fault {
            Some(fault) if fault.after == 0 => {
                self.failed = true;
                if whole || !fault.kept {
                    return Err(disk_full());
                }
                Ok(false)
            }
            Some(fault) => {
                fault.after -= 1;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    /// Makes a change; gives the one that takes it back.
    fn apply(&mut self, Change { keyspace, key, value }: Change) -> Change {
        let map = &mut self.maps[keyspace];
        let before = match value {
            Some(value) => map.insert(key.clone(), value),
            None => map.remove(&key),
        };
        Change { keyspace, key, value: before }
    }
}

fn disk_full() -> Error {
    Error::Io(std::io::ErrorKind::StorageFull.into())
}

impl Batch {
    pub(crate) fn change(&mut self, keyspace: &Keyspace, key: UserKey, value: Option<UserValue>) {
        self.changes.push(Change { keyspace: keyspace.index, key, value });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn commit(self, persist: PersistMode) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        self.disk.meanwhile();
        {
            let mut state = self.disk.0.state.lock();
            if !state.write(false)? {
                state.late = self.changes;
                return Err(disk_full());
            }
            let undo = self.changes.into_iter().map(|change| state.apply(change)).collect();
            state.unsynced.push(undo);
            if persist != PersistMode::Buffer {
                state.unsynced.clear();
            }
        }
        self.disk.meanwhile();
        Ok(())
    }
}

impl Keyspace {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<UserValue> {
        self.disk.0.state.lock().maps[self.index].get(key).cloned()
    }

    pub(crate) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Entries {
        let owned = |bound: Bound<&K>| bound.map(|key| UserKey::from(key.as_ref()));
        Entries {
            disk: self.disk.clone(),
            keyspace: self.index,
            from: owned(range.start_bound()),
            to: owned(range.end_bound()),
        }
    }
}

impl Entries {
    /// The first that is left, or the last.
    fn end(&self, last: bool) -> Option<KvPair> {
        // As a range of nothing is no error to the engine.
        if let (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) = (&self.from, &self.to)
            && (from > to
                || from == to
                    && !matches!((&self.from, &self.to), (Bound::Included(_), Bound::Included(_))))
        {
            return None;
        }
        let state = self.disk.0.state.lock();
        let mut range = state.maps[self.keyspace].range((self.from.clone(), self.to.clone()));
        let found = if last { range.next_back() } else { range.next() };
        found.map(|(key, value)| (key.clone(), value.clone()))
    }
}

impl Iterator for Entries {
    type Item = KvPair;

    fn next(&mut self) -> Option<KvPair> {
        let found = self.end(false)?;
        self.from = Bound::Excluded(found.0.clone());
        Some(found)
    }
}

impl DoubleEndedIterator for Entries {
    fn next_back(&mut self) -> Option<KvPair> {
        let found = self.end(true)?;
        self.to = Bound::Excluded(found.0.clone());
        Some(found)
    }
}
