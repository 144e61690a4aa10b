//! The parts of a catalogue.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::Dispatch;
use crate::changes::written;
use jiff::Span;
use serde::{Deserialize, Serialize};
use wissel_filter::{Condition, EventFacts, Filter};
use wissel_identifiers::{IdentifierKind, InboxName, KvkNumber, Oin, SubscriptionName};
use wissel_message::EventView;
use wissel_schema::{DataSchema, FieldSet, Projection};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Names it.
    pub oin: Oin,
    /// What people call it.
    pub name: String,
    /// Its number in the trade register, by which the `source` of its messages may name
    /// it.
    pub kvk_number: Option<KvkNumber>,
    /// Whether its messages are refused for what the NL GOV profile says they SHOULD
    /// be, and not only for what they MUST.
    pub strict: bool,
    /// The most messages that it may publish in a second; none: as the gateway is set.
    pub publish_per_second: Option<NonZeroU32>,
}

/// What can happen.
#[derive(Debug)]
pub struct EventType {
    /// In reverse domain name notation.
    pub name: Arc<str>,
    /// The party that answers for it.
    pub owner: Oin,
    /// One sentence.
    pub description: String,
    /// What the `subject` of its messages is.
    pub subject: SubjectKind,
    /// What `data` is; none: anything.
    pub schema: Option<DataSchema>,
    /// A message of this type, in the CloudEvents JSON format.
    pub example: Option<String>,
    /// How sensitive its messages are.
    pub sensitivity: Sensitivity,
    /// How long a receiver may keep them.
    pub retention: Option<Span>,
    /// How soon a receiver is to have them.
    pub deadline: Option<Span>,
    /// How long Wissel keeps them for replay; none: not at all.
    pub archive: Option<Span>,
    /// How many recipients a message must find.
    pub audience: Audience,
    /// What makes its messages questions; none: they are not.
    pub ask: Option<Ask>,
    /// What makes its messages cases; none: they are not.
    pub dispatch: Option<Dispatch>,
    /// Whether its messages say how cases stand: then they are not simply published.
    pub is_status: bool,
    /// The types of the reports that its messages may end, by correcting what they doubt.
    pub corrects: Vec<Arc<str>>,
    /// What makes its messages notices of matching signals; none: they are not.
    pub matching: Option<Matching>,
}

/// What makes the messages of an event type questions, each to one party, which answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The event type of the answers.
    pub answer: Arc<str>,
    /// How long an asker waits who does not say; at most so long in any case.
    pub within: Duration,
}

/// What makes the messages of an event type notices: parties that may receive them file
/// signals about subjects, and are told when those of two of them meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matching {
    /// Whom or what signals are about. The notices have no subject.
    pub subject: IdentifierKind,
    /// How long a signal is kept, at most.
    pub keep: Duration,
    /// The most signals that a party may file in an hour.
    pub signals_per_hour: NonZeroU32,
}

/// What the `subject` of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectKind {
    /// It is not said.
    #[default]
    Unsaid,
    /// There is none.
    None,
    /// There is one, of no kind that is known here.
    Other,
    /// An identifier.
    Identifier(IdentifierKind),
}

/// How sensitive messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// Anybody may know.
    Public,
    /// For public bodies.
    Internal,
    /// Personal data (AVG, article 4). What is not said to be less is this.
    #[default]
    Personal,
    /// Special categories of personal data (AVG, articles 9 and 10).
    Special,
}

/// How many recipients (parties) a message must find. One that finds another number is
/// refused to its publisher, never dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// Any number, none too.
    #[default]
    Any,
    /// At least one.
    AtLeastOne,
    /// Exactly one.
    ExactlyOne,
}

/// The right of a party to publish, or to receive, an event type.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Who.
    pub party: Oin,
    /// What.
    pub event_type: Arc<str>,
    /// Publish or receive.
    pub action: Action,
    /// What for (*doelbinding*).
    pub purpose: Arc<str>,
    /// By which law.
    pub legal_basis: Arc<str>,
    /// Row limits: of the messages of this type only those that match all of these.
    pub filters: Vec<Filter>,
    /// The same, made ready to be held against messages.
    pub limits: Condition,
    /// The fields of `data` that a receiver gets; none: `data` as it came.
    pub fields: Option<Arc<Fields>>,
    /// Whether the party's messages must do what they should ([`Party::strict`]).
    pub strict: bool,
}

