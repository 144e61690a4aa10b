use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use prost::Message as _;
use serde::Serialize;
use wissel_proto::io::cloudevents::v1 as pb;

use crate::scan::DecodeError;
use crate::{
    Data, EventView, Limits, OwnedData, OwnedValue, Rule, Timestamp, Value, Violation, Violations,
    validate,
};

/// A CloudEvent of one's own: to be made, read and written. The road of a message
/// uses the borrowed [`EventView`] instead.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) spec_version: String,
    pub(crate) event_type: String,
    /// Optional attributes and extensions, by name.
    pub(crate) attributes: BTreeMap<String, OwnedValue>,
    pub(crate) data: Option<OwnedData>,
}

/// The version of CloudEvents that events are made in.
const SPEC_VERSION: &str = "1.0";

/// The number of the field `proto_data`.
const PROTO_DATA: u32 = 8;

/// Makes an [`Event`].
#[derive(Clone)]
pub struct EventBuilder {
    event: Event,
    failure: Option<String>,
}

impl Event {
    /// Begins an event with what is required.
    pub fn builder(
        id: impl Into<String>,
        source: impl Into<String>,
        event_type: impl Into<String>,
    ) -> EventBuilder {
        let event = Self {
            id: id.into(),
            source: source.into(),
            spec_version: SPEC_VERSION.to_owned(),
            event_type: event_type.into(),
            attributes: BTreeMap::new(),
            data: None,
        };
        EventBuilder { event, failure: None }
    }

    /// Reads a frame in the protobuf format. The rules are not checked.
    ///
    /// # Errors
    /// As [`EventView::decode`].
    pub fn from_frame(frame: Bytes) -> Result<Self, DecodeError> {
        Ok(Self::from_view(&EventView::decode(frame)?))
    }

    /// Copies what a view shows.
    #[must_use]
    pub fn from_view(view: &EventView) -> Self {
        let attributes = view
            .raw_attributes()
            .filter_map(|(name, raw)| Some((name.to_owned(), view.value(raw)?.to_owned())))
            .collect();
        let data = view.data().map(|data| match data {
            Data::Binary(bytes) => OwnedData::Binary(Bytes::copy_from_slice(bytes)),
            Data::Text(text) => OwnedData::Text(text.to_owned()),
            Data::Proto(bytes) => OwnedData::Proto(Bytes::copy_from_slice(bytes)),
        });
        Self {
            id: view.id().to_owned(),
            source: view.source().to_owned(),
            spec_version: view.spec_version().to_owned(),
            event_type: view.event_type().to_owned(),
            attributes,
            data,
        }
    }

    /// Writes the event in the protobuf format.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, value)| (name.clone(), value.to_proto()));
        let (data, any) = match &self.data {
            None => (None, None),
            Some(OwnedData::Binary(bytes)) => {
                (Some(pb::cloud_event::Data::BinaryData(bytes.clone())), None)
            }
            Some(OwnedData::Text(text)) => {
                (Some(pb::cloud_event::Data::TextData(text.clone())), None)
            }
            Some(OwnedData::Proto(any)) => (None, Some(any)),
        };
        let event = pb::CloudEvent {
            id: self.id.clone(),
            source: self.source.clone(),
            spec_version: self.spec_version.clone(),
            r#type: self.event_type.clone(),
            attributes: attributes.collect(),
            data,
        };
        let mut frame = event.encode_to_vec();
        if let Some(any) = any {
            // An encoded message is put in as it is: what it says stays, even what
            // is newer than this program, or no Any at all.
            prost::encoding::bytes::encode(PROTO_DATA, any, &mut frame);
        }
        frame.into()
    }

    /// `specversion`; anything but "1.0" breaks a rule.
    #[must_use]
    pub fn spec_version(&self) -> &str {
        &self.spec_version
    }

    /// `id`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `source`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// `type`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// `subject`. Treat it as personal data.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self.attribute("subject") {
            Some(Value::String(subject)) => Some(subject),
            _ => None,
        }
    }

    /// An optional attribute or extension.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.attributes.get(name).map(OwnedValue::as_value)
    }

    /// The optional attributes and extensions, by name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_value()))
    }

    /// What the event carries.
    #[must_use]
    pub fn data(&self) -> Option<&OwnedData> {
        self.data.as_ref()
    }

    /// The event with another `id`.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: id.into(), ..self }
    }

    /// The event without the optional attributes whose names begin so.
    #[must_use]
    pub fn without_attributes_of(mut self, prefix: &str) -> Self {
        self.attributes.retain(|name, _| !name.starts_with(prefix));
        self
    }

    /// The rules that the event breaks.
    ///
    /// # Errors
    /// All of them.
    pub fn validate(&self, limits: &Limits) -> Result<(), Violations> {
        match EventView::decode(self.encode()) {
            Ok(view) => validate(&view, limits),
            // Only what is too large or too many can be encoded and not decoded.
            Err(error) => Err(Violations(vec![Violation {
                field: "attributes".to_owned(),
                rule: Rule::Limit,
                fault: error.to_string(),
                expected: "an event within the limits of the protobuf format here".to_owned(),
            }])),
        }
    }
}

impl fmt::Debug for Event {
    /// Neither `subject` nor `data` is shown: they may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("type", &self.event_type)
            .field("attributes", &self.attributes.keys())
            .finish_non_exhaustive()
    }
}

