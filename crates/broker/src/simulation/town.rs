//! Who and what there is: parties, event types, inboxes.

use std::time::Duration;

use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_store::InboxSettings;

use crate::{Caller, Operator, Roles};

const REGISTRY: &str = "00000099000000001000";
const RECEIVER: &str = "00000099000000002000";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Receiver" },
]
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
[[event_type]]
name = "nl.brp.spoed"
owner = "00000099000000001000"
description = "Something that cannot wait."
deadline = "8 seconds"
[[grant]]
party = "00000099000000001000"
type = ["nl.brp.geboorte", "nl.brp.spoed"]
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = ["nl.brp.geboorte", "nl.brp.spoed"]
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[subscription]]
name = "00000099000000002000.plain"
[[subscription]]
name = "00000099000000002000.ordered"
ordered = true
[[subscription]]
name = "00000099000000002000.aged"
types = ["nl.brp.geboorte"]
"#;

/// An inbox: what it is called, and how it is set.
pub(super) struct Place {
    pub(super) local: &'static str,
    pub(super) ordered: bool,
    /// Whether it also gets what cannot wait.
    pub(super) urgent: bool,
    pub(super) max_attempts: u32,
    pub(super) retry_initial: Duration,
    pub(super) max_age: Option<Duration>,
}

/// The longest that a delivery waits, unless its receiver says so.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(8);
/// By when a message that cannot wait is to be done with.
pub(super) const DEADLINE: Duration = Duration::from_secs(8);

pub(super) const PLACES: [Place; 3] = [
    Place {
        local: "plain",
        ordered: false,
        urgent: true,
        max_attempts: 4,
        retry_initial: Duration::from_millis(500),
        max_age: None,
    },
    Place {
        local: "ordered",
        ordered: true,
        urgent: true,
        max_attempts: 3,
        retry_initial: Duration::from_secs(1),
        max_age: None,
    },
    Place {
        local: "aged",
        ordered: false,
        urgent: false,
        max_attempts: 2,
        retry_initial: Duration::from_secs(2),
        max_age: Some(Duration::from_secs(90)),
    },
];

impl Place {
    pub(super) fn settings(&self) -> InboxSettings {
        InboxSettings {
            max_attempts: Some(self.max_attempts),
            retry_initial: Some(self.retry_initial),
            retry_max: Some(RETRY_MAX),
            max_age: self.max_age,
            ..InboxSettings::default()
        }
    }

    /// How long a delivery waits after this attempt, without the part of it that is chance.
    pub(super) fn wait_after(&self, attempt: u32) -> Duration {
        (self.retry_initial * (1 << (attempt - 1).min(16))).min(RETRY_MAX)
    }
}

pub(super) fn catalogue() -> Catalogue {
    Catalogue::from_toml("simulated", CATALOGUE).unwrap()
}

pub(super) fn inbox(place: usize) -> InboxName {
    format!("{RECEIVER}.{}", PLACES[place].local).parse().unwrap()
}

pub(super) fn place_of(inbox: &InboxName) -> Option<usize> {
    (0..PLACES.len()).find(|place| self::inbox(*place) == *inbox)
}

pub(super) fn source() -> String {
    format!("urn:nld:oin:{REGISTRY}:systeem:BRP")
}

pub(super) fn event_type(urgent: bool) -> &'static str {
    if urgent { "nl.brp.spoed" } else { "nl.brp.geboorte" }
}

pub(super) fn registry() -> Caller {
    Caller::Party(REGISTRY.parse().unwrap())
}

pub(super) fn receiver() -> Caller {
    Caller::Party(RECEIVER.parse().unwrap())
}

/// An operator with every role.
pub(super) fn operator() -> Caller {
    Operator { name: None, oin: None, roles: Roles::ALL }.into()
}
