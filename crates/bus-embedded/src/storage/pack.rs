//! Messages on disk: each alone, or in a *pack* of those that were written together.
//!
//! A message that stands alone is one value, a moment, its publisher, its id and its event.
//! A pack is how many there are, how long each is, and each behind the other. A message that
//! everyone is done with may be gone from its pack: its length is 0 then.

use std::ops::Range;

use bytes::Bytes;
use byteview::ByteView;
use uuid::Uuid;
use wissel_bus::{Envelope, FieldsKey, MessageId};
use wissel_identifiers::Oin;

use super::engine::UserValue;
use super::keys::{damaged, from_ms, to_ms};
use crate::EmbeddedBusError;

/// The most messages of a pack.
pub(crate) const PACK_MAX: usize = 64;
/// The most bytes of a pack's events.
pub(crate) const PACK_BYTES_MAX: usize = 256 << 10;
/// A message with a larger event stands alone: what is left of a pack is told by how many messages
/// are left in it.
pub(crate) const PACKED_MAX: usize = 16 << 10;

const HEADER: usize = 8 + Oin::LENGTH + 16;
const HEADER_MAX: usize = HEADER + 8;
/// In the moment of a message, where no moment needs it: a key of fields follows the header.
const CUT_DOWN: u64 = 1 << 63;
/// There as well: the message comes from the archive.
const REPLAYED: u64 = 1 << 62;
const MOMENT: u64 = REPLAYED - 1;

/// What stands before an event.
struct Header {
    bytes: [u8; HEADER_MAX],
    length: usize,
}

