use std::sync::Arc;

use imbl::{GenericOrdMap, shared_ptr::ArcK};
use smallvec::SmallVec;

use crate::subscription::Subscription;

type Entry<T> = Arc<Subscription<T>>;

/// The subscriptions filed in one place, in the order in which they came. Cheap to
/// clone, as changing a map means cloning its neighbours.
pub(crate) enum Bucket<T> {
    /// As nearly every subject has.
    One(Entry<T>),
    /// Two to [`FEW`]; made anew at each change.
    Few(Arc<[Entry<T>]>),
    /// More: found by number in O(log n).
    Many(GenericOrdMap<u64, Entry<T>, ArcK>),
}

const FEW: usize = 16;

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One(entry) => Self::One(Arc::clone(entry)),
            Self::Few(entries) => Self::Few(Arc::clone(entries)),
            Self::Many(entries) => Self::Many(entries.clone()),
        }
    }
}

impl<T> Bucket<T> {
    pub(crate) fn insert(&mut self, new: &Entry<T>) {
        match self {
            Self::One(first) => *self = Self::Few([first, new].map(Arc::clone).into()),
            Self::Few(entries) if entries.len() < FEW => {
                let entries: SmallVec<[Entry<T>; FEW]> =
                    entries.iter().chain([new]).map(Arc::clone).collect();
                *self = Self::Few(entries.into_iter().collect());
            }
            Self::Few(entries) => {
                let entries = entries.iter().chain([new]);
                let numbered = entries.map(|entry| (entry.number, Arc::clone(entry)));
                *self = Self::Many(numbered.collect());
            }
            Self::Many(entries) => {
                entries.insert(new.number, Arc::clone(new));
            }
        }
    }

    /// Without the entry of this number; none when nothing is left.
    pub(crate) fn without(mut self, number: u64) -> Option<Self> {
        match &mut self {
            Self::One(entry) => (entry.number != number).then_some(self),
            Self::Few(entries) => {
                let rest = entries.iter().filter(|entry| entry.number != number);
                let rest: SmallVec<[Entry<T>; FEW]> = rest.map(Arc::clone).collect();
                match rest.as_slice() {
                    [] => None,
                    [one] => Some(Self::One(Arc::clone(one))),
                    several => Some(Self::Few(several.into())),
                }
            }
            Self::Many(entries) => {
                entries.remove(&number);
                (!entries.is_empty()).then_some(self)
            }
        }
    }

    pub(crate) fn for_each<'a>(&'a self, mut visit: impl FnMut(&'a Subscription<T>)) {
        match self {
            Self::One(entry) => visit(entry),
            Self::Few(entries) => entries.iter().for_each(|entry| visit(entry)),
            Self::Many(entries) => entries.values().for_each(|entry| visit(entry)),
        }
    }
}
