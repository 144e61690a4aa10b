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
archive = "30 days"
[[event_type]]
name = "nl.brp.spoed"
owner = "00000099000000001000"
description = "Something that cannot wait."
deadline = "8 seconds"
[[event_type]]
name = "nl.brp.naam"
owner = "00000099000000001000"
description = "Nobody publishes this."
[[grant]]
party = "00000099000000001000"
type = ["nl.brp.geboorte", "nl.brp.spoed"]
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = ["nl.brp.geboorte", "nl.brp.spoed", "nl.brp.naam"]
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
[[subscription]]
name = "00000099000000002000.spare"
ordered = true
types = ["nl.brp.naam"]
"#;

/// An inbox: what it is called, and how it is set.
pub(super) struct Place {
    pub(super) local: &'static str,
    pub(super) ordered: bool,
    /// What it gets of what is published.
    pub(super) gets: Gets,
    /// Its dead letters are put back there, too. A message is in one of the two at most, so
    /// that it is known which delivery of it comes.
    pub(super) other: Option<usize>,
    pub(super) max_attempts: u32,
    pub(super) retry_initial: Duration,
    pub(super) max_age: Option<Duration>,
}

#[derive(PartialEq, Eq)]
pub(super) enum Gets {
    All,
    /// What can wait.
    Patient,
    /// Nothing, but dead letters of another inbox.
    Nothing,
}

/// The longest that a delivery waits, unless its receiver says so.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(8);
/// By when a message that cannot wait is to be done with.
pub(super) const DEADLINE: Duration = Duration::from_secs(8);

pub(super) const PLACES: [Place; 4] = [
    Place {
        local: "plain",
        ordered: false,
        gets: Gets::All,
        other: Some(3),
        max_attempts: 4,
        retry_initial: Duration::from_millis(500),
        max_age: None,
    },
    Place {
        local: "ordered",
        ordered: true,
        gets: Gets::All,
        other: None,
        max_attempts: 3,
        retry_initial: Duration::from_secs(1),
        max_age: None,
    },
    Place {
        local: "aged",
        ordered: false,
        gets: Gets::Patient,
        other: None,
        max_attempts: 2,
        retry_initial: Duration::from_secs(2),
        max_age: Some(Duration::from_secs(90)),
    },
    Place {
        local: "spare",
        ordered: true,
        gets: Gets::Nothing,
        other: Some(0),
        max_attempts: 2,
        retry_initial: Duration::from_millis(700),
        max_age: None,
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

/// What the receiver has that may be withdrawn, and given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    /// The grant to receive what cannot wait.
    pub(super) urgent: bool,
    /// The subscription of the inbox that keeps messages for a while.
    pub(super) aged: bool,
}

const AGED: usize = 2;

impl Rights {
    pub(super) const ALL: Self = Self { urgent: true, aged: true };

    /// Whether what is published now comes to an inbox that is for it.
    pub(super) fn route(self, urgent: bool, place: usize) -> bool {
        (self.urgent || !urgent) && (self.aged || place != AGED)
    }
}

impl Default for Rights {
    fn default() -> Self {
        Self::ALL
    }
}

pub(super) fn catalogue(rights: Rights) -> Catalogue {
    let mut text = CATALOGUE.to_owned();
    if !rights.urgent {
        let grant = r#"type = ["nl.brp.geboorte", "nl.brp.spoed", "nl.brp.naam"]"#;
        text = text.replace(grant, r#"type = ["nl.brp.geboorte", "nl.brp.naam"]"#);
    }
    if !rights.aged {
        let local = PLACES[AGED].local;
        let (before, rest) =
            text.split_once(&format!("[[subscription]]\nname = \"{RECEIVER}.{local}\"\n")).unwrap();
        let (_, behind) = rest.split_once('\n').unwrap();
        text = format!("{before}{behind}");
    }
    Catalogue::from_toml("simulated", &text).unwrap()
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

pub(super) fn subject(number: usize) -> String {
    format!("99999000{number}")
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
