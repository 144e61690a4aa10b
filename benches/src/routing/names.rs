//! Names as they are in life: event types, municipalities, subjects.

const REGISTRIES: [&str; 12] =
    ["brp", "hr", "bag", "brk", "brv", "woz", "bgt", "brt", "bro", "bri", "rni", "blau"];

const THINGS: [&str; 20] = [
    "geboorte",
    "overlijden",
    "verhuizing",
    "huwelijk",
    "adres",
    "inschrijving",
    "vestiging",
    "pand",
    "perceel",
    "kenteken",
    "waarde",
    "boring",
    "inkomen",
    "dienstverband",
    "gezag",
    "nationaliteit",
    "naam",
    "rechtspersoon",
    "functionaris",
    "beperking",
];

const EVENTS: [&str; 15] = [
    "geregistreerd",
    "gewijzigd",
    "gecorrigeerd",
    "opgenomen",
    "vervallen",
    "ingetrokken",
    "bevestigd",
    "hersteld",
    "gestart",
    "afgerond",
    "aangevraagd",
    "verleend",
    "geweigerd",
    "overgedragen",
    "gesloten",
];

/// The systems that publish.
pub(crate) const SYSTEMS: [&str; 5] =
    ["belastingen", "burgerzaken", "sociaaldomein", "vergunningen", "zaaksysteem"];

/// How many municipalities there are.
pub(crate) const MUNICIPALITIES: u32 = 342;

/// An event type; no two numbers have the same.
pub(crate) fn event_type(number: u32) -> String {
    let (registries, things, events) = (count(&REGISTRIES), count(&THINGS), count(&EVENTS));
    let registry = registry(number);
    let thing = THINGS[index(number / registries % things)];
    let event = EVENTS[index(number / (registries * things) % events)];
    let version = number / (registries * things * events) + 1;
    match version {
        1 => format!("nl.{registry}.{thing}.{event}"),
        _ => format!("nl.{registry}.{thing}.{event}.v{version}"),
    }
}

/// The base registry of an event type.
pub(crate) fn registry(number: u32) -> &'static str {
    REGISTRIES[index(number % count(&REGISTRIES))]
}

/// The code of a municipality: four digits.
pub(crate) fn municipality(number: u32) -> String {
    format!("{:04}", 14 + 5 * (number % MUNICIPALITIES))
}

/// Nine digits that look like a citizen service number but fail its eleven-test, so that
/// they are nobody's. No two numbers below ten million have the same.
pub(crate) fn subject(number: u32) -> String {
    // The multiplier has no divisor in common with the range: each has its own, in no order.
    let eight = 10_000_000 + u64::from(number) * 7_919 % 90_000_000;
    let digits = format!("{eight}");
    let weighted = (2..=9).rev().zip(digits.bytes()).map(|(w, d)| w * u32::from(d - b'0'));
    let valid = weighted.sum::<u32>() % 11;
    format!("{digits}{}", (valid + 1) % 10)
}

/// The OIN of one of four hundred parties, in the range kept for tests.
pub(crate) fn party(number: u32) -> String {
    format!("00000099{:09}000", 1 + number % 400)
}

fn count(names: &[&str]) -> u32 {
    u32::try_from(names.len()).expect("there are few names")
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("an index of few names")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use wissel_identifiers::Bsn;

    use super::*;

    #[test]
    fn no_two_are_alike() {
        let types: HashSet<String> = (0..20_000).map(event_type).collect();
        assert_eq!(types.len(), 20_000);
        let subjects: HashSet<String> = (0..100_000).map(subject).collect();
        assert_eq!(subjects.len(), 100_000);
        let codes: HashSet<String> = (0..MUNICIPALITIES).map(municipality).collect();
        assert_eq!(codes.len(), 342);
    }

    #[test]
    fn subjects_are_of_nobody() {
        for number in 0..100_000 {
            let subject = subject(number);
            assert_eq!(subject.len(), 9);
            assert!(subject.parse::<Bsn>().is_err());
        }
    }
}
