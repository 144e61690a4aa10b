//! Good and bad catalogues.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use wissel_catalogue::{Action, Catalogue};

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
    errors.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn rights_and_subscriptions_are_found() {
    let catalogue = Catalogue::from_toml("a.toml", GOOD).unwrap();
    let zwolle = "00000099000000002000".parse().unwrap();
    assert!(catalogue.grant(&zwolle, Action::Receive, "nl.brp.geboorte").is_some());
    assert!(catalogue.grant(&zwolle, Action::Publish, "nl.brp.geboorte").is_none());
    assert!(catalogue.grant(&zwolle, Action::Receive, "nl.brp.overlijden").is_none());
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
fn a_file_that_cannot_be_read_is_one_fault_and_comes_first() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    let parties = GOOD.split("[[event_type]]").next().unwrap();
    write("a.toml", &GOOD.replace(parties, ""));
    write("z-parties.toml", &parties.replacen("name = ", "name ", 1));
    let errors = Catalogue::load(directory.path()).unwrap_err();
    assert_eq!(errors.faults.len(), 1, "{errors}");
    let fault = &errors.faults[0];
    assert!(fault.file.ends_with("z-parties.toml") && fault.line == Some(4), "{fault}");
    assert!(fault.message.contains("what refers to this file"), "{fault}");
    // Faults that are no matter of what refers to what are told with it, behind it.
    write("a.toml", &GOOD.replace(parties, "").replace("Care for newborns", " "));
    let errors = Catalogue::load(directory.path()).unwrap_err();
    assert_eq!(errors.faults.len(), 2, "{errors}");
    assert!(errors.faults[1].message.contains("has no purpose"), "{errors}");
}

#[test]
fn warnings_are_told_beside_faults() {
    let text = format!("{GOOD}\n[[party]]\noin = \"00000099000000002000\"\nname = \"x\"");
    let errors = Catalogue::from_toml("a.toml", &text).unwrap_err();
    assert_eq!(errors.faults.len(), 1);
    let warnings: Vec<String> = errors.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings.iter().any(|one| one.contains("nobody has a grant to publish")),
        "{warnings:?}"
    );
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
    assert!(catalogue.parties().count() >= 25);
    for registry in
        ["brp", "rni", "hr", "bag", "brk", "brt", "bgt", "brv", "bri", "blau", "woz", "bro"]
    {
        let of_registry = format!("nl.{registry}.");
        let types = catalogue.event_types().filter(|one| one.name.starts_with(&of_registry));
        assert!(types.count() >= 3, "{registry}");
    }
    for event_type in catalogue.event_types() {
        let name = &event_type.name;
        assert!(event_type.schema.is_some() && event_type.example.is_some(), "{name}");
        assert!(event_type.retention.is_some(), "{name}");
        assert!(catalogue.grant(&event_type.owner, Action::Publish, name).is_some(), "{name}");
    }
    assert_eq!(catalogue.warnings(), [], "{:#?}", catalogue.warnings());
}

/// A catalogue with a schema, on which the cases below build.
const SCHEMA: &str = r#"
[[event_type]]
name = "nl.brp.overlijden"
owner = "00000099000000001000"
description = "A death was registered."
subject = "bsn"
sensitivity = "internal"
schema = { type = "object", properties = { datum = { type = "string" }, plaats = { type = "string" } }, required = ["datum"] }
audience = "at-least-one"

[[grant]]
party = "00000099000000001000"
type = ["nl.brp.geboorte", "nl.brp.overlijden"]
action = "publish"
purpose = "To tell of changes"
legal_basis = "Wet BRP, artikel 3.2"
"#;

const RECEIVE: &str = "[[grant]]\nparty = \"00000099000000002000\"\ntype = \"nl.brp.overlijden\"\naction = \"receive\"\npurpose = \"x\"\nlegal_basis = \"y\"\n";

