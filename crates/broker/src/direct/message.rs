//! An event as attributes and data apart, as the binary mode of the CloudEvents AMQP binding
//! has it (`cloudevents/bindings/amqp-protocol-binding.md`, 3.1).

use std::time::SystemTime;

use bytes::Bytes;
use wissel_bus::{DirectMessage, DirectValue, Envelope, Said};
use wissel_message::{Event, EventView, Value, expiry_time};

use crate::policy::Policy;

/// The attribute that is a property of the message instead of a header.
const CONTENT_TYPE: &str = "datacontenttype";
/// What data is when its event does not say.
const JSON: &str = "application/json";
/// The most bytes of a content type in AMQP 0-9-1.
const CONTENT_TYPE_MAX: usize = 255;
/// The most bytes of names and values of attributes: all headers of a message travel in one
/// frame of 128 KiB, attributes twice.
const ATTRIBUTES_MAX: usize = 48 << 10;

/// The message as an AMQP client gets it, or why it cannot be one.
pub(super) fn direct_message(
    envelope: &Envelope,
    policy: &Policy,
) -> Result<DirectMessage, String> {
    let view = EventView::decode(envelope.event.clone())
        .map_err(|error| Said::Unreadable(&error.to_string()).to_string())?;
    let mut content_type = None;
    let mut attributes = Vec::with_capacity(view.attribute_count());
    let mut bytes = 0;
    for (name, value) in view.attributes() {
        if name == CONTENT_TYPE {
            content_type = Some(value.canonical().into_owned());
            continue;
        }
        let value = direct_value(value);
        bytes += name.len() + length(&value);
        attributes.push((name.to_owned(), value));
    }
    if bytes > ATTRIBUTES_MAX {
        return Err(Said::AttributesTooLarge.to_string());
    }
    if content_type.as_ref().is_some_and(|one| one.len() > CONTENT_TYPE_MAX) {
        return Err(Said::ContentTypeTooLong.to_string());
    }
    if content_type.is_none() && view.has_json_data() {
        content_type = Some(JSON.to_owned());
    }
    let data = view.data_bytes().unwrap_or_default();
    // Written anew, its data comes last.
    let event = Event::from_view(&view).encode();
    if !event.ends_with(&data) {
        return Err(Said::DataUntold.to_string());
    }
    Ok(DirectMessage {
        data_length: data.len(),
        content_type,
        attributes,
        expires_at: expires_at(&view, envelope, policy),
        envelope: Envelope { event, ..envelope.clone() },
    })
}

fn direct_value(value: Value<'_>) -> DirectValue {
    match value {
        Value::Boolean(truth) => DirectValue::Boolean(truth),
        Value::Integer(integer) => DirectValue::Integer(integer.into()),
        Value::Binary(bytes) => DirectValue::Bytes(Bytes::copy_from_slice(bytes)),
        // A timestamp of AMQP 0-9-1 has whole seconds, so the text is what is sent.
        text => DirectValue::Text(text.canonical().into_owned()),
    }
}

fn length(value: &DirectValue) -> usize {
    match value {
        DirectValue::Boolean(_) => 1,
        DirectValue::Integer(_) => 8,
        DirectValue::Text(text) => text.len(),
        DirectValue::Bytes(bytes) => bytes.len(),
    }
}

