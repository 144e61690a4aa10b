//! The CloudEvents JSON format (`formats/json-format.md`).

mod read;
mod write;

use crate::media_type::is_json;
use crate::{Event, Value};

/// Why a text is not an event in the JSON format. No value is shown, and a name only
/// when it cannot be personal: else the member is `members[3]`, counted from 0.
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
    /// More of something than is taken.
    #[error("{found} {what}; expected at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are; when counting stopped early, how many were counted.
        found: usize,
        /// The most that are taken.
        max: usize,
    },
}

/// Every reason why a text is not an event in the JSON format.
#[derive(Debug, thiserror::Error)]
#[error("{}", told(faults))]
pub struct JsonFaults {
    /// At least one; in the order of the text, then what is absent.
    pub faults: Vec<JsonError>,
    /// The event without the members that have a fault, for what else may be said of it: a
    /// required attribute that is not there is empty. None when the text is no object at all.
    pub rest: Option<Box<Event>>,
}

fn told(faults: &[JsonError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

// === impl JsonError ===

impl JsonError {
    /// The member that is at fault, as it may be shown.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::Duplicate { name } | Self::Value { name, .. } => Some(name),
            Self::Missing { name } => Some(name),
            Self::TwoData => Some("data"),
            Self::Syntax { .. } | Self::TooMany { .. } => None,
        }
    }
}

impl From<JsonError> for JsonFaults {
    fn from(fault: JsonError) -> Self {
        Self { faults: vec![fault], rest: None }
    }
}

