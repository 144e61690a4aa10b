use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wissel_filter::{Filter, FilterError};
use wissel_identifiers::SubscriptionName;

use crate::changes::{Alternative, Changes, Changing};
use crate::key::{Keys, SubjectMark};
use crate::table::Table;

/// The routing table in force, changed while others read it. `T` is what a match
/// leads to.
pub struct Router<T> {
    keys: Keys,
    table: ArcSwap<Table<T>>,
    /// One change at a time.
    changing: Mutex<Changing<T>>,
}

impl<T: Clone + Eq + Hash> Default for Router<T> {
    /// With a secret that ends with the process.
    fn default() -> Self {
        Self::of_keys(Keys::random())
    }
}

impl<T: Clone + Eq + Hash> Router<T> {
    /// With a secret on which the keys of subjects depend: with the same one they are the
    /// same.
    #[must_use]
    pub fn with_secret(secret: [u8; 16]) -> Self {
        Self::of_keys(Keys::new(secret))
    }

    fn of_keys(keys: Keys) -> Self {
        let table = ArcSwap::from_pointee(Table::new(keys.clone()));
        let changing = Mutex::new(Changing::new(keys.clone()));
        Self { keys, table, changing }
    }

    /// What stands for a subject, to be followed.
    #[must_use]
    pub fn subject_mark(&self, subject: &str) -> SubjectMark {
        SubjectMark(self.keys.of("subject", subject))
    }

    /// Puts a subscription in force; one of the same name is replaced. It matches a
    /// message whose type is one of `types` (every type when there is none) and
    /// that meets every filter.
    ///
    /// # Errors
    /// When a filter cannot be used; then nothing was changed.
    pub fn insert(
        &self,
        name: &SubscriptionName,
        types: &[String],
        filters: &[Filter],
        target: T,
    ) -> Result<(), FilterError> {
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let filters: Vec<&Filter> = filters.iter().collect();
        let alternative = Alternative { types: &types, filters: &filters, followed: false, target };
        self.change(|changes| changes.put(name, [alternative]))
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
        let Changes { mut table, changing } = changes;
        changing.sets.sweep(&mut table.members);
        self.table.store(Arc::new(table));
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

impl<T> fmt::Debug for Router<T> {
    /// No subscription is shown: what it asks for may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("table", &*self.table.load()).finish_non_exhaustive()
    }
}
