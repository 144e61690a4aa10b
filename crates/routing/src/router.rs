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

impl<T: Clone + Eq + Hash> Router<T> {
    /// Puts a subscription in force; one of the same name is replaced. It matches a
    /// message whose type is one of `types` (every type when there is none) and
    /// that meets every filter.
    pub fn insert(&self, name: &SubscriptionName, types: &[String], filters: &[Filter], target: T) {
        let mut changing = self.changing.lock();
        let Changing { names, count } = &mut *changing;
        *count += 1;
        let subscription = Subscription {
            name: name.clone(),
            number: *count,
            types: types.iter().map(|name| names.shared(name)).collect(),
            conditions: filters
                .iter()
                .flat_map(|filter| {
                    Condition::of(filter, |name| names.shared(name)).collect::<Vec<_>>()
                })
                .collect(),
            target,
        };
        let mut table = Table::clone(&self.table.load());
        table.insert(&Arc::new(subscription));
        self.table.store(Arc::new(table));
    }

    /// Takes a subscription out of force. Says whether it was in force.
    pub fn remove(&self, name: &SubscriptionName) -> bool {
        let _one_at_a_time = self.changing.lock();
        let mut table = Table::clone(&self.table.load());
        let removed = table.remove(name);
        if removed {
            self.table.store(Arc::new(table));
        }
        removed
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

impl<T> fmt::Debug for Router<T> {
    /// No subscription is shown: what it asks for may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("table", &*self.table.load()).finish_non_exhaustive()
    }
}
