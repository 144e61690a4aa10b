use std::sync::Arc;

use smallvec::SmallVec;

use crate::entry::Entry;
use crate::key::Key;
use crate::pages::Pages;
use crate::predicates::Predicate;

/// The entries filed in one place. Cheap to clone, as changing a map means cloning its
/// neighbours.
pub(crate) enum Bucket<T> {
    /// As nearly every subject has.
    One(Arc<Entry<T>>),
    /// Two to [`FEW`]; made anew at each change.
    Few(Arc<[Arc<Entry<T>>]>),
    /// More.
    Many(Arc<Many<T>>),
}

/// Entries by the first thing that is left to check, so that it is checked once for all
/// that have it in common.
pub(crate) struct Many<T> {
    /// With nothing left to check.
    free: Pages<Arc<Entry<T>>>,
    gated: Pages<Gate<T>>,
    len: usize,
}

struct Gate<T> {
    predicate: Arc<Predicate>,
    behind: Pages<Arc<Entry<T>>>,
}

/// What looks into buckets.
pub(crate) trait Visitor<'a, T> {
    /// Whether a condition holds for the message.
    fn holds(&mut self, predicate: &Predicate) -> bool;
    /// Takes an entry of which all but these conditions hold.
    fn visit(&mut self, entry: &'a Entry<T>, left: &[Arc<Predicate>]);
}

const FEW: usize = 16;

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One(entry) => Self::One(Arc::clone(entry)),
            Self::Few(entries) => Self::Few(Arc::clone(entries)),
            Self::Many(many) => Self::Many(Arc::clone(many)),
        }
    }
}

impl<T> Clone for Many<T> {
    fn clone(&self) -> Self {
        Self { free: self.free.clone(), gated: self.gated.clone(), len: self.len }
    }
}

impl<T> Clone for Gate<T> {
    fn clone(&self) -> Self {
        Self { predicate: Arc::clone(&self.predicate), behind: self.behind.clone() }
    }
}

impl<T> Bucket<T> {
    /// The bucket, which may be none yet, with one entry more.
    pub(crate) fn with(bucket: Option<Self>, new: &Arc<Entry<T>>) -> Self {
        match bucket {
            None => Self::One(Arc::clone(new)),
            Some(Self::One(first)) => Self::Few([&first, new].map(Arc::clone).into()),
            Some(Self::Few(entries)) => {
                let all = entries.iter().chain([new]);
                if entries.len() < FEW {
                    let all: SmallVec<[Arc<Entry<T>>; FEW]> = all.map(Arc::clone).collect();
                    Self::Few(all.into_iter().collect())
                } else {
                    let mut many = Many::default();
                    all.for_each(|entry| many.insert(entry));
                    Self::Many(Arc::new(many))
                }
            }
            Some(Self::Many(mut many)) => {
                Arc::make_mut(&mut many).insert(new);
                Self::Many(many)
            }
        }
    }

    /// Without an entry; none when nothing is left.
    pub(crate) fn without(self, gone: &Arc<Entry<T>>) -> Option<Self> {
        match self {
            Self::One(entry) => (!Arc::ptr_eq(&entry, gone)).then_some(Self::One(entry)),
            Self::Few(entries) => {
                let rest = entries.iter().filter(|entry| !Arc::ptr_eq(entry, gone));
                let rest: SmallVec<[Arc<Entry<T>>; FEW]> = rest.map(Arc::clone).collect();
                match rest.as_slice() {
                    [] => None,
                    [one] => Some(Self::One(Arc::clone(one))),
                    several => Some(Self::Few(several.into())),
                }
            }
            Self::Many(mut many) => {
                Arc::make_mut(&mut many).remove(gone);
                (many.len > 0).then_some(Self::Many(many))
            }
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(entries) => entries.len(),
            Self::Many(many) => many.len,
        }
    }

    pub(crate) fn visit<'a>(&'a self, visitor: &mut impl Visitor<'a, T>) {
        match self {
            Self::One(entry) => visitor.visit(entry, &entry.left),
            Self::Few(entries) => {
                entries.iter().for_each(|entry| visitor.visit(entry, &entry.left));
            }
            Self::Many(many) => {
                many.free.for_each(&mut |entry| visitor.visit(entry, &[]));
                many.gated.for_each(&mut |gate: &'a Gate<T>| {
                    if visitor.holds(&gate.predicate) {
                        gate.behind.for_each(&mut |entry: &'a Arc<Entry<T>>| {
                            visitor.visit(entry, &entry.left[1..]);
                        });
                    }
                });
            }
        }
    }
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self { free: Pages::default(), gated: Pages::default(), len: 0 }
    }
}

impl<T> Many<T> {
    fn insert(&mut self, entry: &Arc<Entry<T>>) {
        self.len += 1;
        let key = Key::of_address(entry);
        let Some(first) = entry.left.first() else {
            self.free.insert(key, Arc::clone(entry));
            return;
        };
        self.gated.alter(Key::of_address(first), |gate| {
            let mut gate = gate
                .unwrap_or_else(|| Gate { predicate: Arc::clone(first), behind: Pages::default() });
            gate.behind.insert(key, Arc::clone(entry));
            Some(gate)
        });
    }

    fn remove(&mut self, entry: &Arc<Entry<T>>) {
        self.len -= 1;
        let key = Key::of_address(entry);
        let Some(first) = entry.left.first() else {
            self.free.remove(key);
            return;
        };
        self.gated.alter(Key::of_address(first), |gate| {
            let mut gate = gate?;
            gate.behind.remove(key);
            (!gate.behind.is_empty()).then_some(gate)
        });
    }
}