#[test]
fn what_grants_limit_must_be_known_to_the_schema() {
    let more = |grant: &str| faults(&format!("{SCHEMA}{grant}"));
    for (grant, expected) in [
        (format!("{RECEIVE}fields = [\"/datum\", \"/bsn\"]"), "/bsn: the schema does not know"),
        (format!("{RECEIVE}fields = [\"datum\"]"), "not a JSON Pointer"),
        (format!("{RECEIVE}filters = [{{ exact = {{}} }}]"), "names no attribute"),
        (
            RECEIVE.replace("overlijden", "geboorte").replace("2000", "1000") + "fields = [\"/x\"]",
            "has no schema to know them",
        ),
        (format!("{RECEIVE}{RECEIVE}"), "twice"),
        (
            "[[event_type]]\nname = \"nl.x.y\"\ndescription = \"x\"\n".to_owned(),
            "missing field `owner`",
        ),
        (
            "[[event_type]]\nname = \"nl.x.y\"\nowner = \"00000099000000001000\"\ndescription = \"x\"\nsubject = \"burger\"".to_owned(),
            "expected none, other, or one of oin, bsn, rsin, a-nummer, kvk-nummer, ",
        ),
        (
            "[[event_type]]\nname = \"nl.x.y\"\nowner = \"00000099000000001000\"\ndescription = \"x\"\nretention = \"long\"".to_owned(),
            "expected a duration",
        ),
        (
            "[[event_type]]\nname = \"nl.x.y\"\nowner = \"00000099000000001000\"\ndescription = \"x\"\nschema = { type = \"no-type\" }".to_owned(),
            "not a JSON Schema",
        ),
        (
            "[[event_type]]\nname = \"nl.x.y\"\nowner = \"00000099000000001000\"\ndescription = \"x\"\nschema = \"../secret.json\"".to_owned(),
            "expected a file beside or below this one",
        ),
        (
            "[[mandate]]\nparty = \"00000099000000001000\"\nfor = \"00000099000000001000\"\naction = \"publish\"\nbasis = \"x\"\nuntil = \"2028-12-31\"".to_owned(),
            "needs no mandate for itself",
        ),
        (
            "[[mandate]]\nparty = \"00000099000000001000\"\nfor = \"00000099000000002000\"\naction = \"publish\"\nbasis = \"x\"\nuntil = \"31-12-2028\"".to_owned(),
            "expected a date such as 2028-12-31",
        ),
    ] {
        let all = more(&grant);
        assert_eq!(all.len(), 1, "{expected}: {all:#?}");
        assert!(all[0].contains(expected), "{all:#?}");
        let line: usize =
            all[0].strip_prefix("a.toml:").unwrap().split(':').next().unwrap().parse().unwrap();
        assert!(line > GOOD.lines().count() + SCHEMA.lines().count(), "{all:#?}");
    }
}

#[test]
fn what_does_not_cohere_is_a_warning_with_its_line() {
    let text = format!(
        "{GOOD}{SCHEMA}
[[mandate]]
party = \"00000099000000001000\"
for = \"00000099000000002000\"
action = \"receive\"
basis = \"x\"
until = \"2020-01-01\"

[[grant]]
party = \"00000099000000001000\"
type = \"nl.brp.geboorte\"
action = \"receive\"
purpose = \"x\"
legal_basis = \"y\"
filters = [{{ exact = {{ gemeente = \"0344\" }} }}]

[[subscription]]
name = \"00000099000000001000.buiten\"
filters = [{{ exact = {{ gemeente = \"0193\" }} }}]
"
    );
    let catalogue = Catalogue::from_toml("a.toml", &text).unwrap();
    let warnings: Vec<String> = catalogue.warnings().iter().map(ToString::to_string).collect();
    for expected in [
        "nobody has a grant to receive event type nl.brp.overlijden",
        "needs at least one recipient, and no subscription",
        "has ended",
        "its subject is a person",
        "buiten lies outside the grants of its owner",
    ] {
        let found = warnings.iter().filter(|warning| warning.contains(expected)).count();
        assert_eq!(found, 1, "{expected}: {warnings:#?}");
    }
}

/// What was read of a directory or a file is read again from what it gives, with schemas and
/// examples, wherever they lie and whatever they are called.
#[test]
fn what_was_read_can_be_read_again_elsewhere() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/catalogue");
    let directory = tempfile::tempdir().unwrap();
    let alone = directory.path().join("alone.conf");
    let named = GOOD.replacen("description =", "schema = 'schema.toml'\ndescription =", 1);
    std::fs::write(&alone, named).unwrap();
    std::fs::write(directory.path().join("schema.toml"), r#"{ "type": "object" }"#).unwrap();
    for (path, at_least) in [(shipped, 100), (alone, 2)] {
        let read = Catalogue::load(&path).unwrap();
        let files = read.files_read();
        assert!(files.len() >= at_least, "{:?}", files.keys());
        assert!(files.keys().all(|file| file.is_relative()), "{:?}", files.keys());
        let again = Catalogue::from_files(files).unwrap();
        assert_eq!(again.files_read(), files);
        assert!(again.changes_since(&read).is_empty() && read.changes_since(&again).is_empty());
        assert_eq!(again.type_count(), read.type_count());
    }
}
