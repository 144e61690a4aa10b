//! What stands in a file, before it is checked.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, KvkNumber, Oin, SubscriptionName};

use crate::{Action, Audience, Sensitivity};

#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) party: Vec<Spanned<Party>>,
    pub(crate) event_type: Vec<Spanned<EventType>>,
    pub(crate) grant: Vec<Spanned<Grant>>,
    pub(crate) mandate: Vec<Spanned<Mandate>>,
    pub(crate) subscription: Vec<Spanned<Subscription>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Party {
    pub(crate) oin: Oin,
    pub(crate) name: String,
    pub(crate) kvk_number: Option<KvkNumber>,
    #[serde(default)]
    pub(crate) strict: bool,
    pub(crate) publish_per_second: Option<NonZeroU32>,
    #[serde(default)]
    pub(crate) exchange: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventType {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) draft: bool,
    pub(crate) owner: Option<Oin>,
    pub(crate) description: Option<String>,
    pub(crate) subject: Option<Spanned<String>>,
    pub(crate) schema: Option<Spanned<Schema>>,
    pub(crate) example: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) sensitivity: Sensitivity,
    pub(crate) retention: Option<Spanned<String>>,
    pub(crate) deadline: Option<Spanned<String>>,
    pub(crate) archive: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) audience: Audience,
    pub(crate) ask: Option<Spanned<Ask>>,
    pub(crate) dispatch: Option<Spanned<Dispatch>>,
    pub(crate) report: Option<Spanned<Report>>,
    #[serde(rename = "match")]
    pub(crate) matching: Option<Spanned<Matching>>,
}

/// What makes the messages of an event type cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dispatch {
    pub(crate) status: String,
    pub(crate) term: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) remind: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) silence: Silence,
    pub(crate) decision: Option<String>,
}

/// What makes the messages of an event type reports.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) status: String,
    pub(crate) term: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) remind: Vec<Spanned<String>>,
    pub(crate) object: Spanned<String>,
    pub(crate) field: Spanned<String>,
    pub(crate) about: String,
    pub(crate) corrections: String,
}

/// What it means that nothing was decided in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Silence {
    #[default]
    Escalates,
    Consents,
}

/// What makes an event type a question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) answer: String,
    pub(crate) within: Spanned<String>,
}

/// What makes an event type the notices of matching signals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matching {
    pub(crate) subject: Spanned<String>,
    pub(crate) keep: Spanned<String>,
    pub(crate) signals_per_hour: Option<NonZeroU32>,
}

/// The name of a file, or the schema itself.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a file, or a JSON Schema as a table")]
pub(crate) enum Schema {
    File(String),
    Inline(toml::Table),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    #[serde(default)]
    pub(crate) draft: bool,
    pub(crate) party: OneOrMore<Oin>,
    #[serde(rename = "type")]
    pub(crate) event_type: OneOrMore<String>,
    pub(crate) action: Action,
    pub(crate) purpose: Option<String>,
    pub(crate) legal_basis: Option<String>,
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
    pub(crate) fields: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mandate {
    pub(crate) party: Oin,
    #[serde(rename = "for")]
    pub(crate) principal: Oin,
    #[serde(rename = "type")]
    pub(crate) event_type: Option<OneOrMore<String>>,
    pub(crate) action: OneOrMore<Action>,
    pub(crate) basis: String,
    pub(crate) from: Option<Spanned<String>>,
    pub(crate) until: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscription {
    pub(crate) name: SubscriptionName,
    pub(crate) inbox: Option<InboxName>,
    #[serde(default)]
    pub(crate) ordered: bool,
    #[serde(default)]
    pub(crate) types: Vec<String>,
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
}

/// One, or several for which the same holds.
#[derive(Debug)]
pub(crate) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    /// A text is one, so that what is wrong with it is told as of one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reading<T> {
            type Value = OneOrMore<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(text.into_deserializer()).map(OneOrMore::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMore::More)
            }
        }
        deserializer.deserialize_any(Reading(PhantomData))
    }
}

impl EventType {
    /// The fields that it must have and has not, as it is no draft.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let needed = [("owner", self.owner.is_some()), ("description", self.description.is_some())];
        missing(self.draft, needed)
    }
}

impl Grant {
    /// The fields that it must have and has not, as it is no draft.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let needed =
            [("purpose", self.purpose.is_some()), ("legal_basis", self.legal_basis.is_some())];
        missing(self.draft, needed)
    }
}

fn missing(draft: bool, needed: [(&'static str, bool); 2]) -> Vec<&'static str> {
    let needed = needed.into_iter().filter(|(_, is_there)| !draft && !is_there);
    needed.map(|(field, _)| field).collect()
}

impl<T> OneOrMore<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// The names of other files in a text, of which nothing else need be right.
pub(crate) fn named_files(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<toml::Table>() else { return Vec::new() };
    let event_types = table.get("event_type").and_then(toml::Value::as_array);
    let all = event_types.into_iter().flatten().flat_map(|event_type| {
        ["schema", "example"].map(|key| event_type.get(key).and_then(toml::Value::as_str))
    });
    all.flatten().map(str::to_owned).collect()
}
