//! `wissel catalogue list` and `show`: the event types, and who may do what with them.

use jiff::Span;
use serde_json::{Value, json};
use wissel_catalogue::{Action, Catalogue, EventType, SubjectKind, TypeRights};

use super::{drafts, grants};
use crate::amounts::amount;
use crate::exit::Failure;
use crate::output;

/// Every event type, by name.
pub(super) fn list(catalogue: &Catalogue, as_json: bool) -> Result<(), Failure> {
    let all = catalogue.event_types().filter_map(|one| catalogue.rights(&one.name));
    if as_json {
        let drafts = catalogue.drafts().types().iter();
        let drafts = drafts.map(|draft| drafts::type_to_json(catalogue, draft));
        let all = all.map(|rights| to_json(catalogue, rights)).chain(drafts);
        return all.into_iter().try_for_each(|one| output::json(&one));
    }
    let rows = all.map(|rights| {
        let EventType { name, owner, sensitivity, deadline, archive, .. } = &rights.event_type;
        vec![
            name.to_string(),
            named(catalogue, owner),
            subject(rights.event_type.subject).to_owned(),
            grants::sensitivity(*sensitivity).to_owned(),
            deadline.as_ref().map_or_else(|| "-".to_owned(), span),
            archive.as_ref().map_or_else(|| "-".to_owned(), span),
            rights.grants(Action::Publish).len().to_string(),
            rights.grants(Action::Receive).len().to_string(),
        ]
    });
    let columns = [
        "EVENT TYPE",
        "OWNER",
        "SUBJECT",
        "SENSITIVITY",
        "DEADLINE",
        "KEPT",
        ">PUBLISH",
        ">RECEIVE",
    ];
    output::table(&columns, rows.collect());
    drafts::list(catalogue);
    Ok(())
}

/// All that the catalogue says of one event type.
pub(super) fn show(catalogue: &Catalogue, wanted: &str, as_json: bool) -> Result<(), Failure> {
    let planned = catalogue.drafts().types().iter().find(|draft| *draft.name == *wanted);
    if let Some(draft) = planned {
        if as_json {
            return output::json(&drafts::type_to_json(catalogue, draft));
        }
        drafts::show(catalogue, draft);
        return Ok(());
    }
    let Some(rights) = catalogue.rights(wanted) else {
        return Err(Failure::refused(format!(
            "{wanted}: no event type of the catalogue; `wissel catalogue list` lists those that are"
        )));
    };
    if as_json {
        return output::json(&to_json(catalogue, rights));
    }
    output::facts(facts(catalogue, &rights.event_type));
    if let Some(schema) = &rights.event_type.schema {
        output::line("\nfields of data");
        let rows = fields_of(schema.document());
        output::table(&["FIELD", "TYPE", "", "WHAT"], rows);
    }
    for action in [Action::Publish, Action::Receive] {
        let all = rights.grants(action);
        output::line(&format!("\n{} may {action} it", amount(all.len(), "party", "parties")));
        let rows = all.iter().map(|grant| {
            let mut row = vec![named(catalogue, &grant.party)];
            row.extend(grants::cells(grant));
            row
        });
        output::table(&["PARTY", "PURPOSE", "LEGAL BASIS", "ROWS", "FIELDS"], rows.collect());
    }
    drafts::grants(catalogue, catalogue.drafts().grants_on(wanted));
    Ok(())
}

fn facts(catalogue: &Catalogue, event_type: &EventType) -> Vec<(&'static str, String)> {
    let or_none =
        |span_of: &Option<Span>, none: &str| span_of.as_ref().map_or_else(|| none.to_owned(), span);
    let mut facts = vec![
        ("event type", event_type.name.to_string()),
        ("what", event_type.description.clone()),
        ("owner", named(catalogue, &event_type.owner)),
        ("subject", subject(event_type.subject).to_owned()),
        (
            "schema",
            event_type.schema.as_ref().map_or_else(
                || "none: data is not checked".to_owned(),
                |schema| title(schema.document()),
            ),
        ),
        ("sensitivity", grants::sensitivity(event_type.sensitivity).to_owned()),
        ("retention", or_none(&event_type.retention, "not said")),
        ("deadline", or_none(&event_type.deadline, "none")),
        ("kept", or_none(&event_type.archive, "not for replay")),
        ("audience", event_type.audience.to_string()),
    ];
    if let Some(ask) = &event_type.ask {
        facts.push(("question", format!("answered by {} within {:?}", ask.answer, ask.within)));
    }
    if let Some(dispatch) = &event_type.dispatch {
        let what = if dispatch.report.is_some() { "report" } else { "case" };
        facts.push((what, format!("its status comes by {}", dispatch.status)));
    }
    if event_type.is_status {
        facts.push(("status", "says how cases stand; not simply published".to_owned()));
    }
    if let Some(matching) = &event_type.matching {
        facts.push((
            "signals",
            format!(
                "about a {}, kept for {}",
                matching.subject.name(),
                output::duration(matching.keep)
            ),
        ));
    }
    facts
}

