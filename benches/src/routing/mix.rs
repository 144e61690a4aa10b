//! W5: the expressions that parties write, in ten forms of equal share.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wissel_message::{Event, EventBuilder, OwnedValue};

use super::names::{MUNICIPALITIES, SYSTEMS, event_type, municipality, registry, subject};
use super::subscription::Condition;

/// Event types in use.
const TYPES: u32 = 500;
/// Subjects that messages are about.
const SUBJECTS: u32 = 1_000_000;

/// The conditions of this subscription: the same at each call.
pub(crate) fn conditions(number: u32) -> Vec<Condition> {
    let mut random = StdRng::seed_from_u64(u64::from(number));
    let a_type = random.random_range(0..TYPES);
    let a_municipality = random.random_range(0..MUNICIPALITIES);
    let code = municipality(a_municipality);
    let of_type = || Condition::Equal("type", event_type(a_type));
    let of_municipality = || Condition::Equal("gemeente", code.clone());
    match number % 10 {
        0 => vec![of_type(), of_municipality()],
        1 => {
            let near = (0..5).map(|next| municipality(a_municipality + next)).collect();
            vec![of_type(), Condition::OneOf("gemeente", near)]
        }
        2 => {
            let prefix = format!("nl.{}.", registry(a_type));
            vec![Condition::Prefix("type", prefix), of_municipality()]
        }
        3 => {
            let system = SYSTEMS[random.random_range(0..SYSTEMS.len())];
            vec![Condition::Contains("source", system.to_owned()), of_municipality()]
        }
        4 => vec![of_type(), Condition::Exists("dataref")],
        5 => vec![of_type(), Condition::AtLeast("bedrag", random.random_range(85_000..95_000))],
        6 => {
            let start = random.random_range(10..100).to_string();
            vec![Condition::Left("subject", start), of_municipality()]
        }
        7 => vec![of_type(), Condition::Other("gemeente", code)],
        8 => {
            let other = event_type((a_type + 1) % TYPES);
            vec![Condition::Either("type", event_type(a_type), other), of_municipality()]
        }
        _ => {
            let area = random.random_range(1_000..10_000).to_string();
            vec![Condition::Prefix("postcode", area)]
        }
    }
}

/// A message with all that the expressions ask of.
pub(crate) fn message(id: String, random: &mut StdRng) -> EventBuilder {
    let system = SYSTEMS[random.random_range(0..SYSTEMS.len())];
    let number: u32 = random.random_range(1..100);
    let source = format!("urn:nld:oin:00000099000000001000:systeem:{system}-{number}");
    let letter = |random: &mut StdRng| char::from(random.random_range(b'A'..=b'Z'));
    let area: u32 = random.random_range(1_000..10_000);
    let postcode = format!("{area}{}{}", letter(random), letter(random));
    let event = Event::builder(id, source, event_type(random.random_range(0..TYPES)))
        .subject(subject(random.random_range(0..SUBJECTS)))
        .extension("gemeente", municipality(random.random_range(0..MUNICIPALITIES)))
        .extension("postcode", postcode)
        .extension("bedrag", random.random_range(0..100_000_i32));
    if random.random_range(0..5) == 0 {
        let place = "https://data.example.nl/berichten/1".to_owned();
        event.extension("dataref", OwnedValue::UriReference(place))
    } else {
        event
    }
}