impl Event {
    /// Whether `datacontenttype` says JSON; without it, JSON is meant.
    fn carries_json(&self) -> bool {
        match self.attribute("datacontenttype") {
            Some(Value::String(media_type)) => is_json(media_type),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use serde_json::Value as Json;

    use super::*;
    use crate::OwnedData;

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
            (r#""data_base64":"AAEC""#, OwnedData::Binary(vec![0, 1, 2].into())),
            (
                r#""datacontenttype":"text/plain","data":"een \"regel\"""#,
                OwnedData::Text("een \"regel\"".into()),
            ),
            (r#""data":"json""#, OwnedData::Text("\"json\"".into())),
            (r#""data":null"#, OwnedData::Text("null".into())),
            (
                r#""datacontenttype":"application/xml","data":"<a/>""#,
                OwnedData::Text("<a/>".into()),
            ),
        ] {
            let event = Event::from_json(base(more).as_bytes()).unwrap();
            assert!(event.data() == Some(&data), "{more}");
            assert!(Event::from_json(event.to_json().as_bytes()).unwrap() == event, "{more}");
        }
    }

    #[test]
    fn each_fault_names_its_member_and_no_value() {
        let of = |text: &str| Event::from_json(text.as_bytes()).unwrap_err().to_string();
        let with = |more: &str| {
            of(&format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{more}}}"#))
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
        for text in [with(r#""time":"999990019""#), with(r#""subject":999990019"#)] {
            assert!(!text.contains("999990019"), "{text}");
        }
    }

    #[test]
    fn all_faults_are_found_and_the_rest_is_there() {
        let text = r#"{"specversion":"1.0","source":4,"type":"t","time":"gisteren","Naam":"x",
            "teller":1.5,"data":1,"data_base64":"AA=="}"#;
        let found = Event::read_json(text.as_bytes()).unwrap_err();
        let members: Vec<_> = found.faults.iter().map(|fault| fault.member().unwrap()).collect();
        assert_eq!(members, ["source", "time", "teller", "id", "data"]);
        for member in members {
            assert!(found.to_string().contains(member), "{member} in {found}");
        }
        let rest = found.rest.unwrap();
        assert_eq!((rest.id(), rest.source(), rest.event_type()), ("", "", "t"));
        assert!(rest.attribute("Naam").is_some() && rest.attribute("time").is_none());
        let first = Event::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(first.to_string(), found.faults[0].to_string());
    }

    #[test]
    fn a_bad_event_of_a_batch_leaves_the_others() {
        let batch = format!("[{MOVE}, {{}}, {MOVE}]");
        let events = Event::from_json_batch(batch.as_bytes()).unwrap();
        assert_eq!(events.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }

    fn with(more: &str) -> String {
        format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{more}}}"#)
    }

    fn read(more: &str) -> Result<Event, JsonError> {
        Event::from_json(with(more).as_bytes())
    }

    #[test]
    fn json_data_keeps_its_digits_and_its_order() {
        let data = r#"{"z":1.10,"a":123456789012345678901234567890,"z":[1e400,"\u00e9"]}"#;
        let event = read(&format!(r#""data":{data}"#)).unwrap();
        assert!(event.to_json().ends_with(&format!(r#","data":{data}}}"#)));
        let event =
            Event::builder("1", "/s", "t").data_text("a/b+json", "{\r\n\"b\": 1,\n\"a\": 2\n}\n");
        let json = event.build().unwrap().to_json();
        assert!(json.ends_with(r#""data":{  "b": 1, "a": 2 }}"#), "{json}");
    }

    #[test]
    fn data_without_a_content_type_is_json_and_says_so() {
        let event = read(r#""data":[1]"#).unwrap();
        assert!(event.attribute("datacontenttype") == Some(Value::String("application/json")));
        for more in [r#""a":"b""#, r#""data_base64":"AA==""#, r#""data_base64":null"#] {
            assert!(read(more).unwrap().attribute("datacontenttype").is_none());
        }
        // The protobuf format implies nothing; JSON does.
        let mut event = Event::builder("1", "/s", "t").build().unwrap();
        event.data = Some(OwnedData::Text("[1]".to_owned()));
        assert!(event.to_json().ends_with(r#""data":[1]}"#));
        event.data = Some(OwnedData::Text("[1".to_owned()));
        assert!(event.to_json().ends_with(r#""data":"[1"}"#));
    }

    #[test]
    fn a_protobuf_message_goes_out_as_its_bytes() {
        let mut event = Event::builder("1", "/s", "t").build().unwrap();
        for (type_url, schema) in
            [("https://example.nl/p.M", true), ("type.googleapis.com/p.M", false)]
        {
            let any = prost_types::Any { type_url: type_url.to_owned(), value: vec![0, 1, 2] };
            event.data = Some(OwnedData::Proto(any.encode_to_vec().into()));
            let json: Json = serde_json::from_str(&event.to_json()).unwrap();
            assert_eq!(json["data_base64"], "AAEC");
            assert_eq!(json["datacontenttype"], "application/protobuf");
            assert_eq!(json.get("dataschema").is_some(), schema);
        }
        event.data = Some(OwnedData::Proto(vec![0xff].into()));
        assert!(event.to_json().ends_with(r#""data_base64":"/w=="}"#));
    }

    #[test]
    fn another_version_is_left_to_the_rules() {
        let text = r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#;
        let event = Event::from_json(text.as_bytes()).unwrap();
        assert!(event.validate(&Default::default()).is_err());
        assert!(event.to_json().starts_with(r#"{"specversion":"0.3""#));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let deep =
            |levels: usize| format!(r#""data":{}{}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(127)).is_ok());
        let fault = |more: &str| read(more).unwrap_err().to_string();
        assert!(fault(&deep(128)).starts_with("129 arrays and objects"));
        assert!(read(&format!(r#""a":"\"{}""#, "[".repeat(1000))).is_ok());
        let many: Vec<String> = (0..300).map(|index| format!(r#""a{index}":1"#)).collect();
        assert!(fault(&many.join(",")).starts_with("304 members"));
        let batch = format!("[{}1]", "1,".repeat(10_000));
        let fault = Event::from_json_batch(batch.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), "10001 events; expected at most 10000");
    }

    #[test]
    fn a_member_that_may_be_personal_is_shown_as_its_place() {
        let long = "n".repeat(100_000);
        for name in ["999990019", "BSN 999990019", &long] {
            for more in [format!(r#""{name}":[]"#), format!(r#""{name}":1.5"#)] {
                let fault = read(&more).unwrap_err().to_string();
                assert!(fault.starts_with("members[4]: "), "{fault}");
            }
            let fault = read(&format!(r#""{name}":1,"{name}":2"#)).unwrap_err();
            assert!(fault.to_string().starts_with("members[5]: "));
        }
        let fault = read(r#""datacontenttype":"text/plain","data":null"#).unwrap_err();
        assert!(fault.to_string().starts_with("data: not a string"));
    }
}
