use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;
use wissel_filter::{EventFacts, Facts as _, Operand, with_canonical};
use wissel_message::EventView;

use crate::affixes::Affixes;
use crate::bucket::{Bucket, Visitor};
use crate::entry::{Affix, AffixFiling, Entry, Filing, Place, Scope, name_of};
use crate::key::{Key, Keys, PlaceKeys};
use crate::pages::Pages;
use crate::plan::Spot;
use crate::predicates::Predicate;
use crate::scratch::Scratch;
use crate::sets::Members;

/// An immutable routing table. A changed copy shares what did not change.
pub struct Table<T> {
    keys: Keys,
    types: PlaceKeys,
    subjects: PlaceKeys,
    /// Filed under no event type.
    anywhere: Scoped<T>,
    by_type: Pages<Arc<Scoped<T>>>,
    /// By the values that a shape names.
    equal: Pages<Bucket<T>>,
    /// By the number of the set of subjects.
    sets: Pages<Bucket<T>>,
    pub(crate) members: Members,
    pub(crate) len: usize,
}

/// The kinds of look-up for messages of one type from which on no more are begun, but by
/// subject. Each message of the type is looked up by each of them.
const KINDS_OF_A_TYPE: usize = 32;
/// The same for messages of whatever type.
const KINDS_ANYWHERE: usize = 8;

/// What concerns messages of one event type.
struct Scoped<T> {
    /// Filed under the type and nothing else.
    bucket: Option<Bucket<T>>,
    /// In use.
    shapes: SmallVec<[Arc<Filing>; 1]>,
    affixes: SmallVec<[(Operand, Arc<Tree<T>>); 1]>,
}

/// Entries by beginnings, or by ends.
type Tree<T> = Affixes<Bucket<T>>;

impl<T: Clone> Table<T> {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            types: keys.of_place("type"),
            subjects: keys.of_place("subject"),
            keys,
            anywhere: Scoped::default(),
            by_type: Pages::default(),
            equal: Pages::default(),
            sets: Pages::default(),
            members: Members::default(),
            len: 0,
        }
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn type_key(&self, event_type: &str) -> Key {
        self.types.of(event_type)
    }

    /// The scopes of event types; none for every type.
    pub(crate) fn scopes(&self, types: Option<&[Arc<str>]>) -> Option<Vec<Scope>> {
        let scope = |event_type: &Arc<str>| Some(self.type_key(event_type));
        types.map(|types| types.iter().map(scope).collect())
    }

    /// The key of a spot in a scope.
    pub(crate) fn key_of(&self, scope: Scope, spot: &Spot) -> Key {
        let Spot::Values(values) = spot else { return Key::of_number(0) };
        let mut keys = values.iter().map(|(operand, value)| self.keys.of(name_of(operand), value));
        let first = scope.or_else(|| keys.next());
        keys.fold(first.unwrap_or(Key::of_number(0)), Key::and)
    }

    /// How many entries are filed in the fullest of these places. The most there can be,
    /// when one is of a kind that there is no room for.
    pub(crate) fn load(&self, scopes: &[Scope], spots: &[Spot]) -> usize {
        let places = scopes.iter().flat_map(|scope| spots.iter().map(move |spot| (*scope, spot)));
        places.map(|(scope, spot)| self.load_of(scope, spot)).max().unwrap_or(0)
    }

    fn load_of(&self, scope: Scope, spot: &Spot) -> usize {
        let Some(scoped) = self.scoped(scope) else { return 0 };
        let kinds = if scope.is_some() { KINDS_OF_A_TYPE } else { KINDS_ANYWHERE };
        let has_room = scoped.kinds() < kinds;
        let bucket = match spot {
            Spot::Values(values) if values.is_empty() => scoped.bucket.as_ref(),
            Spot::Values(values)
                if has_room || self.is_by_subject(values) || scoped.has_shape_of(values) =>
            {
                self.equal.get(self.key_of(scope, spot))
            }
            Spot::Affix(operand, affix, text) => match scoped.affixes(operand, *affix) {
                Some(tree) => tree.get(text),
                None if has_room => None,
                None => return usize::MAX,
            },
            Spot::Values(_) => return usize::MAX,
        };
        bucket.map_or(0, Bucket::len)
    }

    /// What parties follow must be found fast whatever others ask for.
    fn is_by_subject(&self, values: &[(Operand, Arc<str>)]) -> bool {
        values.iter().all(|(operand, _)| *operand == self.members.operand)
    }

    fn scoped(&self, scope: Scope) -> Option<&Scoped<T>> {
        match scope {
            None => Some(&self.anywhere),
            Some(event_type) => self.by_type.get(event_type).map(|scoped| &**scoped),
        }
    }
}

