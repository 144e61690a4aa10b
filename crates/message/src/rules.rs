//! The rules of CloudEvents 1.0 ("Context Attributes" and "Type System"), all
//! checked at once.

use std::borrow::Cow;

use iri_string::types::{UriAbsoluteStr, UriReferenceStr};

use crate::expiry::{EXPIRY_TIME, expiry_time};
use crate::media_type::is_media_type;
use crate::scan::{ATTRIBUTES_MAX, RawValue};
use crate::{EventView, Rule, Timestamp, Violation, Violations};

/// The limits of a gateway on one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a frame. NL GOV wants at least 64 KiB to be forwarded.
    pub frame: usize,
    /// The most attributes besides the required ones; more than 256 are never taken.
    pub attributes: usize,
    /// The most bytes of one attribute's value.
    pub attribute_bytes: usize,
}

impl Default for Limits {
    /// 1 MiB, 256 attributes, 64 KiB each: an intermediary MUST forward events of
    /// 64 KiB ("Size Limits"), however their bytes are divided.
    fn default() -> Self {
        Self { frame: 1 << 20, attributes: ATTRIBUTES_MAX, attribute_bytes: 64 << 10 }
    }
}

/// The longest name of an attribute that is taken. The specification says that a
/// name SHOULD have 20 characters at most.
const ATTRIBUTE_NAME_MAX: usize = 64;

/// A name with this many digits is not shown. A BSN has 9, and 8 when its first zero
/// was lost.
const DIGITS_HIDDEN: usize = 8;

/// Checks every rule, and every limit but that on the frame.
///
/// # Errors
/// All the rules that the message breaks.
pub fn validate(event: &EventView, limits: &Limits) -> Result<(), Violations> {
    let mut checker = Checker { violations: Vec::new(), limits };
    checker.required(event);
    checker.others(event);
    if let Err(error) = expiry_time(event) {
        let expected = "a Timestamp, or RFC 3339 text";
        checker.add(EXPIRY_TIME, Rule::ExpiryTime, &error.to_string(), expected);
    }
    if checker.violations.is_empty() { Ok(()) } else { Err(Violations(checker.violations)) }
}

struct Checker<'a> {
    violations: Vec<Violation>,
    limits: &'a Limits,
}

