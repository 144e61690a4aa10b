//! What one catalogue says otherwise than another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use wissel_identifiers::{Oin, SubscriptionName};

use wissel_filter::Filter;

use crate::{Action, Catalogue, DeclaredSubscription, DraftGrant, DraftType, EventType, Grant};

/// One thing that a later catalogue says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// How.
    pub how: How,
    /// Of what.
    #[serde(flatten)]
    pub of: Part,
}

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It was not there.
    Added,
    /// It is no longer there.
    Removed,
    /// It says something else.
    Altered,
}

/// A part of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "part")]
pub enum Part {
    /// A party.
    Party {
        /// Which.
        oin: Oin,
    },
    /// An event type.
    EventType {
        /// Which.
        name: Arc<str>,
    },
    /// A right.
    Grant {
        /// Whose.
        party: Oin,
        /// To do what.
        action: Action,
        /// With which event type.
        event_type: Arc<str>,
    },
    /// An event type that is planned.
    DraftType {
        /// Which.
        name: Arc<str>,
    },
    /// A right that is planned.
    DraftGrant {
        /// Whose.
        party: Oin,
        /// To do what.
        action: Action,
        /// With which event type.
        event_type: Arc<str>,
    },
    /// The mandates of one party for another.
    Mandates {
        /// Who acts.
        party: Oin,
        /// For whom.
        principal: Oin,
    },
    /// A declared subscription.
    Subscription {
        /// Which.
        name: SubscriptionName,
    },
}

impl Catalogue {
    /// What this catalogue says otherwise than an earlier one, in the order of the parts.
    #[must_use]
    pub fn changes_since(&self, earlier: &Self) -> Vec<Change> {
        let (before, now) = (earlier.parts(), self.parts());
        let gone = before.keys().filter(|part| !now.contains_key(part));
        let gone = gone.map(|part| Change { how: How::Removed, of: part.clone() });
        let changed = now.iter().filter_map(|(part, says)| {
            let how = match before.get(part) {
                None => How::Added,
                Some(said) if said != says => How::Altered,
                Some(_) => return None,
            };
            Some(Change { how, of: part.clone() })
        });
        let mut all: Vec<Change> = gone.chain(changed).collect();
        all.sort_by(|one, other| one.of.cmp(&other.of));
        all
    }

    /// Each part, and all that it says, to be held against another's.
    fn parts(&self) -> BTreeMap<Part, String> {
        let mut parts = BTreeMap::new();
        for party in self.parties() {
            parts.insert(Part::Party { oin: party.oin }, format!("{party:?}"));
        }
        for event_type in self.event_types() {
            let name = Arc::clone(&event_type.name);
            parts.insert(Part::EventType { name }, said_of_type(event_type));
            let rights = self.rights(&event_type.name);
            let grants = [Action::Publish, Action::Receive]
                .into_iter()
                .flat_map(|action| rights.map(|rights| rights.grants(action)).unwrap_or_default());
            for grant in grants {
                let Grant { party, action, event_type, .. } = &**grant;
                let event_type = Arc::clone(event_type);
                let part = Part::Grant { party: *party, action: *action, event_type };
                parts.insert(part, said_of_grant(grant));
            }
        }
        for DraftType { name, owner, description, .. } in self.drafts().types() {
            let part = Part::DraftType { name: Arc::clone(name) };
            parts.insert(part, format!("{owner:?} {description:?}"));
        }
        for draft in self.drafts().grants() {
            let DraftGrant { party, event_type, action, .. } = draft;
            let event_type = Arc::clone(event_type);
            let part = Part::DraftGrant { party: *party, action: *action, event_type };
            parts.insert(part, said_of_draft(draft));
        }
        for ((party, principal), mandates) in &self.mandates {
            let part = Part::Mandates { party: *party, principal: *principal };
            parts.insert(part, format!("{mandates:?}"));
        }
        for one in self.subscriptions() {
            let DeclaredSubscription { name, inbox, types, filters, ordered } = one;
            let says = format!("{inbox} {types:?} {} {ordered}", written(filters));
            parts.insert(Part::Subscription { name: name.clone() }, says);
        }
        parts
    }
}

