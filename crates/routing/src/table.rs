use std::hash::Hash;
use std::sync::Arc;

use imbl::{GenericHashMap, GenericVector, OrdMap, shared_ptr::ArcK};
use smallvec::{SmallVec, smallvec};
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_message::EventView;

type Map<K, V> = GenericHashMap<K, V, foldhash::fast::RandomState, ArcK>;
type Entries<T> = GenericVector<Arc<Subscription<T>>, ArcK>;

/// An immutable routing table. A changed copy shares what did not change.
#[derive(Debug, Clone)]
pub struct Table<T> {
    by_name: Map<SubscriptionName, Arc<Subscription<T>>>,
    /// By attribute, then by the value that it must have.
    shapes: OrdMap<Arc<str>, Map<Arc<str>, Entries<T>>>,
    /// Filed under nothing: evaluated for every message.
    others: Map<SubscriptionName, Arc<Subscription<T>>>,
}

/// A subscription, as it is evaluated.
#[derive(Debug)]
pub(crate) struct Subscription<T> {
    pub(crate) name: SubscriptionName,
    pub(crate) types: Box<[String]>,
    pub(crate) filters: Box<[Filter]>,
    pub(crate) target: T,
}

/// Where a subscription is filed: under each of these (attribute, value).
type Places<'a> = SmallVec<[(&'a str, &'a str); 1]>;

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            by_name: Map::default(),
            shapes: OrdMap::new(),
            others: Map::default(),
        }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    /// Puts the target of every subscription that matches into `targets`, each
    /// once. What `targets` held before stays.
    pub fn route(&self, event: &EventView, targets: &mut Vec<T>) {
        for (attribute, by_value) in &self.shapes {
            let Some(value) = event.attribute(attribute) else {
                continue;
            };
            let Some(entries) = by_value.get(&*value.canonical()) else {
                continue;
            };
            for subscription in entries {
                subscription.route(event, targets);
            }
        }
        for subscription in self.others.values() {
            subscription.route(event, targets);
        }
    }

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

    pub(crate) fn insert(&mut self, subscription: &Arc<Subscription<T>>) {
        self.remove(&subscription.name);
        self.by_name
            .insert(subscription.name.clone(), Arc::clone(subscription));
        let places = subscription.places();
        if places.is_empty() {
            self.others
                .insert(subscription.name.clone(), Arc::clone(subscription));
        }
        for (attribute, value) in places {
            let by_value = self.shapes.entry(attribute.into()).or_default();
            by_value
                .entry(value.into())
                .or_default()
                .push_back(Arc::clone(subscription));
        }
    }

    pub(crate) fn remove(&mut self, name: &SubscriptionName) -> bool {
        let Some(subscription) = self.by_name.remove(name) else {
            return false;
        };
        self.others.remove(name);
        for (attribute, value) in subscription.places() {
            self.remove_from(attribute, value, name);
        }
        true
    }

    fn remove_from(&mut self, attribute: &str, value: &str, name: &SubscriptionName) {
        let Some(by_value) = self.shapes.get_mut(attribute) else {
            return;
        };
        if let Some(entries) = by_value.get_mut(value) {
            entries.retain(|other| other.name != *name);
            if entries.is_empty() {
                by_value.remove(value);
            }
        }
        if by_value.is_empty() {
            self.shapes.remove(attribute);
        }
    }
}

impl<T: Clone + Eq> Subscription<T> {
    fn route(&self, event: &EventView, targets: &mut Vec<T>) {
        if self.matches(event) && !targets.contains(&self.target) {
            targets.push(self.target.clone());
        }
    }

    fn matches(&self, event: &EventView) -> bool {
        let event_type = event.event_type();
        let type_wanted =
            self.types.is_empty() || self.types.iter().any(|wanted| wanted == event_type);
        type_wanted && self.filters.iter().all(|filter| filter.matches(event))
    }
}

impl<T> Subscription<T> {
    /// The exact `subject`, else another exact attribute, else each event type.
    fn places(&self) -> Places<'_> {
        let exact = self.filters.iter().filter_map(|filter| match filter {
            Filter::Exact(values) => Some(values),
            _ => None,
        });
        let best = exact
            .flatten()
            .min_by_key(|(attribute, _)| match attribute.as_str() {
                "subject" => 0,
                "source" | "type" | "specversion" => 2,
                _ => 1,
            });
        match best {
            Some((attribute, value)) => smallvec![(attribute.as_str(), value.as_str())],
            None => self
                .types
                .iter()
                .map(|event_type| ("type", event_type.as_str()))
                .collect(),
        }
    }
}
