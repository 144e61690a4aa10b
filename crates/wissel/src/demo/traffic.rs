//! Messages such as a day brings.

use serde_json::{Value, json};
use wissel_catalogue::Catalogue;
use wissel_message::{Event, Timestamp};

use crate::exit::Failure;

/// Makes messages, of all event types of the catalogue, in likely proportions.
pub(crate) struct Traffic {
    run: String,
    /// Event types with their sources, each as often as it is likely.
    types: Vec<(String, String)>,
    midnight: i64,
}

/// Municipalities by CBS code: those that take part, and some that do not.
const MUNICIPALITIES: [(&str, &str); 8] = [
    ("0344", "Utrecht"),
    ("0363", "Amsterdam"),
    ("0599", "Rotterdam"),
    ("0518", "'s-Gravenhage"),
    ("0193", "Zwolle"),
    ("0014", "Groningen"),
    ("0772", "Eindhoven"),
    ("0935", "Maastricht"),
];

const SECONDS_OF_A_DAY: f64 = 86_400.0;

impl Traffic {
    pub(crate) fn new(catalogue: &Catalogue, run: &str) -> Self {
        let mut types = Vec::new();
        for event_type in catalogue.event_types() {
            let registry = event_type.name.split('.').nth(1).unwrap_or("registry").to_uppercase();
            let source = format!("urn:nld:oin:{}:systeem:{registry}", event_type.owner);
            let often = likelihood(&event_type.name);
            types.extend(std::iter::repeat_n((event_type.name.clone(), source), often));
        }
        let now = Timestamp::now().seconds();
        Self { run: run.to_owned(), types, midnight: now - now.rem_euclid(86_400) }
    }

    /// The message of this number; `part` of the day has passed, from 0 to 1.
    pub(crate) fn next(&mut self, number: u64, part: f64) -> Result<Event, Failure> {
        let (event_type, source) = &self.types[rand::random_range(0..self.types.len())];
        let (code, place) = MUNICIPALITIES[rand::random_range(0..MUNICIPALITIES.len())];
        #[expect(clippy::cast_possible_truncation, reason = "a second of a day is small")]
        let second = (part.clamp(0.0, 1.0) * SECONDS_OF_A_DAY) as i64;
        let time = Timestamp::new(self.midnight + second, 0).map_err(Failure::internal)?;
        Event::builder(format!("{}-{number}", self.run), source, event_type)
            .time(time)
            .subject(subject(event_type))
            .extension("gemeente", code)
            .data_json(&data(event_type, place))
            .build()
            .map_err(Failure::internal)
    }
}

fn likelihood(event_type: &str) -> usize {
    match event_type {
        "nl.brp.verhuizing.binnengemeentelijk" | "nl.brv.tenaamstelling" => 6,
        "nl.brp.verhuizing.intergemeentelijk" | "nl.woz.waarde.vastgesteld" => 4,
        "nl.brp.geboorte" | "nl.brp.overlijden" | "nl.brv.apk.verlopen" => 3,
        _ => 2,
    }
}

/// An identifier of the kind that the registry uses; persons from the test range.
fn subject(event_type: &str) -> String {
    let digits =
        |count: u32| format!("{:01$}", rand::random_range(0..10_u64.pow(count)), count as usize);
    match event_type.split('.').nth(1) {
        Some("hr") => digits(8),
        Some("bag" | "brk") => format!("034410{}", digits(10)),
        Some("brv") => format!("TST-{}-X", digits(2)),
        Some("woz") => format!("0344{}", digits(8)),
        _ => test_bsn(),
    }
}

/// A citizen service number of the range 99999xxxx that passes the eleven-test.
fn test_bsn() -> String {
    loop {
        let number = rand::random_range(999_990_000_u32..=999_999_999);
        let digits: Vec<u32> =
            number.to_string().bytes().map(|byte| u32::from(byte - b'0')).collect();
        let sum: u32 = (2..=9).rev().zip(&digits).map(|(weight, digit)| weight * digit).sum();
        if sum % 11 == digits[8] {
            return number.to_string();
        }
    }
}

fn data(event_type: &str, place: &str) -> Value {
    let house = rand::random_range(1..400);
    match event_type.split('.').nth(1) {
        Some("brp") => {
            json!({ "woonplaats": place, "huisnummer": house, "gebeurtenis": event_type })
        }
        Some("hr") => json!({ "vestiging": place, "rechtsvorm": "besloten vennootschap" }),
        Some("bag") => json!({ "woonplaats": place, "bouwjaar": 1900 + house % 126 }),
        Some("brk") => json!({ "kadastrale_gemeente": place, "aandeel": "1/1" }),
        Some("brv") => json!({ "voertuigsoort": "personenauto", "massa": 900 + house }),
        Some("woz") => json!({ "waarde": 150_000 + 1_000 * house, "peildatum": "2026-01-01" }),
        _ => json!({ "jaar": 2025, "kenmerk": house }),
    }
}
