//! The scan of frames, held against prost's decoder.

use bytes::Bytes;
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use prost::Message as _;
use wissel_message::{Data, DecodeError, Event, EventView, Limits, Value, validate};
use wissel_proto::io::cloudevents::v1 as pb;
use wissel_proto::io::cloudevents::v1::cloud_event_attribute_value::Attr;

fn attribute() -> impl Strategy<Value = Attr> {
    prop_oneof![
        any::<bool>().prop_map(Attr::CeBoolean),
        any::<i32>().prop_map(Attr::CeInteger),
        ".{0,20}".prop_map(Attr::CeString),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Attr::CeBytes(bytes.into())),
        ".{0,20}".prop_map(Attr::CeUri),
        ".{0,20}".prop_map(Attr::CeUriRef),
        (0..4_000_000_000_i64, 0..1_000_000_000_i32).prop_map(|(seconds, nanos)| {
            Attr::CeTimestamp(prost_types::Timestamp { seconds, nanos })
        }),
    ]
}

fn event() -> impl Strategy<Value = pb::CloudEvent> {
    let data = prop_oneof![
        Just(None),
        vec(any::<u8>(), 0..50)
            .prop_map(|bytes| Some(pb::cloud_event::Data::BinaryData(bytes.into()))),
        ".{0,50}".prop_map(|text| Some(pb::cloud_event::Data::TextData(text))),
    ];
    let attributes = hash_map("[a-z]{1,8}", attribute(), 0..8);
    (".{0,10}", ".{0,10}", ".{0,5}", ".{0,10}", attributes, data).prop_map(
        |(id, source, spec_version, r#type, attributes, data)| pb::CloudEvent {
            id,
            source,
            spec_version,
            r#type,
            attributes: attributes
                .into_iter()
                .map(|(name, attr)| (name, pb::CloudEventAttributeValue { attr: Some(attr) }))
                .collect(),
            data,
        },
    )
}

fn same(value: Value<'_>, attr: &Attr) -> bool {
    match (value, attr) {
        (Value::Boolean(a), Attr::CeBoolean(b)) => a == *b,
        (Value::Integer(a), Attr::CeInteger(b)) => a == *b,
        (Value::String(a), Attr::CeString(b))
        | (Value::Uri(a), Attr::CeUri(b))
        | (Value::UriReference(a), Attr::CeUriRef(b)) => a == b,
        (Value::Binary(a), Attr::CeBytes(b)) => a == b,
        (Value::Timestamp(a), Attr::CeTimestamp(b)) => {
            (a.seconds(), a.nanoseconds()) == (b.seconds, b.nanos)
        }
        _ => false,
    }
}

