use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, Oin, SubscriptionName};

use crate::check::{Source, check};
use crate::{CatalogueError, CatalogueErrors};

/// Parties, event types, grants and declared subscriptions, checked: whatever one
/// refers to is there, and nothing is there twice.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub(crate) parties: BTreeMap<Oin, Party>,
    pub(crate) event_types: BTreeMap<String, EventType>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) subscriptions: Vec<DeclaredSubscription>,
    pub(crate) publishable: HashMap<Oin, HashSet<String>>,
    pub(crate) receivable: HashMap<Oin, HashSet<String>>,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Names it.
    pub oin: Oin,
    /// What people call it.
    pub name: String,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventType {
    /// In reverse domain name notation.
    pub name: String,
    /// The party that answers for it.
    pub owner: Oin,
    /// One sentence.
    pub description: String,
}

/// The right of a party to publish, or to receive, an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub party: Oin,
    /// What.
    pub event_type: String,
    /// Publish or receive.
    pub action: Action,
    /// What for (*doelbinding*).
    pub purpose: String,
    /// By which law.
    pub legal_basis: String,
}

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// To publish messages of the type.
    Publish,
    /// To receive them.
    Receive,
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
}

impl Catalogue {
    /// Reads a file, or every `*.toml` of a directory in the order of their names.
    ///
    /// # Errors
    /// Every fault in every file.
    pub fn load(path: &Path) -> Result<Self, CatalogueErrors> {
        let mut errors = Vec::new();
        let mut sources = Vec::new();
        match files(path) {
            Ok(files) => {
                for file in files {
                    match std::fs::read_to_string(&file) {
                        Ok(text) => sources.push(Source { file, text }),
                        Err(error) => errors.push(unreadable(file, &error)),
                    }
                }
            }
            Err(error) => errors.push(unreadable(path.to_owned(), &error)),
        }
        if errors.is_empty() && sources.is_empty() {
            let message = "holds no *.toml file; expected at least one".to_owned();
            errors.push(CatalogueError { file: path.to_owned(), line: None, message });
        }
        if errors.is_empty() { check(&sources) } else { Err(CatalogueErrors(errors)) }
    }

    /// Reads one text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// Every fault in the text.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, CatalogueErrors> {
        check(&[Source { file: name.into(), text: text.to_owned() }])
    }

    /// A party.
    #[must_use]
    pub fn party(&self, oin: &Oin) -> Option<&Party> {
        self.parties.get(oin)
    }

    /// Every party, by OIN.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// An event type.
    #[must_use]
    pub fn event_type(&self, name: &str) -> Option<&EventType> {
        self.event_types.get(name)
    }

    /// Every event type, by name.
    pub fn event_types(&self) -> impl Iterator<Item = &EventType> {
        self.event_types.values()
    }

    /// Every grant, in the order of the files.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Every declared subscription, in the order of the files.
    #[must_use]
    pub fn subscriptions(&self) -> &[DeclaredSubscription] {
        &self.subscriptions
    }

    /// Whether a party may publish an event type. Two look-ups, no allocation.
    #[must_use]
    pub fn may_publish(&self, party: &Oin, event_type: &str) -> bool {
        self.publishable.get(party).is_some_and(|types| types.contains(event_type))
    }

    /// Whether a party may receive an event type. Two look-ups, no allocation.
    #[must_use]
    pub fn may_receive(&self, party: &Oin, event_type: &str) -> bool {
        self.receivable.get(party).is_some_and(|types| types.contains(event_type))
    }
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(file: PathBuf, error: &std::io::Error) -> CatalogueError {
    CatalogueError { file, line: None, message: format!("cannot be read: {error}") }
}
