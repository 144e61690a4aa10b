use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;
use wissel_filter::{Condition, Filter, FilterError, Operand};
use wissel_identifiers::SubscriptionName;

use crate::choice::{Chosen, choose};
use crate::entry::{AffixFiling, Entry, Filing, Place, Scope, Shape, name_of};
use crate::key::{Key, Keys, SubjectMark};
use crate::plan::Spot;
use crate::predicates::{Predicate, Predicates};
use crate::question::Question;
use crate::sets::Sets;
use crate::table::Table;

/// One way in which a subscription matches: a message whose type is one of `types` (every
/// type when there is none) and that meets every filter.
#[derive(Clone, Copy)]
pub struct Alternative<'a, T> {
    /// The event types wanted.
    pub types: &'a [&'a str],
    /// All must match.
    pub filters: &'a [&'a Filter],
    /// Whether the `subject` must be one that the subscription follows
    /// ([`Changes::follow`]).
    pub followed: bool,
    /// What the match leads to.
    pub target: T,
}

/// Changes that come into force together.
pub struct Changes<'a, T> {
    pub(crate) table: Table<T>,
    pub(crate) changing: &'a mut Changing<T>,
}

/// What only a change needs.
pub(crate) struct Changing<T> {
    keys: Keys,
    /// Every subscription, by its name; its alternatives behind each other.
    subscriptions: HashTable<Arc<Entry<T>>>,
    predicates: Predicates,
    targets: Targets<T>,
    /// Those filings of which there is one.
    anywhere: Arc<Filing>,
    of_type: Arc<Filing>,
    set: Arc<Filing>,
    /// Shapes in use, and how many places are of each.
    shapes: HashMap<Shape, (Arc<Filing>, usize)>,
    pub(crate) sets: Sets,
}

/// A number for each target in use.
struct Targets<T> {
    numbers: HashMap<T, (u32, u32)>,
    free: Vec<u32>,
}

impl<T> Changing<T> {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            subscriptions: HashTable::new(),
            predicates: Predicates::default(),
            targets: Targets { numbers: HashMap::new(), free: Vec::new() },
            anywhere: Arc::new(Filing::Anywhere),
            of_type: Arc::new(Filing::Type),
            set: Arc::new(Filing::Set),
            shapes: HashMap::new(),
            sets: Sets::default(),
        }
    }

    fn name_key(&self, name: &SubscriptionName) -> Key {
        self.keys.of("", name.as_str())
    }
}

