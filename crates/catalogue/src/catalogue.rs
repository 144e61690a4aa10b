use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use wissel_identifiers::Oin;

use crate::check::{Source, check};
use crate::file;
use crate::{
    Action, CatalogueError, CatalogueErrors, DeclaredSubscription, Drafts, EventType, Grant,
    Mandate, Party,
};

pub(crate) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Parties, event types, grants, mandates and declared subscriptions, checked: whatever
/// one refers to is there, and nothing is there twice. Made for looking up rights: one
/// look-up for the event type, one for the party.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub(crate) parties: BTreeMap<Oin, Party>,
    pub(crate) exchange: Option<Oin>,
    pub(crate) types: FastMap<Arc<str>, TypeRights>,
    /// By who acts, and for whom.
    pub(crate) mandates: FastMap<(Oin, Oin), Vec<Arc<Mandate>>>,
    /// Every grant to receive, by party, in the order of the files.
    pub(crate) received_by: FastMap<Oin, Vec<Arc<Grant>>>,
    pub(crate) subscriptions: Vec<DeclaredSubscription>,
    pub(crate) drafts: Drafts,
    pub(crate) warnings: Vec<CatalogueError>,
    /// What the files held that it was read from.
    pub(crate) texts: BTreeMap<PathBuf, String>,
}

/// An event type, and who may do what with it.
#[derive(Debug)]
pub struct TypeRights {
    /// The event type.
    pub event_type: EventType,
    pub(crate) publishers: FastMap<Oin, Arc<Grant>>,
    pub(crate) receivers: FastMap<Oin, Arc<Grant>>,
}

impl TypeRights {
    /// The grant of a party to publish this type.
    #[must_use]
    pub fn publish_grant(&self, party: &Oin) -> Option<&Arc<Grant>> {
        self.publishers.get(party)
    }

    /// The grant of a party to receive this type.
    #[must_use]
    pub fn receive_grant(&self, party: &Oin) -> Option<&Arc<Grant>> {
        self.receivers.get(party)
    }

    /// Every grant to do this with the type, by OIN of the party.
    #[must_use]
    pub fn grants(&self, action: Action) -> Vec<&Arc<Grant>> {
        let mut all: Vec<_> = self.of(action).values().collect();
        all.sort_by_key(|grant| grant.party);
        all
    }

    pub(crate) fn of(&self, action: Action) -> &FastMap<Oin, Arc<Grant>> {
        match action {
            Action::Publish => &self.publishers,
            Action::Receive => &self.receivers,
        }
    }
}

