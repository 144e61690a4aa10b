use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use imbl::{GenericHashMap, GenericOrdMap, shared_ptr::ArcK};
use smallvec::SmallVec;
use wissel_identifiers::SubscriptionName;
use wissel_message::EventView;

use crate::bucket::Bucket;
use crate::found::Found;
use crate::subscription::Subscription;

type Map<K, V> = GenericHashMap<K, V, foldhash::fast::RandomState, ArcK>;
/// Nearly every subscription has one.
type Alternatives<T> = SmallVec<[Arc<Subscription<T>>; 1]>;
type ByValue<T> = Map<Arc<str>, Bucket<T>>;

/// An immutable routing table. A changed copy shares what did not change.
pub struct Table<T> {
    by_name: Map<SubscriptionName, Alternatives<T>>,
    /// By attribute, then by the value that it must have.
    shapes: Map<Arc<str>, ByValue<T>>,
    /// Filed under nothing, by number: evaluated for every message.
    others: GenericOrdMap<u64, Arc<Subscription<T>>, ArcK>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { by_name: Map::default(), shapes: Map::default(), others: GenericOrdMap::new() }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            by_name: self.by_name.clone(),
            shapes: self.shapes.clone(),
            others: self.others.clone(),
        }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    /// Appends the target of every subscription that matches to `targets`, each once.
    /// What `targets` held before stays, and is not looked at.
    pub fn route(&self, event: &EventView, targets: &mut Vec<T>) {
        let mut found = Found::new();
        let mut evaluate = |subscription| evaluate(subscription, event, &mut found);
        // By whichever there are fewer of: shapes in use, or attributes.
        if self.shapes.len() <= event.attribute_count() {
            for (attribute, by_value) in &self.shapes {
                if let Some(value) = event.attribute(attribute)
                    && let Some(bucket) = by_value.get(&*value.canonical())
                {
                    bucket.for_each(&mut evaluate);
                }
            }
        } else {
            for (attribute, value) in event.attributes() {
                if let Some(by_value) = self.shapes.get(attribute)
                    && let Some(bucket) = by_value.get(&*value.canonical())
                {
                    bucket.for_each(&mut evaluate);
                }
            }
        }
        for subscription in self.others.values() {
            evaluate(subscription);
        }
        targets.extend(found.iter().cloned());
    }
}

fn evaluate<'a, T: Eq + Hash>(
    subscription: &'a Subscription<T>,
    event: &EventView,
    found: &mut Found<'a, T>,
) {
    if subscription.matches(event) {
        found.add(&subscription.target);
    }
}

impl<T> Table<T> {
    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Adds one alternative of a subscription.
    pub(crate) fn insert(&mut self, subscription: &Arc<Subscription<T>>) {
        match self.by_name.get_mut(&subscription.name) {
            Some(alternatives) => alternatives.push(Arc::clone(subscription)),
            None => {
                let first = Alternatives::from_buf([Arc::clone(subscription)]);
                self.by_name.insert(subscription.name.clone(), first);
            }
        }
        let places = subscription.places();
        if places.is_empty() {
            self.others.insert(subscription.number, Arc::clone(subscription));
        }
        for (attribute, value) in places {
            self.file(attribute, value, subscription);
        }
    }

    fn file(&mut self, attribute: &str, value: &Arc<str>, subscription: &Arc<Subscription<T>>) {
        if !self.shapes.contains_key(attribute) {
            self.shapes.insert(attribute.into(), Map::default());
        }
        let Some(by_value) = self.shapes.get_mut(attribute) else {
            return;
        };
        match by_value.get_mut(value) {
            Some(bucket) => bucket.insert(subscription),
            None => {
                let bucket = Bucket::One(Arc::clone(subscription));
                by_value.insert(Arc::clone(value), bucket);
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &SubscriptionName) -> bool {
        let Some(alternatives) = self.by_name.remove(name) else {
            return false;
        };
        for subscription in alternatives {
            self.others.remove(&subscription.number);
            for (attribute, value) in subscription.places() {
                self.unfile(attribute, value, subscription.number);
            }
        }
        true
    }

    fn unfile(&mut self, attribute: &str, value: &str, number: u64) {
        let Some(by_value) = self.shapes.get_mut(attribute) else {
            return;
        };
        if let Some((value, bucket)) = by_value.remove_with_key(value)
            && let Some(rest) = bucket.without(number)
        {
            by_value.insert(value, rest);
        }
        if by_value.is_empty() {
            self.shapes.remove(attribute);
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    /// No subscription is shown: what it asks for may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("subscriptions", &self.by_name.len())
            .field("shapes", &self.shapes.len())
            .field("unfiled", &self.others.len())
            .finish()
    }
}
