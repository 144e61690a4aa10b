use std::sync::Arc;

use jiff::Span;
use toml::Spanned;
use wissel_message::{Event, EventView, Level, Limits, check_profile, is_reverse_domain_name};
use wissel_schema::DataSchema;

use super::{Checker, Place};
use crate::catalogue::TypeRights;
use crate::file::{self, Schema};
use crate::{EventType, Sensitivity, SubjectKind};

/// The most bytes of a schema's file.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

impl<'a> Checker<'a> {
    pub(super) fn event_type(&mut self, place: Place<'a>, stated: file::EventType) {
        let name: Arc<str> = stated.name.into();
        let of = format!("event type {name}");
        // Names of types are lower-case here, so that no two differ by case alone.
        if !is_reverse_domain_name(&name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let expected = "expected reverse domain name notation such as nl.brp.geboorte";
            self.fault(place, format!("event type {name:?}: {expected}"));
        }
        self.said(place, &stated.description, &of, "description");
        self.known_party(place, stated.owner, &format!("the owner of {of}"));
        let event_type = EventType {
            name: Arc::clone(&name),
            owner: stated.owner,
            description: stated.description,
            subject: self.subject(place, &of, stated.subject.as_ref()),
            schema: stated.schema.and_then(|schema| self.schema(place, &of, &schema)),
            example: None,
            sensitivity: stated.sensitivity,
            retention: self.span(place, &of, "retention", stated.retention.as_ref()),
            deadline: self.span(place, &of, "deadline", stated.deadline.as_ref()),
            archive: self.span(place, &of, "archive", stated.archive.as_ref()),
            audience: stated.audience,
            ask: stated.ask.and_then(|ask| self.ask(place, &of, &ask)),
            dispatch: self.case(place, &of, stated.dispatch.as_ref(), stated.report.as_ref()),
            is_status: false,
            corrects: Vec::new(),
            matching: stated.matching.and_then(|one| self.matching(place, &of, &one)),
        };
        self.sensitivity(place, &event_type);
        let example = stated.example.and_then(|file| self.example(place, &event_type, &file));
        let event_type = EventType { example, ..event_type };
        if self.types.insert(Arc::clone(&name), place).is_some() {
            self.fault(place, format!("{of} is there twice"));
        }
        let (publishers, receivers) = Default::default();
        self.catalogue.types.insert(name, TypeRights { event_type, publishers, receivers });
    }

    fn subject(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: Option<&Spanned<String>>,
    ) -> SubjectKind {
        let Some(stated) = stated else { return SubjectKind::Unsaid };
        match stated.get_ref().as_str() {
            "none" => SubjectKind::None,
            "other" => SubjectKind::Other,
            kind => match kind.parse() {
                Ok(kind) => SubjectKind::Identifier(kind),
                Err(_) => {
                    let expected = "expected none, other, or a kind of identifier such as bsn";
                    self.fault(place.of(stated), format!("{of}: subject {kind:?}; {expected}"));
                    SubjectKind::Unsaid
                }
            },
        }
    }

    fn schema(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &Spanned<Schema>,
    ) -> Option<DataSchema> {
        let place = place.of(stated);
        let compiled = match stated.get_ref() {
            Schema::Inline(table) => serde_json::to_value(table).map_err(|error| error.to_string()),
            Schema::File(name) => self.read(place, name).and_then(|text| {
                if text.len() > SCHEMA_BYTES_MAX {
                    return Err(format!("{name}: expected at most {SCHEMA_BYTES_MAX} bytes"));
                }
                wissel_schema::parse(text.as_bytes()).map_err(|error| format!("{name}: {error}"))
            }),
        };
        let compiled = compiled
            .and_then(|document| DataSchema::compile(&document).map_err(|error| error.to_string()));
        match compiled {
            Ok(schema) => Some(schema),
            Err(error) => {
                self.fault(place, format!("{of}: schema: {error}"));
                None
            }
        }
    }

    pub(super) fn span(
        &mut self,
        place: Place<'a>,
        of: &str,
        what: &str,
        stated: Option<&Spanned<String>>,
    ) -> Option<Span> {
        let stated = stated?;
        match stated.get_ref().parse::<Span>() {
            Ok(span) if span.is_positive() => Some(span),
            _ => {
                let expected = "expected a duration such as 8 hours, 30 days or P5Y";
                self.fault(place.of(stated), format!("{of}: {what}: {expected}"));
                None
            }
        }
    }

    fn sensitivity(&mut self, place: Place<'a>, event_type: &EventType) {
        let SubjectKind::Identifier(kind) = event_type.subject else { return };
        if kind.is_personal() && event_type.sensitivity < Sensitivity::Personal {
            let name = &event_type.name;
            let message = format!(
                "event type {name}: its subject is a person ({kind}), and it is not said to be personal"
            );
            self.warn(place, message);
        }
    }

    /// The example must be what it is an example of.
    fn example(
        &mut self,
        place: Place<'a>,
        event_type: &EventType,
        stated: &Spanned<String>,
    ) -> Option<String> {
        let place = place.of(stated);
        let file = stated.get_ref();
        let of = format!("event type {}: example {file}", event_type.name);
        let text = match self.read(place, file) {
            Ok(text) => text,
            Err(error) => {
                self.fault(place, format!("event type {}: example {error}", event_type.name));
                return None;
            }
        };
        let view = match Event::from_json(text.as_bytes()) {
            Ok(event) => EventView::decode(event.encode()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let view = match view {
            Ok(view) => view,
            Err(error) => {
                self.fault(place, format!("{of}: {error}"));
                return None;
            }
        };
        if view.event_type() != &*event_type.name {
            self.fault(place, format!("{of}: is of another event type"));
        }
        if let Err(violations) = wissel_message::validate(&view, &Limits::default()) {
            self.fault(place, format!("{of}: {violations}"));
        }
        let mut violations = check_profile(&view);
        violations.extend(event_type.check(&view));
        for violation in violations {
            match violation.rule.level() {
                Level::Must => self.fault(place, format!("{of}: {violation}")),
                Level::Should => self.warn(place, format!("{of}: {violation}")),
            }
        }
        Some(text)
    }
}
