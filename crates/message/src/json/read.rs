use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::scan::ATTRIBUTES_MAX;
use crate::{Event, JsonError, JsonFaults, OwnedData, OwnedValue, show_attribute_name};

/// The most bytes of a text, be it one event or a batch.
const TEXT_MAX: usize = 64 << 20;
/// The most arrays and objects inside each other, the event itself included.
const DEPTH_MAX: usize = 128;
/// The most events of a batch.
const BATCH_MAX: usize = 10_000;
/// The most members of an event: the attributes, the required ones, `data`.
const MEMBERS_MAX: usize = ATTRIBUTES_MAX + 6;

impl Event {
    /// Reads one event in the JSON format. An attribute that is null counts as
    /// absent. The rules are not checked.
    ///
    /// `data` of a JSON content type stays the text that it is, null included. An
    /// absent `datacontenttype` beside `data` means `application/json`, and is set,
    /// as other formats do not imply it (`json-format.md`, section 3.1.2).
    ///
    /// # Errors
    /// When the text is not an event in the JSON format, or is larger than 64 MiB,
    /// nested deeper than 128, or of more members than an event can have.
    pub fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        let (event, faults) = Self::read(text)?;
        faults.into_iter().next().map_or(Ok(event), Err)
    }

    /// Reads one event as [`Event::from_json`] does, for who wants to hear all that is wrong.
    ///
    /// # Errors
    /// Every fault of the text.
    pub fn read_json(text: &[u8]) -> Result<Self, JsonFaults> {
        let (event, faults) = Self::read(text)?;
        if faults.is_empty() {
            return Ok(event);
        }
        Err(JsonFaults { faults, rest: Some(Box::new(event)) })
    }

    fn read(text: &[u8]) -> Result<(Self, Vec<JsonError>), JsonError> {
        at_most("bytes", text.len(), TEXT_MAX)?;
        at_most("arrays and objects inside each other", depth(text), DEPTH_MAX)?;
        let members: Members<'_> = serde_json::from_slice(text).map_err(syntax)?;
        at_most("members", members.found, MEMBERS_MAX)?;
        Ok(members.into_event())
    }

    /// Reads a batch in the JSON format: an array of at most 10,000 events.
    ///
    /// # Errors
    /// When the text is not an array, or too large; one result for each of its
    /// events.
    pub fn from_json_batch(text: &[u8]) -> Result<Vec<Result<Self, JsonFaults>>, JsonError> {
        at_most("bytes", text.len(), TEXT_MAX)?;
        let batch: Batch<'_> = serde_json::from_slice(text).map_err(syntax)?;
        at_most("events", batch.found, BATCH_MAX)?;
        let events = batch.events.into_iter();
        Ok(events.map(|event| Self::read_json(event.get().as_bytes())).collect())
    }
}

/// The members of an object, in order, each value as it stands there.
struct Members<'a> {
    /// No more than can be of use.
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    found: usize,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let (mut members, mut found) = (Vec::new(), 0);
                while let Some(member) = map.next_entry()? {
                    found += 1;
                    if found <= MEMBERS_MAX {
                        members.push(member);
                    }
                }
                Ok(Members { members, found })
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The events of a batch, each as it stands there.
struct Batch<'a> {
    /// No more than can be of use.
    events: Vec<&'a RawValue>,
    found: usize,
}

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BatchVisitor;
        impl<'de> Visitor<'de> for BatchVisitor {
            type Value = Batch<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut batch: A) -> Result<Batch<'de>, A::Error> {
                let (mut events, mut found) = (Vec::new(), 0);
                while let Some(event) = batch.next_element()? {
                    found += 1;
                    if found <= BATCH_MAX {
                        events.push(event);
                    }
                }
                Ok(Batch { events, found })
            }
        }
        deserializer.deserialize_seq(BatchVisitor)
    }
}