impl Header {
    fn of(envelope: &Envelope) -> Self {
        let cut_down = if envelope.fields.is_some() { CUT_DOWN } else { 0 };
        let replayed = if envelope.replayed { REPLAYED } else { 0 };
        let moment = to_ms(envelope.admitted_at) & MOMENT | cut_down | replayed;
        let mut bytes = [0; HEADER_MAX];
        bytes[..8].copy_from_slice(&moment.to_be_bytes());
        bytes[8..8 + Oin::LENGTH].copy_from_slice(envelope.publisher.as_str().as_bytes());
        bytes[8 + Oin::LENGTH..HEADER].copy_from_slice(envelope.message_id.0.as_bytes());
        let Some(FieldsKey(key)) = envelope.fields else { return Self { bytes, length: HEADER } };
        bytes[HEADER..].copy_from_slice(&key.to_be_bytes());
        Self { bytes, length: HEADER_MAX }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

// === alone ===

/// The value of a message that stands alone.
pub(crate) fn encode_body(envelope: &Envelope) -> UserValue {
    UserValue::from(ByteView::fused(Header::of(envelope).as_bytes(), &envelope.event))
}

/// The event is a part of `body`, not a copy.
fn decode_body(body: &Bytes) -> Result<Envelope, EmbeddedBusError> {
    const EXPECTED: &str = "a moment, an OIN, an id and an event";
    let malformed = || damaged("messages", EXPECTED);
    let (moment, rest) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
    let (publisher, rest) = rest.split_first_chunk::<{ Oin::LENGTH }>().ok_or_else(malformed)?;
    let (message_id, rest) = rest.split_first_chunk::<16>().ok_or_else(malformed)?;
    let moment = u64::from_be_bytes(*moment);
    let (fields, header) = if moment & CUT_DOWN == 0 {
        (None, HEADER)
    } else {
        let (key, _) = rest.split_first_chunk::<8>().ok_or_else(malformed)?;
        (Some(FieldsKey(u64::from_be_bytes(*key))), HEADER_MAX)
    };
    let publisher = std::str::from_utf8(publisher).ok().and_then(|text| text.parse().ok());
    Ok(Envelope {
        message_id: MessageId(Uuid::from_bytes(*message_id)),
        publisher: publisher.ok_or_else(malformed)?,
        admitted_at: from_ms(moment & MOMENT),
        fields,
        replayed: moment & REPLAYED != 0,
        event: body.slice(header..),
    })
}

// === together ===

/// The value of these messages together, and where in it the event of each is.
pub(crate) fn encode_pack<'a>(
    messages: impl ExactSizeIterator<Item = &'a Envelope>,
) -> (UserValue, Vec<Range<usize>>) {
    let messages: Vec<(Header, &Bytes)> =
        messages.map(|message| (Header::of(message), &message.event)).collect();
    let parts = messages.iter().map(|(header, event)| [header.as_bytes(), event]);
    join(parts)
}

/// The same of bodies; one of no length is gone.
fn join<'a>(
    parts: impl ExactSizeIterator<Item = [&'a [u8]; 2]> + Clone,
) -> (UserValue, Vec<Range<usize>>) {
    let length_of = |[header, event]: [&[u8]; 2]| header.len() + event.len();
    let begin = 1 + 4 * parts.len();
    let whole = begin + parts.clone().map(length_of).sum::<usize>();
    // Written to where it stays.
    let mut value = ByteView::with_size(whole);
    let mut into = value.get_mut().expect("nobody else has it yet");
    into[0] = u8::try_from(parts.len()).expect("a pack has at most 64");
    let mut events = Vec::with_capacity(parts.len());
    let mut at = begin;
    for (index, part) in parts.enumerate() {
        let length = u32::try_from(length_of(part)).expect("a message is shorter than 4 GiB");
        into[1 + 4 * index..][..4].copy_from_slice(&length.to_be_bytes());
        for piece in part {
            into[at..][..piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        events.push(at - part[1].len()..at);
    }
    drop(into);
    (UserValue::from(value), events)
}

/// A value of `messages` that was read.
pub(crate) struct Pack {
    value: Bytes,
    /// What each of several is of the value; none: it is one message alone.
    parts: Option<Vec<Range<usize>>>,
}

impl Pack {
    /// One message, or several, as the address of one in it tells.
    pub(crate) fn read(value: UserValue, part: Option<u8>) -> Result<Self, EmbeddedBusError> {
        let value = Bytes::from_owner(value);
        let parts = match part {
            None => None,
            Some(_) => Some(parts_of(&value).ok_or(damaged("messages", "a whole pack"))?),
        };
        Ok(Self { value, parts })
    }

    /// The message at this part. It does not keep the others in memory: who holds a few of many
    /// messages for long would hold all. None when it is gone.
    pub(crate) fn message(&self, part: Option<u8>) -> Result<Option<Envelope>, EmbeddedBusError> {
        match (&self.parts, part) {
            (None, None) => decode_body(&self.value).map(Some),
            (Some(parts), Some(part)) => match parts.get(usize::from(part)) {
                Some(range) if !range.is_empty() => {
                    let body = Bytes::copy_from_slice(&self.value[range.clone()]);
                    decode_body(&body).map(Some)
                }
                _ => Ok(None),
            },
            _ => Err(damaged("messages", "a pack where a delivery says so")),
        }
    }

    /// The same pack with those only that are to stay.
    pub(crate) fn keep(&self, stays: impl Fn(usize) -> bool) -> UserValue {
        let parts = self.parts.iter().flatten().enumerate().map(|(part, range)| {
            let kept = if stays(part) { &self.value[range.clone()] } else { &[] };
            [kept, &[]]
        });
        let parts: Vec<[&[u8]; 2]> = parts.collect();
        join(parts.into_iter()).0
    }
}

fn parts_of(value: &[u8]) -> Option<Vec<Range<usize>>> {
    let (&count, rest) = value.split_first()?;
    let (lengths, bodies) = rest.split_at_checked(4 * usize::from(count))?;
    let mut end = value.len() - bodies.len();
    let mut parts = Vec::with_capacity(usize::from(count));
    for length in lengths.as_chunks().0 {
        let begin = end;
        end = begin.checked_add(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        parts.push(begin..end);
    }
    (end == value.len()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(event: &'static [u8]) -> Envelope {
        Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: from_ms(1_700_000_000_123),
            fields: None,
            replayed: false,
            event: Bytes::from_static(event),
        }
    }

    fn some() -> [Envelope; 3] {
        let cut_down = Envelope { fields: Some(FieldsKey(u64::MAX)), ..envelope(b"") };
        [envelope(b"event"), cut_down.clone(), Envelope { replayed: true, ..cut_down }]
    }

    #[test]
    fn a_message_alone_comes_back_as_it_was() {
        for message in some() {
            let pack = Pack::read(encode_body(&message), None).unwrap();
            assert_eq!(pack.message(None).unwrap(), Some(message));
            assert!(pack.message(Some(0)).is_err());
        }
    }

    #[test]
    fn messages_of_a_pack_come_back_as_they_were() {
        let messages = some();
        let (value, events) = encode_pack(messages.iter());
        for (message, event) in messages.iter().zip(events) {
            assert_eq!(value[event], message.event);
        }
        let pack = Pack::read(value, Some(0)).unwrap();
        for (part, message) in (0..).zip(&messages) {
            assert_eq!(pack.message(Some(part)).unwrap().as_ref(), Some(message));
        }
        assert_eq!(pack.message(Some(3)).unwrap(), None);
        assert!(pack.message(None).is_err());

        let left = pack.keep(|part| part == 1);
        assert!(left.len() < pack.value.len());
        let left = Pack::read(left, Some(1)).unwrap();
        assert_eq!(left.message(Some(0)).unwrap(), None);
        assert_eq!(left.message(Some(1)).unwrap().as_ref(), Some(&messages[1]));
        assert_eq!(left.message(Some(2)).unwrap(), None);
    }

    #[test]
    fn damage_is_an_error() {
        for length in [0, 10, 60] {
            let body = Pack::read(UserValue::from(vec![0; length]), None).unwrap();
            assert!(body.message(None).is_err(), "{length}");
        }
        let (value, _) = encode_pack(some().iter());
        for cut in [0, 1, 5, 40, value.len() - 1] {
            assert!(Pack::read(UserValue::from(&value[..cut]), Some(0)).is_err(), "{cut}");
        }
    }
}
