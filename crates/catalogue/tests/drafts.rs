//! What is planned and not in force.
#![allow(clippy::unwrap_used, reason = "tests")]

use wissel_catalogue::{Action, Catalogue, Lack};

const IN_FORCE: &str = r#"
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
schema = { type = "object", properties = { plaats = { type = "string" } } }

[[grant]]
party = "00000099000000001000"
type = "nl.brp.geboorte"
action = "publish"
purpose = "To tell of births"
legal_basis = "Wet BRP, artikel 3.2"

[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "Care for newborns"
legal_basis = "Wet BRP, artikel 3.2"
"#;

/// An event type of which little is known yet, with a grant to publish it.
const PLANNED: &str = r#"
[[event_type]]
draft = true
name = "nl.brp.adoptie"

[[grant]]
draft = true
party = "00000099000000001000"
type = "nl.brp.adoptie"
action = "publish"
purpose = "To tell of adoptions"
"#;

/// A grant on an event type in force that lacks nothing.
const COMPLETE: &str = r#"
[[grant]]
draft = true
party = "00000099000000001000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "To hold the register to what is told"
legal_basis = "Wet BRP, artikel 1.4"
fields = ["/plaats"]
"#;

fn read(more: &str) -> Catalogue {
    Catalogue::from_toml("a.toml", &format!("{IN_FORCE}{more}")).unwrap()
}

fn faults(more: &str) -> Vec<String> {
    let errors = Catalogue::from_toml("a.toml", &format!("{IN_FORCE}{more}")).unwrap_err();
    errors.faults.iter().map(ToString::to_string).collect()
}

/// The one fault of this.
fn fault(more: &str) -> String {
    let mut all = faults(more);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn a_draft_gives_no_right() {
    let catalogue = read(&format!("{PLANNED}{COMPLETE}"));
    let rvig = "00000099000000001000".parse().unwrap();
    assert!(catalogue.event_type("nl.brp.adoptie").is_none());
    assert!(catalogue.rights("nl.brp.adoptie").is_none());
    assert_eq!(catalogue.event_types().count(), 1);
    assert_eq!(catalogue.grant_count(), 2);
    assert!(catalogue.grant(&rvig, Action::Publish, "nl.brp.adoptie").is_none());
    assert!(catalogue.grant(&rvig, Action::Receive, "nl.brp.geboorte").is_none());
    assert!(catalogue.grants_to_receive(&rvig).is_empty());
    assert_eq!(catalogue.grants_of(&rvig, Action::Publish).len(), 1);
    assert!(catalogue.grants_of(&rvig, Action::Receive).is_empty());
    let drafts = catalogue.drafts();
    assert_eq!((drafts.types().len(), drafts.grants().len()), (1, 2));
    assert_eq!(drafts.grants_on("nl.brp.adoptie").len(), 1);
    assert_eq!(drafts.grants_on("nl.brp.geboorte")[0].action, Action::Receive);
    assert!(drafts.grants_on("nl.brp").is_empty() && drafts.grants_on("nl.z").is_empty());
}

#[test]
fn what_a_draft_lacks_is_told_with_its_line() {
    let catalogue = read(&format!("{PLANNED}{COMPLETE}"));
    let drafts = catalogue.drafts();
    assert_eq!(drafts.types()[0].lacks, [Lack::Owner, Lack::Description, Lack::Receiver]);
    let told: Vec<String> = drafts.warnings().iter().map(|one| one.message.clone()).collect();
    assert_eq!(
        told,
        [
            "event type nl.brp.adoptie is a draft; lacks an owner, a description, a grant to \
             receive it",
            "a grant of party 00000099000000001000 is a draft; lacks a legal basis, an event type \
             in force",
            "a grant of party 00000099000000001000 is a draft that lacks nothing; remove `draft` \
             to put it in force",
        ]
    );
    assert_eq!(drafts.warnings()[0].line, Some(IN_FORCE.lines().count() + 2));
    assert!(catalogue.warnings().is_empty(), "{:?}", catalogue.warnings());
}

#[test]
fn an_empty_text_counts_as_none() {
    let empty = PLANNED.replace("To tell of adoptions", " ");
    let catalogue = read(&empty);
    let grant = &catalogue.drafts().grants()[0];
    assert_eq!(grant.lacks, [Lack::Purpose, Lack::LegalBasis, Lack::EventType]);
    assert_eq!(grant.purpose, None);
}

#[test]
fn what_a_draft_states_is_checked() {
    for (draft, expected) in [
        (PLANNED.replace("1000", "9000"), "the party of a grant is no party"),
        (PLANNED.replace("nl.brp.adoptie", "adoptie"), "reverse domain name"),
        (PLANNED.replacen("name =", "owner = \"123\"\nname =", 1), "an OIN has 20 positions"),
        (
            PLANNED.replacen("name =", "owner = \"00000099000000009000\"\nname =", 1),
            "the owner of event type nl.brp.adoptie is no party",
        ),
        (PLANNED.replacen("name =", "retention = \"long\"\nname =", 1), "expected a duration"),
        (PLANNED.replacen("name =", "schema = { type = \"x\" }\nname =", 1), "not a JSON Schema"),
        (
            PLANNED.replacen("name =", "ask = { answer = \"nl.x\", within = \"1 h\" }\nname =", 1),
            "ask.answer is no event type",
        ),
        (format!("{PLANNED}filters = [{{ exact = {{}} }}]"), "names no attribute"),
        (format!("{PLANNED}fields = [\"/x\"]"), "limits fields"),
        (COMPLETE.replace("/plaats", "/naam"), "the schema does not know"),
        (COMPLETE.replace("nl.brp.geboorte", "nl.brp.niets"), "no event type \"nl.brp.niets\""),
        (format!("{PLANNED}colour = 1"), "unknown field"),
    ] {
        let all = faults(&draft);
        assert!(all.iter().any(|one| one.contains(expected)), "{expected}: {all:#?}");
    }
}

#[test]
fn nothing_is_planned_twice_or_beside_itself_in_force() {
    let type_alone = PLANNED.split("[[grant]]").next().unwrap();
    let grant_alone = PLANNED.replace(type_alone, "");
    assert!(fault(&format!("{PLANNED}{type_alone}")).contains("is there twice"));
    assert!(fault(&format!("{PLANNED}{grant_alone}")).contains("twice"));
    let in_force = type_alone.replace("nl.brp.adoptie", "nl.brp.geboorte");
    assert!(fault(&in_force).contains("is in force, and cannot be a draft too"));
    let granted = COMPLETE.replace("1000", "2000");
    assert!(fault(&granted).contains("and cannot have a draft of it too"));
}

#[test]
fn nothing_in_force_rests_on_a_draft() {
    let grant = "[[grant]]\nparty = \"00000099000000002000\"\ntype = \"nl.brp.adoptie\"\n\
                 action = \"receive\"\npurpose = \"x\"\nlegal_basis = \"y\"\n";
    assert!(fault(&format!("{PLANNED}{grant}")).contains("is a draft; expected one in force"));
    let mandate = "[[mandate]]\nparty = \"00000099000000002000\"\naction = \"publish\"\n\
                   for = \"00000099000000001000\"\ntype = \"nl.brp.adoptie\"\nbasis = \"x\"\n\
                   until = \"2099-12-31\"\n";
    assert!(fault(&format!("{PLANNED}{mandate}")).contains("is a draft; expected one in force"));
    let subscription = "[[subscription]]\nname = \"00000099000000001000.a\"\n\
                        types = [\"nl.brp.geboorte\"]\n";
    assert!(fault(&format!("{COMPLETE}{subscription}")).contains("has no grant to receive"));
}

#[test]
fn without_draft_all_is_as_strict_as_ever() {
    for (more, field) in [
        (PLANNED.replacen("draft = true\nname", "name", 1), "owner"),
        (PLANNED.replace("draft = true\nparty", "draft = false\nparty"), "legal_basis"),
        (COMPLETE.replace("draft = true", "").replace("purpose = ", "#"), "purpose"),
    ] {
        let fault = fault(&more);
        assert!(fault.contains(&format!("missing field `{field}`")), "{fault}");
        let line: usize = fault.split(':').nth(1).unwrap().parse().unwrap();
        assert!(line > IN_FORCE.lines().count(), "{fault}");
    }
    let empty = COMPLETE.replace("draft = true", "").replace("Wet BRP, artikel 1.4", " ");
    assert!(fault(&empty).contains("has no legal basis"));
}

#[test]
fn drafts_that_come_go_or_come_in_force_are_told() {
    let changes = |earlier: &str, later: &str| -> Vec<String> {
        let changes = read(later).changes_since(&read(earlier));
        changes.iter().map(ToString::to_string).collect()
    };
    let grant = "draft of a grant of 00000099000000001000 to publish nl.brp.adoptie";
    assert_eq!(
        changes("", PLANNED),
        ["added draft of event type nl.brp.adoptie".to_owned(), format!("added {grant}")]
    );
    let with_basis = format!("{PLANNED}legal_basis = \"BW, artikel 1:227\"\n");
    assert_eq!(changes(PLANNED, &with_basis), [format!("altered {grant}")]);
    assert_eq!(changes(PLANNED, PLANNED), Vec::<String>::new());
    let in_force = COMPLETE.replace("draft = true", "");
    assert_eq!(
        changes(COMPLETE, &in_force),
        [
            "added grant of 00000099000000001000 to receive nl.brp.geboorte",
            "removed draft of a grant of 00000099000000001000 to receive nl.brp.geboorte",
        ]
    );
}