impl Members<'_> {
    /// The event without the members that have a fault, and every fault. A required attribute
    /// that is not there is empty.
    fn into_event(self) -> (Event, Vec<JsonError>) {
        let mut seen = HashSet::new();
        let mut faults = Vec::new();
        let mut attributes = BTreeMap::new();
        let mut data = None;
        let mut data_base64 = None;
        for (place, (name, raw)) in self.members.into_iter().enumerate() {
            if !seen.insert(name.clone()) {
                faults.push(JsonError::Duplicate { name: shown(&name, place) });
                continue;
            }
            match &*name {
                // Null is a value here, as different from no data.
                "data" => data = Some(raw.get()),
                _ if raw.get() == "null" => {}
                "data_base64" => match base64_of(raw) {
                    Ok(bytes) => data_base64 = Some(bytes),
                    Err(fault) => faults.push(fault),
                },
                _ => match attribute_from_json(&name, place, raw) {
                    Ok(value) => drop(attributes.insert(name.into_owned(), value)),
                    Err(fault) => faults.push(fault),
                },
            }
        }
        let mut required = |name: &'static str| match attributes.remove(name) {
            Some(OwnedValue::String(text)) => text,
            // It is there, and its fault is told.
            _ if faults.iter().any(|fault| fault.member() == Some(name)) => String::new(),
            _ => {
                faults.push(JsonError::Missing { name });
                String::new()
            }
        };
        let mut event = Event {
            id: required("id"),
            source: required("source"),
            spec_version: required("specversion"),
            event_type: required("type"),
            attributes,
            data: None,
        };
        match (data, data_base64) {
            (Some(_), Some(_)) => faults.push(JsonError::TwoData),
            (None, Some(bytes)) => event.data = Some(OwnedData::Binary(bytes.into())),
            (None, None) => {}
            (Some(raw), None) => faults.extend(event.put_data(raw).err()),
        }
        (event, faults)
    }
}

impl Event {
    fn put_data(&mut self, raw: &str) -> Result<(), JsonError> {
        let text = if self.carries_json() {
            raw.to_owned()
        } else {
            serde_json::from_str(raw).map_err(|_| JsonError::Value {
                name: "data".to_owned(),
                found: "not a string",
                expected: "a JSON string, as datacontenttype does not say JSON",
            })?
        };
        self.data = Some(OwnedData::Text(text));
        self.attributes
            .entry("datacontenttype".to_owned())
            .or_insert_with(|| "application/json".into());
        Ok(())
    }
}

fn attribute_from_json(name: &str, place: usize, raw: &RawValue) -> Result<OwnedValue, JsonError> {
    let value: Json = serde_json::from_str(raw.get()).map_err(syntax)?;
    let wrong = |found, expected| JsonError::Value { name: shown(name, place), found, expected };
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
            let error = wrong("a number that is no 32-bit integer", "-2147483648 to 2147483647");
            integer.map(OwnedValue::Integer).ok_or(error)
        }
        _ => Err(wrong("an array or object", "a string, an integer or a boolean")),
    }
}

fn not_a_string(name: &str) -> JsonError {
    JsonError::Value { name: name.to_owned(), found: "not a string", expected: "a JSON string" }
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

/// The name of a member as an error may show it.
fn shown(name: &str, place: usize) -> String {
    match show_attribute_name(name, place) {
        _ if name == "data_base64" => name.to_owned(),
        Cow::Borrowed(harmless) => harmless.to_owned(),
        Cow::Owned(_) => format!("members[{place}]"),
    }
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), JsonError> {
    if found <= max { Ok(()) } else { Err(JsonError::TooMany { what, found, max }) }
}

/// How deep arrays and objects stand inside each other. Of what is no JSON it is
/// some number.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.iter();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn syntax(error: serde_json::Error) -> JsonError {
    // The error's own text may show a piece of the input; its kind does not.
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "another kind of value",
        _ => "not JSON",
    };
    JsonError::Syntax { line: error.line(), column: error.column(), kind: kind.to_owned() }
}
