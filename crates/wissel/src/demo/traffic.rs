//! Messages such as a day brings.

use wissel_catalogue::{Catalogue, SubjectKind};
use wissel_identifiers::IdentifierKind;
use wissel_message::{Event, OwnedData, Timestamp};

use crate::exit::Failure;

/// Makes messages of all event types of the catalogue: each after the example that the
/// catalogue has of it.
pub(crate) struct Traffic {
    run: String,
    /// Event types, each as often as it is likely.
    templates: Vec<Template>,
    likely: Vec<usize>,
    midnight: i64,
}

/// What a message is made after.
struct Template {
    example: Event,
    subject: SubjectKind,
}

/// Municipalities by CBS code: those that take part, and some that do not.
const MUNICIPALITIES: [&str; 10] =
    ["0344", "0363", "0599", "0518", "0193", "0014", "0772", "0855", "0935", "0384"];

const SECONDS_OF_A_DAY: f64 = 86_400.0;

impl Traffic {
    pub(crate) fn new(catalogue: &Catalogue, run: &str) -> Result<Self, Failure> {
        let (mut templates, mut likely) = (Vec::new(), Vec::new());
        for event_type in catalogue.event_types() {
            let Some(example) = &event_type.example else { continue };
            let example = Event::from_json(example.as_bytes()).map_err(Failure::internal)?;
            let often = likelihood(&event_type.name);
            likely.extend(std::iter::repeat_n(templates.len(), often));
            templates.push(Template { example, subject: event_type.subject });
        }
        let now = Timestamp::now().seconds();
        Ok(Self { run: run.to_owned(), templates, likely, midnight: now - now.rem_euclid(86_400) })
    }

    /// The message of this number; `part` of the day has passed, from 0 to 1.
    pub(crate) fn next(&mut self, number: u64, part: f64) -> Result<Event, Failure> {
        let template = &self.templates[self.likely[rand::random_range(0..self.likely.len())]];
        let example = &template.example;
        let gemeente = MUNICIPALITIES[rand::random_range(0..MUNICIPALITIES.len())];
        #[expect(clippy::cast_possible_truncation, reason = "a second of a day is small")]
        let second = (part.clamp(0.0, 1.0) * SECONDS_OF_A_DAY) as i64;
        let time = Timestamp::new(self.midnight + second, 0).map_err(Failure::internal)?;
        let id = format!("{}-{number}", self.run);
        let mut event = Event::builder(id, example.source(), example.event_type()).time(time);
        if let Some(subject) = example.subject() {
            event = event.subject(subject_like(subject, template.subject, gemeente));
        }
        for (name, value) in example.attributes() {
            event = match name {
                "id" | "source" | "specversion" | "type" | "time" | "subject"
                | "datacontenttype" => event,
                "gemeente" => event.extension("gemeente", gemeente),
                _ => event.extension(name, value.to_owned()),
            };
        }
        if let Some(OwnedData::Text(json)) = example.data() {
            event = event.data_text("application/json", json.as_str());
        }
        event.build().map_err(Failure::internal)
    }
}

fn likelihood(event_type: &str) -> usize {
    match event_type {
        "nl.brp.verhuizing.binnengemeentelijk" | "nl.brv.tenaamstelling" => 6,
        "nl.brp.verhuizing.intergemeentelijk" | "nl.woz.waarde.vastgesteld" => 4,
        "nl.brp.geboorte" | "nl.brp.overlijden" | "nl.brv.apk.verlopen" => 3,
        _ => 1,
    }
}

/// Another identifier of the same kind, from ranges that are never given out: persons
/// have test numbers, the others keep what the example begins with.
fn subject_like(example: &str, kind: SubjectKind, gemeente: &str) -> String {
    let kept = |count: usize| {
        let start = example.get(..count).unwrap_or(example);
        start.to_owned() + &digits(example.len().saturating_sub(count))
    };
    match kind {
        SubjectKind::Identifier(IdentifierKind::Bsn | IdentifierKind::Rsin) => test_bsn(),
        SubjectKind::Identifier(IdentifierKind::KvkNummer | IdentifierKind::Vestigingsnummer) => {
            kept(4)
        }
        SubjectKind::Identifier(kind) if kind.name().starts_with("bag-") => {
            gemeente.to_owned() + kept(8).get(4..).unwrap_or_default()
        }
        SubjectKind::Identifier(IdentifierKind::WozObject) => {
            gemeente.to_owned() + kept(6).get(4..).unwrap_or_default()
        }
        _ => example.to_owned(),
    }
}

fn digits(count: usize) -> String {
    (0..count).map(|_| char::from(b'0' + rand::random_range(0..10_u8))).collect()
}

/// A citizen service number of the range 99999xxxx that passes the eleven-test.
fn test_bsn() -> String {
    loop {
        let number = format!("99999{}", digits(4));
        if IdentifierKind::Bsn.check(&number).is_ok() {
            return number;
        }
    }
}
