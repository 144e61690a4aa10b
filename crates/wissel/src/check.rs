//! `wissel check`: messages against the rules, offline.

use std::path::Path;

use serde_json::json;
use wissel_catalogue::Catalogue;
use wissel_identifiers::SourceUrn;
use wissel_message::{
    Event, EventView, JsonError, JsonFaults, Level, Limits, Rule, Violation, check_profile,
};

use crate::amounts::amount;
use crate::cli::CheckArguments;
use crate::events::{Events, Place};
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(arguments: CheckArguments) -> Result<(), Failure> {
    let catalogue = arguments.catalogue.as_deref().map(load).transpose()?;
    let mut totals = Totals::default();
    for file in &arguments.files {
        let mut events = Events::open(file, arguments.json_lines).await?;
        while let Some((place, event)) = events.next().await? {
            let findings = findings(event, catalogue.as_ref());
            totals.add(&findings, arguments.strict);
            if arguments.json {
                print_json(&place, &findings)?;
            } else {
                print(&place, &findings);
            }
        }
    }
    totals.verdict(arguments.json)
}

fn load(path: &Path) -> Result<Catalogue, Failure> {
    Catalogue::load(path)
        .map_err(|errors| Failure::usage(format!("the catalogue has faults:\n{errors}")))
}

/// Broken by what is no message at all.
const JSON_RULE: &str = "ce-json";
const JSON_EXPLANATION: &str = "CloudEvents 1.0, JSON event format: one JSON object with the \
     attributes as members.";

/// Why a text is no message, and every rule that the message breaks.
struct Findings {
    unreadable: Vec<JsonError>,
    broken: Vec<Violation>,
}

fn findings(event: Result<Event, JsonFaults>, catalogue: Option<&Catalogue>) -> Findings {
    let (event, unreadable) = match event {
        Ok(event) => (Some(event), Vec::new()),
        Err(JsonFaults { faults, rest }) => (rest.map(|rest| *rest), faults),
    };
    let mut broken = event.map(|event| broken(&event, catalogue)).unwrap_or_default();
    // Of a member that could not be read enough is said.
    broken.retain(|one| !unreadable.iter().any(|fault| is_about(fault, &one.field)));
    Findings { unreadable, broken }
}

fn is_about(fault: &JsonError, field: &str) -> bool {
    let is_data = |name: &str| name.split(['/', '_']).next() == Some("data");
    fault.member().is_some_and(|member| member == field || (is_data(member) && is_data(field)))
}

fn broken(event: &Event, catalogue: Option<&Catalogue>) -> Vec<Violation> {
    let mut broken = Vec::new();
    if let Err(violations) = event.validate(&Limits::default()) {
        broken.extend(violations);
    }
    if let Ok(view) = EventView::decode(event.encode()) {
        broken.extend(check_profile(&view));
        if let Some(catalogue) = catalogue {
            broken.extend(by_catalogue(&view, catalogue));
        }
    }
    broken
}

fn by_catalogue(event: &EventView, catalogue: &Catalogue) -> Vec<Violation> {
    let Some(rights) = catalogue.rights(event.event_type()) else {
        let expected = "one that the catalogue lists, spelled exactly so";
        return vec![Violation::new(Rule::KnownType, "type", "not an event type", expected)];
    };
    let mut broken = rights.event_type.check(event);
    // Offline nobody has proved who they are: some publisher must be what the source says.
    if let Ok(source) = SourceUrn::parse(event.source()) {
        let is_publisher = catalogue.parties().any(|party| {
            source.organisation().is(&party.oin, party.kvk_number.as_ref())
                && rights.publish_grant(&party.oin).is_some()
        });
        if !is_publisher {
            let fault = "an organisation without a grant to publish this event type";
            broken.push(Violation::new(Rule::Publisher, "source", fault, "one that has it"));
        }
    }
    broken
}

fn print(place: &Place, findings: &Findings) {
    let Findings { unreadable, broken } = findings;
    if unreadable.is_empty() && broken.is_empty() {
        output::line(&format!("{place}: good"));
    }
    for error in unreadable {
        output::line(&format!("{place}: error: {error}"));
        output::line(&format!("  {JSON_RULE}: {JSON_EXPLANATION}"));
    }
    for one in broken {
        let Violation { field, rule, fault, expected } = one;
        let level = level_name(*rule);
        output::line(&format!("{place}: {level}: {field}: {fault}; expected {expected}"));
        output::line(&format!("  {rule}: {}", rule.explanation()));
    }
}

fn print_json(place: &Place, findings: &Findings) -> Result<(), Failure> {
    let Findings { unreadable, broken } = findings;
    let error = unreadable.first().map(ToString::to_string);
    let listed: Vec<_> = unreadable.iter().map(of_json).chain(broken.iter().map(to_json)).collect();
    output::json(&json!({ "message": place.to_string(), "error": error, "findings": listed }))
}

fn of_json(error: &JsonError) -> serde_json::Value {
    json!({
        "level": "error",
        "rule": JSON_RULE,
        "field": error.member(),
        "fault": error.to_string(),
        "expected": "a CloudEvent in JSON",
        "explanation": JSON_EXPLANATION,
    })
}

fn to_json(one: &Violation) -> serde_json::Value {
    json!({
        "level": level_name(one.rule),
        "rule": one.rule.name(),
        "field": one.field,
        "fault": one.fault,
        "expected": one.expected,
        "explanation": one.rule.explanation(),
    })
}

fn level_name(rule: Rule) -> &'static str {
    match rule.level() {
        Level::Must => "error",
        Level::Should => "warning",
    }
}

#[derive(Default)]
struct Totals {
    messages: u64,
    refused: u64,
    warnings: u64,
}

impl Totals {
    fn add(&mut self, findings: &Findings, strict: bool) {
        self.messages += 1;
        let Findings { unreadable, broken } = findings;
        let musts = broken.iter().filter(|one| one.rule.level() == Level::Must).count();
        let (errors, warnings) = (unreadable.len() + musts, broken.len() - musts);
        self.warnings += warnings as u64;
        self.refused += u64::from(errors > 0 || (strict && warnings > 0));
    }

    fn verdict(&self, as_json: bool) -> Result<(), Failure> {
        let Self { messages, refused, warnings } = self;
        if *messages == 0 {
            return Err(Failure::usage("no message in the files; expected at least one"));
        }
        if *refused > 0 {
            return Err(Failure::refused(format!("{refused} of {messages} would be refused")));
        }
        if !as_json {
            let warnings = amount(*warnings, "warning", "warnings");
            output::note(&format!("{messages} checked, {warnings}"));
        }
        Ok(())
    }
}
