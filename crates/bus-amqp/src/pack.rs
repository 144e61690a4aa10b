//! Several messages as the body of one AMQP message.
//!
//! All integers are big-endian. Version 1:
//!
//! | bytes | hold |
//! |---|---|
//! | 1 | the version, 1 |
//! | 8 | which bus packed it: a random number that a bus takes when it connects |
//! | 8 | which of its packs it is |
//! | 2 | how many messages follow, 1 to [`MEMBERS_MAX`] |
//!
//! and for each message:
//!
//! | bytes | hold |
//! |---|---|
//! | 1 | flags: 1 it has fields, 2 it is a replay, 4 it has an end in the archive; others: damaged |
//! | 16 | the message id |
//! | 20 | the publisher's OIN |
//! | 8 | when it was admitted, in ms since 1970 |
//! | 8 | the key of its fields, when it has them |
//! | 8 | until when it is in the archive, in ms since 1970, when it has an end |
//! | 4 | the length of the event |
//! | … | the event |
//!
//! Nothing follows the last event. A member is always at its first attempt: a retry
//! travels by itself.

use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use uuid::Uuid;
use wissel_bus::{Envelope, FieldsKey, MessageId};
use wissel_identifiers::Oin;

use crate::codec::{Foreign, Kept, from_milliseconds, milliseconds};

/// The content type of a pack.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.wissel.pack.v1";
/// The most messages of a pack.
pub(crate) const MEMBERS_MAX: usize = 4_096;

const VERSION: u8 = 1;
/// What stands before the first message.
const HEAD: usize = 1 + 8 + 8 + 2;
const HAS_FIELDS: u8 = 1;
const REPLAYED: u8 = 2;
const HAS_END: u8 = 4;
/// What a message takes beside its event, at most.
const MEMBER_OVERHEAD: usize = 1 + 16 + 20 + 8 + 8 + 8 + 4;

/// Names a pack, wherever it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PackId {
    /// The bus that packed it.
    pub(crate) instance: u64,
    /// Which of its packs.
    pub(crate) number: u64,
}

/// Makes the body. At most [`MEMBERS_MAX`] members, of less than 4 GiB each.
pub(crate) fn write<'a>(
    id: PackId,
    members: impl ExactSizeIterator<Item = &'a Kept> + Clone,
) -> Bytes {
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
    let room = members.clone().map(|member| MEMBER_OVERHEAD + member.envelope.event.len());
    let mut body = BytesMut::with_capacity(HEAD + room.sum::<usize>());
    body.put_u8(VERSION);
    body.put_u64(id.instance);
    body.put_u64(id.number);
    body.put_u16(count);
    for member in members.take(usize::from(count)) {
        write_member(&mut body, member);
    }
    body.freeze()
}

/// The members of a pack; their events are slices of `body`.
pub(crate) fn read(body: Bytes) -> Result<(PackId, Vec<Kept>), Foreign> {
    let mut rest = body;
    if rest.try_get_u8() != Ok(VERSION) {
        return Err(Foreign("version of a pack"));
    }
    let instance = rest.try_get_u64().map_err(|_| CUT_SHORT)?;
    let number = rest.try_get_u64().map_err(|_| CUT_SHORT)?;
    let count = usize::from(rest.try_get_u16().map_err(|_| CUT_SHORT)?);
    if count == 0 || count > MEMBERS_MAX {
        return Err(Foreign("count of a pack"));
    }
    // Not more than could be there, whatever the count says.
    let mut members = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        members.push(read_member(&mut rest)?);
    }
    if rest.has_remaining() {
        return Err(Foreign("bytes behind a pack"));
    }
    Ok((PackId { instance, number }, members))
}

const CUT_SHORT: Foreign = Foreign("a pack that is cut short");

fn write_member(body: &mut BytesMut, member: &Kept) {
    let Kept { envelope, archive_until } = member;
    let mut flags = 0;
    flags |= if envelope.fields.is_some() { HAS_FIELDS } else { 0 };
    flags |= if envelope.replayed { REPLAYED } else { 0 };
    flags |= if archive_until.is_some() { HAS_END } else { 0 };
    body.put_u8(flags);
    body.put_slice(envelope.message_id.0.as_bytes());
    body.put_slice(envelope.publisher.as_str().as_bytes());
    body.put_i64(milliseconds(envelope.admitted_at));
    if let Some(FieldsKey(key)) = envelope.fields {
        body.put_u64(key);
    }
    if let Some(until) = archive_until {
        body.put_i64(milliseconds(*until));
    }
    body.put_u32(u32::try_from(envelope.event.len()).unwrap_or(u32::MAX));
    body.put_slice(&envelope.event);
}

