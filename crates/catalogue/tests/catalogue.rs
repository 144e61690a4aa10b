//! Good and bad catalogues.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use wissel_catalogue::Catalogue;

const GOOD: &str = r#"
[[party]]
oin = "00000099000000001000"
name = "RvIG"

[[party]]
oin = "00000099000000002000"
name = "Zwolle"

[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."

[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "Care for newborns"
legal_basis = "Wet BRP, artikel 3.2"

[[subscription]]
name = "00000099000000002000.geboorten"
types = ["nl.brp.geboorte"]
filters = [{ exact = { gemeente = "0193" } }]
"#;

fn faults(more: &str) -> Vec<String> {
    let errors = Catalogue::from_toml("a.toml", &format!("{GOOD}\n{more}")).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn rights_and_subscriptions_are_found() {
    let catalogue = Catalogue::from_toml("a.toml", GOOD).unwrap();
    let zwolle = "00000099000000002000".parse().unwrap();
    assert!(catalogue.may_receive(&zwolle, "nl.brp.geboorte"));
    assert!(!catalogue.may_publish(&zwolle, "nl.brp.geboorte"));
    assert!(!catalogue.may_receive(&zwolle, "nl.brp.overlijden"));
    assert_eq!(catalogue.subscriptions()[0].inbox.as_str(), "00000099000000002000.geboorten");
}

#[test]
fn each_fault_has_its_file_and_line() {
    for (more, expected) in [
        ("[[party]]\noin = \"00000099000000002000\"\nname = \"x\"", "is there twice"),
        ("[[party]]\noin = \"123\"\nname = \"x\"", "an OIN has 20 positions"),
        ("[[party]]\noin = \"00000099000000003000\"\nname = \"x\"\ncolour = 1", "unknown field"),
        (
            "[[event_type]]\nname = \"geboorte\"\nowner = \"00000099000000001000\"\ndescription = \"x\"",
            "reverse domain name",
        ),
        (
            "[[event_type]]\nname = \"nl.x\"\nowner = \"00000099000000009000\"\ndescription = \"x\"",
            "is no party",
        ),
        (
            "[[grant]]\nparty = \"00000099000000001000\"\ntype = \"nl.y\"\naction = \"publish\"\npurpose = \"x\"\nlegal_basis = \"y\"",
            "no event type \"nl.y\"",
        ),
        (
            "[[grant]]\nparty = \"00000099000000001000\"\ntype = \"nl.brp.geboorte\"\naction = \"publish\"\npurpose = \" \"\nlegal_basis = \"y\"",
            "has no purpose",
        ),
        (
            "[[grant]]\nparty = \"00000099000000001000\"\ntype = \"nl.brp.geboorte\"\naction = \"read\"\npurpose = \"x\"\nlegal_basis = \"y\"",
            "unknown variant",
        ),
        (
            "[[subscription]]\nname = \"00000099000000001000.a\"\ntypes = [\"nl.brp.geboorte\"]",
            "has no grant to receive",
        ),
        (
            "[[subscription]]\nname = \"00000099000000002000.a\"\ninbox = \"00000099000000001000.a\"",
            "another party",
        ),
        (
            "[[subscription]]\nname = \"00000099000000002000.a\"\nfilters = [{ exact = {} }]",
            "names no attribute",
        ),
    ] {
        let all = faults(more);
        assert_eq!(all.len(), 1, "{all:#?}");
        assert!(all[0].contains(expected), "{all:#?}");
        let line: usize =
            all[0].strip_prefix("a.toml:").unwrap().split(':').next().unwrap().parse().unwrap();
        assert!(line > GOOD.lines().count(), "{all:#?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let all = faults(
        "[[subscription]]\nname = \"00000099000000009000.a\"\ntypes = [\"nl.y\"]\nfilters = [{ prefix = { A = \"x\" } }]",
    );
    assert_eq!(all.len(), 3, "{all:#?}");
}

#[test]
fn what_is_not_there_is_said() {
    let errors = Catalogue::load(Path::new("/nonexistent")).unwrap_err().to_string();
    assert!(errors.starts_with("/nonexistent: cannot be read"), "{errors}");
    let empty = tempfile::tempdir().unwrap();
    assert!(Catalogue::load(empty.path()).unwrap_err().to_string().contains("no *.toml"));
}

#[test]
fn the_catalogue_that_is_shipped_has_no_fault() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/catalogue");
    let catalogue = Catalogue::load(&shipped).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(catalogue.parties().count() >= 14);
    assert!(catalogue.event_types().count() >= 16);
    for event_type in catalogue.event_types() {
        let takers =
            catalogue.parties().filter(|party| catalogue.may_receive(&party.oin, &event_type.name));
        assert!(takers.count() > 0, "nobody may receive {}", event_type.name);
        assert!(catalogue.may_publish(&event_type.owner, &event_type.name), "{}", event_type.name);
    }
}