fn assert_same(view: &EventView, event: &pb::CloudEvent) {
    assert_eq!(view.id(), event.id);
    assert_eq!(view.source(), event.source);
    assert_eq!(view.spec_version(), event.spec_version);
    assert_eq!(view.event_type(), event.r#type);
    let taken = ["id", "source", "specversion", "type"];
    for (name, value) in &event.attributes {
        let Some(attr) = &value.attr else { continue };
        if !taken.contains(&name.as_str()) {
            let found = view.attribute(name);
            assert!(found.is_some_and(|found| same(found, attr)), "{name}: {attr:?}");
        }
    }
    match (&event.data, view.data()) {
        (None, None) => {}
        (Some(pb::cloud_event::Data::BinaryData(a)), Some(Data::Binary(b))) => assert_eq!(a, b),
        (Some(pb::cloud_event::Data::TextData(a)), Some(Data::Text(b))) => assert_eq!(a, b),
        (a, _) => panic!("data differs from {a:?}"),
    }
}

proptest! {
    #[test]
    fn what_prost_writes_is_read_alike(event in event()) {
        let view = EventView::decode(event.encode_to_vec().into()).unwrap();
        assert_same(&view, &event);
        let owned = Event::from_view(&view);
        assert!(Event::from_frame(owned.encode()).unwrap() == owned);
    }

    #[test]
    fn damaged_frames_never_panic_and_are_taken_when_prost_takes_them(
        event in event(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut frame = event.encode_to_vec();
        for (place, byte) in damage {
            if !frame.is_empty() {
                let at = place.index(frame.len());
                frame[at] = byte;
            }
        }
        let frame = Bytes::from(frame);
        let view = EventView::decode(frame.clone());
        if let Ok(view) = &view {
            let _ = validate(view, &Limits::default());
            let _ = format!("{view:?}");
        }
        // Prost looks into an Any and takes groups; the scan does neither.
        let prost = pb::CloudEvent::decode(frame);
        if let (Ok(view), Ok(event)) = (&view, &prost)
            && !matches!(event.data, Some(pb::cloud_event::Data::ProtoData(_)))
            && event.attributes.values().all(|value| match &value.attr {
                Some(Attr::CeTimestamp(t)) => (0..4_000_000_000).contains(&t.seconds) && (0..1_000_000_000).contains(&t.nanos),
                _ => true,
            })
        {
            assert_same(view, event);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(view) = EventView::decode(bytes.into()) {
            let _ = validate(&view, &Limits::default());
        }
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused_or_shorter() {
    let event =
        Event::builder("1", "/s", "nl.t").extension("a", "b").data_text("text/plain", "x").build();
    let frame = event.unwrap().encode();
    for end in 0..frame.len() {
        if let Ok(view) = EventView::decode(frame.slice(..end)) {
            assert!(view.frame().len() < frame.len());
        }
    }
    assert!(EventView::decode(frame.slice(..frame.len() - 1)).is_err());
}

#[test]
fn hostile_frames_are_refused() {
    // A length of 2^63, a varint without end, ten thousand attributes.
    assert!(
        EventView::decode(Bytes::from_static(&[
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f
        ]))
        .is_err()
    );
    assert!(EventView::decode(Bytes::from(vec![0xff; 64])).is_err());
    let attributes = (0..10_000)
        .map(|index| {
            (format!("a{index}"), pb::CloudEventAttributeValue { attr: Some(Attr::CeInteger(1)) })
        })
        .collect();
    let event = pb::CloudEvent { attributes, ..Default::default() };
    assert!(EventView::decode(event.encode_to_vec().into()).is_err());

    // One attribute, ten thousand times: repeats count.
    let entry = pb::CloudEvent {
        attributes: [("a".to_owned(), pb::CloudEventAttributeValue { attr: None })].into(),
        ..Default::default()
    };
    let entry = entry.encode_to_vec();
    assert!(EventView::decode(entry.repeat(256).into()).is_ok());
    assert_eq!(
        EventView::decode(entry.repeat(10_000).into()).unwrap_err(),
        DecodeError::TooManyAttributes { max: 256 }
    );
}

#[test]
fn an_attribute_cannot_stand_in_for_a_required_one() {
    let attr = Some(Attr::CeString("false".to_owned()));
    let event = pb::CloudEvent {
        id: "1".to_owned(),
        r#type: "true".to_owned(),
        attributes: [("type".to_owned(), pb::CloudEventAttributeValue { attr })].into(),
        ..Default::default()
    };
    let view = EventView::decode(event.encode_to_vec().into()).unwrap();
    let types: Vec<_> = view.attributes().filter(|(name, _)| *name == "type").collect();
    assert!(types == [("type", Value::String("true"))]);
}

#[test]
fn text_that_is_no_utf_8_is_refused_with_its_field() {
    let good = Event::builder("é", "/u", "nl.t").extension("naam", "ñandú");
    let frame = good.build().unwrap().encode();
    let view = EventView::decode(frame).unwrap();
    assert!(view.attribute("naam") == Some(Value::String("ñandú")));
    // A character cut in two by the border of two fields is none.
    let halves = [0x0a, 0x01, 0xc3, 0x12, 0x01, 0xa9];
    for (frame, field) in [
        (&halves[..], 1),
        (&[0x0a, 0x01, b'a', 0x12, 0x01, 0xa9], 2),
        (&[0x0a, 0x01, b'a', 0x22, 0x02, b'b', 0xc3], 4),
        (&[0x3a, 0x01, 0xff], 7),
    ] {
        let refused = EventView::decode(Bytes::copy_from_slice(frame)).unwrap_err();
        assert_eq!(refused, DecodeError::Utf8 { field });
    }
}

proptest! {
    #[test]
    fn other_data_takes_the_place_of_all_data(event in event(), data in "[a-z]{0,200}") {
        let mut frame = event.encode_to_vec();
        // A field that is not known, and data for a second time.
        prost::encoding::string::encode(9, &"999990019".to_owned(), &mut frame);
        prost::encoding::string::encode(7, &"999990019".to_owned(), &mut frame);
        let view = EventView::decode(frame.into()).unwrap();
        let replaced = view.with_data(data.as_bytes());
        prop_assert!(!replaced.windows(9).any(|window| window == b"999990019"));
        let expected = pb::CloudEvent {
            data: Some(pb::cloud_event::Data::TextData(data)),
            ..event
        };
        prop_assert_eq!(pb::CloudEvent::decode(replaced).unwrap(), expected);
    }
}