impl Checker<'_> {
    fn required(&mut self, event: &EventView) {
        if self.required_text("id", event.id()) {
            self.string("id", event.id());
        }
        if self.required_text("source", event.source()) {
            self.uri_reference("source", event.source());
        }
        if self.required_text("specversion", event.spec_version()) && event.spec_version() != "1.0"
        {
            self.add("specversion", Rule::SpecVersion, "another version", "\"1.0\"");
        }
        if self.required_text("type", event.event_type()) {
            self.string("type", event.event_type());
        }
    }

    fn others(&mut self, event: &EventView) {
        let mut count = 0;
        for (name, raw) in event.raw_attributes() {
            let checked = check_attribute_name(name);
            let shown = shown_name(name, count, checked.is_ok());
            count += 1;
            self.name(name, &shown, checked);
            self.value(event, name, &shown, raw);
        }
        if count > self.limits.attributes {
            let fault = format!("{count} attributes");
            let expected = format!("at most {}", self.limits.attributes);
            self.add("attributes", Rule::Limit, &fault, &expected);
        }
    }

    fn name(&mut self, name: &str, shown: &str, checked: Result<(), (String, &'static str)>) {
        if let Err((fault, expected)) = checked {
            self.add(shown, Rule::AttributeName, &fault, expected);
        } else if matches!(name, "id" | "source" | "specversion" | "type" | "data") {
            let fault = "the name is taken by a field of the event";
            self.add(shown, Rule::AttributeName, fault, "the field itself to be used");
        }
    }

    fn value(&mut self, event: &EventView, name: &str, shown: &str, raw: RawValue) {
        let expected_type = match name {
            "subject" | "datacontenttype" => Some("String"),
            "dataschema" => Some("Uri"),
            "time" => Some("Timestamp"),
            _ => None,
        };
        let found_type = type_name(raw);
        if raw == RawValue::Unset {
            let expected = expected_type.unwrap_or("one of the seven types of CloudEvents");
            return self.add(shown, Rule::AttributeType, "no value", expected);
        }
        if let Some(expected) = expected_type
            && expected != found_type
        {
            return self.add(shown, Rule::AttributeType, found_type, expected);
        }
        if let RawValue::Timestamp { seconds, nanoseconds } = raw
            && let Err(error) = Timestamp::new(seconds, nanoseconds)
        {
            return self.add(shown, Rule::Timestamp, &error.to_string(), "an RFC 3339 timestamp");
        }
        self.typed(event, name, shown, raw);
    }

    fn typed(&mut self, event: &EventView, name: &str, shown: &str, raw: RawValue) {
        use crate::Value;
        match event.value(raw) {
            Some(Value::String(text)) => {
                if self.fits(shown, text.len()) && self.not_empty(name, text) {
                    self.string(shown, text);
                    if name == "datacontenttype" {
                        self.media_type(shown, text);
                    }
                }
            }
            Some(Value::Uri(text)) => {
                if self.fits(shown, text.len()) && self.not_empty(name, text) {
                    self.uri(shown, text);
                }
            }
            Some(Value::UriReference(text)) => {
                if self.fits(shown, text.len()) {
                    self.uri_reference(shown, text);
                }
            }
            Some(Value::Binary(bytes)) => {
                self.fits(shown, bytes.len());
            }
            Some(Value::Boolean(_) | Value::Integer(_) | Value::Timestamp(_)) | None => {}
        }
    }

    fn required_text(&mut self, name: &str, text: &str) -> bool {
        if text.is_empty() {
            self.add(name, Rule::Required, "absent or empty", "a value");
            return false;
        }
        self.fits(name, text.len())
    }

    /// The specification says of its own optional attributes that they are not
    /// empty; an extension may be.
    fn not_empty(&mut self, name: &str, text: &str) -> bool {
        let of_the_specification = matches!(name, "subject" | "datacontenttype" | "dataschema");
        if text.is_empty() && of_the_specification {
            self.add(name, Rule::NotEmpty, "empty", "a value, or no attribute");
            return false;
        }
        true
    }

    fn fits(&mut self, name: &str, bytes: usize) -> bool {
        if bytes <= self.limits.attribute_bytes {
            return true;
        }
        let expected = format!("at most {}", self.limits.attribute_bytes);
        self.add(name, Rule::Limit, &format!("{bytes} bytes"), &expected);
        false
    }

    fn string(&mut self, name: &str, text: &str) {
        // Folded without a way out, so that many bytes are looked at at once.
        let plain = |so_far: bool, byte: &u8| so_far & matches!(byte, b' '..=b'~');
        if text.as_bytes().iter().fold(true, plain) {
            return;
        }
        if let Some((position, _)) = text.char_indices().find(|(_, c)| is_forbidden(*c)) {
            let fault = format!("a control character or noncharacter at byte {position}");
            self.add(name, Rule::Characters, &fault, "text without them");
        }
    }

    fn uri(&mut self, name: &str, text: &str) {
        if UriAbsoluteStr::new(text).is_err() {
            let expected = "an absolute URI without a fragment (RFC 3986, section 4.3)";
            self.add(name, Rule::Uri, "not an absolute URI", expected);
        }
    }

    fn uri_reference(&mut self, name: &str, text: &str) {
        if !is_plain_urn(text) && UriReferenceStr::new(text).is_err() {
            self.add(name, Rule::Uri, "not a URI-reference", "a URI-reference (RFC 3986)");
        }
    }

    fn media_type(&mut self, name: &str, text: &str) {
        if !is_media_type(text) {
            let expected = "a media type such as application/json (RFC 2046)";
            self.add(name, Rule::MediaType, "not a media type", expected);
        }
    }

    fn add(&mut self, field: &str, rule: Rule, fault: &str, expected: &str) {
        self.violations.push(Violation {
            field: field.to_owned(),
            rule,
            fault: fault.to_owned(),
            expected: expected.to_owned(),
        });
    }
}