fn read_member(rest: &mut Bytes) -> Result<Kept, Foreign> {
    let flags = rest.try_get_u8().map_err(|_| CUT_SHORT)?;
    if flags & !(HAS_FIELDS | REPLAYED | HAS_END) != 0 {
        return Err(Foreign("flags in a pack"));
    }
    let mut id = [0; 16];
    rest.try_copy_to_slice(&mut id).map_err(|_| CUT_SHORT)?;
    let mut publisher = [0; Oin::LENGTH];
    rest.try_copy_to_slice(&mut publisher).map_err(|_| CUT_SHORT)?;
    let publisher = std::str::from_utf8(&publisher).ok().and_then(|text| text.parse().ok());
    let admitted_at = rest.try_get_i64().map_err(|_| CUT_SHORT)?;
    let fields = match flags & HAS_FIELDS {
        0 => None,
        _ => Some(FieldsKey(rest.try_get_u64().map_err(|_| CUT_SHORT)?)),
    };
    let archive_until = match flags & HAS_END {
        0 => None,
        _ => Some(from_milliseconds(rest.try_get_i64().map_err(|_| CUT_SHORT)?)),
    };
    let length = rest.try_get_u32().map_err(|_| CUT_SHORT)? as usize;
    if length > rest.len() {
        return Err(CUT_SHORT);
    }
    let envelope = Envelope {
        message_id: MessageId(Uuid::from_bytes(id)),
        publisher: publisher.ok_or(Foreign("publisher in a pack"))?,
        admitted_at: from_milliseconds(admitted_at),
        fields,
        replayed: flags & REPLAYED != 0,
        event: rest.split_to(length),
    };
    Ok(Kept { envelope, archive_until })
}

impl PackId {
    /// From what is displayed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (instance, number) = text.split_once('-')?;
        let read = |hexadecimal| u64::from_str_radix(hexadecimal, 16).ok();
        Some(Self { instance: read(instance)?, number: read(number)? })
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.instance, self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept() -> impl Strategy<Value = Kept> {
        let moment = || (0..4_000_000_000_000_i64).prop_map(from_milliseconds);
        let event = prop::collection::vec(any::<u8>(), 0..200);
        (
            any::<[u8; 16]>(),
            moment(),
            prop::option::of(any::<u64>()),
            any::<bool>(),
            prop::option::of(moment()),
            event,
        )
            .prop_map(|(id, admitted_at, fields, replayed, archive_until, event)| Kept {
                envelope: Envelope {
                    message_id: MessageId(Uuid::from_bytes(id)),
                    publisher: "00000099000000001000".parse().unwrap(),
                    admitted_at,
                    fields: fields.map(FieldsKey),
                    replayed,
                    event: event.into(),
                },
                archive_until,
            })
    }

    proptest! {
        #[test]
        fn members_come_back(
            members in prop::collection::vec(kept(), 1..20),
            instance: u64,
            number: u64,
        ) {
            let id = PackId { instance, number };
            let body = write(id, members.iter());
            prop_assert_eq!(read(body), Ok((id, members)));
        }

        #[test]
        fn what_is_cut_short_or_longer_is_refused(
            members in prop::collection::vec(kept(), 1..4),
            cut: prop::sample::Index,
        ) {
            let id = PackId { instance: 1, number: 2 };
            let body = write(id, members.iter());
            prop_assert!(read(body.slice(..cut.index(body.len()))).is_err());
            let mut longer = body.to_vec();
            longer.push(0);
            prop_assert!(read(longer.into()).is_err());
        }

        #[test]
        fn nothing_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(body.into());
        }

        #[test]
        fn a_changed_byte_never_makes_it_panic(
            members in prop::collection::vec(kept(), 1..4),
            place: prop::sample::Index,
            value: u8,
        ) {
            let id = PackId { instance: 1, number: 2 };
            let mut body = write(id, members.iter()).to_vec();
            let place = place.index(body.len());
            body[place] = value;
            let _ = read(body.into());
        }
    }
}
