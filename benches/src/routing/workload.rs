use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wissel_message::{Event, EventBuilder};

use super::mix;
use super::names::{MUNICIPALITIES, event_type, municipality, subject};
use super::subscription::{Condition, Subscription};

/// What the subscriptions of a workload are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// W1: each one event type; three subscriptions a type.
    Types,
    /// W2: an event type and a municipality; three subscriptions a pair.
    Municipalities,
    /// W3: one subject each.
    Subjects,
    /// W4: two thirds the start of a subject, one third the end of a source.
    Affixes,
    /// W5: CESQL expressions in ten forms.
    Mix,
}

/// Subscriptions of one kind, and messages for them. The same at each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    kind: Kind,
    size: u32,
}

/// Event types of the subjects that are followed.
const SUBJECT_TYPES: u32 = 10;
/// The first part of a source; the registry of persons.
const SOURCE: &str = "urn:nld:oin:00000099000000001000:systeem";
/// Kinds of objects in the register of addresses and buildings.
const OBJECT_KINDS: [&str; 5] = ["01", "02", "03", "10", "20"];

impl Kind {
    /// The name of its workload.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Types => "W1",
            Self::Municipalities => "W2",
            Self::Subjects => "W3",
            Self::Affixes => "W4",
            Self::Mix => "W5",
        }
    }

    /// What each subscription asks for.
    #[must_use]
    pub fn asks(self) -> &'static str {
        match self {
            Self::Types => "exact types",
            Self::Municipalities => "type + municipality",
            Self::Subjects => "subjects",
            Self::Affixes => "prefixes and suffixes",
            Self::Mix => "mixed CESQL",
        }
    }

    /// How many subscriptions each message matches; none when it differs.
    #[must_use]
    pub fn fan_out(self) -> Option<u32> {
        match self {
            Self::Types | Self::Municipalities | Self::Affixes => Some(3),
            Self::Subjects => Some(1),
            Self::Mix => None,
        }
    }
}

impl Workload {
    /// This many subscriptions of this kind.
    ///
    /// # Errors
    /// When there are too few of them, or too many.
    pub fn new(kind: Kind, size: u32) -> Result<Self> {
        ensure!((30..=5_000_000).contains(&size), "{size} subscriptions; expected 30 to 5,000,000");
        Ok(Self { kind, size })
    }

    /// What the subscriptions are like.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Every subscription. Those of one group do not follow each other.
    pub fn subscriptions(&self) -> impl Iterator<Item = Subscription> + use<> {
        let workload = *self;
        (0..self.size).map(move |number| workload.subscription(number))
    }

    /// One subscription. A number that is too high for a full group gets one that no
    /// message matches.
    #[must_use]
    pub fn subscription(&self, number: u32) -> Subscription {
        let (groups, fan_out) = (self.groups(), self.kind.fan_out().unwrap_or(1));
        let of_group = number < groups * fan_out;
        let (group, member) =
            if of_group { (number % groups, number / groups) } else { (number, 0) };
        let (types, conditions) = match self.kind {
            Kind::Types => (vec![event_type(group)], vec![]),
            Kind::Municipalities => {
                let (a_type, code) = self.pair(group);
                (vec![a_type], vec![Condition::Equal("gemeente", code)])
            }
            Kind::Subjects => {
                let subject = subject(group);
                let a_type = event_type(group % SUBJECT_TYPES);
                (vec![a_type], vec![Condition::Equal("subject", subject)])
            }
            Kind::Affixes => (vec![], vec![affix(group, member)]),
            Kind::Mix => (vec![], mix::conditions(number)),
        };
        Subscription { number, types, conditions, cesql: self.kind == Kind::Mix }
    }

