//! Does a message fit its event type?

use wissel_message::{Data, EventView, Rule, Value, Violation};
use wissel_schema::{DataSchema, parse};

use crate::{EventType, SubjectKind};

impl EventType {
    /// Checks a message's `subject` and `data` against what the catalogue says of its
    /// event type. Data that is somewhere else (`dataref`) is not there to be checked.
    #[must_use]
    pub fn check(&self, event: &EventView) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_subject(event, &mut found);
        if let Some(schema) = &self.schema {
            check_data(schema, event, &mut found);
        }
        if let Some(Err(faults)) = self.report().map(|report| report.datum(event)) {
            found.extend(faults);
        }
        found
    }

    fn check_subject(&self, event: &EventView, found: &mut Vec<Violation>) {
        let mut broken = |fault: &str, expected: &str| {
            found.push(Violation::new(Rule::Subject, "subject", fault, expected));
        };
        match (self.subject, event.subject()) {
            (SubjectKind::None, Some(_)) => broken("present", "no subject for this event type"),
            (SubjectKind::Identifier(kind), Some(subject)) => {
                if let Err(error) = kind.check(subject) {
                    broken(&error.to_string(), kind.name());
                }
            }
            (SubjectKind::Identifier(kind), None) => broken("absent", kind.name()),
            (SubjectKind::Other, None) => broken("absent", "one"),
            _ => {}
        }
    }
}

fn check_data(schema: &DataSchema, event: &EventView, found: &mut Vec<Violation>) {
    let mut broken = |field: &str, fault: &str, expected: &str| {
        found.push(Violation::new(Rule::Data, field, fault, expected));
    };
    let bytes = match event.data() {
        Some(Data::Text(text)) => text.as_bytes(),
        Some(Data::Binary(bytes)) => bytes,
        Some(Data::Proto(_)) => {
            return broken("data", "protobuf", "JSON that fits the schema of the event type");
        }
        None if has_reference(event) => return,
        None => return broken("data", "absent", "data that fits the schema, or dataref"),
    };
    if !event.has_json_data() {
        return broken("datacontenttype", "not JSON", "application/json, as the type has a schema");
    }
    match parse(bytes) {
        Err(fault) => broken("data", &fault.to_string(), "JSON that fits the schema"),
        Ok(data) => {
            let Err(faults) = schema.validate(&data) else { return };
            for fault in faults.0 {
                let field = format!("data{}", fault.pointer);
                broken(&field, &fault.description, "data that fits the schema of the event type");
            }
        }
    }
}

fn has_reference(event: &EventView) -> bool {
    let value = event.attribute("dataref");
    matches!(value, Some(Value::String(_) | Value::Uri(_) | Value::UriReference(_)))
}