// === impl EventBuilder ===

impl EventBuilder {
    /// `subject`: who or what the event is about.
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.extension("subject", subject.into())
    }

    /// `time`: when it was logged.
    #[must_use]
    pub fn time(self, time: Timestamp) -> Self {
        self.extension("time", time)
    }

    /// `dataschema`: an absolute URI.
    #[must_use]
    pub fn data_schema(self, uri: impl Into<String>) -> Self {
        self.extension("dataschema", OwnedValue::Uri(uri.into()))
    }

    /// An extension attribute.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<OwnedValue>) -> Self {
        self.event.attributes.insert(name.into(), value.into());
        self
    }

    /// Data as JSON; sets `datacontenttype` to `application/json`.
    #[must_use]
    pub fn data_json(mut self, data: &impl Serialize) -> Self {
        match serde_json::to_string(data) {
            Ok(text) => self.data_text("application/json", text),
            // The error's own text may show a piece of the value.
            Err(_) => {
                self.failure = Some("a value that cannot be written as JSON".to_owned());
                self
            }
        }
    }

    /// Data as text of this media type.
    #[must_use]
    pub fn data_text(self, content_type: impl Into<String>, text: impl Into<String>) -> Self {
        let mut with_type = self.extension("datacontenttype", content_type.into());
        with_type.event.data = Some(OwnedData::Text(text.into()));
        with_type
    }

    /// Data as bytes of this media type.
    #[must_use]
    pub fn data_bytes(self, content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let mut with_type = self.extension("datacontenttype", content_type.into());
        with_type.event.data = Some(OwnedData::Binary(bytes.into()));
        with_type
    }

    /// The event.
    ///
    /// # Errors
    /// Every rule of CloudEvents that it breaks.
    pub fn build(self) -> Result<Event, Violations> {
        if let Some(failure) = self.failure {
            return Err(Violations(vec![Violation {
                field: "data".to_owned(),
                rule: Rule::AttributeType,
                fault: failure,
                expected: "a value that JSON can hold".to_owned(),
            }]));
        }
        self.event.validate(&Limits { frame: usize::MAX, ..Limits::default() })?;
        Ok(self.event)
    }
}

impl OwnedValue {
    fn to_proto(&self) -> pb::CloudEventAttributeValue {
        use pb::cloud_event_attribute_value::Attr;
        let attr = match self {
            Self::Boolean(truth) => Attr::CeBoolean(*truth),
            Self::Integer(integer) => Attr::CeInteger(*integer),
            Self::String(text) => Attr::CeString(text.clone()),
            Self::Binary(bytes) => Attr::CeBytes(bytes.clone()),
            Self::Uri(text) => Attr::CeUri(text.clone()),
            Self::UriReference(text) => Attr::CeUriRef(text.clone()),
            Self::Timestamp(moment) => Attr::CeTimestamp(prost_types::Timestamp {
                seconds: moment.seconds(),
                nanos: moment.nanoseconds(),
            }),
        };
        pb::CloudEventAttributeValue { attr: Some(attr) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> EventBuilder {
        Event::builder("1", "/s", "nl.t")
    }

    #[test]
    fn proto_data_travels_as_it_is() {
        let any =
            prost_types::Any { type_url: "type.example.nl/a".to_owned(), value: vec![1, 2, 3] };
        for bytes in [any.encode_to_vec(), b"\xff no Any".to_vec(), Vec::new()] {
            let mut event = event().build().unwrap();
            event.data = Some(OwnedData::Proto(bytes.into()));
            let again = Event::from_frame(event.encode()).unwrap();
            assert!(again == event);
        }
        let mut event = event().build().unwrap();
        event.data = Some(OwnedData::Proto(any.encode_to_vec().into()));
        let decoded = pb::CloudEvent::decode(event.encode()).unwrap();
        assert_eq!(decoded.data, Some(pb::cloud_event::Data::ProtoData(any)));
    }

    #[test]
    fn another_version_stays_and_is_refused() {
        let frame = pb::CloudEvent {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            spec_version: "0.3".to_owned(),
            r#type: "nl.t".to_owned(),
            ..pb::CloudEvent::default()
        };
        let event = Event::from_frame(frame.encode_to_vec().into()).unwrap();
        assert_eq!(event.spec_version(), "0.3");
        let text = event.validate(&Limits::default()).unwrap_err().to_string();
        assert!(text.starts_with("specversion: another version"), "{text}");
        assert_eq!(Event::from_frame(event.encode()).unwrap().spec_version(), "0.3");
    }

    #[test]
    fn an_attribute_is_added_behind_what_is_there() {
        let event = event().subject("s").data_text("application/json", "{}").build().unwrap();
        let longer = EventView::decode(event.encode()).unwrap().with_attribute("more", "é");
        let longer = EventView::decode(longer).unwrap();
        assert!(longer.attribute("more") == Some(Value::String("é")));
        assert_eq!(longer.subject(), Some("s"));
        assert!(longer.data() == Some(Data::Text("{}")));
    }

    #[test]
    fn too_many_attributes_are_a_violation_and_no_panic() {
        let many = (0..300).fold(event(), |event, index| event.extension(format!("a{index}"), 1));
        let text = many.build().unwrap_err().to_string();
        assert!(text.starts_with("attributes: more than 256"), "{text}");
    }
}
