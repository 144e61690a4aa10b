use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wissel_filter::{Condition, Filter};
use wissel_identifiers::SubscriptionName;

use crate::names::Names;
use crate::subscription::Subscription;
use crate::table::Table;

/// The routing table in force, changed while others read it. `T` is what a match
/// leads to.
pub struct Router<T> {
    table: ArcSwap<Table<T>>,
    /// One change at a time.
    changing: Mutex<Changing>,
}

/// What only a change needs.
#[derive(Default)]
struct Changing {
    names: Names,
    /// How many subscriptions were ever put in force.
    count: u64,
}

impl<T: Clone + Eq + Hash> Default for Router<T> {
    fn default() -> Self {
        Self { table: ArcSwap::from_pointee(Table::default()), changing: Mutex::default() }
    }
}

/// One way in which a subscription matches: a message whose type is one of `types` (every
/// type when there is none) and that meets every filter.
#[derive(Clone, Copy)]
pub struct Alternative<'a, T> {
    /// The event types wanted.
    pub types: &'a [&'a str],
    /// All must match.
    pub filters: &'a [&'a Filter],
    /// What the match leads to.
    pub target: T,
}

/// Changes that come into force together.
pub struct Changes<'a, T> {
    table: Table<T>,
    changing: &'a mut Changing,
}

impl<T: Clone + Eq + Hash> Router<T> {
    /// Puts a subscription in force; one of the same name is replaced. It matches a
    /// message whose type is one of `types` (every type when there is none) and
    /// that meets every filter.
    pub fn insert(&self, name: &SubscriptionName, types: &[String], filters: &[Filter], target: T) {
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let filters: Vec<&Filter> = filters.iter().collect();
        let alternative = Alternative { types: &types, filters: &filters, target };
        self.change(|changes| changes.put(name, [alternative]));
    }

    /// Takes a subscription out of force. Says whether it was in force.
    pub fn remove(&self, name: &SubscriptionName) -> bool {
        self.change(|changes| changes.remove(name))
    }

    /// Makes changes that come into force together, when `make` has ended.
    pub fn change<R>(&self, make: impl FnOnce(&mut Changes<'_, T>) -> R) -> R {
        let mut changing = self.changing.lock();
        let table = Table::clone(&self.table.load());
        let mut changes = Changes { table, changing: &mut changing };
        let made = make(&mut changes);
        self.table.store(Arc::new(changes.table));
        made
    }

    /// The table of this moment; later changes do not touch it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Table<T>> {
        self.table.load_full()
    }

    /// How many subscriptions are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.load().len()
    }

    /// Whether none is in force.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Clone + Eq + Hash> Changes<'_, T> {
    /// Puts a subscription in force; one of the same name is replaced. It matches what
    /// any of the alternatives matches: nothing when there is none.
    pub fn put<'a>(
        &mut self,
        name: &SubscriptionName,
        alternatives: impl IntoIterator<Item = Alternative<'a, T>>,
    ) where
        T: 'a,
    {
        self.table.remove(name);
        let Changing { names, count } = &mut *self.changing;
        for alternative in alternatives {
            *count += 1;
            let conditions = alternative.filters.iter().flat_map(|filter| {
                Condition::of(filter, |name| names.shared(name)).collect::<Vec<_>>()
            });
            let conditions = conditions.collect();
            let subscription = Subscription {
                name: name.clone(),
                number: *count,
                types: alternative.types.iter().map(|name| names.shared(name)).collect(),
                conditions,
                target: alternative.target,
            };
            self.table.insert(&Arc::new(subscription));
        }
    }

    /// Takes a subscription out of force. Says whether it was in force.
    pub fn remove(&mut self, name: &SubscriptionName) -> bool {
        self.table.remove(name)
    }
}

impl<T> fmt::Debug for Router<T> {
    /// No subscription is shown: what it asks for may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("table", &*self.table.load()).finish_non_exhaustive()
    }
}
