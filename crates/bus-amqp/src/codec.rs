//! Envelopes as AMQP messages, and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use wissel_bus::{DeadLetter, DeadLetterId, Envelope, FieldsKey, InboxName, MessageId};

const CONTENT_TYPE: &str = "application/cloudevents+protobuf";
const PERSISTENT: u8 = 2;

const BCC: &str = "BCC";
const PUBLISHER: &str = "wissel-publisher";
const ADMITTED_AT: &str = "wissel-admitted-ms";
const FIELDS: &str = "wissel-fields";
const ATTEMPT: &str = "wissel-attempt";
const DEAD_ID: &str = "wissel-dead-id";
const DIED_AT: &str = "wissel-died-ms";
const REASON: &str = "wissel-reason";

/// Why an AMQP message is no message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign(pub(crate) &'static str);

/// The properties of a message to these inboxes, at this attempt.
pub(crate) fn properties(envelope: &Envelope, attempt: u32) -> BasicProperties {
    with_headers(envelope, headers(envelope, attempt))
}

pub(crate) fn properties_to(envelope: &Envelope, inboxes: &[InboxName]) -> BasicProperties {
    let mut headers = headers(envelope, 1);
    let inboxes = inboxes.iter().map(|inbox| AMQPValue::LongString(inbox.as_str().into()));
    let inboxes: Vec<AMQPValue> = inboxes.collect();
    headers.insert(BCC.into(), AMQPValue::FieldArray(FieldArray::from(inboxes)));
    with_headers(envelope, headers)
}

/// The properties of a dead letter.
pub(crate) fn dead_properties(
    envelope: &Envelope,
    attempts: u32,
    reason: &str,
    died_at: SystemTime,
) -> BasicProperties {
    let mut headers = headers(envelope, attempts);
    let died_at = milliseconds(died_at);
    // Sorts by time, and is the same for nobody else.
    let id = format!("{died_at:016x}-{}", MessageId::now());
    headers.insert(DEAD_ID.into(), AMQPValue::LongString(id.into()));
    headers.insert(DIED_AT.into(), AMQPValue::LongLongInt(died_at));
    headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
    with_headers(envelope, headers)
}

/// The envelope in an AMQP message, and its attempt.
pub(crate) fn read(
    properties: &BasicProperties,
    body: Vec<u8>,
) -> Result<(Envelope, u32), Foreign> {
    let headers = properties.headers().as_ref().ok_or(Foreign("no headers"))?;
    let message_id = properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
    let publisher = text(headers, PUBLISHER).and_then(|publisher| publisher.parse().ok());
    let admitted_at = integer(headers, ADMITTED_AT).map(from_milliseconds);
    let attempt = integer(headers, ATTEMPT).and_then(|attempt| u32::try_from(attempt).ok());
    let envelope = Envelope {
        message_id: MessageId(message_id.ok_or(Foreign("message_id"))?),
        publisher: publisher.ok_or(Foreign(PUBLISHER))?,
        admitted_at: admitted_at.ok_or(Foreign(ADMITTED_AT))?,
        fields: integer(headers, FIELDS).map(|key| FieldsKey(key.cast_unsigned())),
        replayed: false,
        event: Bytes::from(body),
    };
    Ok((envelope, attempt.ok_or(Foreign(ATTEMPT))?))
}

/// The dead letter in an AMQP message.
pub(crate) fn read_dead(
    properties: &BasicProperties,
    body: Vec<u8>,
) -> Result<DeadLetter, Foreign> {
    let (envelope, attempts) = read(properties, body)?;
    let headers = properties.headers().as_ref().ok_or(Foreign("no headers"))?;
    // One that RabbitMQ itself dead-lettered has none of our headers.
    let died_at = integer(headers, DIED_AT).map_or(envelope.admitted_at, from_milliseconds);
    let id = text(headers, DEAD_ID)
        .unwrap_or_else(|| format!("{:016x}-{}", milliseconds(died_at), envelope.message_id));
    let reason = text(headers, REASON).unwrap_or_else(|| "given up on by RabbitMQ".to_owned());
    Ok(DeadLetter {
        id: DeadLetterId(id),
        envelope,
        attempts,
        died_at,
        reason,
        history: Vec::new(),
    })
}

/// Milliseconds are kept.
pub(crate) fn milliseconds(moment: SystemTime) -> i64 {
    let since_1970 = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn from_milliseconds(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

fn headers(envelope: &Envelope, attempt: u32) -> FieldTable {
    let mut headers = FieldTable::default();
    let publisher = AMQPValue::LongString(envelope.publisher.as_str().into());
    headers.insert(PUBLISHER.into(), publisher);
    let admitted_at = AMQPValue::LongLongInt(milliseconds(envelope.admitted_at));
    headers.insert(ADMITTED_AT.into(), admitted_at);
    if let Some(FieldsKey(key)) = envelope.fields {
        headers.insert(FIELDS.into(), AMQPValue::LongLongInt(key.cast_signed()));
    }
    headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(attempt.into()));
    headers
}

fn with_headers(envelope: &Envelope, headers: FieldTable) -> BasicProperties {
    BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(envelope.message_id.to_string().into())
        .with_headers(headers)
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn integer(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(integer) => Some(*integer),
        AMQPValue::LongInt(integer) => Some((*integer).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_comes_back_with_what_it_was_cut_down_to() {
        for fields in [None, Some(FieldsKey(0)), Some(FieldsKey(u64::MAX))] {
            let envelope = Envelope {
                message_id: MessageId::now(),
                publisher: "00000099000000001000".parse().unwrap(),
                admitted_at: from_milliseconds(1_700_000_000_123),
                fields,
                replayed: false,
                event: Bytes::from_static(b"event"),
            };
            let read = read(&properties(&envelope, 3), b"event".to_vec()).unwrap();
            assert_eq!(read, (envelope, 3));
        }
    }
}
