//! The receipts of a slice that came last: on disk as they came, and found by memory.
//!
//! To insert each by its identity, which is random, would be the dearest part of remembering
//! it. So what is written together is one value, and only when there are [many](YOUNG_MAX) of
//! them they are sorted and become a table of the engine.
//!
//! | key | value |
//! |---|---|
//! | number of the slice (8 bytes), number of the value (8 bytes) | for each receipt: identity (16 bytes), length (4 bytes), and a stored receipt |

use std::collections::HashMap;
use std::ops::Range;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};
use foldhash::fast::RandomState;
use parking_lot::RwLock;

use crate::{Identity, ReceiptsError};

/// When there are so many, or as many bytes of them, they become a table.
const YOUNG_MAX: usize = 65_536;
const YOUNG_BYTES_MAX: usize = 8 << 20;

/// Of the length of a receipt, in bytes.
const LENGTH: usize = 4;
/// The name of the keyspace, which is that of no slice.
const NAME: &str = "young";
/// Its write buffer, in bytes.
const WRITE_BUFFER_BYTES: u64 = 8 << 20;

/// The young receipts of one slice.
pub(crate) struct Young {
    slice: u64,
    keyspace: Keyspace,
    found: RwLock<Found>,
}

#[derive(Default)]
struct Found {
    /// Where in `bytes` a receipt is.
    places: HashMap<Identity, Range<u32>, RandomState>,
    bytes: Vec<u8>,
    /// The number of the next value.
    next: u64,
}

/// Receipts that are to be written together.
#[derive(Default)]
pub(crate) struct Together {
    identities: Vec<(Identity, Range<usize>)>,
    value: Vec<u8>,
}

impl Together {
    /// Adds one, which `write` appends.
    pub(crate) fn add(&mut self, identity: Identity, write: impl FnOnce(&mut Vec<u8>)) {
        self.value.extend_from_slice(&identity.to_bytes());
        let length_at = self.value.len();
        self.value.extend_from_slice(&[0; LENGTH]);
        let begin = self.value.len();
        write(&mut self.value);
        let length = u32::try_from(self.value.len() - begin).unwrap_or(u32::MAX);
        self.value[length_at..begin].copy_from_slice(&length.to_be_bytes());
        self.identities.push((identity, begin..self.value.len()));
    }
}

impl Young {
    /// Those of this slice that are on disk.
    pub(crate) fn open(database: &Database, slice: u64) -> Result<Self, ReceiptsError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(WRITE_BUFFER_BYTES);
        let keyspace = database.keyspace(NAME, options)?;
        let mut found = Found::default();
        for entry in keyspace.prefix(slice.to_be_bytes()) {
            let (key, value) = entry.into_inner()?;
            let number = key.last_chunk::<8>().ok_or_else(damaged)?;
            found.next = u64::from_be_bytes(*number).saturating_add(1);
            found.read(&value)?;
        }
        Ok(Self { slice, keyspace, found: RwLock::new(found) })
    }

    /// Whether it is time that they become a table.
    pub(crate) fn are_enough(&self) -> bool {
        let found = self.found.read();
        found.places.len() >= YOUNG_MAX || found.bytes.len() >= YOUNG_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.read().places.is_empty()
    }

    /// Puts receipts in the batch.
    pub(crate) fn insert(&self, batch: &mut OwnedWriteBatch, together: &Together) {
        let key = self.key(self.found.read().next);
        batch.insert(&self.keyspace, key, &together.value[..]);
    }

    /// The batch is written: what was put in it is found.
    pub(crate) fn inserted(&self, together: &Together) {
        let mut found = self.found.write();
        found.next += 1;
        let offset = found.bytes.len();
        found.bytes.extend_from_slice(&together.value);
        for (identity, place) in &together.identities {
            found.put(*identity, offset + place.start..offset + place.end);
        }
    }

    /// What is stored of a message.
    pub(crate) fn find(&self, identity: Identity) -> Option<Vec<u8>> {
        let found = self.found.read();
        let place = found.places.get(&identity)?;
        Some(found.stored(place).to_vec())
    }

    /// Gives each, in the order of their identities.
    pub(crate) fn each<E>(
        &self,
        mut take: impl FnMut(Identity, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let found = self.found.read();
        // Copied, as the map's own lie all over the memory that the sort would go through.
        let places = found.places.iter().map(|(identity, place)| (*identity, place.clone()));
        let mut sorted: Vec<_> = places.collect();
        sorted.sort_unstable_by_key(|(identity, _)| *identity);
        sorted.iter().try_for_each(|(identity, place)| take(*identity, found.stored(place)))
    }

    /// Puts in the batch that none is on disk.
    pub(crate) fn remove(&self, batch: &mut OwnedWriteBatch) -> Result<(), ReceiptsError> {
        for entry in self.keyspace.prefix(self.slice.to_be_bytes()) {
            batch.remove(&self.keyspace, entry.key()?);
        }
        Ok(())
    }

    /// The batch is written: none is young.
    pub(crate) fn removed(&self) {
        let mut found = self.found.write();
        found.places.clear();
        found.bytes.clear();
    }

    /// None comes any more: gives back the memory.
    pub(crate) fn finish(&self) {
        let mut found = self.found.write();
        found.places.shrink_to_fit();
        found.bytes.shrink_to_fit();
    }

    fn key(&self, number: u64) -> [u8; 16] {
        (u128::from(self.slice) << 64 | u128::from(number)).to_be_bytes()
    }
}

