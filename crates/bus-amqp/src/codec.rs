//! Envelopes as AMQP messages, and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use wissel_bus::{
    Attempt, DeadLetter, DeadLetterId, Envelope, FieldsKey, MessageId, Stand, Unsettled,
};

use crate::direct;
use crate::gathering::Target;
use crate::pack::{self, PackId};

const CONTENT_TYPE: &str = "application/cloudevents+protobuf";
pub(crate) const PERSISTENT: u8 = 2;
/// A reason is kept up to here: all headers of a message travel in one frame.
const REASON_BYTES_MAX: usize = 3 << 10;

const BCC: &str = "BCC";
const PUBLISHER: &str = "wissel-publisher";
const ADMITTED_AT: &str = "wissel-admitted-ms";
const FIELDS: &str = "wissel-fields";
const REPLAYED: &str = "wissel-replayed";
const ARCHIVE_UNTIL: &str = "wissel-archive-until-ms";
const ATTEMPT: &str = "wissel-attempt";
/// The attempts that came to nothing: `number milliseconds reason` each.
const HISTORY: &str = "wissel-history";
/// How many of them, the first, were made before a redrive; absent: none.
const BEFORE_REDRIVE: &str = "wissel-history-before-redrive";
const DEAD_ID: &str = "wissel-dead-id";
const DIED_AT: &str = "wissel-died-ms";
const REASON: &str = "wissel-reason";
/// The event without its data, of a message of which the body is the data.
pub(crate) const HEAD: &str = "wissel-event";

/// Why an AMQP message is no message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign(pub(crate) &'static str);

/// A message, and until when the archive has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) envelope: Envelope,
    pub(crate) archive_until: Option<SystemTime>,
}

/// A message in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) envelope: Envelope,
    pub(crate) attempt: u32,
    pub(crate) history: Vec<Attempt>,
}

/// What an AMQP message holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parcel {
    Single(Queued),
    Pack(PackId, Vec<Kept>),
}

/// The properties of a pack that goes to these targets. Without headers where it can be: a
/// publish with three of them costs the broker a fifth more.
pub(crate) fn pack_properties(id: PackId, targets: &[Target]) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_content_type(pack::CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.to_string().into());
    match targets {
        // It is the routing key.
        [_] => properties,
        _ => properties.with_headers(copy_to(targets)),
    }
}

/// The properties of a message that is put back, for its inbox alone.
pub(crate) fn again_properties(queued: &Queued) -> BasicProperties {
    with_headers(&queued.envelope, headers_with_history(queued))
}

/// The properties of a dead letter.
pub(crate) fn dead_properties(
    queued: &Queued,
    reason: &str,
    died_at: SystemTime,
) -> BasicProperties {
    let headers = with_death(headers_with_history(queued), reason, died_at);
    with_headers(&queued.envelope, headers)
}

/// The headers of a message, and those of its death.
pub(crate) fn with_death(mut headers: FieldTable, reason: &str, died_at: SystemTime) -> FieldTable {
    let died_at = milliseconds(died_at);
    // Sorts by time, and is the same for nobody else.
    let id = format!("{died_at:016x}-{}", MessageId::now());
    headers.insert(DEAD_ID.into(), AMQPValue::LongString(id.into()));
    headers.insert(DIED_AT.into(), AMQPValue::LongLongInt(died_at));
    headers.insert(REASON.into(), AMQPValue::LongString(shortened(reason).into()));
    headers
}

/// What is in an AMQP message of an inbox.
pub(crate) fn read(properties: &BasicProperties, body: Vec<u8>) -> Result<Parcel, Foreign> {
    if !is_pack(properties) {
        return Ok(Parcel::Single(read_single(properties, body)?));
    }
    let (id, members) = pack::read(body.into())?;
    // It cannot be half settled, so nothing has to be remembered of a pack of one.
    Ok(match <[Kept; 1]>::try_from(members) {
        Ok([alone]) => Parcel::Single(alone.into()),
        Err(members) => Parcel::Pack(id, members),
    })
}

/// What is in an AMQP message of the archive. One that was
/// alone there once had headers.
pub(crate) fn read_kept(properties: &BasicProperties, body: Vec<u8>) -> Result<Vec<Kept>, Foreign> {
    if is_pack(properties) {
        let (_, members) = pack::read(body.into())?;
        return Ok(members);
    }
    let envelope = read_single(properties, body)?.envelope;
    let headers = properties.headers().as_ref().ok_or(Foreign("no headers"))?;
    let archive_until = integer(headers, ARCHIVE_UNTIL).map(from_milliseconds);
    Ok(vec![Kept { envelope, archive_until }])
}

