//! The CloudEvents JSON format (`formats/json-format.md`).

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::{Event, OwnedData, OwnedValue, Value};

/// Why a text is not an event in the JSON format. No value is shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON, or not an object.
    #[error("line {line}, column {column}: not a JSON object with an event's members: {kind}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Which kind of fault.
        kind: String,
    },
    /// A member stands there twice.
    #[error("{name}: the member stands there twice, expected once")]
    Duplicate {
        /// The member.
        name: String,
    },
    /// A member has a value that its attribute cannot have.
    #[error("{name}: {found}; expected {expected}")]
    Value {
        /// The member.
        name: String,
        /// What was found.
        found: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// A member that must be there is not.
    #[error("{name}: absent; expected a JSON string")]
    Missing {
        /// The member.
        name: &'static str,
    },
    /// `data` and `data_base64` together.
    #[error("data and data_base64 are both there; expected one of them")]
    TwoData,
}

impl Event {
    /// Reads one event in the JSON format. A member that is null counts as absent.
    /// The rules are not checked.
    ///
    /// # Errors
    /// When the text is not an event in the JSON format.
    pub fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        let members: Members<'_> = serde_json::from_slice(text).map_err(syntax)?;
        members.into_event()
    }

    /// Reads a batch in the JSON format: an array of events.
    ///
    /// # Errors
    /// When the text is not an array; one result for each of its events.
    pub fn from_json_batch(text: &[u8]) -> Result<Vec<Result<Self, JsonError>>, JsonError> {
        let batch: Vec<&RawValue> = serde_json::from_slice(text).map_err(syntax)?;
        Ok(batch
            .into_iter()
            .map(|event| Self::from_json(event.get().as_bytes()))
            .collect())
    }

    /// Writes the event in the JSON format, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        let mut put = |name: &str, value: Json| {
            members.insert(name.to_owned(), value);
        };
        put("specversion", Json::from("1.0"));
        put("id", Json::from(self.id()));
        put("source", Json::from(self.source()));
        put("type", Json::from(self.event_type()));
        for (name, value) in self.attributes() {
            put(name, attribute_to_json(value));
        }
        match self.data() {
            None => {}
            Some(OwnedData::Text(text)) if self.carries_json() => {
                // Text that says it is JSON and is not travels as a string.
                let json = serde_json::from_str(text);
                put("data", json.unwrap_or_else(|_| Json::from(text.as_str())));
            }
            Some(OwnedData::Text(text)) => put("data", Json::from(text.as_str())),
            Some(OwnedData::Binary(bytes) | OwnedData::Proto(bytes)) => {
                put("data_base64", Json::from(BASE64_STANDARD.encode(bytes)));
            }
        }
        Json::Object(members).to_string()
    }

    /// Whether `datacontenttype` says JSON; without it, JSON is meant.
    fn carries_json(&self) -> bool {
        match self.attribute("datacontenttype") {
            Some(Value::String(media_type)) => is_json(media_type),
            _ => true,
        }
    }
}

/// The members of an object, in order, each value as it stands there.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

impl Members<'_> {
    fn into_event(self) -> Result<Event, JsonError> {
        let mut seen = HashSet::new();
        let mut attributes = BTreeMap::new();
        let mut data = None;
        let mut data_base64 = None;
        for (name, raw) in self.0 {
            if !seen.insert(name.clone()) {
                return Err(JsonError::Duplicate { name });
            }
            if raw.get() == "null" {
                continue;
            }
            match name.as_str() {
                "data" => data = Some(raw.get()),
                "data_base64" => data_base64 = Some(base64_of(raw)?),
                _ => {
                    let value = attribute_from_json(&name, raw)?;
                    attributes.insert(name, value);
                }
            }
        }
        let mut required = |name: &'static str| match attributes.remove(name) {
            Some(OwnedValue::String(text)) => Ok(text),
            Some(_) => Err(not_a_string(name)),
            None => Err(JsonError::Missing { name }),
        };
        let (id, source, event_type) = (required("id")?, required("source")?, required("type")?);
        if required("specversion")? != "1.0" {
            return Err(JsonError::Value {
                name: "specversion".to_owned(),
                found: "another version",
                expected: "\"1.0\"",
            });
        }
        let mut event = Event {
            id,
            source,
            event_type,
            attributes,
            data: None,
        };
        event.data = match (data, data_base64) {
            (Some(_), Some(_)) => return Err(JsonError::TwoData),
            (None, Some(bytes)) => Some(OwnedData::Binary(bytes.into())),
            (None, None) => None,
            (Some(raw), None) => Some(OwnedData::Text(event.text_of_data(raw)?)),
        };
        Ok(event)
    }
}

impl Event {
    /// JSON stays as it stands there; of another media type, a string is the text.
    fn text_of_data(&self, raw: &str) -> Result<String, JsonError> {
        if self.carries_json() || !raw.starts_with('"') {
            return Ok(raw.to_owned());
        }
        serde_json::from_str(raw).map_err(syntax)
    }
}

fn attribute_from_json(name: &str, raw: &RawValue) -> Result<OwnedValue, JsonError> {
    let value: Json = serde_json::from_str(raw.get()).map_err(syntax)?;
    let wrong = |found, expected| JsonError::Value {
        name: name.to_owned(),
        found,
        expected,
    };
    match (name, value) {
        ("time", Json::String(text)) => {
            let time = text.parse();
            let error = wrong("not an RFC 3339 timestamp", "such as 2026-11-24T10:00:00Z");
            time.map(OwnedValue::Timestamp).map_err(|_| error)
        }
        ("dataschema", Json::String(text)) => Ok(OwnedValue::Uri(text)),
        (_, Json::String(text)) => Ok(OwnedValue::String(text)),
        (
            "id" | "source" | "type" | "specversion" | "subject" | "time" | "dataschema"
            | "datacontenttype",
            _,
        ) => Err(not_a_string(name)),
        (_, Json::Bool(truth)) => Ok(OwnedValue::Boolean(truth)),
        (_, Json::Number(number)) => {
            let integer = number.as_i64().and_then(|wide| i32::try_from(wide).ok());
            let error = wrong(
                "a number that is no 32-bit integer",
                "-2147483648 to 2147483647",
            );
            integer.map(OwnedValue::Integer).ok_or(error)
        }
        _ => Err(wrong(
            "an array or object",
            "a string, an integer or a boolean",
        )),
    }
}

