//! How keys look on disk. Integers are big-endian, so that keys sort as their numbers do.

use std::time::{Duration, SystemTime};

use wissel_bus::{ArchivePosition, DeadLetterId};

use crate::EmbeddedBusError;

/// Names a dead letter on disk: inbox, when it died, and a number that is higher
/// than those of the letters that died before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeadKey {
    pub(crate) inbox: u32,
    pub(crate) died_ms: u64,
    pub(crate) number: u64,
}

/// Names a message in the archive: when it was admitted, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ArchiveKey {
    pub(crate) admitted_ms: u64,
    pub(crate) message: u64,
}

/// Names a delivery that waits for its retry: when that is due, inbox, place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DelayedKey {
    pub(crate) due_ms: u64,
    pub(crate) inbox: u32,
    pub(crate) place: u64,
}

// === moments ===

/// Whole milliseconds since 1970; 0 for what was before.
pub(crate) fn to_ms(moment: SystemTime) -> u64 {
    let since_epoch = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn from_ms(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(SystemTime::UNIX_EPOCH)
}

// === keys ===

/// Of a message that stands alone, or of a pack: the number of its first message.
pub(crate) fn message_key(entry: u64) -> [u8; 8] {
    entry.to_be_bytes()
}

/// Of a run of deliveries: the place of the first.
pub(crate) fn ready_key(inbox: u32, place: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&inbox.to_be_bytes());
    key[4..].copy_from_slice(&place.to_be_bytes());
    key
}

pub(crate) fn parse_ready_key(key: &[u8]) -> Result<(u32, u64), EmbeddedBusError> {
    let parsed = key
        .split_first_chunk::<4>()
        .and_then(|(inbox, place)| Some((inbox, place.try_into().ok()?)));
    let (inbox, place) = parsed.ok_or(damaged("ready", "an inbox and a place as key"))?;
    Ok((u32::from_be_bytes(*inbox), u64::from_be_bytes(place)))
}

impl ArchiveKey {
    pub(crate) fn encode(self) -> [u8; 16] {
        self.position().0.to_be_bytes()
    }

    pub(crate) fn decode(key: &[u8]) -> Result<Self, EmbeddedBusError> {
        let key = key.try_into().map_err(|_| damaged("archive", "a moment and a number as key"))?;
        Ok(Self::from(ArchivePosition(u128::from_be_bytes(key))))
    }

    /// The name that the bus gives it outside.
    pub(crate) fn position(self) -> ArchivePosition {
        ArchivePosition(u128::from(self.admitted_ms) << 64 | u128::from(self.message))
    }
}

impl From<ArchivePosition> for ArchiveKey {
    #[expect(clippy::cast_possible_truncation, reason = "each takes its half")]
    fn from(ArchivePosition(position): ArchivePosition) -> Self {
        Self { admitted_ms: (position >> 64) as u64, message: position as u64 }
    }
}

impl DelayedKey {
    pub(crate) fn encode(self) -> [u8; 20] {
        let mut key = [0; 20];
        key[..8].copy_from_slice(&self.due_ms.to_be_bytes());
        key[8..].copy_from_slice(&ready_key(self.inbox, self.place));
        key
    }

    pub(crate) fn decode(key: &[u8]) -> Result<Self, EmbeddedBusError> {
        let (due, rest) = key
            .split_first_chunk::<8>()
            .ok_or(damaged("delayed", "a moment, an inbox and a place as key"))?;
        let (inbox, place) = parse_ready_key(rest)?;
        Ok(Self { due_ms: u64::from_be_bytes(*due), inbox, place })
    }
}

impl DeadKey {
    pub(crate) fn encode(self) -> [u8; 20] {
        let mut key = [0; 20];
        key[..4].copy_from_slice(&self.inbox.to_be_bytes());
        key[4..12].copy_from_slice(&self.died_ms.to_be_bytes());
        key[12..].copy_from_slice(&self.number.to_be_bytes());
        key
    }

    pub(crate) fn decode(key: &[u8]) -> Result<Self, EmbeddedBusError> {
        let key: &[u8; 20] = key
            .try_into()
            .map_err(|_| damaged("dead", "an inbox, a moment and a number as key"))?;
        let (inbox, died_ms) = parse_ready_key(&key[..12])?;
        let (_, number) = parse_ready_key(&key[8..])?;
        Ok(Self { inbox, died_ms, number })
    }

    /// The name that the bus gives it outside.
    pub(crate) fn to_id(self) -> DeadLetterId {
        DeadLetterId(format!("{:016x}-{:016x}", self.died_ms, self.number))
    }

    /// None when no dead letter of this bus has that name.
    pub(crate) fn from_id(inbox: u32, id: &DeadLetterId) -> Option<Self> {
        let (died, number) = id.0.split_once('-')?;
        let key = Self {
            inbox,
            died_ms: u64::from_str_radix(died, 16).ok()?,
            number: u64::from_str_radix(number, 16).ok()?,
        };
        (key.to_id() == *id).then_some(key)
    }
}

pub(crate) fn decode_u32(keyspace: &'static str, value: &[u8]) -> Result<u32, EmbeddedBusError> {
    let value = value.try_into().map_err(|_| damaged(keyspace, "a number of 4 bytes"))?;
    Ok(u32::from_be_bytes(value))
}

pub(crate) fn damaged(keyspace: &'static str, expected: &'static str) -> EmbeddedBusError {
    EmbeddedBusError::Damaged { keyspace, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_sort() {
        let early = DeadKey { inbox: 1, died_ms: 2, number: 300 };
        let late = DeadKey { died_ms: 300, number: 2, ..early };
        assert_eq!(DeadKey::decode(&early.encode()).unwrap(), early);
        assert_eq!(DeadKey::from_id(1, &early.to_id()), Some(early));
        assert!(early.encode() < late.encode());
        assert!(early.to_id() < late.to_id());
        for other in ["", "-", "2-12c", "+000000000000002-000000000000012c"] {
            assert_eq!(DeadKey::from_id(1, &DeadLetterId(other.to_owned())), None);
        }
        let archived = ArchiveKey { admitted_ms: 9, message: u64::MAX };
        assert_eq!(ArchiveKey::decode(&archived.encode()).unwrap(), archived);
        let delayed = DelayedKey { due_ms: 9, inbox: 8, place: 7 };
        assert_eq!(DelayedKey::decode(&delayed.encode()).unwrap(), delayed);
    }

    #[test]
    fn damage_is_an_error() {
        assert!(parse_ready_key(&[0; 11]).is_err());
        assert!(DeadKey::decode(&[0; 21]).is_err());
        assert!(DelayedKey::decode(&[0; 7]).is_err());
        assert!(ArchiveKey::decode(&[0; 15]).is_err());
    }
}