// === What matches ===

impl<T: Clone> Table<T> {
    /// Appends the target of every subscription that matches to `targets`, each once.
    /// What `targets` held before stays, and is not looked at. Takes no lock, and no
    /// memory but what `targets` grows by; unless conditions look into `data`, or make
    /// strings.
    pub fn route(&self, event: &EventView, targets: &mut Vec<T>) {
        Scratch::with(|scratch| {
            let facts = EventFacts::new(event);
            let mut search = Search { facts: &facts, known: SmallVec::new(), scratch, targets };
            self.search(event.event_type(), &mut search);
        });
    }

    fn search<'a>(&'a self, event_type: &str, search: &mut Search<'a, '_, T>) {
        let event_type = self.type_key(event_type);
        if let Some(scoped) = self.by_type.get(event_type) {
            self.search_scope(scoped, Some(event_type), search);
        }
        self.search_scope(&self.anywhere, None, search);
        if !self.members.is_empty() {
            self.search_sets(search);
        }
    }

    fn search_scope<'a>(
        &'a self,
        scoped: &'a Scoped<T>,
        scope: Scope,
        search: &mut Search<'a, '_, T>,
    ) {
        if let Some(bucket) = &scoped.bucket {
            bucket.visit(search);
        }
        for filing in &scoped.shapes {
            if let Filing::Equal(shape, keys) = &**filing
                && let Some(key) = search.key_of(scope, &shape.operands, keys)
                && let Some(bucket) = self.equal.get(key)
            {
                bucket.visit(search);
            }
        }
        for (operand, tree) in &scoped.affixes {
            let facts = search.facts;
            if let Some(value) = facts.value(operand) {
                with_canonical(&value, |text| {
                    tree.walk(text, |_, bucket| bucket.visit(search));
                });
            }
        }
    }

    fn search_sets<'a>(&'a self, search: &mut Search<'a, '_, T>) {
        let Some(subject) = search.key(&self.members.operand, self.subjects) else { return };
        for set in self.members.sets_of(subject) {
            if let Some(bucket) = self.sets.get(Key::of_number(*set as usize)) {
                bucket.visit(search);
            }
        }
    }
}

/// One message on its way through the table.
struct Search<'a, 's, T> {
    facts: &'s EventFacts<'s>,
    /// The keys of values that were looked up.
    known: SmallVec<[(&'a Operand, Option<Key>); 16]>,
    scratch: &'s mut Scratch,
    targets: &'s mut Vec<T>,
}

impl<'a, T> Search<'a, '_, T> {
    /// The key of the value of an operand; none when the message has no such value.
    fn key(&mut self, operand: &'a Operand, keys: PlaceKeys) -> Option<Key> {
        if let Some((_, known)) = self.known.iter().find(|(other, _)| *other == operand) {
            return *known;
        }
        let value = self.facts.value(operand);
        let key = value.map(|value| with_canonical(&value, |text| keys.of(text)));
        self.known.push((operand, key));
        key
    }

    fn key_of(&mut self, scope: Scope, operands: &'a [Operand], keys: &[PlaceKeys]) -> Option<Key> {
        let mut key = scope;
        for (operand, keys) in operands.iter().zip(keys) {
            let next = self.key(operand, *keys)?;
            key = Some(key.map_or(next, |key| key.and(next)));
        }
        key
    }
}

impl<'a, T: Clone> Visitor<'a, T> for Search<'a, '_, T> {
    fn holds(&mut self, predicate: &Predicate) -> bool {
        let facts = self.facts;
        self.scratch.once(predicate.number, || predicate.condition.holds(facts))
    }

    fn visit(&mut self, entry: &'a Entry<T>, left: &[Arc<Predicate>]) {
        if self.scratch.is_found(entry.target_number) {
            return;
        }
        if left.iter().all(|predicate| self.holds(predicate)) {
            self.found(entry.target_number, &entry.target);
        }
    }

    fn found(&mut self, target_number: u32, target: &'a T) {
        if !self.scratch.is_found(target_number) {
            self.scratch.set_found(target_number);
            self.targets.push(target.clone());
        }
    }
}

// === What changes ===

impl<T: Clone> Table<T> {
    pub(crate) fn file(&mut self, place: &Place, entry: &Arc<Entry<T>>) {
        self.alter(place, |bucket| Some(Bucket::with(bucket, entry)));
    }

    pub(crate) fn unfile(&mut self, place: &Place, entry: &Arc<Entry<T>>) {
        self.alter(place, |bucket| bucket.and_then(|bucket| bucket.without(entry)));
    }

