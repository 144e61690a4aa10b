//! What stands in a file, before it is checked.

use serde::Deserialize;
use toml::Spanned;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, Oin, SubscriptionName};

use crate::Action;

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
    pub(crate) subscription: Vec<Spanned<Subscription>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Party {
    pub(crate) oin: Oin,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventType {
    pub(crate) name: String,
    pub(crate) owner: Oin,
    pub(crate) description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) party: Oin,
    #[serde(rename = "type")]
    pub(crate) event_type: OneOrMore,
    pub(crate) action: Action,
    pub(crate) purpose: String,
    pub(crate) legal_basis: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscription {
    pub(crate) name: SubscriptionName,
    pub(crate) inbox: Option<InboxName>,
    #[serde(default)]
    pub(crate) types: Vec<String>,
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
}

/// One event type, or several with the same purpose and legal basis.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected an event type, or a list of event types")]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}
