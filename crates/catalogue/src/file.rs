//! What stands in a file, before it is checked.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};
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
        let wrong = |error: &toml::de::Error, message| Unreadable {
            start: error.span().map(|span| span.start),
            message,
        };
        let parsed = toml::Deserializer::parse(text)
            .map_err(|error| wrong(&error, error.message().to_owned()))?;
        let file: Self = serde_path_to_error::deserialize(parsed).map_err(|error| {
            let field = field(error.path());
            let error = error.inner();
            wrong(error, told(field.as_deref(), error, text))
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

/// The field that is read at the end of a path, by its name.
fn field(path: &Path) -> Option<String> {
    let mut names = path.iter().filter_map(|segment| match segment {
        // A value with its place is read as if it were a table.
        Segment::Map { key } if !key.starts_with("$__serde") => Some(key.clone()),
        _ => None,
    });
    names.next_back()
}

/// What is wrong, with its field; of an OIN with what stands there, and what one looks like.
fn told(field: Option<&str>, error: &toml::de::Error, text: &str) -> String {
    // A value that stands there by mistake may be the number of a person.
    let message = match error.message().split_once("expected ") {
        Some((begin, expected))
            if begin.starts_with("invalid type") || begin.starts_with("invalid value") =>
        {
            format!("another kind of value; expected {expected}")
        }
        _ => error.message().to_owned(),
    };
    let names_field = ["unknown field", "missing field", "duplicate field"];
    let field = match field {
        Some(field) if !names_field.iter().any(|begin| message.starts_with(begin)) => field,
        _ => return message,
    };
    if !["oin", "owner", "party", "for"].contains(&field) {
        return format!("{field}: {message}");
    }
    let written = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    // Whatever else stands there by mistake may be the number of a person.
    let shown = written.trim_matches('"').starts_with("0000") && written.len() < 40;
    let found = if shown { format!("{written}: ") } else { String::new() };
    format!("{field}: {found}{message}; expected 20 positions, such as 00000001002220647000")
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

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: &str = "[[grant]]\ntype = 'nl.x.y'\naction = 'publish'\npurpose = 'p'\n\
                         legal_basis = 'b'\n";

    fn fault(text: &str) -> String {
        File::read(text).err().map(|unreadable| unreadable.message).unwrap_or_default()
    }

    #[test]
    fn a_mistyped_oin_is_told_with_its_field_and_what_one_looks_like() {
        let seen = "such as 00000001002220647000";
        let one = fault(&format!("{GRANT}party = \"0000000100222064700\""));
        assert!(one.starts_with("party: \"0000000100222064700\": an OIN has 20"), "{one}");
        assert!(one.ends_with(seen), "{one}");
        let listed = format!("{GRANT}party = ['00000001002220647000', '0000000100222064700x']");
        let listed = fault(&listed);
        assert!(listed.starts_with("party: ") && listed.ends_with(seen), "{listed}");
        let owner = fault("[[event_type]]\nname = 'nl.x.y'\nowner = '4'");
        assert!(owner.starts_with("owner: an OIN has 20") && owner.ends_with(seen), "{owner}");
        // It may be the number of a person.
        let person = fault(&format!("{GRANT}party = '999990019'"));
        assert!(!person.contains("999990019"), "{person}");
        let number = fault(&format!("{GRANT}party = 4"));
        assert!(number.contains("expected a text, or a list of texts"), "{number}");
    }

    #[test]
    fn other_fields_are_named_as_well() {
        let action = fault(&GRANT.replace("'publish'", "'push'"));
        assert!(action.starts_with("action: unknown variant `push`"), "{action}");
        assert!(fault(&GRANT.replace("purpose", "propose")).starts_with("unknown field `propose`"));
    }
}
