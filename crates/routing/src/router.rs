use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;

use crate::table::{Subscription, Table};

/// The routing table in force, changed while others read it. `T` is what a match
/// leads to.
#[derive(Debug)]
pub struct Router<T> {
    table: ArcSwap<Table<T>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl<T: Clone + Eq + Hash> Default for Router<T> {
    fn default() -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::default()),
            changing: Mutex::new(()),
        }
    }
}

impl<T: Clone + Eq + Hash> Router<T> {
    /// Puts a subscription in force; one of the same name is replaced. It matches a
    /// message whose type is one of `types` (every type when there is none) and
    /// that meets every filter.
    pub fn insert(&self, name: &SubscriptionName, types: &[String], filters: &[Filter], target: T) {
        let subscription = Subscription {
            name: name.clone(),
            types: types.into(),
            filters: filters.into(),
            target,
        };
        let _one_at_a_time = self.changing.lock();
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
