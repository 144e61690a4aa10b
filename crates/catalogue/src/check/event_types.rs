use std::sync::Arc;

use jiff::Span;
use toml::Spanned;
use wissel_identifiers::{IdentifierKind, Oin};
use wissel_message::{Event, EventView, Level, Limits, check_profile, is_reverse_domain_name};
use wissel_schema::DataSchema;

use super::{Checker, Place};
use crate::catalogue::TypeRights;
use crate::file::{self, Schema};
use crate::{
    Ask, Audience, Dispatch, DraftType, EventType, Matching, Report, Sensitivity, Silence,
    SubjectKind,
};

/// The most bytes of a schema's file.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

impl<'a> Checker<'a> {
    pub(super) fn event_type(&mut self, place: Place<'a>, stated: file::EventType) {
        let name: Arc<str> = stated.name.as_str().into();
        let of = format!("event type {name}");
        // Names of types are lower-case here, so that no two differ by case alone.
        if !is_reverse_domain_name(&name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let expected = "expected reverse domain name notation such as nl.brp.geboorte";
            self.fault(place, format!("event type {name:?}: {expected}"));
        }
        if let Some(owner) = stated.owner {
            self.known_party(place, owner, &format!("the owner of {of}"));
        }
        let content = self.content(place, &of, &stated);
        match (stated.draft, stated.owner, stated.description) {
            (false, Some(owner), Some(description)) => {
                self.said(place, &description, &of, "description");
                let example = stated.example.as_ref();
                self.event_type_in_force(place, content.of(name, owner, description), example);
            }
            (_, owner, description) => {
                if let Some(example) = &stated.example {
                    self.example(place, &name, example);
                }
                let description = description.filter(|text| !text.trim().is_empty());
                let draft = DraftType { name, owner, description, lacks: Vec::new() };
                self.draft_type(place, draft, content);
            }
        }
    }

    fn event_type_in_force(
        &mut self,
        place: Place<'a>,
        mut event_type: EventType,
        example: Option<&Spanned<String>>,
    ) {
        event_type.example = example.and_then(|example| {
            let (text, view) = self.example(place, &event_type.name, example)?;
            self.conforms(place.of(example), &event_type, example.get_ref(), &view);
            Some(text)
        });
        let name = Arc::clone(&event_type.name);
        if self.types.insert(Arc::clone(&name), place).is_some() {
            self.fault(place, format!("event type {name} is there twice"));
        }
        let (publishers, receivers) = Default::default();
        self.catalogue.types.insert(name, TypeRights { event_type, publishers, receivers });
    }

    /// What an event type says of its messages, in force or not.
    fn content(&mut self, place: Place<'a>, of: &str, stated: &file::EventType) -> Content {
        let content = Content {
            subject: self.subject(place, of, stated.subject.as_ref()),
            schema: stated.schema.as_ref().and_then(|schema| self.schema(place, of, schema)),
            sensitivity: stated.sensitivity,
            retention: self.span(place, of, "retention", stated.retention.as_ref()),
            deadline: self.span(place, of, "deadline", stated.deadline.as_ref()),
            archive: self.span(place, of, "archive", stated.archive.as_ref()),
            audience: stated.audience,
            ask: stated.ask.as_ref().and_then(|ask| self.ask(place, of, ask)),
            dispatch: self.case(place, of, stated.dispatch.as_ref(), stated.report.as_ref()),
            matching: stated.matching.as_ref().and_then(|one| self.matching(place, of, one)),
        };
        self.sensitivity(place, of, &content);
        content
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
                    let expected = format!("expected none, other, or one of {}", kinds());
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

    fn sensitivity(&mut self, place: Place<'a>, of: &str, content: &Content) {
        let SubjectKind::Identifier(kind) = content.subject else { return };
        if kind.is_personal() && content.sensitivity < Sensitivity::Personal {
            let message = format!(
                "{of}: its subject is a person ({kind}), and it is not said to be personal"
            );
            self.warn(place, message);
        }
    }

    /// A valid message of the type, as it stands in a file.
    fn example(
        &mut self,
        place: Place<'a>,
        event_type: &str,
        stated: &Spanned<String>,
    ) -> Option<(String, EventView)> {
        let place = place.of(stated);
        let file = stated.get_ref();
        let of = format!("event type {event_type}: example {file}");
        let text = match self.read(place, file) {
            Ok(text) => text,
            Err(error) => {
                self.fault(place, format!("event type {event_type}: example {error}"));
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
        if view.event_type() != event_type {
            self.fault(place, format!("{of}: is of another event type"));
        }
        if let Err(violations) = wissel_message::validate(&view, &Limits::default()) {
            self.fault(place, format!("{of}: {violations}"));
        }
        Some((text, view))
    }

    /// The example must be what it is an example of.
    fn conforms(&mut self, place: Place<'a>, event_type: &EventType, file: &str, view: &EventView) {
        let mut violations = check_profile(view);
        violations.extend(event_type.check(view));
        for violation in violations {
            let message = format!("event type {}: example {file}: {violation}", event_type.name);
            match violation.rule.level() {
                Level::Must => self.fault(place, message),
                Level::Should => self.warn(place, message),
            }
        }
    }
}

/// The kinds of identifiers that there are, by their names.
pub(super) fn kinds() -> String {
    IdentifierKind::ALL.map(IdentifierKind::name).join(", ")
}

/// What an event type says of its messages.
pub(super) struct Content {
    subject: SubjectKind,
    pub(super) schema: Option<DataSchema>,
    sensitivity: Sensitivity,
    retention: Option<Span>,
    deadline: Option<Span>,
    archive: Option<Span>,
    audience: Audience,
    ask: Option<Ask>,
    dispatch: Option<Dispatch>,
    matching: Option<Matching>,
}

impl Content {
    /// The event types that it names, and as what.
    pub(super) fn refers(&self) -> Vec<(&'static str, Arc<str>)> {
        let mut all = Vec::new();
        if let Some(ask) = &self.ask {
            all.push(("ask.answer", &ask.answer));
        }
        if let Some(Dispatch { status, silence, report, .. }) = &self.dispatch {
            let table = if report.is_some() { "report.status" } else { "dispatch.status" };
            all.push((table, status));
            if let Silence::Consents { decision } = silence {
                all.push(("dispatch.decision", decision));
            }
            if let Some(Report { about, corrections, .. }) = report {
                all.extend([("report.about", about), ("report.corrections", corrections)]);
            }
        }
        all.into_iter().map(|(what, name)| (what, Arc::clone(name))).collect()
    }

    /// The event type that says this, without an example yet.
    fn of(self, name: Arc<str>, owner: Oin, description: String) -> EventType {
        let Self { subject, schema, sensitivity, retention, deadline, archive, .. } = self;
        let Self { audience, ask, dispatch, matching, .. } = self;
        EventType {
            name,
            owner,
            description,
            subject,
            schema,
            example: None,
            sensitivity,
            retention,
            deadline,
            archive,
            audience,
            ask,
            dispatch,
            is_status: false,
            corrects: Vec::new(),
            matching,
        }
    }
}
