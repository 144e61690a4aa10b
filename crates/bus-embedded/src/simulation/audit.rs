//! What is on disk, held against itself: who has a message is counted again.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::EmbeddedBusError;
use crate::storage::Storage;
use crate::storage::archive::{Kept, parse_end_key};
use crate::storage::engine::Keyspace;
use crate::storage::keys::{ArchiveKey, DelayedKey, parse_ready_key};
use crate::storage::pack::Pack;
use crate::storage::slot::{Address, Slot, decode_dead, decode_run};

/// How many have a message.
#[derive(Default)]
struct Holders {
    found: u32,
    /// What each of them says that there were at first.
    given: u32,
}

type Held = BTreeMap<(u64, Option<u8>), Holders>;

/// Every message is there for those who have it, and for nobody else.
pub(super) fn audit(storage: &Storage) -> Result<(), Found> {
    runs_are_whole(storage)?;
    let held = holders(storage)?;
    let mut seen = 0;
    for entry in storage.messages.iter() {
        let (key, value) = entry.into_inner()?;
        let entry = u64::from_be_bytes(key[..].try_into().unwrap());
        let counted = storage.shares_of(entry)?.map(|shares| shares.counts());
        if let Some(alone) = held.get(&(entry, None)) {
            let left = counted.map_or(Some(alone.given), |counts| counts[0]);
            expect(left == Some(alone.found), || {
                format!("message {entry} is with {}, counted {left:?}", alone.found)
            })?;
            seen += 1;
            continue;
        }
        let counts = counted.unwrap_or_default();
        let pack = Pack::read(value, Some(0))?;
        for (part, count) in (0_u8..).zip(&counts) {
            let found = held.get(&(entry, Some(part))).map_or(0, |holders| holders.found);
            let is_there = pack.message(Some(part))?.is_some();
            expect(found == count.unwrap_or(0) && is_there == count.is_some(), || {
                format!(
                    "message {part} of pack {entry} is with {found}, counted {count:?}, there: \
                     {is_there}"
                )
            })?;
            seen += usize::from(found > 0);
        }
        expect(counts.iter().flatten().any(|count| *count > 0), || {
            format!("entry {entry} is for nobody")
        })?;
    }
    expect(seen == held.len(), || {
        format!("{} messages are with somebody, {seen} there", held.len())
    })
}

/// Nothing is there any longer.
pub(super) fn is_empty(storage: &Storage) -> Result<(), Found> {
    let Storage { messages, shares, ready, settled, delayed, dead, .. } = storage;
    let Storage { archive, archive_ends, .. } = storage;
    for keyspace in [messages, shares, ready, settled, delayed, dead, archive, archive_ends] {
        expect(keyspace.len() == 0, || {
            format!("{} entries are left in {}", keyspace.len(), keyspace.name())
        })?;
    }
    Ok(())
}

/// Of no pack is half for nobody.
pub(super) fn is_trimmed(storage: &Storage) -> Result<(), Found> {
    for found in storage.shares_from(0) {
        let (entry, shares) = found?;
        expect(!shares.are_worth_a_trim(), || format!("pack {entry} was not trimmed"))?;
    }
    Ok(())
}

/// When retries are due.
pub(super) fn retries_due_ms(storage: &Storage) -> Result<Vec<u64>, Found> {
    let retries = entries(&storage.delayed)?;
    retries.iter().map(|(key, _)| Ok(DelayedKey::decode(key)?.due_ms)).collect()
}

fn runs_are_whole(storage: &Storage) -> Result<(), Found> {
    for entry in storage.settled.iter() {
        let (key, value) = entry.into_inner()?;
        let (inbox, first) = parse_ready_key(&key)?;
        let bits = u64::from_be_bytes(value[..].try_into().unwrap());
        let run = storage.ready.get(&key)?.map(|run| decode_run(first, &run)).transpose()?;
        let all = run.and_then(|run| run.first().map(|slot| slot.seat.all_bits())).unwrap_or(0);
        expect(bits & all == bits && bits != all && bits != 0, || {
            format!("run {first} of inbox {inbox}: {bits:b} of {all:b} are settled")
        })?;
    }
    Ok(())
}

fn holders(storage: &Storage) -> Result<Held, Found> {
    let mut held = Held::new();
    let mut add = |message: Address, given: u32| {
        let holders = held.entry((message.entry, message.part)).or_default();
        holders.found += 1;
        holders.given = given;
    };
    for run in storage.all_runs() {
        for slot in run?.slots {
            add(slot.message, slot.holders);
        }
    }
    for (key, value) in entries(&storage.delayed)? {
        let slot = Slot::decode(DelayedKey::decode(&key)?.place, &value)?;
        add(slot.message, slot.holders);
    }
    for (_, value) in entries(&storage.dead)? {
        let (slot, _, _) = decode_dead(&value)?;
        add(slot.message, slot.holders);
    }
    let mut ends = BTreeSet::new();
    for (key, _) in entries(&storage.archive_ends)? {
        ends.insert(parse_end_key(&key)?);
    }
    for (key, value) in entries(&storage.archive)? {
        let key = ArchiveKey::decode(&key)?;
        let kept = Kept::decode(key.message, &value)?;
        add(kept.message, kept.holders);
        expect(ends.remove(&(kept.until_ms, key)), || format!("{key:?} has no end"))?;
    }
    expect(ends.is_empty(), || format!("ends without a message: {ends:?}"))?;
    Ok(held)
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries(keyspace: &Keyspace) -> Result<Entries, EmbeddedBusError> {
    let read = keyspace.iter().map(|entry| {
        let (key, value) = entry.into_inner()?;
        Ok((key.to_vec(), value.to_vec()))
    });
    read.collect()
}

fn expect(holds: bool, found: impl FnOnce() -> String) -> Result<(), Found> {
    if holds { Ok(()) } else { Err(Found(found())) }
}
