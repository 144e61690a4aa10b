//! `wissel check`: messages against the rules, offline.

use std::path::Path;

use serde_json::json;
use wissel_catalogue::Catalogue;
use wissel_identifiers::SourceUrn;
use wissel_message::{Event, EventView, JsonError, Level, Limits, Rule, Violation, check_profile};

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

/// Why a file holds no message, or every rule that the message breaks.
enum Findings {
    NoMessage(JsonError),
    Broken(Vec<Violation>),
}

fn findings(event: Result<Event, JsonError>, catalogue: Option<&Catalogue>) -> Findings {
    let event = match event {
        Ok(event) => event,
        Err(error) => return Findings::NoMessage(error),
    };
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
    Findings::Broken(broken)
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
    match findings {
        Findings::NoMessage(error) => {
            output::line(&format!("{place}: error: {error}"));
            output::line(&format!("  {JSON_RULE}: {JSON_EXPLANATION}"));
        }
        Findings::Broken(broken) if broken.is_empty() => output::line(&format!("{place}: good")),
        Findings::Broken(broken) => {
            for one in broken {
                let Violation { field, rule, fault, expected } = one;
                let level = level_name(*rule);
                output::line(&format!("{place}: {level}: {field}: {fault}; expected {expected}"));
                output::line(&format!("  {rule}: {}", rule.explanation()));
            }
        }
    }
}

fn print_json(place: &Place, findings: &Findings) -> Result<(), Failure> {
    let (listed, error) = match findings {
        Findings::NoMessage(error) => (vec![of_json(error)], Some(error.to_string())),
        Findings::Broken(broken) => (broken.iter().map(to_json).collect(), None),
    };
    output::json(&json!({ "message": place.to_string(), "error": error, "findings": listed }))
}

fn of_json(error: &JsonError) -> serde_json::Value {
    json!({
        "level": "error",
        "rule": JSON_RULE,
        "field": null,
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
        let (errors, warnings) = match findings {
            Findings::NoMessage(_) => (1, 0),
            Findings::Broken(broken) => {
                let musts = broken.iter().filter(|one| one.rule.level() == Level::Must).count();
                (musts, broken.len() - musts)
            }
        };
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
