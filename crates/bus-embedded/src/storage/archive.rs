//! The archive: messages that are kept until a moment, whatever inboxes make of them.

use std::ops::Bound;

use wissel_bus::{ArchivePage, Archived, PAGE_BYTES};

use super::Storage;
use super::keys::{ArchiveKey, damaged, to_ms};
use super::slot::Address;
use crate::EmbeddedBusError;

/// A message that is over its time.
pub(crate) struct Ended {
    pub(crate) until_ms: u64,
    pub(crate) key: ArchiveKey,
    pub(crate) message: Address,
    /// How many were given the message at first, the archive counted as one.
    pub(crate) holders: u32,
}

/// What is known of a message in the archive.
pub(crate) struct Kept {
    pub(crate) until_ms: u64,
    /// How many were given it at first, the archive counted as one.
    pub(crate) holders: u32,
    pub(crate) message: Address,
}

const KEPT_LENGTH: usize = 13;

impl Kept {
    pub(crate) fn encode(&self) -> [u8; KEPT_LENGTH] {
        let mut value = [0; KEPT_LENGTH];
        value[..8].copy_from_slice(&self.until_ms.to_be_bytes());
        value[8..12].copy_from_slice(&self.holders.to_be_bytes());
        value[12] = self.message.encode_part();
        value
    }

    /// `number` is that of the message.
    pub(crate) fn decode(number: u64, value: &[u8]) -> Result<Self, EmbeddedBusError> {
        let value: &[u8; KEPT_LENGTH] =
            value.try_into().map_err(|_| damaged("archive", "a moment, a count and a part"))?;
        let (until_ms, rest) = value.split_first_chunk().expect("13 bytes hold 8");
        let (holders, part) = rest.split_first_chunk().expect("5 bytes hold 4");
        Ok(Self {
            until_ms: u64::from_be_bytes(*until_ms),
            holders: u32::from_be_bytes(*holders),
            message: Address::of_number(number, part[0]),
        })
    }
}

/// The key by which messages are found when their time is over.
pub(crate) fn end_key(until_ms: u64, key: ArchiveKey) -> [u8; 24] {
    let mut end = [0; 24];
    end[..8].copy_from_slice(&until_ms.to_be_bytes());
    end[8..].copy_from_slice(&key.encode());
    end
}

pub(crate) fn parse_end_key(end: &[u8]) -> Result<(u64, ArchiveKey), EmbeddedBusError> {
    let (until_ms, key) =
        end.split_first_chunk::<8>().ok_or(damaged("archive_ends", "two moments and a number"))?;
    Ok((u64::from_be_bytes(*until_ms), ArchiveKey::decode(key)?))
}

impl Storage {
    /// A page of the archive.
    pub(crate) fn archived(
        &self,
        page: &ArchivePage,
        now_ms: u64,
    ) -> Result<Vec<Archived>, EmbeddedBusError> {
        let first = |ms| ArchiveKey { admitted_ms: ms, message: 0 }.encode();
        let (from, until) = (first(to_ms(page.from)), first(to_ms(page.until)));
        let start = match page.after.map(|after| ArchiveKey::from(after).encode()) {
            Some(after) if after >= from => Bound::Excluded(after),
            _ => Bound::Included(from),
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut reader = self.reader();
        let nothing = match start {
            Bound::Included(key) | Bound::Excluded(key) => key >= until,
            Bound::Unbounded => false,
        };
        if nothing {
            return Ok(found);
        }
        for entry in self.archive.range((start, Bound::Excluded(until))) {
            if found.len() == page.limit || bytes >= PAGE_BYTES {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let key = ArchiveKey::decode(&key)?;
            let kept = Kept::decode(key.message, &value)?;
            if kept.until_ms <= now_ms {
                continue;
            }
            // It may have gone since: its time is over.
            if let Some(envelope) = reader.message(kept.message)? {
                bytes += envelope.event.len();
                found.push(Archived { position: key.position(), envelope });
            }
        }
        Ok(found)
    }

    /// When the first message of the archive is over its time.
    pub(crate) fn archive_ends_ms(&self) -> Result<Option<u64>, EmbeddedBusError> {
        match self.archive_ends.first_key_value() {
            Some(entry) => Ok(Some(parse_end_key(&entry.key()?)?.0)),
            None => Ok(None),
        }
    }

    /// At most `limit` messages that are over their time, from the moment on.
    pub(crate) fn archive_ended(
        &self,
        from_ms: u64,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Ended>, EmbeddedBusError> {
        let mut ended = Vec::new();
        let range = from_ms.to_be_bytes().to_vec()..=end_of(now_ms);
        for entry in self.archive_ends.range(range).take(limit) {
            let (until_ms, key) = parse_end_key(&entry.key()?)?;
            let value = self.archive.get(key.encode())?;
            let value = value.ok_or(damaged("archive", "a message for each end"))?;
            let kept = Kept::decode(key.message, &value)?;
            ended.push(Ended { until_ms, key, message: kept.message, holders: kept.holders });
        }
        Ok(ended)
    }
}

fn end_of(ms: u64) -> Vec<u8> {
    end_key(ms, ArchiveKey { admitted_ms: u64::MAX, message: u64::MAX }).to_vec()
}
