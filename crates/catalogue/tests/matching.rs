//! Event types that tell of matching signals.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use wissel_catalogue::{Catalogue, Matching};
use wissel_identifiers::IdentifierKind;

const GOOD: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Wissel", exchange = true },
    { oin = "00000099000000002000", name = "Youth care" },
    { oin = "00000099000000003000", name = "Police" },
]

[[event_type]]
name = "nl.vir.match"
owner = "00000099000000001000"
description = "Two signals are about one child."
subject = "none"
match = { subject = "bsn", keep = "2 years", signals_per_hour = 20 }

[[grant]]
party = "00000099000000001000"
type = "nl.vir.match"
action = "publish"
purpose = "To tell of matches"
legal_basis = "Jeugdwet, artikel 7.1.2.1"

[[grant]]
party = ["00000099000000002000", "00000099000000003000"]
type = "nl.vir.match"
action = "receive"
purpose = "To coordinate help"
legal_basis = "Jeugdwet, artikel 7.1.2.3"
"#;

fn faults(text: &str) -> Vec<String> {
    let errors = Catalogue::from_toml("a.toml", text).unwrap_err();
    errors.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn what_signals_are_about_and_how_long_they_are_kept_is_read() {
    let catalogue = Catalogue::from_toml("a.toml", GOOD).unwrap();
    let matching = catalogue.event_type("nl.vir.match").unwrap().matching.unwrap();
    assert_eq!(matching.subject, IdentifierKind::Bsn);
    assert_eq!(matching.keep, Duration::from_hours(24 * 730));
    assert_eq!(matching.signals_per_hour.get(), 20);

    let unsaid = GOOD.replace(", signals_per_hour = 20", "");
    let catalogue = Catalogue::from_toml("a.toml", &unsaid).unwrap();
    let matching = catalogue.event_type("nl.vir.match").unwrap().matching.unwrap();
    assert_eq!(matching.signals_per_hour, Matching::SIGNALS_PER_HOUR);
}

#[test]
fn what_is_missing_is_named() {
    let publish = GOOD.find("[[grant]]\nparty = \"00000099000000001000\"").unwrap();
    let receive = GOOD.find("[[grant]]\nparty = [").unwrap();
    let without_grant = format!("{}{}", &GOOD[..publish], &GOOD[receive..]);
    let by_another = GOOD.replace(
        "[[grant]]\nparty = \"00000099000000001000\"",
        "[[grant]]\nparty = [\"00000099000000001000\", \"00000099000000003000\"]",
    );
    for (text, expected) in [
        (GOOD.replace(", exchange = true", ""), "expected `exchange = true` at one party"),
        (without_grant, "the exchange, party 00000099000000001000, has no grant to publish it"),
        (by_another, "party 00000099000000003000 may publish it, and only the exchange"),
        (GOOD.replace("subject = \"none\"", "subject = \"bsn\""), "have no subject; expected"),
        (
            GOOD.replace("{ subject = \"bsn\"", "{ subject = \"name\""),
            "expected one of oin, bsn, rsin, ",
        ),
        (GOOD.replace("\"2 years\"", "\"for ever\""), "match.keep: expected a duration"),
        (GOOD.replace("signals_per_hour = 20", "signals_per_hour = 0"), "nonzero"),
        (GOOD.replace("keep = \"2 years\", ", ""), "missing field `keep`"),
    ] {
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{expected}: {found:#?}");
        assert!(found[0].contains(expected), "{expected}: {found:#?}");
    }
}