    fn alter(
        &mut self,
        place: &Place,
        change: impl FnOnce(Option<Bucket<T>>) -> Option<Bucket<T>>,
    ) {
        match &*place.filing {
            Filing::Anywhere => self.alter_scope(None, |scoped| scoped.alter_bucket(change)),
            Filing::Type => {
                self.alter_scope(Some(place.key), |scoped| scoped.alter_bucket(change));
            }
            Filing::Equal(..) => self.equal.alter(place.key, change),
            Filing::Set => self.sets.alter(place.key, change),
            Filing::Affix(filing) => {
                self.alter_scope(filing.scope, |scoped| scoped.alter_affixes(filing, change));
            }
        }
    }

    /// From now on, entries may be filed by this shape.
    pub(crate) fn begin_shape(&mut self, filing: &Arc<Filing>) {
        if let Filing::Equal(shape, _) = &**filing {
            self.alter_scope(shape.scope, |scoped| scoped.shapes.push(Arc::clone(filing)));
        }
    }

    /// None is filed by this shape any more.
    pub(crate) fn end_shape(&mut self, filing: &Arc<Filing>) {
        if let Filing::Equal(shape, _) = &**filing {
            self.alter_scope(shape.scope, |scoped| {
                scoped.shapes.retain(|one| !Arc::ptr_eq(one, filing));
            });
        }
    }

    fn alter_scope(&mut self, scope: Scope, change: impl FnOnce(&mut Scoped<T>)) {
        let Some(event_type) = scope else {
            change(&mut self.anywhere);
            return;
        };
        self.by_type.alter(event_type, |scoped| {
            let mut scoped = scoped.unwrap_or_default();
            change(Arc::make_mut(&mut scoped));
            (!scoped.is_empty()).then_some(scoped)
        });
    }
}

impl<T: Clone> Scoped<T> {
    fn is_empty(&self) -> bool {
        self.bucket.is_none() && self.shapes.is_empty() && self.affixes.is_empty()
    }

    fn alter_bucket(&mut self, change: impl FnOnce(Option<Bucket<T>>) -> Option<Bucket<T>>) {
        self.bucket = change(self.bucket.take());
    }

    fn kinds(&self) -> usize {
        self.shapes.len() + self.affixes.len()
    }

    fn has_shape_of(&self, values: &[(Operand, Arc<str>)]) -> bool {
        let operands = || values.iter().map(|(operand, _)| operand);
        self.shapes.iter().any(|filing| match &**filing {
            Filing::Equal(shape, _) => shape.operands.iter().eq(operands()),
            _ => false,
        })
    }

    fn affixes(&self, operand: &Operand, affix: Affix) -> Option<&Tree<T>> {
        let mut trees = self.affixes.iter();
        let tree = trees.find(|(other, tree)| other == operand && tree.affix() == affix);
        tree.map(|(_, tree)| &**tree)
    }

    fn alter_affixes(
        &mut self,
        filing: &AffixFiling,
        change: impl FnOnce(Option<Bucket<T>>) -> Option<Bucket<T>>,
    ) {
        let AffixFiling { operand, affix, text, .. } = filing;
        let mut trees = self.affixes.iter();
        let place = trees.position(|(other, tree)| other == operand && tree.affix() == *affix);
        let place = place.unwrap_or_else(|| {
            self.affixes.push((operand.clone(), Arc::new(Affixes::new(*affix))));
            self.affixes.len() - 1
        });
        let tree = &mut self.affixes[place].1;
        Arc::make_mut(tree).alter(text, change);
        if tree.is_empty() {
            self.affixes.remove(place);
        }
    }
}

impl<T> Default for Scoped<T> {
    fn default() -> Self {
        Self { bucket: None, shapes: SmallVec::new(), affixes: SmallVec::new() }
    }
}

impl<T> Clone for Scoped<T> {
    fn clone(&self) -> Self {
        let Self { bucket, shapes, affixes } = self;
        Self { bucket: bucket.clone(), shapes: shapes.clone(), affixes: affixes.clone() }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            types: self.types,
            subjects: self.subjects,
            anywhere: self.anywhere.clone(),
            by_type: self.by_type.clone(),
            equal: self.equal.clone(),
            sets: self.sets.clone(),
            members: self.members.clone(),
            len: self.len,
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    /// No subscription is shown: what it asks for may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("subscriptions", &self.len)
            .field("types", &self.by_type.len())
            .field("keys", &self.equal.len())
            .finish_non_exhaustive()
    }
}