fn to_json(catalogue: &Catalogue, rights: &TypeRights) -> Value {
    let event_type = &rights.event_type;
    let span = |span: &Option<Span>| span.as_ref().map(ToString::to_string);
    let of = |action| {
        let all = rights.grants(action).into_iter();
        all.map(|grant| {
            let mut shown = grants::to_json(grant);
            shown["party"] = json!(grant.party);
            shown["party_name"] = json!(catalogue.party(&grant.party).map(|party| &party.name));
            shown
        })
        .collect::<Vec<_>>()
    };
    json!({
        "event_type": event_type.name,
        "draft": false,
        "description": event_type.description,
        "owner": event_type.owner,
        "owner_name": catalogue.party(&event_type.owner).map(|party| &party.name),
        "subject": subject(event_type.subject),
        "schema": event_type.schema.as_ref().map(|schema| schema.document()),
        "sensitivity": grants::sensitivity(event_type.sensitivity),
        "retention": span(&event_type.retention),
        "deadline": span(&event_type.deadline),
        "archive": span(&event_type.archive),
        "audience": event_type.audience.to_string(),
        "answer": event_type.ask.as_ref().map(|ask| &ask.answer),
        "status": event_type.dispatch.as_ref().map(|dispatch| &dispatch.status),
        "drafts": catalogue.drafts().grants_on(&event_type.name).iter().map(drafts::grant_to_json).collect::<Vec<_>>(),
        "publish": of(Action::Publish),
        "receive": of(Action::Receive),
    })
}

/// The fields of an object, one level deep.
fn fields_of(schema: &Value) -> Vec<Vec<String>> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    fields
        .map(|(name, field)| {
            let kind = match &field["type"] {
                Value::Array(kinds) => {
                    kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
                }
                kind => text(kind),
            };
            let must = if required.contains(&name.as_str()) { "required" } else { "" };
            vec![format!("/{name}"), kind, must.to_owned(), text(&field["description"])]
        })
        .collect()
}

fn title(schema: &Value) -> String {
    schema["title"].as_str().unwrap_or("without a title").to_owned()
}

/// A party for people: its OIN, and what it is called.
pub(crate) fn named(catalogue: &Catalogue, oin: &wissel_identifiers::Oin) -> String {
    match catalogue.party(oin) {
        Some(party) => format!("{oin} {}", party.name),
        None => oin.to_string(),
    }
}

fn subject(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Unsaid => "not said",
        SubjectKind::None => "none",
        SubjectKind::Other => "other",
        SubjectKind::Identifier(kind) => kind.name(),
    }
}

/// As the files say it: `1 year`, `8 hours`.
fn span(span: &Span) -> String {
    use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
    let printer = SpanPrinter::new()
        .designator(Designator::Verbose)
        .spacing(Spacing::BetweenUnitsAndDesignators);
    printer.span_to_string(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_say_their_type_and_whether_they_must_be_there() {
        let schema = json!({ "properties": {
            "naam": { "type": "string", "description": "How it is called." },
            "soort": { "type": ["string", "null"] },
        }, "required": ["naam"] });
        let rows = fields_of(&schema);
        assert_eq!(rows[0], ["/naam", "string", "required", "How it is called."]);
        assert_eq!(rows[1], ["/soort", "string or null", "", ""]);
    }

    #[test]
    fn spans_are_said_as_the_files_say_them() {
        assert_eq!(span(&"1 year".parse().unwrap()), "1 year");
        assert_eq!(span(&"8 hours".parse().unwrap()), "8 hours");
    }
}