/// The content type of a message that has a head is its publisher's to choose, and what it has
/// behind the head is data.
fn is_pack(properties: &BasicProperties) -> bool {
    let content_type = properties.content_type().as_ref();
    let headers = properties.headers().as_ref();
    content_type.is_some_and(|content_type| content_type.as_str() == pack::CONTENT_TYPE)
        && headers.is_none_or(|headers| !headers.inner().contains_key(HEAD))
}

/// The dead letter in an AMQP message.
pub(crate) fn read_dead(
    properties: &BasicProperties,
    body: Vec<u8>,
) -> Result<DeadLetter, Foreign> {
    // What RabbitMQ itself dead-lettered has no headers of a death, and is what an inbox had.
    let Parcel::Single(queued) = read(properties, body)? else {
        return Err(Foreign("a pack among dead letters"));
    };
    let Queued { envelope, attempt, history } = queued;
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    let died_at = integer(headers, DIED_AT).map(from_milliseconds);
    let died_at = died_at.or_else(|| direct::died_at(headers)).unwrap_or(envelope.admitted_at);
    let id = text(headers, DEAD_ID)
        .unwrap_or_else(|| format!("{:016x}-{}", milliseconds(died_at), envelope.message_id));
    let (attempts, reason) = match text(headers, REASON) {
        Some(reason) => (attempt, reason),
        None if direct::only_waited(headers) => {
            (attempt.saturating_sub(1), direct::reason(headers))
        }
        None => (attempt, direct::reason(headers)),
    };
    Ok(DeadLetter { id: DeadLetterId(id), envelope, attempts, died_at, reason, history })
}

