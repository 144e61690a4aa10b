//! Any bytes as a frame: they are decoded or refused, can be looked at in every way, and
//! what keeps the rules keeps its meaning through both formats.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wissel_message::{
    Data, Event, EventView, JsonError, Limits, OwnedData, Value, check_profile, validate,
};

fuzz_target!(|input: &[u8]| {
    match EventView::decode(Bytes::copy_from_slice(input)) {
        Ok(view) => check_view(&view, input),
        Err(error) => assert!(error.to_string().is_ascii()),
    }
    match Event::from_json(input) {
        Ok(event) => check_event(&event),
        Err(error) => assert!(error.to_string().is_ascii(), "an error that shows some of the text"),
    }
    let _ = Event::from_json_batch(input);
});

fn check_view(view: &EventView, input: &[u8]) {
    assert_eq!(view.frame(), input);
    let attributes: Vec<_> = view.attributes().collect();
    assert!(attributes.len() <= view.attribute_count());
    for (name, value) in &attributes {
        assert!(view.attribute(name) == Some(*value), "{name}");
        assert!(value.to_owned().as_value() == *value, "{name}");
        let _ = value.canonical();
    }
    let bytes = view.data().map(|data| match data {
        Data::Binary(bytes) | Data::Proto(bytes) => bytes,
        Data::Text(text) => text.as_bytes(),
    });
    assert_eq!(view.data_bytes().as_deref(), bytes);
    assert!(!view.has_json_data() || bytes.is_some());
    let _ = (view.subject(), format!("{view:?}"), check_profile(view));

    let other = EventView::decode(view.with_data(b"other")).expect("other data is no other form");
    assert_eq!(other.data_bytes().as_deref(), Some(&b"other"[..]));
    assert!(other.attributes().eq(view.attributes()));

    check_event(&Event::from_view(view));
    match validate(view, &Limits::default()) {
        Ok(()) => check_json(&Event::from_view(view)),
        Err(violations) => drop(violations.to_string()),
    }
}

/// Any event, be it one that breaks rules, keeps all it has in the protobuf format.
fn check_event(event: &Event) {
    let again = Event::from_frame(event.encode()).expect("what is encoded can be decoded");
    assert!(again == *event);
    let _ = (event.subject(), format!("{event:?}"), event.to_json());
    if event.validate(&Limits::default()).is_ok() {
        check_json(event);
    }
}

/// The JSON format has fewer types: an event keeps its texts, and has changed once and for
/// all.
fn check_json(event: &Event) {
    let json = event.to_json();
    let once = match Event::from_json(json.as_bytes()) {
        Ok(once) => once,
        Err(JsonError::TooMany { .. }) => return,
        Err(error) => panic!("{error}: {json}"),
    };
    let context =
        |event: &Event| [event.id(), event.source(), event.event_type()].map(str::to_owned);
    assert_eq!(context(&once), context(event));
    for (name, value) in event.attributes() {
        let found = once.attribute(name).map(|found| found.canonical().into_owned());
        assert_eq!(found.as_deref(), Some(&*value.canonical()), "{name}");
        let same_type = matches!(
            (value, once.attribute(name)),
            (Value::Boolean(_), Some(Value::Boolean(_)))
                | (Value::Integer(_), Some(Value::Integer(_)))
                | (_, Some(Value::String(_) | Value::Uri(_) | Value::Timestamp(_)))
        );
        assert!(same_type, "{name}");
    }
    match (event.data(), once.data()) {
        (None, None) | (Some(OwnedData::Proto(_)), Some(OwnedData::Binary(_))) => {}
        (Some(OwnedData::Binary(before)), Some(OwnedData::Binary(after))) => {
            assert_eq!(before, after);
        }
        (Some(OwnedData::Text(before)), Some(OwnedData::Text(after))) => {
            let blank = before.replace(['\n', '\r'], " ");
            let quoted = serde_json::from_str::<String>(after).is_ok_and(|after| after == *before);
            assert!(before == after || blank.trim() == after || quoted, "{before} became {after}");
        }
        _ => panic!("data came back in another form"),
    }
    let valid = once.validate(&Limits {
        frame: usize::MAX,
        attribute_bytes: usize::MAX,
        ..Limits::default()
    });
    assert!(valid.is_ok(), "{valid:?}: {json}");
    let twice = Event::from_json(once.to_json().as_bytes());
    assert!(twice.is_ok_and(|twice| twice == once), "{json}");
}
