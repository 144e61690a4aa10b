//! What makes cases reports: doubt about data that a registry has (*terugmelding*).

use std::fmt;
use std::sync::Arc;

use wissel_filter::DataFacts;
use wissel_message::{EventView, Rule, Value, Violation};
use wissel_schema::FieldSet;

use crate::EventType;

/// What makes cases reports of doubt about data of a registry, each for whoever holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the data of a report says which object it is about: a JSON Pointer.
    pub object: Arc<str>,
    /// Where it says which field is doubted: a JSON Pointer.
    pub field: Arc<str>,
    /// The event type whose data holds the field. Who may not receive it may not doubt it.
    pub about: Arc<str>,
    /// The event type of the corrections that end reports.
    pub corrections: Arc<str>,
}

/// What a report doubts. Personal: it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Datum {
    /// The id of the object.
    pub object: String,
    /// The field of its data, as a JSON Pointer.
    pub field: String,
}

/// The most bytes of the id of an object, and of the name of a field.
const TEXT_MAX: usize = 512;

impl EventType {
    /// What makes its messages reports; none: they are not.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.dispatch.as_ref()?.report.as_ref()
    }
}

impl Report {
    /// What a report doubts.
    ///
    /// # Errors
    /// What its data lacks, by place.
    pub fn datum(&self, event: &EventView) -> Result<Datum, Vec<Violation>> {
        let facts = DataFacts::of(event);
        let mut faults = Vec::new();
        let mut read = |pointer: &str, expected: &str| {
            let value = facts.as_ref().and_then(|facts| facts.value(pointer));
            let found = match value {
                Some(Value::String(text)) if text.len() > TEXT_MAX => Err("too long"),
                Some(Value::String("")) => Err("empty"),
                Some(Value::String(text)) => Ok(text.to_owned()),
                Some(Value::Integer(number)) => Ok(number.to_string()),
                Some(_) => Err("neither a text nor a number"),
                None => Err("absent"),
            };
            let found = found.and_then(|text| match expected {
                FIELD => pointer_of(&text).ok_or("no JSON Pointer"),
                _ => Ok(text),
            });
            found.map_err(|fault| {
                let field = format!("data{pointer}");
                faults.push(Violation::new(Rule::Data, field, fault, expected));
            })
        };
        match (read(&self.object, OBJECT), read(&self.field, FIELD)) {
            (Ok(object), Ok(field)) => Ok(Datum { object, field }),
            _ => Err(faults),
        }
    }
}

const OBJECT: &str = "the id of the object that the report is about";
const FIELD: &str = "the name of the field that is doubted, or a JSON Pointer to it";

/// A field by its pointer, always spelled the same; a name is that of a member at the top.
fn pointer_of(text: &str) -> Option<String> {
    let pointer = match text.strip_prefix('/') {
        Some(_) => text.to_owned(),
        None => format!("/{}", text.replace('~', "~0").replace('/', "~1")),
    };
    FieldSet::new([pointer.as_str()]).ok()?.pointers().pop()
}

impl fmt::Debug for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datum").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wissel_message::Event;

    use super::*;

    fn datum(data: &str) -> Result<Datum, Vec<Violation>> {
        let report = Report {
            object: "/object/id".into(),
            field: "/gegeven".into(),
            about: "nl.t.adres".into(),
            corrections: "nl.t.correctie".into(),
        };
        let event = Event::builder("1", "/s", "nl.t.melding").data_text("application/json", data);
        report.datum(&EventView::decode(event.build().unwrap().encode()).unwrap())
    }

    #[test]
    fn a_field_is_named_or_pointed_to() {
        for (said, field) in
            [("straat", "/straat"), ("/adres/straat", "/adres/straat"), ("a/b~", "/a~1b~0")]
        {
            let found = datum(&format!(r#"{{"object":{{"id":12}},"gegeven":"{said}"}}"#)).unwrap();
            assert_eq!((found.object.as_str(), found.field.as_str()), ("12", field));
            assert!(!format!("{found:?}").contains(field));
        }
    }

    #[test]
    fn what_is_missing_is_told_by_its_place_and_without_a_value() {
        for (data, fields) in [
            ("{}", vec!["data/object/id", "data/gegeven"]),
            ("[", vec!["data/object/id", "data/gegeven"]),
            (r#"{"object":{"id":""},"gegeven":"/a~7"}"#, vec!["data/object/id", "data/gegeven"]),
            (r#"{"object":{"id":{}},"gegeven":"x"}"#, vec!["data/object/id"]),
            (r#"{"object":{"id":"1"},"gegeven":true}"#, vec!["data/gegeven"]),
        ] {
            let faults = datum(data).unwrap_err();
            let found: Vec<&str> = faults.iter().map(|one| one.field.as_str()).collect();
            assert_eq!(found, fields, "{data}");
            assert!(!format!("{faults:?}").contains("~7"));
        }
    }
}