/// Checks the name of an attribute: `a-z` and `0-9` only.
///
/// # Errors
/// What is wrong, and what was expected.
pub fn check_attribute_name(name: &str) -> Result<(), (String, &'static str)> {
    let expected = "a name of 1 to 64 of a-z and 0-9 (20 at most is good style)";
    let odd = |byte: u8| !IN_NAMES[usize::from(byte)];
    if name.is_empty() {
        return Err(("an empty name".to_owned(), expected));
    }
    if name.len() > ATTRIBUTE_NAME_MAX {
        return Err((format!("a name of {} bytes", name.len()), expected));
    }
    match name.bytes().position(odd) {
        Some(position) => {
            Err((format!("another character at position {}", position + 1), expected))
        }
        None => Ok(()),
    }
}

/// The bytes that the name of an attribute may have.
const IN_NAMES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        bytes[byte as usize] = matches!(byte, b'a'..=b'z' | b'0'..=b'9');
        byte += 1;
    }
    bytes
};

/// The name of an attribute as an error may show it; `place` counts from 0.
///
/// What comes from outside may be anything, a personal number too. So a name that is
/// none, or that has as many digits as such a number, is shown as its place:
/// `attributes[3]`.
#[must_use]
pub fn show_attribute_name(name: &str, place: usize) -> Cow<'_, str> {
    shown_name(name, place, check_attribute_name(name).is_ok())
}

fn shown_name(name: &str, place: usize, valid: bool) -> Cow<'_, str> {
    let has_many_digits = || name.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_HIDDEN;
    if valid && (name.len() < DIGITS_HIDDEN || !has_many_digits()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("attributes[{place}]"))
    }
}

fn type_name(raw: RawValue) -> &'static str {
    match raw {
        RawValue::Unset => "nothing",
        RawValue::Boolean(_) => "Boolean",
        RawValue::Integer(_) => "Integer",
        RawValue::String(_) => "String",
        RawValue::Binary(_) => "Binary",
        RawValue::Uri(_) => "Uri",
        RawValue::UriReference(_) => "URI-reference",
        RawValue::Timestamp { .. } => "Timestamp",
    }
}

/// Whether a text is a URN of nothing but letters, digits and `-._:`, as nearly every `source`
/// is. Such a one is a URI-reference: all of these may stand in a path without a slash (RFC
/// 3986, section 3.3).
fn is_plain_urn(text: &str) -> bool {
    // Folded without a way out, so that many bytes are looked at at once.
    let plain = |so_far: bool, byte: u8| {
        so_far & (byte.is_ascii_alphanumeric() | matches!(byte, b'-'..=b'.' | b'_' | b':'))
    };
    text.strip_prefix("urn:").is_some_and(|name| name.bytes().fold(true, plain))
}

