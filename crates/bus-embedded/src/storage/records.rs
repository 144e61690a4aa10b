//! How keys and values look on disk. Integers are big-endian, so that keys sort
//! as their numbers do.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use byteview::ByteView;
use fjall::UserValue;
use uuid::Uuid;
use wissel_bus::{ArchivePosition, Attempt, DeadLetterId, Envelope, FieldsKey, MessageId};
use wissel_identifiers::Oin;

use crate::EmbeddedBusError;

/// A delivery's place in its inbox, and what is known of it besides its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where it stands in the order of its inbox; never used twice there.
    pub(crate) place: u64,
    /// The key of its message.
    pub(crate) message: u64,
    /// When the message was admitted, in milliseconds since 1970.
    pub(crate) admitted_ms: u64,
    /// At which attempt it is, from 1.
    pub(crate) attempt: u32,
    /// How long its event is, in bytes.
    pub(crate) length: u32,
    /// How many were given the same message at first: its inboxes, the archive counted as one.
    pub(crate) holders: u32,
    /// Whether it came to its place by a retry or a redrive, so that it may be
    /// older than what stands before it.
    pub(crate) requeued: bool,
}

const SLOT_LENGTH: usize = 29;
const REQUEUED: u8 = 1;
const BODY_HEADER: usize = 8 + Oin::LENGTH + 16;
/// In the moment of a message's value, where no moment needs it: a key of fields follows
/// the header.
const CUT_DOWN: u64 = 1 << 63;
/// There as well: the message comes from the archive.
const REPLAYED: u64 = 1 << 62;
const MOMENT: u64 = REPLAYED - 1;

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

pub(crate) fn message_key(message: u64) -> [u8; 8] {
    message.to_be_bytes()
}

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

// === values ===

impl Slot {
    pub(crate) fn encode(&self) -> [u8; SLOT_LENGTH] {
        let mut value = [0; SLOT_LENGTH];
        value[..8].copy_from_slice(&self.message.to_be_bytes());
        value[8..16].copy_from_slice(&self.admitted_ms.to_be_bytes());
        value[16..20].copy_from_slice(&self.attempt.to_be_bytes());
        value[20..24].copy_from_slice(&self.length.to_be_bytes());
        value[24..28].copy_from_slice(&self.holders.to_be_bytes());
        value[28] = if self.requeued { REQUEUED } else { 0 };
        value
    }

    pub(crate) fn decode(place: u64, value: &[u8]) -> Result<Self, EmbeddedBusError> {
        let value: &[u8; SLOT_LENGTH] =
            value.first_chunk().ok_or(damaged("deliveries", "29 bytes or more"))?;
        let (message, rest) = value.split_first_chunk().expect("29 bytes hold 8");
        let (admitted_ms, rest) = rest.split_first_chunk().expect("21 bytes hold 8");
        let (attempt, rest) = rest.split_first_chunk().expect("13 bytes hold 4");
        let (length, rest) = rest.split_first_chunk().expect("9 bytes hold 4");
        let (holders, flags) = rest.split_first_chunk().expect("5 bytes hold 4");
        Ok(Self {
            place,
            message: u64::from_be_bytes(*message),
            admitted_ms: u64::from_be_bytes(*admitted_ms),
            attempt: u32::from_be_bytes(*attempt),
            length: u32::from_be_bytes(*length),
            holders: u32::from_be_bytes(*holders),
            requeued: flags[0] & REQUEUED != 0,
        })
    }
}

/// The value of a delivery that was retried: its slot, then its history.
pub(crate) fn encode_retried(slot: &Slot, history: &[Attempt]) -> Vec<u8> {
    let mut value = slot.encode().to_vec();
    for attempt in history {
        put_attempt(&mut value, attempt.number, attempt.at, &attempt.reason);
    }
    value
}

/// The attempts in the value of a delivery, oldest first.
pub(crate) fn decode_history(value: &[u8]) -> Result<Vec<Attempt>, EmbeddedBusError> {
    let mut rest = value.get(SLOT_LENGTH..).unwrap_or_default();
    let mut history = Vec::new();
    while !rest.is_empty() {
        history.push(take_attempt(&mut rest).ok_or(damaged("deliveries", "whole attempts"))?);
    }
    Ok(history)
}

/// A dead letter's value: its slot, then its history, of which the last attempt is the one
/// at which it was given up.
pub(crate) fn encode_dead(slot: &Slot, history: &[Attempt], died_ms: u64, reason: &str) -> Vec<u8> {
    let mut value = encode_retried(slot, history);
    put_attempt(&mut value, slot.attempt, from_ms(died_ms), reason);
    value
}

/// Its slot, its reason, and the attempts before. The slot has no place; it gets one when
/// it is redriven.
pub(crate) fn decode_dead(value: &[u8]) -> Result<(Slot, String, Vec<Attempt>), EmbeddedBusError> {
    let slot = Slot::decode(0, value)?;
    let mut history = decode_history(value)?;
    let last = history.pop().ok_or(damaged("dead", "the last attempt"))?;
    Ok((slot, last.reason, history))
}

