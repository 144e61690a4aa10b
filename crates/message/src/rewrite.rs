//! A frame with something in it changed, all the rest as it came.

use bytes::{Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::scan::{RawData, Reader};

/// The field of the map of attributes.
const ATTRIBUTES: u32 = 5;
/// Room for what of a usual frame is kept, in bytes; more is made when needed.
const KEPT_EXPECTED: usize = 512;

/// The frame with other data, of the kind that the data was of: text when there was
/// none. Only the fields that CloudEvents knows are kept, as in one that it does not
/// know there may be data too.
pub(crate) fn replace_data(frame: &[u8], was: Option<&RawData>, data: &[u8]) -> Bytes {
    const KEY_MAX: usize = 16;
    let mut kept = BytesMut::with_capacity(frame.len().min(KEPT_EXPECTED) + data.len() + KEY_MAX);
    let mut reader = Reader::new(frame);
    while let Ok(Some(field)) = reader.next_field() {
        if reader.skip(field).is_err() {
            break;
        }
        if matches!(field.number, 1..=5) {
            kept.extend_from_slice(&frame[field.at..reader.at]);
        }
    }
    let number = match was {
        Some(RawData::Binary(_)) => 6,
        Some(RawData::Text(_)) | None => 7,
        Some(RawData::Proto(_)) => 8,
    };
    encode_key(number, WireType::LengthDelimited, &mut kept);
    encode_varint(data.len() as u64, &mut kept);
    kept.extend_from_slice(data);
    kept.freeze()
}

/// The frame with one more attribute behind all others. A frame is a protobuf message, to
/// which fields may be added at the end.
pub(crate) fn append_attribute(frame: &[u8], name: &str, text: &str) -> Bytes {
    const KEYS_AND_LENGTHS: usize = 24;
    let field = |number: u32, content: &[u8], out: &mut BytesMut| {
        encode_key(number, WireType::LengthDelimited, out);
        encode_varint(content.len() as u64, out);
        out.extend_from_slice(content);
    };
    let mut value = BytesMut::with_capacity(text.len() + KEYS_AND_LENGTHS);
    field(3, text.as_bytes(), &mut value);
    let mut entry = BytesMut::with_capacity(name.len() + value.len() + KEYS_AND_LENGTHS);
    field(1, name.as_bytes(), &mut entry);
    field(2, &value, &mut entry);
    let mut longer = BytesMut::with_capacity(frame.len() + entry.len() + KEYS_AND_LENGTHS);
    longer.extend_from_slice(frame);
    field(5, &entry, &mut longer);
    longer.freeze()
}

/// The frame without an attribute, every entry of it. All that is not an attribute stays.
pub(crate) fn remove_attribute(frame: &[u8], name: &str) -> Bytes {
    let mut kept = BytesMut::with_capacity(frame.len());
    let mut reader = Reader::new(frame);
    while let Ok(Some(field)) = reader.next_field() {
        let named = if field.number == ATTRIBUTES {
            reader.nested(field).map(name_of)
        } else {
            reader.skip(field).map(|()| None)
        };
        let Ok(named) = named else { break };
        if named != Some(name.as_bytes()) {
            kept.extend_from_slice(&frame[field.at..reader.at]);
        }
    }
    kept.freeze()
}

/// The name in an entry of the map of attributes, of which the last counts.
fn name_of(mut entry: Reader<'_>) -> Option<&[u8]> {
    let mut name = &[][..];
    while let Ok(Some(field)) = entry.next_field() {
        if field.number == 1 {
            name = entry.bytes(field).ok()?.of(entry.frame);
        } else {
            entry.skip(field).ok()?;
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use crate::{Event, EventView, Value};

    #[test]
    fn what_is_taken_out_is_gone_and_nothing_else() {
        let builder = Event::builder("1", "/s", "nl.x.y").extension("a", "1");
        let without = builder.clone().extension("c", "3").data_text("text/plain", "x");
        let with = builder.extension("b", "2").extension("c", "3").data_text("text/plain", "x");
        let (with, without) = (with.build().unwrap(), without.build().unwrap());
        let view = EventView::decode(with.encode()).unwrap();
        // Also an entry that another one of that name stands before, and fields that are
        // not known.
        let twice = EventView::decode(view.with_attribute("b", "4")).unwrap();
        let mut frame = twice.frame().to_vec();
        frame.extend_from_slice(&[0x98, 0x06, 0x01]);
        let twice = EventView::decode(frame.into()).unwrap();
        let taken = EventView::decode(twice.without_attribute("b")).unwrap();
        assert!(taken.attribute("b").is_none() && twice.attribute("b") == Some(Value::String("4")));
        assert!(taken.frame().ends_with(&[0x98, 0x06, 0x01]));
        let names = |view: &EventView| {
            let mut names: Vec<String> = view.attribute_names().map(str::to_owned).collect();
            names.sort();
            names
        };
        let expected = EventView::decode(without.encode()).unwrap();
        assert_eq!(names(&taken), names(&expected));
        assert_eq!(taken.data_bytes(), expected.data_bytes());
        assert_eq!(taken.without_attribute("b"), *taken.frame());
    }
}