/// Control characters and Unicode noncharacters.
fn is_forbidden(c: char) -> bool {
    let code = u32::from(c);
    let noncharacter = (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE;
    c.is_control() || noncharacter
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use wissel_proto::io::cloudevents::v1 as pb;

    use super::*;

    fn value(attr: pb::cloud_event_attribute_value::Attr) -> pb::CloudEventAttributeValue {
        pb::CloudEventAttributeValue { attr: Some(attr) }
    }

    fn good() -> pb::CloudEvent {
        pb::CloudEvent {
            id: "1".into(),
            source: "urn:nld:oin:00000001823288444000:systeem:BRP-component".into(),
            spec_version: "1.0".into(),
            r#type: "nl.brp.geboorte".into(),
            ..pb::CloudEvent::default()
        }
    }

    /// The rules broken, as `field rule`.
    fn broken(event: &pb::CloudEvent) -> Vec<String> {
        let view = EventView::decode(event.encode_to_vec().into()).unwrap();
        match validate(&view, &Limits::default()) {
            Ok(()) => Vec::new(),
            Err(all) => all.iter().map(|one| format!("{} {}", one.field, one.rule)).collect(),
        }
    }

    fn with(name: &str, attr: pb::cloud_event_attribute_value::Attr) -> pb::CloudEvent {
        let mut event = good();
        event.attributes.insert(name.into(), value(attr));
        event
    }

    #[test]
    fn all_violations_are_listed_at_once() {
        let mut event = pb::CloudEvent { spec_version: "0.3".into(), ..Default::default() };
        event.attributes.insert("Bad_Name".into(), Default::default());
        assert_eq!(
            broken(&event),
            [
                "id ce-required",
                "source ce-required",
                "specversion ce-specversion",
                "type ce-required",
                "attributes[0] ce-attribute-name",
                "attributes[0] ce-attribute-type",
            ]
        );
    }

    #[test]
    fn each_rule_refuses_and_accepts() {
        use pb::cloud_event_attribute_value::Attr::*;
        let timestamp = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        let cases: Vec<(&str, pb::cloud_event_attribute_value::Attr, Option<&str>)> = vec![
            ("subject", CeString("123".into()), None),
            ("subject", CeString(String::new()), Some("ce-not-empty")),
            ("subject", CeInteger(1), Some("ce-attribute-type")),
            ("subject", CeString("a\u{7}".into()), Some("ce-string-characters")),
            ("subject", CeString("a\u{85}".into()), Some("ce-string-characters")),
            ("subject", CeString("a\u{FFFE}".into()), Some("ce-string-characters")),
            ("subject", CeString("a\u{1FFFF}".into()), Some("ce-string-characters")),
            ("subject", CeString("Ünï 😀".into()), None),
            ("time", CeTimestamp(timestamp(1, 999_999_999)), None),
            ("time", CeTimestamp(timestamp(1, 1_000_000_000)), Some("ce-timestamp")),
            ("time", CeTimestamp(timestamp(i64::MAX, 0)), Some("ce-timestamp")),
            ("time", CeString("2026-11-24T10:00:00Z".into()), Some("ce-attribute-type")),
            ("dataschema", CeUri("https://example.nl/s.json".into()), None),
            ("dataschema", CeUri("s.json".into()), Some("ce-uri")),
            ("dataschema", CeUri("https://example.nl/s.json#/a".into()), Some("ce-uri")),
            ("dataref", CeUriRef("/persons/1#a".into()), None),
            ("dataschema", CeUri(String::new()), Some("ce-not-empty")),
            ("datacontenttype", CeString("application/json; charset=\"utf-8\"".into()), None),
            ("datacontenttype", CeString("json".into()), Some("ce-media-type")),
            ("datacontenttype", CeString("a/b; c".into()), Some("ce-media-type")),
            ("dataref", CeUriRef("/persons/1?x=y".into()), None),
            ("dataref", CeUriRef("a b".into()), Some("ce-uri")),
            ("gemeente", CeString(String::new()), None),
            ("gemeente", CeBoolean(false), None),
            ("gemeente", CeBytes(vec![0; 64 << 10].into()), None),
            ("gemeente", CeBytes(vec![0; 65_537].into()), Some("limit")),
            ("type", CeString("x".into()), Some("ce-attribute-name")),
            ("data", CeString("x".into()), Some("ce-attribute-name")),
        ];
        for (name, attr, rule) in cases {
            let expected: Vec<String> = rule.iter().map(|rule| format!("{name} {rule}")).collect();
            assert_eq!(broken(&with(name, attr.clone())), expected, "{name} {attr:?}");
        }
    }

    #[test]
    fn source_is_a_uri_reference() {
        for (source, rules) in
            [("/relative/path", 0), ("urn:nld:kvknr:09220932.systeem", 0), ("a b", 1), ("a%2", 1)]
        {
            let event = pb::CloudEvent { source: source.into(), ..good() };
            assert_eq!(broken(&event).len(), rules, "{source}");
        }
    }

    #[test]
    fn too_many_attributes_are_refused() {
        let mut event = good();
        for index in 0..5 {
            let attr = pb::cloud_event_attribute_value::Attr::CeInteger(index);
            event.attributes.insert(format!("a{index}"), value(attr));
        }
        assert_eq!(broken(&event), Vec::<String>::new());
        let view = EventView::decode(event.encode_to_vec().into()).unwrap();
        let limits = Limits { attributes: 4, ..Limits::default() };
        let all = validate(&view, &limits).unwrap_err();
        assert!(all.to_string().contains("5 attributes; expected at most 4"));
    }

    #[test]
    fn a_name_that_may_be_personal_is_shown_as_its_place() {
        use pb::cloud_event_attribute_value::Attr::CeString;
        for name in ["999990019 ", "met-streepje", "a\u{1b}[2J", &"a".repeat(65), ""] {
            let event = with(name, CeString("x".into()));
            assert_eq!(broken(&event), ["attributes[0] ce-attribute-name"]);
        }
        for name in ["999990019", "x99999001", "bsn999990019"] {
            let event = with(name, CeString("\u{1}".into()));
            assert_eq!(broken(&event), ["attributes[0] ce-string-characters"]);
        }
        let view = EventView::decode(with("ab_c", CeString("x".into())).encode_to_vec().into());
        let all = validate(&view.unwrap(), &Limits::default()).unwrap_err();
        assert!(all.to_string().contains("at position 3"), "{all}");
        assert_eq!(show_attribute_name("h3", 7), "h3");
    }

    #[test]
    fn an_event_of_64_kib_is_taken_however_its_bytes_are_divided() {
        use pb::cloud_event_attribute_value::Attr::CeString;
        assert_eq!(broken(&with("a", CeString("x".repeat(65_000)))), [""; 0]);
        let event = pb::CloudEvent { id: "x".repeat(65_000), ..good() };
        assert_eq!(broken(&event), [""; 0]);
        let mut event = good();
        for index in 0..256 {
            let attr = CeString("x".repeat(230));
            event.attributes.insert(format!("a{index}"), value(attr));
        }
        assert_eq!(broken(&event), [""; 0]);
    }

    #[test]
    fn no_violation_shows_a_value() {
        let secret = "999990019";
        let mut event = good();
        event.id = format!("{secret}\u{1}");
        event.source = format!("{secret} {secret}");
        event.r#type = format!("{secret}\u{1}");
        let attr = pb::cloud_event_attribute_value::Attr::CeString(format!("{secret}\u{1}"));
        event.attributes.insert("subject".into(), value(attr));
        let view = EventView::decode(event.encode_to_vec().into()).unwrap();
        let all = validate(&view, &Limits::default()).unwrap_err();
        assert_eq!(all.iter().count(), 4);
        assert!(!all.to_string().contains(secret), "{all}");
    }

    #[test]
    fn a_plain_urn_is_a_uri_reference() {
        let urn = "urn:nld:oin:00000001823288444000:systeem:BRP-component_2.b";
        assert!(is_plain_urn(urn));
        for byte in 0..=127_u8 {
            for text in [format!("urn:{}", char::from(byte)), format!("{urn}{}", char::from(byte))]
            {
                let is_plain = is_plain_urn(&text);
                assert!(!is_plain || UriReferenceStr::new(&text).is_ok(), "{text:?}");
            }
        }
        assert!(is_plain_urn("urn:") && UriReferenceStr::new("urn:").is_ok());
        for other in ["urn:a b", "urn:a/b", "urn:a#b", "urn:é", "URN:a", "a"] {
            assert!(!is_plain_urn(other), "{other}");
        }
    }
}
