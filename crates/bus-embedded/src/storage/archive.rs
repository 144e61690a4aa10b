//! The archive: messages that are kept until a moment, whatever inboxes make of them.

use std::ops::Bound;

use wissel_bus::{ArchivePage, Archived};

use super::Storage;
use super::records::{ArchiveKey, damaged, decode_body, message_key, to_ms};
use crate::EmbeddedBusError;

/// A message that is over its time.
pub(crate) struct Ended {
    pub(crate) until_ms: u64,
    pub(crate) key: ArchiveKey,
    /// How many were given the message at first, the archive counted as one.
    pub(crate) holders: u32,
}

/// The value of a message in the archive.
pub(crate) fn encode_archived(until_ms: u64, holders: u32) -> [u8; 12] {
    let mut value = [0; 12];
    value[..8].copy_from_slice(&until_ms.to_be_bytes());
    value[8..].copy_from_slice(&holders.to_be_bytes());
    value
}

fn decode_archived(value: &[u8]) -> Result<(u64, u32), EmbeddedBusError> {
    let parsed = value
        .split_first_chunk::<8>()
        .and_then(|(until_ms, holders)| Some((until_ms, holders.try_into().ok()?)));
    let (until_ms, holders) = parsed.ok_or(damaged("archive", "a moment and a count"))?;
    Ok((u64::from_be_bytes(*until_ms), u32::from_be_bytes(holders)))
}

/// The key by which messages are found when their time is over.
pub(crate) fn end_key(until_ms: u64, key: ArchiveKey) -> [u8; 24] {
    let mut end = [0; 24];
    end[..8].copy_from_slice(&until_ms.to_be_bytes());
    end[8..].copy_from_slice(&key.encode());
    end
}

fn parse_end_key(end: &[u8]) -> Result<(u64, ArchiveKey), EmbeddedBusError> {
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
        let mut found = Vec::new();
        let nothing = match start {
            Bound::Included(key) | Bound::Excluded(key) => key >= until,
            Bound::Unbounded => false,
        };
        if nothing {
            return Ok(found);
        }
        for entry in self.archive.range((start, Bound::Excluded(until))) {
            if found.len() == page.limit {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let (until_ms, _) = decode_archived(&value)?;
            if until_ms <= now_ms {
                continue;
            }
            let key = ArchiveKey::decode(&key)?;
            // It may have gone since: its time is over.
            if let Some(body) = self.messages.get(message_key(key.message))? {
                found.push(Archived { position: key.position(), envelope: decode_body(body)? });
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
            let (_, holders) = decode_archived(&value)?;
            ended.push(Ended { until_ms, key, holders });
        }
        Ok(ended)
    }
}

fn end_of(ms: u64) -> Vec<u8> {
    end_key(ms, ArchiveKey { admitted_ms: u64::MAX, message: u64::MAX }).to_vec()
}