impl Found {
    fn put(&mut self, identity: Identity, place: Range<usize>) {
        // Far below 4 GiB: so many receipts are never young.
        let place = u32::try_from(place.start).ok().zip(u32::try_from(place.end).ok());
        if let Some((begin, end)) = place {
            self.places.insert(identity, begin..end);
        }
    }

    fn stored(&self, place: &Range<u32>) -> &[u8] {
        self.bytes.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// Adds what is in a value.
    fn read(&mut self, value: &[u8]) -> Result<(), ReceiptsError> {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let mut rest = value;
        while !rest.is_empty() {
            let split = |rest| {
                let (identity, rest): (&[u8; 16], _) = <[u8]>::split_first_chunk(rest)?;
                let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                let (_, after) = rest.split_at_checked(length)?;
                Some((Identity::from_bytes(*identity), length, after))
            };
            let (identity, length, after) = split(rest).ok_or_else(damaged)?;
            let end = offset + value.len() - after.len();
            self.put(identity, end - length..end);
            rest = after;
        }
        Ok(())
    }
}

fn damaged() -> ReceiptsError {
    ReceiptsError::Damaged { expected: "identities, each with a receipt" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn identity(number: u8) -> Identity {
        Identity::from_bytes([number; 16])
    }

    fn two() -> Together {
        let mut together = Together::default();
        together.add(identity(7), |value| value.extend_from_slice(b"seven"));
        together.add(identity(3), |value| value.extend_from_slice(b"three"));
        together
    }

    fn write(database: &Database, young: &Young, together: &Together) {
        let mut batch = database.batch();
        young.insert(&mut batch, together);
        batch.commit().unwrap();
        young.inserted(together);
    }

    fn all(young: &Young) -> Vec<(Identity, Vec<u8>)> {
        let mut all = Vec::new();
        let collected: Result<(), ()> = young.each(|identity, stored| {
            all.push((identity, stored.to_vec()));
            Ok(())
        });
        collected.unwrap();
        all
    }

    #[test]
    fn what_is_young_is_found_sorted_and_kept_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::builder(directory.path()).open().unwrap();
        let young = Young::open(&database, 1).unwrap();
        write(&database, &young, &two());
        let mut more = Together::default();
        more.add(identity(5), |_| {});
        more.add(identity(3), |value| value.extend_from_slice(b"three again"));
        write(&database, &young, &more);
        let other = Young::open(&database, 2).unwrap();
        assert!(other.is_empty(), "each slice has its own");
        write(&database, &other, &two());

        let expected = [
            (identity(3), b"three again".to_vec()),
            (identity(5), Vec::new()),
            (identity(7), b"seven".to_vec()),
        ];
        for young in [&young, &Young::open(&database, 1).unwrap()] {
            assert_eq!(all(young), expected);
            assert_eq!(young.find(identity(7)).as_deref(), Some(&b"seven"[..]));
            assert_eq!(young.find(identity(8)), None);
        }

        let mut batch = database.batch();
        young.remove(&mut batch).unwrap();
        batch.commit().unwrap();
        young.removed();
        assert!(young.is_empty() && young.find(identity(7)).is_none());
        assert!(Young::open(&database, 1).unwrap().is_empty());
        assert_eq!(all(&Young::open(&database, 2).unwrap()).len(), 2);
    }

    #[test]
    fn damage_is_an_error() {
        let value = two().value;
        for cut in [1, 15, 19, 21, value.len() - 1] {
            assert!(Found::default().read(&value[..cut]).is_err(), "{cut}");
        }
        Found::default().read(&value).unwrap();
    }
}