impl<T: Clone + Eq + Hash> Changes<'_, T> {
    /// Puts a subscription in force; one of the same name is replaced, and keeps the
    /// subjects that it follows. It matches what any of the alternatives matches:
    /// nothing when there is none.
    ///
    /// # Errors
    /// When a filter cannot be used; then nothing was changed.
    pub fn put<'a>(
        &mut self,
        name: &SubscriptionName,
        alternatives: impl IntoIterator<Item = Alternative<'a, T>>,
    ) -> Result<(), FilterError>
    where
        T: 'a,
    {
        let mut questions = Vec::new();
        for alternative in alternatives {
            questions.extend(Question::of(alternative)?);
        }
        let name = self.changing.name_key(name);
        self.take_out(name);
        let mut first: Option<Arc<Entry<T>>> = None;
        // The last one first, as each is made with the one behind it.
        for question in questions.into_iter().rev() {
            first = Some(self.enter(name, question, first));
        }
        if let Some(first) = first {
            self.table.len += 1;
            let entries = &mut self.changing.subscriptions;
            entries.insert_unique(hash(name), first, |entry| hash(entry.name));
        }
        Ok(())
    }

    /// Takes a subscription out of force, and keeps the subjects that it follows for when
    /// it is put again. Says whether it was in force.
    pub fn rest(&mut self, name: &SubscriptionName) -> bool {
        let name = self.changing.name_key(name);
        self.take_out(name)
    }

    /// Takes a subscription out of force, with the subjects that it follows. Says whether
    /// it was in force.
    pub fn remove(&mut self, name: &SubscriptionName) -> bool {
        let name = self.changing.name_key(name);
        self.changing.sets.forget(name);
        self.take_out(name)
    }

    /// Adds a subject to those that a subscription follows. Says whether it was none of
    /// them.
    pub fn follow(&mut self, name: &SubscriptionName, subject: SubjectMark) -> bool {
        let name = self.changing.name_key(name);
        self.changing.sets.add(name, subject.0, &mut self.table.members)
    }

    /// Takes a subject from those that a subscription follows. Says whether it was one of
    /// them.
    pub fn unfollow(&mut self, name: &SubscriptionName, subject: SubjectMark) -> bool {
        let name = self.changing.name_key(name);
        self.changing.sets.remove(name, subject.0, &mut self.table.members)
    }

    fn take_out(&mut self, name: Key) -> bool {
        let entries = &mut self.changing.subscriptions;
        let Ok(found) = entries.find_entry(hash(name), |entry| entry.name == name) else {
            return false;
        };
        let (first, _) = found.remove();
        self.table.len -= 1;
        let mut next = Some(&first);
        while let Some(entry) = next {
            for place in &entry.places {
                self.table.unfile(place, entry);
                self.release(&place.filing);
            }
            self.changing.targets.release(&entry.target);
            next = entry.next.as_ref();
        }
        true
    }

    fn enter(
        &mut self,
        name: Key,
        question: Question<T>,
        next: Option<Arc<Entry<T>>>,
    ) -> Arc<Entry<T>> {
        let Question { types, mut conditions, followed, target } = question;
        let scopes = self.table.scopes(types.as_deref());
        let (places, says_type) = if followed {
            (self.set_place(name), false)
        } else {
            let chosen = choose(&self.table, &conditions, scopes.as_deref());
            conditions = chosen.left(conditions);
            (self.places(&chosen), chosen.says_type)
        };
        if let Some(types) = types
            && !says_type
        {
            let operand = Operand::Attribute("type".into());
            conditions.push(Condition::one_of(operand, types));
        }
        let mut left: Vec<Arc<Predicate>> = conditions
            .into_iter()
            .map(|condition| self.changing.predicates.shared(condition))
            .collect();
        // What many have in common comes first: it is looked at once for all.
        left.sort_by_key(|predicate| std::cmp::Reverse(Arc::strong_count(predicate)));
        let target_number = self.changing.targets.number(&target);
        let entry = Entry { name, target, target_number, left: left.into(), places, next };
        let entry = Arc::new(entry);
        for place in &entry.places {
            self.table.file(place, &entry);
        }
        entry
    }

    fn set_place(&mut self, name: Key) -> SmallVec<[Place; 1]> {
        let number = self.changing.sets.number(name);
        let key = Key::of_number(number as usize);
        SmallVec::from_iter([Place { key, filing: Arc::clone(&self.changing.set) }])
    }

    fn places(&mut self, chosen: &Chosen) -> SmallVec<[Place; 1]> {
        let mut places = SmallVec::with_capacity(chosen.scopes.len() * chosen.way.spots.len());
        for scope in &chosen.scopes {
            for spot in &chosen.way.spots {
                let key = self.table.key_of(*scope, spot);
                let filing = self.filing(*scope, spot);
                places.push(Place { key, filing });
            }
        }
        places
    }

    fn filing(&mut self, scope: Scope, spot: &Spot) -> Arc<Filing> {
        match spot {
            Spot::Affix(operand, affix, text) => {
                let (operand, text) = (operand.clone(), Arc::clone(text));
                Arc::new(Filing::Affix(AffixFiling { scope, operand, affix: *affix, text }))
            }
            Spot::Values(values) if values.is_empty() => Arc::clone(match scope {
                None => &self.changing.anywhere,
                Some(_) => &self.changing.of_type,
            }),
            Spot::Values(values) => {
                let operands = values.iter().map(|(operand, _)| operand.clone()).collect();
                let shape = Shape { scope, operands };
                match self.changing.shapes.entry(shape) {
                    MapEntry::Occupied(mut known) => {
                        known.get_mut().1 += 1;
                        Arc::clone(&known.get().0)
                    }
                    MapEntry::Vacant(new) => {
                        let shape = new.key().clone();
                        let operands = shape.operands.iter();
                        let keys =
                            operands.map(|one| self.changing.keys.of_place(name_of(one))).collect();
                        let filing = Arc::new(Filing::Equal(shape, keys));
                        new.insert((Arc::clone(&filing), 1));
                        self.table.begin_shape(&filing);
                        filing
                    }
                }
            }
        }
    }

    /// A place of this filing is not used any more.
    fn release(&mut self, filing: &Arc<Filing>) {
        let Filing::Equal(shape, _) = &**filing else { return };
        let MapEntry::Occupied(mut known) = self.changing.shapes.entry(shape.clone()) else {
            return;
        };
        known.get_mut().1 -= 1;
        if known.get().1 == 0 {
            known.remove();
            self.table.end_shape(filing);
        }
    }
}

impl<T: Clone + Eq + Hash> Targets<T> {
    fn number(&mut self, target: &T) -> u32 {
        if let Some((number, uses)) = self.numbers.get_mut(target) {
            *uses += 1;
            return *number;
        }
        let next = u32::try_from(self.numbers.len() + self.free.len()).unwrap_or(u32::MAX);
        let number = self.free.pop().unwrap_or(next);
        self.numbers.insert(target.clone(), (number, 1));
        number
    }

    fn release(&mut self, target: &T) {
        if let Some((number, uses)) = self.numbers.get_mut(target) {
            *uses -= 1;
            if *uses == 0 {
                self.free.push(*number);
                self.numbers.remove(target);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a key is enough for a place")]
fn hash(name: Key) -> u64 {
    name.bits() as u64
}