fn put_attempt(value: &mut Vec<u8>, number: u32, at: SystemTime, reason: &str) {
    let length = u32::try_from(reason.len()).unwrap_or(u32::MAX);
    value.extend_from_slice(&number.to_be_bytes());
    value.extend_from_slice(&to_ms(at).to_be_bytes());
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(reason.as_bytes());
}

fn take_attempt(rest: &mut &[u8]) -> Option<Attempt> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    let (at, after) = after.split_first_chunk::<8>()?;
    let (length, after) = after.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (reason, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Attempt {
        number: u32::from_be_bytes(*number),
        at: from_ms(u64::from_be_bytes(*at)),
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

/// A message as one value, made once and then shared by write buffer and consumers.
pub(crate) fn encode_body(envelope: &Envelope) -> UserValue {
    let mut header = Vec::with_capacity(BODY_HEADER + 8);
    let cut_down = if envelope.fields.is_some() { CUT_DOWN } else { 0 };
    let replayed = if envelope.replayed { REPLAYED } else { 0 };
    let admitted_ms = to_ms(envelope.admitted_at) & MOMENT;
    header.extend_from_slice(&(admitted_ms | cut_down | replayed).to_be_bytes());
    header.extend_from_slice(envelope.publisher.as_str().as_bytes());
    header.extend_from_slice(envelope.message_id.0.as_bytes());
    if let Some(FieldsKey(key)) = envelope.fields {
        header.extend_from_slice(&key.to_be_bytes());
    }
    // The event is copied once, to where it stays.
    UserValue::from(ByteView::fused(&header, &envelope.event))
}

/// The event is a part of `body`, not a copy.
pub(crate) fn decode_body(body: UserValue) -> Result<Envelope, EmbeddedBusError> {
    const EXPECTED: &str = "a moment, an OIN, an id and an event";
    let malformed = || damaged("messages", EXPECTED);
    let (admitted_ms, rest) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
    let (publisher, rest) = rest.split_first_chunk::<{ Oin::LENGTH }>().ok_or_else(malformed)?;
    let (message_id, rest) = rest.split_first_chunk::<16>().ok_or_else(malformed)?;
    let message_id = MessageId(Uuid::from_bytes(*message_id));
    let admitted_ms = u64::from_be_bytes(*admitted_ms);
    let admitted_at = from_ms(admitted_ms & MOMENT);
    let (fields, header) = if admitted_ms & CUT_DOWN == 0 {
        (None, BODY_HEADER)
    } else {
        let (key, _) = rest.split_first_chunk::<8>().ok_or_else(malformed)?;
        (Some(FieldsKey(u64::from_be_bytes(*key))), BODY_HEADER + 8)
    };
    let publisher = std::str::from_utf8(publisher)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(malformed)?;
    Ok(Envelope {
        message_id,
        publisher,
        admitted_at,
        fields,
        replayed: admitted_ms & REPLAYED != 0,
        event: Bytes::from_owner(body).slice(header..),
    })
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
    fn records_come_back_as_they_were() {
        let slot = Slot {
            place: 7,
            message: 5,
            admitted_ms: 1_700_000_000_123,
            attempt: 3,
            length: 70_000,
            holders: 2,
            requeued: false,
        };
        assert_eq!(Slot::decode(7, &slot.encode()).unwrap(), slot);
        let history: Vec<Attempt> = (1..3)
            .map(|number| Attempt {
                number,
                at: from_ms(1_700_000_000_000 + u64::from(number)),
                reason: "é".repeat(number as usize - 1),
            })
            .collect();
        let retried = encode_retried(&slot, &history);
        assert_eq!(Slot::decode(7, &retried).unwrap(), slot);
        assert_eq!(decode_history(&retried).unwrap(), history);
        let dead = decode_dead(&encode_dead(&slot, &history, 5, "te laat")).unwrap();
        assert_eq!(dead, (Slot { place: 0, ..slot }, "te laat".to_owned(), history));

        let envelope = Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: from_ms(1_700_000_000_123),
            fields: None,
            replayed: false,
            event: Bytes::from_static(b"event"),
        };
        assert_eq!(decode_body(encode_body(&envelope)).unwrap(), envelope);
        let cut_down = Envelope { fields: Some(FieldsKey(u64::MAX)), ..envelope };
        assert_eq!(decode_body(encode_body(&cut_down)).unwrap(), cut_down);
        let replayed = Envelope { replayed: true, ..cut_down };
        assert_eq!(decode_body(encode_body(&replayed)).unwrap(), replayed);
    }

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
        assert!(Slot::decode(1, &[0; 24]).is_err());
        assert!(decode_dead(&[0; 25]).is_err());
        assert!(decode_history(&[1; 40]).is_err());
        assert!(decode_body(UserValue::from([0; 60])).is_err());
        assert!(decode_body(UserValue::from([0; 10])).is_err());
        assert!(parse_ready_key(&[0; 11]).is_err());
        assert!(DeadKey::decode(&[0; 21]).is_err());
        assert!(DelayedKey::decode(&[0; 7]).is_err());
        assert!(ArchiveKey::decode(&[0; 15]).is_err());
    }
}
