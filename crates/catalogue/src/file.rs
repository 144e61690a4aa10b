//! What stands in a file, before it is checked.

use std::num::NonZeroU32;

use serde::Deserialize;
use toml::Spanned;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, KvkNumber, Oin, SubscriptionName};

use crate::{Action, Audience, Sensitivity};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) party: Vec<Spanned<Party>>,
    #[serde(default)]
    pub(crate) event_type: Vec<Spanned<EventType>>,
    #[serde(default)]
    pub(crate) grant: Vec<Spanned<Grant>>,
    #[serde(default)]
    pub(crate) mandate: Vec<Spanned<Mandate>>,
    #[serde(default)]
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
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected one, or a list of them, each spelled as documented")]
pub(crate) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

/// Why a file cannot be read.
pub(crate) struct Unreadable {
    /// Where what is wrong begins.
    pub(crate) start: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
}

impl File {
    /// Reads a file. What is no draft has all that its kind must have.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, Unreadable> {
        let file: Self = toml::from_str(text).map_err(|error| Unreadable {
            start: error.span().map(|span| span.start),
            message: error.message().to_owned(),
        })?;
        let types = file.event_type.iter().map(|one| (one.span(), one.get_ref().missing()));
        let grants = file.grant.iter().map(|one| (one.span(), one.get_ref().missing()));
        match types.chain(grants).find_map(|(span, field)| Some((span, field?))) {
            Some((span, field)) => {
                let message = format!("missing field `{field}`");
                Err(Unreadable { start: Some(span.start), message })
            }
            None => Ok(file),
        }
    }
}

impl EventType {
    /// A field that it must have, as it is no draft.
    fn missing(&self) -> Option<&'static str> {
        let needed = [("owner", self.owner.is_some()), ("description", self.description.is_some())];
        missing(self.draft, needed)
    }
}

impl Grant {
    /// A field that it must have, as it is no draft.
    fn missing(&self) -> Option<&'static str> {
        let needed =
            [("purpose", self.purpose.is_some()), ("legal_basis", self.legal_basis.is_some())];
        missing(self.draft, needed)
    }
}

fn missing(draft: bool, needed: [(&'static str, bool); 2]) -> Option<&'static str> {
    let (field, _) = needed.into_iter().find(|(_, is_there)| !is_there)?;
    (!draft).then_some(field)
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