    /// Frames of messages for groups drawn at random.
    ///
    /// # Errors
    /// When a message breaks a rule.
    pub fn frames(&self, count: u32, seed: u64) -> Result<Vec<Bytes>> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..count).map(|number| self.frame(number, &mut random)).collect()
    }

    fn frame(&self, number: u32, random: &mut StdRng) -> Result<Bytes> {
        let id = format!("2026-{number:08}");
        let group = random.random_range(0..self.groups());
        let message = match self.kind {
            Kind::Types => plain(id, event_type(group), random),
            Kind::Municipalities => {
                let (a_type, code) = self.pair(group);
                plain(id, a_type, random).extension("gemeente", code)
            }
            Kind::Subjects => {
                plain(id, event_type(group % SUBJECT_TYPES), random).subject(subject(group))
            }
            Kind::Affixes => {
                let object = format!("{}{:02}", object(group), random.random_range(0..100));
                let source = format!("{SOURCE}:zaaksysteem-{group:05}");
                Event::builder(id, source, event_type(random.random_range(0..100)))
                    .subject(object)
                    .extension("gemeente", municipality(group))
            }
            Kind::Mix => mix::message(id, random),
        };
        let time = "2026-11-25T10:00:00Z".parse().context("a moment")?;
        let data = r#"{"omschrijving":"alleen om te meten"}"#;
        Ok(message.time(time).data_text("application/json", data).build()?.encode())
    }

    /// Subscriptions of one group match the same messages.
    fn groups(&self) -> u32 {
        self.size / self.kind.fan_out().unwrap_or(1)
    }

    /// The type and municipality of a group: as many types as it takes to have all
    /// groups, ten at the least.
    fn pair(&self, group: u32) -> (String, String) {
        let types = self.groups().div_ceil(MUNICIPALITIES).max(10);
        let code = group / types;
        // A group for which there is no municipality left has types of its own.
        let a_type = group % types + types * (code / MUNICIPALITIES);
        (event_type(a_type), municipality(code))
    }
}

/// A message of which the rest is as it happens to be.
fn plain(id: String, event_type: String, random: &mut StdRng) -> EventBuilder {
    let code = municipality(random.random_range(0..MUNICIPALITIES));
    Event::builder(id, format!("{SOURCE}:BRP"), event_type)
        .subject(subject(random.random_range(0..1_000_000)))
        .extension("gemeente", code)
}

/// What a member of a group of W4 asks for.
fn affix(group: u32, member: u32) -> Condition {
    let object = object(group);
    match member {
        0 => Condition::Prefix("subject", object),
        // As short as can be without other groups' objects: 10 to 12 digits.
        1 => Condition::Prefix("subject", object[..10 + group as usize % 3].to_owned()),
        _ => Condition::Suffix("source", format!(":zaaksysteem-{group:05}")),
    }
}

/// The first 14 of 16 digits that identify an address or a building: municipality, kind,
/// number.
fn object(group: u32) -> String {
    let kinds = 5;
    let code = municipality(group);
    let kind = OBJECT_KINDS[(group / MUNICIPALITIES % kinds) as usize];
    let number = group / (MUNICIPALITIES * kinds);
    format!("{code}{kind}{number:04}{:04}", u64::from(group) * 7_919 % 10_000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::measure::views;
    use super::*;

    #[test]
    fn groups_ask_for_what_no_other_asks_for() {
        for kind in [Kind::Types, Kind::Municipalities, Kind::Subjects, Kind::Affixes] {
            let workload = Workload::new(kind, 30_000).unwrap();
            let fan_out = kind.fan_out().unwrap() as usize;
            let asked: Vec<String> = workload
                .subscriptions()
                .map(|one| format!("{:?} {:?}", one.types, one.conditions))
                .collect();
            let distinct: HashSet<&String> = asked.iter().collect();
            let expected = if kind == Kind::Affixes { 1 } else { fan_out };
            assert_eq!(distinct.len() * expected, asked.len(), "{kind:?}");
        }
    }

    #[test]
    fn workloads_are_the_same_at_each_run() {
        let workload = Workload::new(Kind::Mix, 1_000).unwrap();
        // The order of attributes in a frame is no part of a message.
        let subjects = |seed| -> Vec<String> {
            let views = views(&workload.frames(100, seed).unwrap()).unwrap();
            views.iter().map(|view| view.subject().unwrap().to_owned()).collect()
        };
        assert_eq!(subjects(1), subjects(1));
        assert_ne!(subjects(1), subjects(2));
        let (one, same) = (workload.subscription(7), workload.subscription(7));
        assert_eq!(one.conditions, same.conditions);
    }
}