/// The schema as it was given: its own text tells nothing.
fn said_of_type(event_type: &EventType) -> String {
    let schema = event_type.schema.as_ref().map(|schema| schema.document().to_string());
    format!("{event_type:?} {schema:?}")
}

fn said_of_grant(grant: &Grant) -> String {
    let fields = grant.fields.as_ref().map(|fields| fields.set.pointers());
    let filters = written(&grant.filters);
    format!("{:?} {:?} {filters} {fields:?}", grant.purpose, grant.legal_basis)
}

fn said_of_draft(draft: &DraftGrant) -> String {
    let DraftGrant { purpose, legal_basis, filters, fields, .. } = draft;
    format!("{purpose:?} {legal_basis:?} {} {fields:?}", written(filters))
}

/// With their values, which their `Debug` output hides.
pub(crate) fn written(filters: &[Filter]) -> String {
    serde_json::to_string(filters).unwrap_or_default()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party { oin } => write!(f, "party {oin}"),
            Self::EventType { name } => write!(f, "event type {name}"),
            Self::Grant { party, action, event_type } => {
                write!(f, "grant of {party} to {action} {event_type}")
            }
            Self::DraftType { name } => write!(f, "draft of event type {name}"),
            Self::DraftGrant { party, action, event_type } => {
                write!(f, "draft of a grant of {party} to {action} {event_type}")
            }
            Self::Mandates { party, principal } => {
                write!(f, "mandates of {party} for {principal}")
            }
            Self::Subscription { name } => write!(f, "subscription {name}"),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Altered => "altered",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.how, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"
[[party]]
oin = "00000099000000001000"
name = "Registry"
[[party]]
oin = "00000099000000002000"
name = "Utrecht"
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
[event_type.schema]
type = "object"
[event_type.schema.properties.plaats]
type = "string"
[[grant]]
party = "00000099000000001000"
type = "nl.brp.geboorte"
action = "publish"
purpose = "telling"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "knowing"
legal_basis = "Wet BRP"
fields = ["/plaats"]
filters = [{ exact = { gemeente = "0344" } }]
[[subscription]]
name = "00000099000000002000.inbox"
filters = [{ exact = { wijk = "West" } }]
"#;

    fn changes(later: &str) -> Vec<String> {
        let read = |text| Catalogue::from_toml("x.toml", text).unwrap();
        let changes = read(later).changes_since(&read(BEFORE));
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_differs_in_nothing() {
        assert!(changes(BEFORE).is_empty());
        assert!(changes(&format!("# a remark\n{BEFORE}")).is_empty());
    }

    #[test]
    fn each_part_that_changed_is_named() {
        assert_eq!(
            changes(&BEFORE.replace("Utrecht", "Zeist")),
            ["altered party 00000099000000002000"]
        );
        assert_eq!(
            changes(&BEFORE.replace("\"/plaats\"", "")),
            ["altered grant of 00000099000000002000 to receive nl.brp.geboorte"]
        );
        assert_eq!(
            changes(&BEFORE.replace("\"string\"", "\"string\"\nmaxLength = 3")),
            ["altered event type nl.brp.geboorte"]
        );
        assert_eq!(
            changes(&BEFORE.replace("0344", "0363")),
            ["altered grant of 00000099000000002000 to receive nl.brp.geboorte"]
        );
        assert_eq!(
            changes(&BEFORE.replace("West", "Oost")),
            ["altered subscription 00000099000000002000.inbox"]
        );
        let at = BEFORE.find("[[grant]]").unwrap();
        let less = BEFORE[..at]
            .replace("[[party]]\noin = \"00000099000000002000\"\nname = \"Utrecht\"\n", "");
        assert_eq!(
            changes(&less),
            [
                "removed party 00000099000000002000",
                "removed grant of 00000099000000001000 to publish nl.brp.geboorte",
                "removed grant of 00000099000000002000 to receive nl.brp.geboorte",
                "removed subscription 00000099000000002000.inbox",
            ]
        );
        let more = format!("{BEFORE}\n[[subscription]]\nname = \"00000099000000002000.meer\"\n");
        assert_eq!(changes(&more), ["added subscription 00000099000000002000.meer"]);
    }
}