/// The fields that a receiver gets of one event type. Grants that allow the same share
/// one, unless their row limits look into what they leave out.
#[derive(Debug)]
pub struct Fields {
    /// Which.
    pub set: FieldSet,
    /// What minimised data fits.
    pub projection: Projection,
    /// The places of `data` that the row limits look into and the receiver does not get.
    pub hidden: Vec<String>,
    /// Stands for the fields, and where there are hidden places for the row limits as well:
    /// a message that was cut down under the same key was within these.
    pub key: u64,
}

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// To publish messages of the type.
    Publish,
    /// To receive them.
    Receive,
}

/// The right of a party to act for another (*machtiging*).
#[derive(Debug)]
pub struct Mandate {
    /// Who acts.
    pub party: Oin,
    /// For whom.
    pub principal: Oin,
    /// To do what; at least one.
    pub actions: Vec<Action>,
    /// With which event types; none: all that the principal may.
    pub types: Option<Vec<String>>,
    /// The decision that it rests on.
    pub basis: Arc<str>,
    /// From when on.
    pub from: Option<SystemTime>,
    /// Until when, this moment not included.
    pub until: SystemTime,
}

/// A subscription that stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSubscription {
    /// Its name; the owner is in it.
    pub name: SubscriptionName,
    /// The inbox it feeds.
    pub inbox: InboxName,
    /// The event types wanted; none: every type that the owner may receive.
    pub types: Vec<String>,
    /// All must match.
    pub filters: Vec<Filter>,
    /// Whether deliveries of one subject come one after the other.
    pub ordered: bool,
}

impl EventType {
    /// By when a message that was admitted then is to be with its receivers.
    #[must_use]
    pub fn deadline_of(&self, admitted_at: SystemTime) -> Option<SystemTime> {
        admitted_at.checked_add(length_of(self.deadline?)?)
    }

    /// Until when a message that was admitted then is kept for replay.
    #[must_use]
    pub fn archive_until(&self, admitted_at: SystemTime) -> Option<SystemTime> {
        admitted_at.checked_add(length_of(self.archive?)?)
    }
}

/// How long a span is, that of months and years counted from the first of January of a year
/// that is no leap year.
pub(crate) fn length_of(span: Span) -> Option<Duration> {
    let begin = jiff::civil::date(2026, 1, 1);
    span.to_duration(begin).ok()?.try_into().ok()
}

impl Matching {
    /// How many signals a party may file in an hour, where the catalogue does not say.
    pub const SIGNALS_PER_HOUR: NonZeroU32 = NonZeroU32::new(60).unwrap();
}

impl SubjectKind {
    /// The name of the kind of identifier, when it is one.
    #[must_use]
    pub fn identifier(self) -> Option<&'static str> {
        match self {
            Self::Identifier(kind) => Some(kind.name()),
            _ => None,
        }
    }
}

impl Fields {
    /// Those of a grant with these row limits.
    pub(crate) fn new(set: FieldSet, projection: Projection, filters: &[Filter]) -> Self {
        let mut hidden: Vec<String> = filters.iter().flat_map(Filter::data_pointers).collect();
        hidden.retain(|pointer| !set.allows(pointer));
        let key = if hidden.is_empty() { set.key() } else { set.key_with(&written(filters)) };
        Self { set, projection, hidden, key }
    }
}

impl Grant {
    /// Whether a message of the type, as it was published, is within the row limits.
    #[must_use]
    pub fn covers(&self, event: &EventView) -> bool {
        self.limits.holds(&EventFacts::new(event))
    }
}

impl Mandate {
    /// Whether it holds at this moment.
    #[must_use]
    pub fn holds_at(&self, moment: SystemTime) -> bool {
        self.from.is_none_or(|from| from <= moment) && moment < self.until
    }

    /// Whether it is for doing this, with this event type.
    #[must_use]
    pub fn covers(&self, action: Action, event_type: &str) -> bool {
        self.actions.contains(&action)
            && self.types.as_ref().is_none_or(|types| types.iter().any(|one| one == event_type))
    }
}

impl Audience {
    /// Whether so many recipients are right.
    #[must_use]
    pub fn is_met_by(self, recipients: usize) -> bool {
        match self {
            Self::Any => true,
            Self::AtLeastOne => recipients >= 1,
            Self::ExactlyOne => recipients == 1,
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any number",
            Self::AtLeastOne => "at least one",
            Self::ExactlyOne => "exactly one",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Receive => "receive",
        })
    }
}
