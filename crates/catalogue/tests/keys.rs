//! The keys of the files are those that the README of the catalogue tells of.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use wissel_catalogue::Catalogue;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/catalogue/README.md");
const OIN: &str = "00000099000000001000";

/// The headings of the tables of keys, and the keys without a default.
const TABLES: [(&str, &[&str]); 9] = [
    ("[[party]]", &["oin", "name"]),
    ("[[event_type]]", &["name", "owner", "description"]),
    ("[event_type.ask]", &["answer", "within"]),
    ("[event_type.dispatch]", &["status"]),
    ("[event_type.report]", &["status", "object", "field", "about", "corrections"]),
    ("[event_type.match]", &["subject", "keep"]),
    ("[[grant]]", &["party", "type", "action", "purpose", "legal_basis"]),
    ("[[mandate]]", &["party", "for", "action", "basis", "until"]),
    ("[[subscription]]", &["name"]),
];

/// What is told of a file with these lines in a table.
fn fault(table: &str, lines: &str) -> String {
    let within = if table.starts_with("[event_type.") {
        format!("[[event_type]]\nname = 'nl.x.y'\nowner = '{OIN}'\ndescription = 'x'\n")
    } else {
        String::new()
    };
    let read = Catalogue::from_toml("a.toml", &format!("{within}{table}\n{lines}"));
    let faults = read.map_or_else(|errors| errors.faults, |_| Vec::new());
    faults.into_iter().map(|fault| fault.message + "\n").collect()
}

/// The keys that may stand in a table: what is told of one that may not.
fn allowed(table: &str) -> BTreeSet<String> {
    let told = fault(table, "no_key = 1\n");
    let (_, expected) = told.split_once("unknown field `no_key`, expected ").unwrap();
    let names = expected.lines().next().unwrap().split(';').next().unwrap().split('`');
    names.skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys of the README, by heading; of each its default.
fn documented() -> BTreeMap<String, BTreeMap<String, String>> {
    let readme = std::fs::read_to_string(README).unwrap();
    let (_, keys) = readme.split_once("\n## Keys\n").unwrap();
    let keys = keys.split("\n## ").next().unwrap();
    let tables = keys.split("\n### `").skip(1).map(|table| {
        let (heading, rows) = table.split_once('`').unwrap();
        let rows = rows.lines().filter_map(|row| row.strip_prefix("| `")).map(|row| {
            let columns: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(columns.len(), 5, "{row}");
            (columns[0].trim_matches('`').to_owned(), columns[2].to_owned())
        });
        (heading.to_owned(), rows.collect())
    });
    tables.collect()
}

#[test]
fn the_readme_tells_every_key_and_no_other() {
    let documented = documented();
    let headings: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    assert_eq!(headings, TABLES.iter().map(|(heading, _)| *heading).collect());
    for (table, keys) in &documented {
        assert_eq!(keys.keys().cloned().collect::<BTreeSet<_>>(), allowed(table), "{table}");
    }
    let whole = headings.iter().filter_map(|one| one.strip_prefix("[[")?.strip_suffix("]]"));
    assert_eq!(whole.map(str::to_owned).collect::<BTreeSet<_>>(), allowed(""));
}

#[test]
fn the_readme_tells_what_must_be_there() {
    let documented = documented();
    let line = |key: &&str| {
        let value = match *key {
            "oin" | "owner" | "party" | "for" => OIN.to_owned(),
            "action" => "publish".to_owned(),
            "name" => format!("{OIN}.x"),
            _ => "x".to_owned(),
        };
        format!("{key} = '{value}'\n")
    };
    for (table, required) in TABLES {
        let told = documented[table].iter().filter(|(_, default)| default.is_empty());
        let told: BTreeSet<&str> = told.map(|(key, _)| key.as_str()).collect();
        assert_eq!(told, required.iter().copied().collect(), "{table}");
        let whole = fault(table, &required.iter().map(line).collect::<String>());
        assert!(!whole.contains("missing field"), "{table}: {whole}");
        for left_out in required {
            let others = required.iter().filter(|key| *key != left_out);
            let lacking = fault(table, &others.map(line).collect::<String>());
            assert!(lacking.contains(&format!("missing field `{left_out}`")), "{table}: {lacking}");
        }
        let all: Vec<_> = required.iter().map(|key| format!("missing field `{key}`")).collect();
        let lacking = fault(table, "");
        assert!(lacking.contains(&all.join(", ")), "{table}: {lacking}");
    }
}
