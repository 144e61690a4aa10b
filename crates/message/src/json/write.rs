use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message as _;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::{Event, OwnedData, Value};

impl Event {
    /// Writes the event in the JSON format, on one line.
    ///
    /// - JSON text goes out as it stands (numbers with all their digits, members in
    ///   their order), with blanks for its line breaks.
    /// - Text that is no JSON under a content type that says so, or without a content
    ///   type, goes out as a JSON string: the format has no other place for it, so a
    ///   reader gets it quoted.
    /// - A protobuf message goes out as `data_base64` with `application/protobuf`,
    ///   unless the event says otherwise. Its type URL becomes the `dataschema` when
    ///   there is none and the URL is an absolute URI; else JSON has no place for it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object = Object::default();
        object.put("specversion", &Json::from(self.spec_version()));
        object.put("id", &Json::from(self.id()));
        object.put("source", &Json::from(self.source()));
        object.put("type", &Json::from(self.event_type()));
        for (name, value) in self.attributes() {
            // An event that breaks the rules must not get a member twice.
            if !RESERVED.contains(&name) {
                object.put(name, &attribute_to_json(value));
            }
        }
        match self.data() {
            None => {}
            Some(OwnedData::Text(text)) if self.carries_json() => object.put_json(text),
            Some(OwnedData::Text(text)) => object.put("data", &Json::from(text.as_str())),
            Some(OwnedData::Binary(bytes)) => object.put_base64(bytes),
            Some(OwnedData::Proto(bytes)) => self.put_proto(bytes, &mut object),
        }
        object.finish()
    }

    fn put_proto(&self, encoded: &[u8], object: &mut Object) {
        if self.attribute("datacontenttype").is_none() {
            object.put("datacontenttype", &Json::from("application/protobuf"));
        }
        // What is no Any goes out as the bytes that it is.
        let Ok(any) = prost_types::Any::decode(encoded) else {
            return object.put_base64(encoded);
        };
        let is_uri = iri_string::types::UriAbsoluteStr::new(&any.type_url).is_ok();
        if self.attribute("dataschema").is_none() && is_uri {
            object.put("dataschema", &Json::from(any.type_url));
        }
        object.put_base64(&any.value);
    }
}

/// Members that are no optional attribute.
const RESERVED: [&str; 6] = ["specversion", "id", "source", "type", "data", "data_base64"];

/// A JSON object that is being written.
#[derive(Default)]
struct Object(String);

impl Object {
    fn put(&mut self, name: &str, value: &Json) {
        self.put_raw(name, &value.to_string());
    }

    fn put_base64(&mut self, bytes: &[u8]) {
        self.put("data_base64", &Json::from(BASE64_STANDARD.encode(bytes)));
    }

    fn put_json(&mut self, text: &str) {
        match serde_json::from_str::<&RawValue>(text) {
            // In valid JSON, a line break stands only where a blank may stand.
            Ok(raw) => self.put_raw("data", &raw.get().replace(['\n', '\r'], " ")),
            Err(_) => self.put("data", &Json::from(text)),
        }
    }

    fn put_raw(&mut self, name: &str, raw: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&Json::from(name).to_string());
        self.0.push(':');
        self.0.push_str(raw);
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn attribute_to_json(value: Value<'_>) -> Json {
    match value {
        Value::Boolean(truth) => Json::from(truth),
        Value::Integer(integer) => Json::from(integer),
        other => Json::from(other.canonical()),
    }
}