/// Milliseconds are kept.
pub(crate) fn milliseconds(moment: SystemTime) -> i64 {
    let since_1970 = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn from_milliseconds(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

/// What is in an AMQP message that is no pack.
pub(crate) fn read_single(properties: &BasicProperties, body: Vec<u8>) -> Result<Queued, Foreign> {
    let headers = properties.headers().as_ref().ok_or(Foreign("no headers"))?;
    let message_id = properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
    let publisher = text(headers, PUBLISHER).and_then(|publisher| publisher.parse().ok());
    let admitted_at = integer(headers, ADMITTED_AT).map(from_milliseconds);
    let attempt = integer(headers, ATTEMPT).and_then(|attempt| u32::try_from(attempt).ok());
    let replayed = matches!(headers.inner().get(REPLAYED), Some(AMQPValue::Boolean(true)));
    let envelope = Envelope {
        message_id: MessageId(message_id.ok_or(Foreign("message_id"))?),
        publisher: publisher.ok_or(Foreign(PUBLISHER))?,
        admitted_at: admitted_at.ok_or(Foreign(ADMITTED_AT))?,
        fields: integer(headers, FIELDS).map(|key| FieldsKey(key.cast_unsigned())),
        replayed,
        event: event(headers, body),
    };
    let attempt = attempt.ok_or(Foreign(ATTEMPT))?;
    Ok(Queued { envelope, attempt, history: read_history(headers)? })
}

fn read_history(headers: &FieldTable) -> Result<Vec<Attempt>, Foreign> {
    let Some(AMQPValue::FieldArray(attempts)) = headers.inner().get(HISTORY) else {
        return Ok(Vec::new());
    };
    let before_redrive = integer(headers, BEFORE_REDRIVE).unwrap_or_default();
    let read = |(index, attempt): (i64, &AMQPValue)| {
        let AMQPValue::LongString(text) = attempt else { return None };
        let text = text.to_string();
        let mut parts = text.splitn(3, ' ');
        let number = parts.next()?.parse().ok()?;
        let at = from_milliseconds(parts.next()?.parse().ok()?);
        let reason = parts.next()?.to_owned();
        Some(Attempt { number, at, reason, before_redrive: index < before_redrive })
    };
    let attempts = (0..).zip(attempts.as_slice()).map(read).collect::<Option<Vec<_>>>();
    attempts.ok_or(Foreign(HISTORY))
}

pub(crate) fn headers(envelope: &Envelope, attempt: u32) -> FieldTable {
    let mut headers = FieldTable::default();
    let publisher = AMQPValue::LongString(envelope.publisher.as_str().into());
    headers.insert(PUBLISHER.into(), publisher);
    let admitted_at = AMQPValue::LongLongInt(milliseconds(envelope.admitted_at));
    headers.insert(ADMITTED_AT.into(), admitted_at);
    if let Some(FieldsKey(key)) = envelope.fields {
        headers.insert(FIELDS.into(), AMQPValue::LongLongInt(key.cast_signed()));
    }
    if envelope.replayed {
        headers.insert(REPLAYED.into(), AMQPValue::Boolean(true));
    }
    headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(attempt.into()));
    headers
}

/// The same headers for a message that was not handed out, and so at no attempt but those before.
pub(crate) fn not_handed_out(mut headers: FieldTable) -> FieldTable {
    if let Some(attempt) = integer(&headers, ATTEMPT) {
        let before = AMQPValue::LongLongInt(attempt.saturating_sub(1).max(0));
        headers.insert(ATTEMPT.into(), before);
    }
    headers
}

fn headers_with_history(queued: &Queued) -> FieldTable {
    let mut headers = headers(&queued.envelope, queued.attempt);
    if !queued.history.is_empty() {
        let write = |attempt: &Attempt| {
            let Attempt { number, at, reason, before_redrive: _ } = attempt;
            let text = format!("{number} {} {}", milliseconds(*at), shortened(reason));
            AMQPValue::LongString(text.into())
        };
        let attempts: Vec<AMQPValue> = queued.history.iter().map(write).collect();
        headers.insert(HISTORY.into(), AMQPValue::FieldArray(FieldArray::from(attempts)));
        let before = queued.history.iter().take_while(|attempt| attempt.before_redrive).count();
        if before > 0 {
            headers.insert(BEFORE_REDRIVE.into(), AMQPValue::LongLongInt(before as i64));
        }
    }
    headers
}

/// The header by which a pack goes to several queues. The broker takes it off.
pub(crate) fn copy_to(targets: &[Target]) -> FieldTable {
    let queue = |target: &Target| AMQPValue::LongString(target.queue().as_str().into());
    let queues: Vec<AMQPValue> = targets.iter().map(queue).collect();
    let mut headers = FieldTable::default();
    headers.insert(BCC.into(), AMQPValue::FieldArray(FieldArray::from(queues)));
    headers
}

fn with_headers(envelope: &Envelope, headers: FieldTable) -> BasicProperties {
    BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(envelope.message_id.to_string().into())
        .with_headers(headers)
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

fn event(headers: &FieldTable, body: Vec<u8>) -> Bytes {
    match headers.inner().get(HEAD) {
        Some(AMQPValue::ByteArray(head)) => [head.as_slice(), &body].concat().into(),
        _ => body.into(),
    }
}

pub(crate) fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

pub(crate) fn integer(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(integer) => Some(*integer),
        AMQPValue::LongInt(integer) => Some((*integer).into()),
        _ => None,
    }
}

// === impl Queued ===

impl From<Kept> for Queued {
    /// At its first attempt.
    fn from(Kept { envelope, .. }: Kept) -> Self {
        Self { envelope, attempt: 1, history: Vec::new() }
    }
}

impl Queued {
    pub(crate) fn unsettled(self, stand: Stand) -> Unsettled {
        let Self { envelope, attempt, history } = self;
        Unsettled { envelope, attempt, stand, history }
    }

    /// As it comes again after this attempt came to nothing.
    pub(crate) fn after_failure(&self, at: SystemTime, reason: &str) -> Self {
        let Self { envelope, attempt, history } = self;
        let failed = Attempt::new(*attempt, at, reason);
        let dropped = (history.len() + 1).saturating_sub(Attempt::KEPT);
        let history = history.iter().skip(dropped).cloned().chain([failed]).collect();
        Self { envelope: envelope.clone(), attempt: attempt.saturating_add(1), history }
    }

    /// As it is given up: with attempts that were made without the bus, and without this one when
    /// it was not handed out.
    pub(crate) fn given_up(&self, unheard: &[Attempt], handed_out: bool) -> Self {
        let Self { envelope, attempt, history } = self;
        let dropped = (history.len() + unheard.len()).saturating_sub(Attempt::KEPT);
        let history = history.iter().chain(unheard).skip(dropped).cloned().collect();
        let attempt = Attempt::count(*attempt, unheard, handed_out);
        Self { envelope: envelope.clone(), attempt, history }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(fields: Option<FieldsKey>, replayed: bool) -> Envelope {
        Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: from_milliseconds(1_700_000_000_123),
            fields,
            replayed,
            event: Bytes::from_static(b"event"),
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        for (fields, replayed) in
            [(None, false), (Some(FieldsKey(0)), true), (Some(FieldsKey(u64::MAX)), false)]
        {
            let queued =
                Queued { envelope: envelope(fields, replayed), attempt: 1, history: Vec::new() };
            let at = from_milliseconds(1_700_000_001_000);
            let mut queued = queued.after_failure(at, "één reden").after_failure(at, "");
            queued.history[0].before_redrive = replayed;
            let read = read(&again_properties(&queued), b"event".to_vec()).unwrap();
            assert_eq!(read, Parcel::Single(queued));
        }
    }

    #[test]
    fn of_long_histories_and_reasons_the_end_is_dropped() {
        let mut queued = Queued { envelope: envelope(None, false), attempt: 1, history: vec![] };
        for _ in 0..100 {
            queued = queued.after_failure(SystemTime::UNIX_EPOCH, &"é".repeat(10_000));
        }
        assert_eq!(queued.history.len(), Attempt::KEPT);
        assert_eq!(queued.history[0].number, 81);
        let properties = dead_properties(&queued, &"é".repeat(10_000), SystemTime::UNIX_EPOCH);
        let letter = read_dead(&properties, Vec::new()).unwrap();
        assert_eq!(letter.reason.len(), REASON_BYTES_MAX);
        let bytes: usize = letter.history.iter().map(|attempt| attempt.reason.len()).sum();
        assert!(bytes < 100_000, "the headers do not fit in a frame: {bytes}");
    }

    #[test]
    fn the_end_in_the_archive_is_kept() {
        let archive_until = Some(from_milliseconds(1_800_000_000_000));
        let kept = Kept { envelope: envelope(None, false), archive_until };
        let id = PackId { instance: 1, number: 2 };
        let (properties, body) =
            (pack_properties(id, &[Target::Archive]), pack::write(id, [&kept].into_iter()));
        assert_eq!(read_kept(&properties, body.to_vec()), Ok(vec![kept.clone()]));

        let mut with_headers = headers(&kept.envelope, 1);
        with_headers.insert(ARCHIVE_UNTIL.into(), AMQPValue::LongLongInt(1_800_000_000_000));
        let before = super::with_headers(&kept.envelope, with_headers);
        assert_eq!(read_kept(&before, b"event".to_vec()), Ok(vec![kept]));
    }

    #[test]
    fn data_that_calls_itself_a_pack_is_data() {
        let ours = envelope(None, false);
        let forged = Kept { envelope: envelope(None, true), archive_until: None };
        let pack = pack::write(PackId { instance: 1, number: 2 }, [&forged].into_iter());
        for body in [pack.to_vec(), b"neither".to_vec()] {
            let mut headers = headers(&ours, 1);
            headers.insert(HEAD.into(), AMQPValue::ByteArray(b"head ".as_slice().into()));
            // As a client that rejects a message leaves it to RabbitMQ.
            let properties =
                with_headers(&ours, headers).with_content_type(pack::CONTENT_TYPE.into());
            let dead = read_dead(&properties, body.clone()).unwrap();
            let event = [b"head ".as_slice(), &body].concat().into();
            assert_eq!(dead.envelope, Envelope { event, ..ours.clone() });
        }
    }

    #[test]
    fn a_pack_of_one_is_a_single_message() {
        let kept = Kept { envelope: envelope(Some(FieldsKey(7)), true), archive_until: None };
        let id = PackId { instance: 1, number: 2 };
        let body = pack::write(id, [&kept].into_iter());
        let properties = pack_properties(id, &[Target::Archive]);
        let read = read(&properties, body.to_vec());
        assert_eq!(read, Ok(Parcel::Single(kept.clone().into())));
        let dead = read_dead(&properties, body.to_vec()).unwrap();
        assert_eq!((dead.envelope, dead.attempts), (kept.envelope, 1));
    }
}