/// `expirytime`, or when it is older than the inbox keeps messages, whichever is first.
fn expires_at(view: &EventView, envelope: &Envelope, policy: &Policy) -> Option<SystemTime> {
    let expires = expiry_time(view).ok().flatten().and_then(|moment| moment.to_system_time());
    let max_age = policy.max_age.filter(|_| !envelope.replayed);
    let too_old = max_age.and_then(|most| envelope.admitted_at.checked_add(most));
    [expires, too_old].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wissel_bus::MessageId;
    use wissel_message::{EventBuilder, OwnedValue};
    use wissel_store::InboxSettings;

    use super::*;
    use crate::DeliveryDefaults;

    fn event() -> EventBuilder {
        Event::builder("1", "urn:nld:oin:00000099000000001000:systeem:BRP", "nl.brp.geboorte")
    }

    fn envelope(event: EventBuilder) -> Envelope {
        Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            fields: None,
            replayed: false,
            event: event.build().unwrap().encode(),
        }
    }

    fn policy(max_age: Option<Duration>) -> Policy {
        let settings = InboxSettings { max_age, ..InboxSettings::default() };
        Policy::of(&settings, &DeliveryDefaults::default())
    }

    fn message(event: EventBuilder) -> DirectMessage {
        direct_message(&envelope(event), &policy(None)).unwrap()
    }

    #[test]
    fn attributes_have_the_types_of_the_binding_and_the_event_comes_back() {
        let event = event()
            .time("2026-11-24T10:00:00.125Z".parse().unwrap())
            .data_schema("https://example.nl/schema")
            .extension("waar", true)
            .extension("aantal", -7)
            .extension("ruw", OwnedValue::Binary(Bytes::from_static(&[0, 255])))
            .data_text("application/json; charset=utf-8", r#"{"a":1}"#);
        let message = message(event.clone());
        assert_eq!(message.content_type.as_deref(), Some("application/json; charset=utf-8"));
        assert_eq!(message.data(), r#"{"a":1}"#.as_bytes());
        let text = |text: &str| DirectValue::Text(text.to_owned());
        let expected = [
            ("id", text("1")),
            ("source", text("urn:nld:oin:00000099000000001000:systeem:BRP")),
            ("specversion", text("1.0")),
            ("type", text("nl.brp.geboorte")),
            ("aantal", DirectValue::Integer(-7)),
            ("dataschema", text("https://example.nl/schema")),
            ("ruw", DirectValue::Bytes(Bytes::from_static(&[0, 255]))),
            ("time", text("2026-11-24T10:00:00.125Z")),
            ("waar", DirectValue::Boolean(true)),
        ];
        let mut attributes = message.attributes.clone();
        attributes[4..].sort_by(|one, other| one.0.cmp(&other.0));
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert!(attributes == expected, "{attributes:?}");
        let whole: Bytes = [message.head(), message.data()].concat().into();
        assert_eq!(Event::from_frame(whole).unwrap(), event.build().unwrap());
    }

    #[test]
    fn the_type_of_data_is_said_when_there_is_data() {
        let empty = message(event().data_text("text/plain", ""));
        assert_eq!((empty.content_type.as_deref(), empty.data_length), (Some("text/plain"), 0));
        let without = message(event());
        assert_eq!((without.content_type, without.data_length), (None, 0));
        // The field `text_data`, without a word on its type.
        let mut untold = envelope(event());
        untold.event = [&untold.event[..], b"\x3a\x02{}"].concat().into();
        let untold = direct_message(&untold, &policy(None)).unwrap();
        assert_eq!(untold.content_type.as_deref(), Some(JSON));
        assert_eq!(untold.data(), &b"{}"[..]);
    }

    #[test]
    fn what_cannot_be_handed_over_is_refused_in_words_that_are_known() {
        let large = event().extension("groot", "x".repeat(ATTRIBUTES_MAX));
        let long = format!("text/{}", "x".repeat(CONTENT_TYPE_MAX));
        let long = event().data_text(long, "x");
        for (event, expected) in
            [(large, Said::AttributesTooLarge), (long, Said::ContentTypeTooLong)]
        {
            let refused = direct_message(&envelope(event), &policy(None)).unwrap_err();
            assert_eq!(Said::read(&refused), Some(expected));
        }
        let unreadable = Envelope { event: Bytes::from_static(b"\xff"), ..envelope(event()) };
        let refused = direct_message(&unreadable, &policy(None)).unwrap_err();
        assert!(matches!(Said::read(&refused), Some(Said::Unreadable(_))), "{refused}");
    }

    #[test]
    fn it_expires_at_its_expirytime_or_when_it_is_too_old() {
        let age = Duration::from_secs(60);
        let of = |event: EventBuilder, max_age| {
            let envelope = envelope(event);
            let admitted_at = envelope.admitted_at;
            let message = direct_message(&envelope, &policy(max_age)).unwrap();
            message.expires_at.map(|moment| moment.duration_since(admitted_at).unwrap())
        };
        // 10 s after the admission.
        let expires = || event().extension("expirytime", "2027-01-15T08:00:10Z");
        assert_eq!(of(event(), None), None);
        assert_eq!(of(event(), Some(age)), Some(age));
        assert_eq!(of(expires(), Some(age)), Some(Duration::from_secs(10)));
        assert_eq!(of(expires(), None), Some(Duration::from_secs(10)));
    }
}
