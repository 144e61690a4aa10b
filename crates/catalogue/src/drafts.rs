//! What is planned and not in force.

use std::fmt;
use std::sync::Arc;

use wissel_filter::Filter;
use wissel_identifiers::Oin;

use crate::{Action, CatalogueError};

/// The drafts of a catalogue. They stand apart from rights: no look-up of a right can find
/// one.
#[derive(Debug, Default)]
pub struct Drafts {
    pub(crate) types: Vec<DraftType>,
    pub(crate) grants: Vec<DraftGrant>,
    pub(crate) warnings: Vec<CatalogueError>,
}

/// An event type that is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftType {
    /// In reverse domain name notation. No event type in force has it.
    pub name: Arc<str>,
    /// The party that is to answer for it, when that is known.
    pub owner: Option<Oin>,
    /// One sentence, when it is written.
    pub description: Option<String>,
    /// What it must have before it makes sense to put it in force.
    pub lacks: Vec<Lack>,
}

/// A right that is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftGrant {
    /// Who. It has no grant in force to do this.
    pub party: Oin,
    /// What: an event type in force, or a draft.
    pub event_type: Arc<str>,
    /// Publish or receive.
    pub action: Action,
    /// What for, when that is known.
    pub purpose: Option<Arc<str>>,
    /// By which law, when that is known.
    pub legal_basis: Option<Arc<str>>,
    /// Row limits, as of a grant.
    pub filters: Vec<Filter>,
    /// The fields of `data` that a receiver is to get; none: `data` as it comes.
    pub fields: Option<Vec<String>>,
    /// What it must have before it can be put in force.
    pub lacks: Vec<Lack>,
}

/// What a draft lacks to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A party that answers for the event type.
    Owner,
    /// A sentence that says what the event type is.
    Description,
    /// A grant to publish the event type, be it a draft.
    Publisher,
    /// A grant to receive the event type, be it a draft.
    Receiver,
    /// What the grant is for.
    Purpose,
    /// The law on which the grant rests.
    LegalBasis,
    /// An event type in force: that of the grant, or one that the event type names, is a
    /// draft itself.
    EventType,
}

impl Drafts {
    /// Event types, by name.
    #[must_use]
    pub fn types(&self) -> &[DraftType] {
        &self.types
    }

    /// Grants, by event type, action and OIN of the party.
    #[must_use]
    pub fn grants(&self) -> &[DraftGrant] {
        &self.grants
    }

    /// Grants on one event type, in force or a draft, by action and OIN of the party.
    #[must_use]
    pub fn grants_on(&self, event_type: &str) -> &[DraftGrant] {
        let begin = self.grants.partition_point(|one| *one.event_type < *event_type);
        let rest = &self.grants[begin..];
        &rest[..rest.partition_point(|one| *one.event_type == *event_type)]
    }

    /// Where each entry of a file stands that is a draft, and what it lacks.
    #[must_use]
    pub fn warnings(&self) -> &[CatalogueError] {
        &self.warnings
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.grants.is_empty()
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "an owner",
            Self::Description => "a description",
            Self::Publisher => "a grant to publish it",
            Self::Receiver => "a grant to receive it",
            Self::Purpose => "a purpose",
            Self::LegalBasis => "a legal basis",
            Self::EventType => "an event type in force",
        })
    }
}
