//! From texts to a checked model, with every fault on the way.

mod cases;
mod coherence;
mod drafts;
mod event_types;
mod grants;
mod mandates;
mod patterns;
mod reports;
mod subscriptions;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use toml::Spanned;
use wissel_identifiers::{Oin, SubscriptionName};
use wissel_schema::FieldSet;

use crate::catalogue::beside;
use crate::file::{self, File};
use crate::reading::Unreadable;
use crate::{Catalogue, CatalogueError, CatalogueErrors, Fields, Party};

/// A file's name and text.
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

/// Where something stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    source: &'a Source,
    start: Option<usize>,
}

/// Reads a file that another one names.
pub(crate) type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

pub(crate) fn check(sources: &[Source], read: Reader<'_>) -> Result<Catalogue, CatalogueErrors> {
    let mut checker = Checker::new(read);
    let mut files = Vec::new();
    for source in sources {
        checker.catalogue.texts.insert(source.file.clone(), source.text.clone());
        let (file, unreadable) = File::read(&source.text);
        files.push((source, file));
        checker.unread += unreadable.len();
        let last = unreadable.len().saturating_sub(1);
        for (index, Unreadable { start, mut message }) in unreadable.into_iter().enumerate() {
            if index == last {
                message.push_str("; what refers to this file is checked when it can be read");
            }
            checker.fault(Place { source, start }, message);
        }
    }
    // Everything that is referred to first, so that the order of files is free.
    each(&mut files, |file| &mut file.party, |place, one| checker.party(place, one));
    each(&mut files, |file| &mut file.event_type, |place, one| checker.event_type(place, one));
    each(&mut files, |file| &mut file.grant, |place, one| checker.grant(place, &one));
    each(&mut files, |file| &mut file.mandate, |place, one| checker.mandate(place, &one));
    checker.finish_drafts();
    checker.catalogue.index_received();
    checker.watch_cases();
    each(&mut files, |file| &mut file.subscription, |place, one| checker.subscription(place, one));
    if checker.is_complete() {
        checker.patterns();
        checker.coherence();
    }
    checker.finish()
}

fn each<'a, T>(
    files: &mut [(&'a Source, File)],
    part: impl Fn(&mut File) -> &mut Vec<Spanned<T>>,
    mut check: impl FnMut(Place<'a>, T),
) {
    for (source, file) in files {
        for one in std::mem::take(part(file)) {
            let place = Place { source, start: Some(one.span().start) };
            check(place, one.into_inner());
        }
    }
}

struct Checker<'a> {
    catalogue: Catalogue,
    subscription_names: HashSet<SubscriptionName>,
    /// The event types that say how cases stand.
    statuses: HashSet<Arc<str>>,
    /// Where the event types stand.
    types: HashMap<Arc<str>, Place<'a>>,
    drafts: drafts::Found<'a>,
    /// The field sets of each event type, by their keys as well.
    fields: HashMap<(Arc<str>, FieldSet, u64), Arc<Fields>>,
    now: SystemTime,
    /// How files are read that others name.
    reader: Reader<'a>,
    errors: Vec<CatalogueError>,
    /// How many faults are of what cannot be read; they come first. What is not there may then
    /// stand in one of these entries.
    unread: usize,
}

impl<'a> Checker<'a> {
    fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            catalogue: Catalogue::default(),
            subscription_names: HashSet::new(),
            statuses: HashSet::new(),
            types: HashMap::new(),
            drafts: drafts::Found::default(),
            fields: HashMap::new(),
            now: SystemTime::now(),
            errors: Vec::new(),
            unread: 0,
        }
    }

    fn finish(mut self) -> Result<Catalogue, CatalogueErrors> {
        let in_order = |all: &mut [CatalogueError]| {
            all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        };
        let Catalogue { warnings, drafts, .. } = &mut self.catalogue;
        in_order(warnings);
        in_order(&mut drafts.warnings);
        if self.errors.is_empty() {
            return Ok(self.catalogue);
        }
        // The cause before what comes of it.
        in_order(&mut self.errors[self.unread..]);
        warnings.append(&mut drafts.warnings);
        in_order(warnings);
        Err(CatalogueErrors { faults: self.errors, warnings: self.catalogue.warnings })
    }

    fn party(&mut self, place: Place<'a>, party: file::Party) {
        let file::Party { oin, name, kvk_number, strict, publish_per_second, exchange } = party;
        if name.trim().is_empty() {
            self.fault(place, format!("party {oin} has no name"));
        }
        if exchange && let Some(other) = self.catalogue.exchange.replace(oin) {
            let message = format!("party {oin} is the exchange, and so is {other}; expected one");
            self.fault(place, message);
        }
        let party = Party { oin, name, kvk_number, strict, publish_per_second };
        if self.catalogue.parties.insert(oin, party).is_some() {
            self.fault(place, format!("party {oin} is there twice"));
        }
    }

    fn known_party(&mut self, place: Place<'a>, oin: Oin, what: &str) {
        if !self.catalogue.parties.contains_key(&oin) {
            self.dangling(place, format!("{what} is no party: {oin}"));
        }
    }

    /// A fault of something that refers to what is not there, when all that is there is known.
    fn dangling(&mut self, place: Place<'a>, message: String) {
        if self.is_complete() {
            self.fault(place, message);
        }
    }

    /// A fault of something in force that refers to an event type that is not.
    fn not_in_force(&mut self, place: Place<'a>, of: &str, event_type: &str) {
        if self.is_draft(event_type) {
            let message =
                format!("{of}: event type {event_type} is a draft; expected one in force");
            self.fault(place, message);
        } else {
            self.dangling(place, format!("{of}: no event type {event_type:?}"));
        }
    }

    /// What is said of a part that names no event type in force.
    fn no_event_type(&self, what: &str, name: &str) -> String {
        if self.is_draft(name) {
            return format!("{what} is a draft: {name:?}; expected an event type in force");
        }
        format!("{what} is no event type: {name:?}")
    }

    fn is_complete(&self) -> bool {
        self.unread == 0
    }

    /// A text that must say something.
    fn said(&mut self, place: Place<'a>, text: &str, of: &str, what: &str) {
        if text.trim().is_empty() {
            self.fault(place, format!("{of} has no {what}"));
        }
    }

    /// A file that another one names.
    fn read(&mut self, place: Place<'a>, name: &str) -> Result<String, String> {
        let path = beside(&place.source.file, name)
            .ok_or_else(|| format!("{name:?}: expected a file beside or below this one"))?;
        let text = (self.reader)(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.catalogue.texts.insert(path, text.clone());
        Ok(text)
    }

    fn fault(&mut self, place: Place<'a>, message: String) {
        self.errors.push(place.error(message));
    }

    fn warn(&mut self, place: Place<'a>, message: String) {
        self.catalogue.warnings.push(place.error(message));
    }
}

impl<'a> Place<'a> {
    /// The place of something in the same file.
    fn of<T>(self, spanned: &Spanned<T>) -> Self {
        Self { start: Some(spanned.span().start), ..self }
    }

    fn error(self, message: String) -> CatalogueError {
        let line = self.start.map(|start| {
            let before = self.source.text.get(..start).unwrap_or(&self.source.text);
            before.bytes().filter(|byte| *byte == b'\n').count() + 1
        });
        CatalogueError { file: self.source.file.clone(), line, message }
    }
}