fn not_a_string(name: &str) -> JsonError {
    JsonError::Value {
        name: name.to_owned(),
        found: "not a string",
        expected: "a JSON string",
    }
}

fn base64_of(raw: &RawValue) -> Result<Vec<u8>, JsonError> {
    let error = || JsonError::Value {
        name: "data_base64".to_owned(),
        found: "not base64",
        expected: "a JSON string of base64 (RFC 4648)",
    };
    let text: String = serde_json::from_str(raw.get()).map_err(|_| error())?;
    BASE64_STANDARD.decode(text).map_err(|_| error())
}

fn attribute_to_json(value: Value<'_>) -> Json {
    match value {
        Value::Boolean(truth) => Json::from(truth),
        Value::Integer(integer) => Json::from(integer),
        other => Json::from(other.canonical()),
    }
}

/// `application/json`, `text/json`, or a subtype that ends in `+json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let Some((_, sub)) = essence.split_once('/') else {
        return false;
    };
    let sub = sub.to_ascii_lowercase();
    sub == "json" || sub.ends_with("+json")
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn syntax(error: serde_json::Error) -> JsonError {
    // The error's own text may show a piece of the input; its kind does not.
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "another kind of value",
        _ => "not JSON",
    };
    JsonError::Syntax {
        line: error.line(),
        column: error.column(),
        kind: kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVE: &str = r#"{"specversion":"1.0","id":"f3d","source":"urn:nld:oin:00000001823288444000:systeem:BRP",
        "type":"nl.brp.verhuizing","subject":"999990019","time":"2026-11-24T10:00:00Z","sequence":null,
        "dataschema":"https://example.nl/s.json","datacontenttype":"application/json","urgent":true,"teller":7,
        "data":{"naar": "Utrecht"}}"#;

    #[test]
    fn an_event_keeps_its_meaning_through_both_formats() {
        let event = Event::from_json(MOVE.as_bytes()).unwrap();
        assert_eq!(event.subject(), Some("999990019"));
        assert!(event.attribute("sequence").is_none());
        assert!(event.attribute("teller") == Some(Value::Integer(7)));
        assert!(event.validate(&Default::default()).is_ok());
        let again = Event::from_frame(event.encode()).unwrap();
        assert!(again == event);
        let json: Json = serde_json::from_str(&again.to_json()).unwrap();
        let mut original: Json = serde_json::from_str(MOVE).unwrap();
        original.as_object_mut().unwrap().remove("sequence");
        assert_eq!(json, original);
    }

    #[test]
    fn binary_and_text_data_keep_their_meaning() {
        let base = |more: &str| {
            format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{more}}}"#)
        };
        for (more, data) in [
            (
                r#""data_base64":"AAEC""#,
                OwnedData::Binary(vec![0, 1, 2].into()),
            ),
            (
                r#""datacontenttype":"text/plain","data":"een \"regel\"""#,
                OwnedData::Text("een \"regel\"".into()),
            ),
            (r#""data":"json""#, OwnedData::Text("\"json\"".into())),
            (
                r#""datacontenttype":"application/xml","data":"<a/>""#,
                OwnedData::Text("<a/>".into()),
            ),
        ] {
            let event = Event::from_json(base(more).as_bytes()).unwrap();
            assert!(event.data() == Some(&data), "{more}");
            assert!(
                Event::from_json(event.to_json().as_bytes()).unwrap() == event,
                "{more}"
            );
        }
    }

    #[test]
    fn each_fault_names_its_member_and_no_value() {
        let of = |text: &str| Event::from_json(text.as_bytes()).unwrap_err().to_string();
        let with = |more: &str| {
            of(&format!(
                r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{more}}}"#
            ))
        };
        assert!(of("[]").contains("line 1"));
        assert!(of("{").contains("too early"));
        assert!(of(r#"{"id":"1"}"#).starts_with("source: absent"));
        assert!(with(r#""id":"2""#).starts_with("id: the member stands there twice"));
        assert!(with(r#""time":"999990019""#).starts_with("time: not an RFC 3339"));
        assert!(with(r#""subject":999990019"#).starts_with("subject: not a string"));
        assert!(with(r#""teller":2147483648"#).starts_with("teller: a number"));
        assert!(with(r#""teller":1.5"#).starts_with("teller: a number"));
        assert!(with(r#""lijst":["999990019"]"#).starts_with("lijst: an array"));
        assert!(with(r#""data_base64":"%%""#).starts_with("data_base64"));
        assert!(with(r#""data":1,"data_base64":"AA==""#).contains("both"));
        for text in [
            with(r#""time":"999990019""#),
            with(r#""subject":999990019"#),
        ] {
            assert!(!text.contains("999990019"), "{text}");
        }
    }

    #[test]
    fn a_bad_event_of_a_batch_leaves_the_others() {
        let batch = format!("[{MOVE}, {{}}, {MOVE}]");
        let events = Event::from_json_batch(batch.as_bytes()).unwrap();
        assert_eq!(
            events.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, true]
        );
    }
}
