use std::fmt;

use bytes::Bytes;

use crate::media_type::is_json;
use crate::rewrite::{append_attribute, remove_attribute, replace_data};
use crate::scan::{DecodeError, RawData, RawValue, Scanned, TextSpan, scan};
use crate::{Data, Timestamp, Value};

/// A CloudEvent in the protobuf format, looked at without its data being copied.
///
/// It keeps the frame, the places of what is in it, and its short texts (all but
/// `data`) once more as text. Fields that it does not know stay in the frame and
/// travel on.
pub struct EventView {
    frame: Bytes,
    /// Apart, as a view goes from room to room and this is large.
    scanned: Box<Scanned>,
}

/// The attributes that are fields of their own.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

impl EventView {
    /// Scans a frame once. Only the form is looked at here: [`crate::validate`]
    /// checks the rules.
    ///
    /// # Errors
    /// When the bytes are not a `io.cloudevents.v1.CloudEvent`.
    pub fn decode(frame: Bytes) -> Result<Self, DecodeError> {
        let scanned = scan(&frame)?;
        Ok(Self { frame, scanned })
    }

    /// The whole frame, as it came.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// `id`; empty when absent.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text(self.scanned.id)
    }

    /// `source`; empty when absent.
    #[must_use]
    pub fn source(&self) -> &str {
        self.text(self.scanned.source)
    }

    /// `specversion`; empty when absent.
    #[must_use]
    pub fn spec_version(&self) -> &str {
        self.text(self.scanned.spec_version)
    }

    /// `type`; empty when absent.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.text(self.scanned.event_type)
    }

    /// `subject`. Treat it as personal data.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self.extension("subject") {
            Some(Value::String(subject)) => Some(subject),
            _ => None,
        }
    }

    /// The value of an attribute by its name; the required ones are found too.
    /// None when it is absent, or has no valid value.
    #[must_use]
    pub fn attribute<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        let present = |text: &'a str| if text.is_empty() { None } else { Some(text) };
        match name {
            "id" => present(self.id()).map(Value::String),
            "source" => present(self.source()).map(Value::UriReference),
            "specversion" => present(self.spec_version()).map(Value::String),
            "type" => present(self.event_type()).map(Value::String),
            _ => self.extension(name),
        }
    }

    /// The value of an attribute that is no field of its own, by its name.
    pub(crate) fn extension(&self, name: &str) -> Option<Value<'_>> {
        let Scanned { texts, attributes, .. } = &*self.scanned;
        let (_, raw) = attributes.iter().find(|(other, _)| other.holds(texts, name))?;
        self.value(*raw)
    }

    /// Every attribute with a valid value: the required ones first, the others in
    /// the order of the frame.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let required = REQUIRED.into_iter().filter_map(|name| Some((name, self.attribute(name)?)));
        let others = self.raw_attributes();
        let others = others.filter(|(name, _)| !REQUIRED.contains(name));
        required.chain(others.filter_map(|(name, raw)| Some((name, self.value(raw)?))))
    }

    /// The names of the attributes that are no fields of their own, in the order of the frame,
    /// whatever their values are.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.raw_attributes().map(|(name, _)| name)
    }

    /// At most how many [`EventView::attributes`] there are.
    #[must_use]
    pub fn attribute_count(&self) -> usize {
        REQUIRED.len() + self.scanned.attributes.len()
    }

    /// What the event carries. Text is checked again to be UTF-8, which takes some
    /// tens of nanoseconds a KiB; [`EventView::data_bytes`] does not.
    #[must_use]
    pub fn data(&self) -> Option<Data<'_>> {
        Some(match self.scanned.data? {
            RawData::Binary(span) => Data::Binary(span.of(&self.frame)),
            RawData::Text(span) => {
                let text = std::str::from_utf8(span.of(&self.frame));
                Data::Text(text.expect("the scan took only UTF-8"))
            }
            RawData::Proto(span) => Data::Proto(span.of(&self.frame)),
        })
    }

    /// The bytes of what the event carries, sharing the frame.
    #[must_use]
    pub fn data_bytes(&self) -> Option<Bytes> {
        let (RawData::Binary(span) | RawData::Text(span) | RawData::Proto(span)) =
            self.scanned.data?;
        Some(self.frame.slice(span.range()))
    }

    /// Whether `data` is JSON: `datacontenttype` says so, or is not there, and it is
    /// text or bytes. False when there is no data.
    #[must_use]
    pub fn has_json_data(&self) -> bool {
        let of_text = matches!(self.scanned.data, Some(RawData::Binary(_) | RawData::Text(_)));
        let content_type = match self.extension("datacontenttype") {
            Some(Value::String(content_type)) => Some(content_type),
            _ => None,
        };
        of_text && content_type.is_none_or(is_json)
    }

    /// The same frame with other data, of the kind that the data is of now. All the
    /// rest stays as it came, fields that are not known here as well.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Bytes {
        replace_data(&self.frame, self.scanned.data.as_ref(), data)
    }

    /// The same frame with one more attribute, a String. It must not have one of that name.
    #[must_use]
    pub fn with_attribute(&self, name: &str, text: &str) -> Bytes {
        append_attribute(&self.frame, name, text)
    }

    /// The same frame without an attribute that is no field of its own; as it is when it has
    /// none of that name.
    #[must_use]
    pub fn without_attribute(&self, name: &str) -> Bytes {
        remove_attribute(&self.frame, name)
    }

    pub(crate) fn raw_attributes(&self) -> impl Iterator<Item = (&str, RawValue)> {
        self.scanned.attributes.iter().map(|(name, raw)| (self.text(*name), *raw))
    }

    pub(crate) fn value(&self, raw: RawValue) -> Option<Value<'_>> {
        Some(match raw {
            RawValue::Unset => return None,
            RawValue::Boolean(truth) => Value::Boolean(truth),
            RawValue::Integer(integer) => Value::Integer(integer),
            RawValue::String(span) => Value::String(self.text(span)),
            RawValue::Binary(span) => Value::Binary(span.of(&self.frame)),
            RawValue::Uri(span) => Value::Uri(self.text(span)),
            RawValue::UriReference(span) => Value::UriReference(self.text(span)),
            RawValue::Timestamp { seconds, nanoseconds } => {
                Value::Timestamp(Timestamp::new(seconds, nanoseconds).ok()?)
            }
        })
    }

    fn text(&self, span: TextSpan) -> &str {
        span.of(&self.scanned.texts)
    }
}

impl fmt::Debug for EventView {
    /// Neither `subject` nor `data` is shown: they may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventView")
            .field("id", &self.id())
            .field("source", &self.source())
            .field("type", &self.event_type())
            .field("attributes", &self.scanned.attributes.len())
            .field("frame_bytes", &self.frame.len())
            .finish_non_exhaustive()
    }
}
