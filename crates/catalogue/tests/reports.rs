//! Event types whose messages are reports of doubt about data.

#![allow(clippy::unwrap_used, reason = "tests")]

use wissel_catalogue::{Catalogue, Silence};

const GOOD: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Reporter" },
    { oin = "00000099000000009000", name = "Wissel", exchange = true },
]

[[event_type]]
name = "nl.bag.adres"
owner = "00000099000000001000"
description = "An address was registered."

[[event_type]]
name = "nl.bag.melding"
owner = "00000099000000001000"
description = "Somebody doubts what is registered."
audience = "exactly-one"
schema = { type = "object", properties = { id = { type = "string" }, gegeven = { type = "string" } }, additionalProperties = false }
[event_type.report]
status = "nl.bag.status"
term = "8 weeks"
remind = ["1 week"]
object = "/id"
field = "/gegeven"
about = "nl.bag.adres"
corrections = "nl.bag.correctie"

[[event_type]]
name = "nl.bag.status"
owner = "00000099000000001000"
description = "How a report stands."

[[event_type]]
name = "nl.bag.correctie"
owner = "00000099000000001000"
description = "Something was corrected."

[[grant]]
party = "00000099000000002000"
type = "nl.bag.melding"
action = "publish"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000001000"
type = "nl.bag.melding"
action = "receive"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000009000"
type = "nl.bag.melding"
action = "receive"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000002000"
type = "nl.bag.adres"
action = "receive"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000001000"
type = "nl.bag.adres"
action = "publish"
purpose = "x"
legal_basis = "y"

[[grant]]
party = ["00000099000000001000", "00000099000000009000"]
type = "nl.bag.status"
action = "publish"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000002000"
type = "nl.bag.status"
action = "receive"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000001000"
type = "nl.bag.correctie"
action = "publish"
purpose = "x"
legal_basis = "y"

[[grant]]
party = "00000099000000009000"
type = "nl.bag.correctie"
action = "receive"
purpose = "x"
legal_basis = "y"
"#;

fn faults(text: &str) -> Vec<String> {
    let errors = Catalogue::from_toml("a.toml", text).unwrap_err();
    errors.faults.iter().map(ToString::to_string).collect()
}

/// Without the grant of a party to do something with a type.
fn without(party: &str, event_type: &str, action: &str) -> String {
    let grant = format!(
        "[[grant]]\nparty = \"{party}\"\ntype = \"{event_type}\"\naction = \"{action}\"\n\
         purpose = \"x\"\nlegal_basis = \"y\"\n"
    );
    assert!(GOOD.contains(&grant), "{grant}");
    GOOD.replace(&grant, "")
}

#[test]
fn a_report_is_a_case_of_which_it_is_known_what_ends_it() {
    let catalogue = Catalogue::from_toml("a.toml", GOOD).unwrap();
    let melding = catalogue.event_type("nl.bag.melding").unwrap();
    let dispatch = melding.dispatch.as_ref().unwrap();
    assert_eq!((&*dispatch.status, dispatch.remind.len()), ("nl.bag.status", 1));
    assert_eq!(dispatch.silence, Silence::Escalates);
    let report = melding.report().unwrap();
    assert_eq!((&*report.object, &*report.field), ("/id", "/gegeven"));
    assert!(catalogue.event_type("nl.bag.status").unwrap().is_status);
    let corrects = &catalogue.event_type("nl.bag.correctie").unwrap().corrects;
    assert_eq!(corrects.iter().map(|one| &**one).collect::<Vec<_>>(), ["nl.bag.melding"]);
    let watching = &catalogue.subscriptions()[0];
    assert_eq!(watching.name.as_str(), "00000099000000009000.exchange");
}

#[test]
fn what_is_missing_is_named() {
    const REGISTRY: &str = "00000099000000001000";
    const REPORTER: &str = "00000099000000002000";
    const EXCHANGE: &str = "00000099000000009000";
    let dispatch = "[event_type.dispatch]\nstatus = \"nl.bag.status\"\n[event_type.report]";
    let narrow = GOOD.replace(
        "party = \"00000099000000009000\"\ntype = \"nl.bag.melding\"\naction = \"receive\"",
        "party = \"00000099000000009000\"\ntype = \"nl.bag.melding\"\naction = \"receive\"\nfields = [\"/id\"]",
    );
    for (text, expected) in [
        (GOOD.replace("[event_type.report]", dispatch), "has both `dispatch` and `report`"),
        (GOOD.replace("object = \"/id\"\n", ""), "missing field `object`"),
        (
            GOOD.replace("object = \"/id\"", "object = \"id\""),
            "report.object \"id\"; expected a JSON",
        ),
        (GOOD.replace("object = \"/id\"", "object = \"/x\""), "report.object: /x: the schema does"),
        (
            GOOD.replace("field = \"/gegeven\"", "field = \"\""),
            "report.field \"\"; expected a JSON",
        ),
        (GOOD.replace("term = \"8 weeks\"\n", ""), "has no report.term"),
        (GOOD.replace("\"8 weeks\"", "\"soon\""), "report.term: expected a duration"),
        (
            GOOD.replace("about = \"nl.bag.adres\"", "about = \"nl.x\""),
            "report.about is no event type",
        ),
        (
            GOOD.replace("corrections = \"nl.bag.correctie\"", "corrections = \"nl.x\""),
            "report.corrections is no event type: \"nl.x\"",
        ),
        (
            GOOD.replace("status = \"nl.bag.status\"", "status = \"nl.x\""),
            "report.status is no event type",
        ),
        (GOOD.replace("audience = \"exactly-one\"\n", ""), "expected `audience = \"exactly-one\"`"),
        (
            narrow,
            "report.field: the exchange, party 00000099000000009000, has no grant to receive /gegeven",
        ),
        (
            without(REPORTER, "nl.bag.adres", "receive"),
            "party 00000099000000002000 takes part in cases, and has no grant to receive nl.bag.adres",
        ),
        (
            without(REGISTRY, "nl.bag.correctie", "publish"),
            "party 00000099000000001000 takes part in cases, and has no grant to publish nl.bag.correctie",
        ),
        (
            without(EXCHANGE, "nl.bag.correctie", "receive"),
            "party 00000099000000009000 takes part in cases, and has no grant to receive nl.bag.correctie",
        ),
        (
            without(REPORTER, "nl.bag.status", "receive"),
            "party 00000099000000002000 takes part in cases, and has no grant to receive nl.bag.status",
        ),
    ] {
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{expected}: {found:#?}");
        assert!(found[0].contains(expected), "{expected}: {found:#?}");
    }
}
