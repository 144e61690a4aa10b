//! From texts to a checked model, with every fault on the way.

use std::collections::HashSet;
use std::path::PathBuf;

use toml::Spanned;
use wissel_identifiers::{Oin, SubscriptionName};

use crate::file::{self, File};
use crate::{
    Action, Catalogue, CatalogueError, CatalogueErrors, DeclaredSubscription, EventType, Grant,
    Party,
};

/// A file's name and text.
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

pub(crate) fn check(sources: &[Source]) -> Result<Catalogue, CatalogueErrors> {
    let mut checker = Checker::default();
    let mut files = Vec::new();
    for source in sources {
        match toml::from_str::<File>(&source.text) {
            Ok(file) => files.push((source, file)),
            Err(error) => {
                let start = error.span().map(|span| span.start);
                checker.fault(source, start, error.message().to_owned());
            }
        }
    }
    // Everything that is referred to first, so that the order of files is free.
    for (source, file) in &mut files {
        let parties = std::mem::take(&mut file.party);
        parties.into_iter().for_each(|party| checker.party(source, party));
    }
    for (source, file) in &mut files {
        let types = std::mem::take(&mut file.event_type);
        types.into_iter().for_each(|event_type| checker.event_type(source, event_type));
    }
    for (source, file) in &mut files {
        let grants = std::mem::take(&mut file.grant);
        grants.into_iter().for_each(|grant| checker.grant(source, &grant));
    }
    for (source, file) in &mut files {
        let subscriptions = std::mem::take(&mut file.subscription);
        subscriptions.into_iter().for_each(|one| checker.subscription(source, one));
    }
    if checker.errors.is_empty() {
        Ok(checker.catalogue)
    } else {
        Err(CatalogueErrors(checker.errors))
    }
}

#[derive(Default)]
struct Checker {
    catalogue: Catalogue,
    subscription_names: HashSet<SubscriptionName>,
    errors: Vec<CatalogueError>,
}

impl Checker {
    fn party(&mut self, source: &Source, spanned: Spanned<file::Party>) {
        let start = spanned.span().start;
        let file::Party { oin, name } = spanned.into_inner();
        if name.trim().is_empty() {
            self.fault(source, Some(start), format!("party {oin} has no name"));
        }
        if self.catalogue.parties.insert(oin, Party { oin, name }).is_some() {
            self.fault(source, Some(start), format!("party {oin} is there twice"));
        }
    }

    fn event_type(&mut self, source: &Source, spanned: Spanned<file::EventType>) {
        let start = spanned.span().start;
        let file::EventType { name, owner, description } = spanned.into_inner();
        if !is_reverse_dns(&name) {
            let expected = "expected reverse domain name notation such as nl.brp.geboorte";
            self.fault(source, Some(start), format!("event type {name:?}: {expected}"));
        }
        if description.trim().is_empty() {
            self.fault(source, Some(start), format!("event type {name} has no description"));
        }
        self.known_party(source, start, owner, &format!("the owner of event type {name}"));
        let event_type = EventType { name: name.clone(), owner, description };
        if self.catalogue.event_types.insert(name.clone(), event_type).is_some() {
            self.fault(source, Some(start), format!("event type {name} is there twice"));
        }
    }

    fn grant(&mut self, source: &Source, spanned: &Spanned<file::Grant>) {
        let start = spanned.span().start;
        let grant = spanned.get_ref();
        let file::Grant { party, action, purpose, legal_basis, .. } = grant;
        self.known_party(source, start, *party, "the party of a grant");
        for (what, text) in [("purpose", purpose), ("legal basis", legal_basis)] {
            if text.trim().is_empty() {
                self.fault(source, Some(start), format!("a grant of party {party} has no {what}"));
            }
        }
        for event_type in grant.event_type.as_slice() {
            if !self.catalogue.event_types.contains_key(event_type) {
                let message = format!("a grant of party {party}: no event type {event_type:?}");
                self.fault(source, Some(start), message);
            }
            let catalogue = &mut self.catalogue;
            let index = match action {
                Action::Publish => &mut catalogue.publishable,
                Action::Receive => &mut catalogue.receivable,
            };
            if !index.entry(*party).or_default().insert(event_type.clone()) {
                let message = format!("party {party} has this grant on {event_type} twice");
                self.fault(source, Some(start), message);
            }
            self.catalogue.grants.push(Grant {
                party: *party,
                event_type: event_type.clone(),
                action: *action,
                purpose: purpose.clone(),
                legal_basis: legal_basis.clone(),
            });
        }
    }

    fn subscription(&mut self, source: &Source, spanned: Spanned<file::Subscription>) {
        let start = spanned.span().start;
        let file::Subscription { name, inbox, types, filters } = spanned.into_inner();
        let owner = name.owner();
        self.known_party(source, start, owner, &format!("the owner of subscription {name}"));
        let own_name = || name.as_str().parse().expect("both names are made alike");
        let inbox = inbox.unwrap_or_else(own_name);
        if inbox.owner() != owner {
            let message = format!("subscription {name} feeds an inbox of another party");
            self.fault(source, Some(start), message);
        }
        for event_type in &types {
            if !self.catalogue.may_receive(&owner, event_type) {
                let message = format!(
                    "subscription {name}: party {owner} has no grant to receive {event_type:?}"
                );
                self.fault(source, Some(start), message);
            }
        }
        for filter in &filters {
            if let Err(error) = filter.check() {
                self.fault(source, Some(start), format!("subscription {name}: {error}"));
            }
        }
        if !self.subscription_names.insert(name.clone()) {
            self.fault(source, Some(start), format!("subscription {name} is there twice"));
        }
        let declared = DeclaredSubscription { name, inbox, types, filters };
        self.catalogue.subscriptions.push(declared);
    }

    fn known_party(&mut self, source: &Source, start: usize, oin: Oin, what: &str) {
        if !self.catalogue.parties.contains_key(&oin) {
            self.fault(source, Some(start), format!("{what} is no party: {oin}"));
        }
    }

    fn fault(&mut self, source: &Source, start: Option<usize>, message: String) {
        let line = start.map(|start| {
            let before = source.text.get(..start).unwrap_or(&source.text);
            before.bytes().filter(|byte| *byte == b'\n').count() + 1
        });
        self.errors.push(CatalogueError { file: source.file.clone(), line, message });
    }
}

/// At least two labels of `a-z`, `0-9` and `-`, separated by dots.
fn is_reverse_dns(name: &str) -> bool {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(allowed)
    };
    name.split('.').count() >= 2 && name.split('.').all(label)
}