impl Catalogue {
    /// Reads a file, or every `*.toml` of a directory in the order of their names, and
    /// the schemas and examples that they name.
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
        if !errors.is_empty() {
            return Err(CatalogueErrors { faults: errors, warnings: Vec::new() });
        }
        let mut catalogue = check(&sources, &|file| std::fs::read_to_string(file))?;
        let root = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let texts = std::mem::take(&mut catalogue.texts).into_iter();
        let below = |file: PathBuf| file.strip_prefix(root).map(Path::to_owned).unwrap_or(file);
        catalogue.texts = texts.map(|(file, text)| (below(file), text)).collect();
        Ok(catalogue)
    }

    /// Reads what [`Catalogue::files_read`] gives, wherever that was read: every file that
    /// lies in no directory is a part of the catalogue, unless another one names it.
    ///
    /// # Errors
    /// Every fault in every file.
    pub fn from_files(files: &BTreeMap<PathBuf, String>) -> Result<Self, CatalogueErrors> {
        let named: BTreeSet<PathBuf> = files
            .iter()
            .flat_map(|(file, text)| {
                file::named_files(text).into_iter().filter_map(|name| beside(file, &name))
            })
            .collect();
        let is_part = |file: &Path| file.parent() == Some(Path::new("")) && !named.contains(file);
        let parts = files.iter().filter(|(file, _)| is_part(file));
        let sources: Vec<Source> =
            parts.map(|(file, text)| Source { file: file.clone(), text: text.clone() }).collect();
        let read = |file: &Path| {
            files.get(file).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        check(&sources, &read)
    }

    /// What the files held that this was read from, schemas and examples too, by their names
    /// as they lie beside each other.
    #[must_use]
    pub fn files_read(&self) -> &BTreeMap<PathBuf, String> {
        &self.texts
    }

    /// Every file that a catalogue is made of, whether it has faults or not: each `*.toml`,
    /// and the schemas and examples that they name, as far as that can be read.
    #[must_use]
    pub fn files(path: &Path) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for file in files(path).unwrap_or_default() {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let named = file::named_files(&text);
            all.extend(named.iter().filter_map(|name| beside(&file, name)));
            all.push(file);
        }
        all
    }

    /// Reads one text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// Every fault in the text.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, CatalogueErrors> {
        let source = Source { file: name.into(), text: text.to_owned() };
        check(&[source], &|file| std::fs::read_to_string(file))
    }

    /// Whether another catalogue was read from files that held the same, those of schemas
    /// and examples too.
    #[must_use]
    pub fn is_of_same_files(&self, other: &Self) -> bool {
        self.texts == other.texts
    }

    pub(crate) fn index_received(&mut self) {
        self.received_by.clear();
        let mut names: Vec<&Arc<str>> = self.types.keys().collect();
        names.sort();
        for name in names {
            for (party, grant) in &self.types[name].receivers {
                self.received_by.entry(*party).or_default().push(Arc::clone(grant));
            }
        }
    }

    /// A party.
    #[must_use]
    pub fn party(&self, oin: &Oin) -> Option<&Party> {
        self.parties.get(oin)
    }

    /// The party that is Wissel itself, which relays answers and watches over cases.
    #[must_use]
    pub fn exchange(&self) -> Option<Oin> {
        self.exchange
    }

    /// Every party, by OIN.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// An event type with the rights on it. One look-up, no allocation.
    #[must_use]
    pub fn rights(&self, event_type: &str) -> Option<&TypeRights> {
        self.types.get(event_type)
    }

    /// An event type.
    #[must_use]
    pub fn event_type(&self, name: &str) -> Option<&EventType> {
        self.types.get(name).map(|rights| &rights.event_type)
    }

    /// Every event type, by name.
    pub fn event_types(&self) -> impl Iterator<Item = &EventType> {
        let mut all: Vec<&EventType> =
            self.types.values().map(|rights| &rights.event_type).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.into_iter()
    }

    /// How many event types there are.
    #[must_use]
    pub fn type_count(&self) -> usize {
        self.types.len()
    }

    /// A party's grant to do something with an event type. Two look-ups, no allocation.
    #[must_use]
    pub fn grant(&self, party: &Oin, action: Action, event_type: &str) -> Option<&Arc<Grant>> {
        self.types.get(event_type)?.of(action).get(party)
    }

    /// Every grant of a party to receive, by event type.
    #[must_use]
    pub fn grants_to_receive(&self, party: &Oin) -> &[Arc<Grant>] {
        self.received_by.get(party).map_or(&[], Vec::as_slice)
    }

    /// Every grant of a party to do this, by event type. Looks at all types for those to
    /// publish.
    #[must_use]
    pub fn grants_of(&self, party: &Oin, action: Action) -> Vec<&Arc<Grant>> {
        if action == Action::Receive {
            return self.grants_to_receive(party).iter().collect();
        }
        let all = self.types.values();
        let mut all: Vec<_> = all.filter_map(|rights| rights.of(action).get(party)).collect();
        all.sort_by(|one, other| one.event_type.cmp(&other.event_type));
        all
    }

    /// How many grants there are.
    #[must_use]
    pub fn grant_count(&self) -> usize {
        self.types.values().map(|rights| rights.publishers.len() + rights.receivers.len()).sum()
    }

    /// How many mandates there are.
    #[must_use]
    pub fn mandate_count(&self) -> usize {
        self.mandates.values().map(Vec::len).sum()
    }

    /// The mandates of a party to act for another, those that do not hold now as well.
    #[must_use]
    pub fn mandates(&self, party: Oin, principal: Oin) -> &[Arc<Mandate>] {
        self.mandates.get(&(party, principal)).map_or(&[], Vec::as_slice)
    }

    /// Every mandate by which a party acts for another, or another for it: by OIN of who
    /// acts, then of whom it acts for. Looks at all that there are.
    #[must_use]
    pub fn mandates_about(&self, party: Oin) -> Vec<&Arc<Mandate>> {
        let about = self
            .mandates
            .iter()
            .filter(|((actor, principal), _)| *actor == party || *principal == party);
        let mut all: Vec<_> = about.flat_map(|(_, mandates)| mandates).collect();
        all.sort_by_key(|one| (one.party, one.principal, one.until));
        all
    }

    /// A mandate that holds at this moment, to do this with this event type.
    #[must_use]
    pub fn mandate(
        &self,
        party: Oin,
        principal: Oin,
        action: Action,
        event_type: &str,
        moment: SystemTime,
    ) -> Option<&Arc<Mandate>> {
        let mut all = self.mandates(party, principal).iter();
        all.find(|one| one.holds_at(moment) && one.covers(action, event_type))
    }

    /// Every declared subscription, in the order of the files.
    #[must_use]
    pub fn subscriptions(&self) -> &[DeclaredSubscription] {
        &self.subscriptions
    }

    /// What is planned, and gives no right.
    #[must_use]
    pub fn drafts(&self) -> &Drafts {
        &self.drafts
    }

    /// What does not cohere and is no error: a type that nobody receives, a mandate that
    /// has ended.
    #[must_use]
    pub fn warnings(&self) -> &[CatalogueError] {
        &self.warnings
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

/// What a file means by the name of another, which lies beside or below it.
pub(crate) fn beside(file: &Path, name: &str) -> Option<PathBuf> {
    let is_below = Path::new(name).components().all(|one| matches!(one, Component::Normal(_)));
    let directory = file.parent().unwrap_or(Path::new(""));
    (is_below && !name.is_empty()).then(|| directory.join(name))
}

fn unreadable(file: PathBuf, error: &std::io::Error) -> CatalogueError {
    CatalogueError { file, line: None, message: format!("cannot be read: {error}") }
}
