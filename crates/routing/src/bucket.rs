use std::sync::Arc;

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
    Few(Arc<[Slot<T>]>),
    /// More.
    Many(Arc<Many<T>>),
}

/// An entry, with what most matches need of it at hand: they read no other memory then.
pub(crate) struct Slot<T> {
    target_number: u32,
    /// Whether nothing is left to check.
    is_free: bool,
    target: T,
    entry: Arc<Entry<T>>,
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
    /// Takes the target of an entry of which all conditions hold.
    fn found(&mut self, target_number: u32, target: &'a T);
}

const FEW: usize = 16;

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One(entry) => Self::One(Arc::clone(entry)),
            Self::Few(slots) => Self::Few(Arc::clone(slots)),
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

impl<T: Clone> Bucket<T> {
    /// The bucket, which may be none yet, with one entry more.
    pub(crate) fn with(bucket: Option<Self>, new: &Arc<Entry<T>>) -> Self {
        match bucket {
            None => Self::One(Arc::clone(new)),
            Some(Self::One(first)) => Self::Few([&first, new].map(Slot::of).into()),
            Some(Self::Few(slots)) if slots.len() < FEW => {
                Self::Few(slots.iter().cloned().chain([Slot::of(new)]).collect())
            }
            Some(Self::Few(slots)) => {
                let mut many = Many::default();
                slots.iter().for_each(|slot| many.insert(&slot.entry));
                many.insert(new);
                Self::Many(Arc::new(many))
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
            Self::Few(slots) => {
                let rest = slots.iter().filter(|slot| !Arc::ptr_eq(&slot.entry, gone)).cloned();
                let rest: Arc<[Slot<T>]> = rest.collect();
                match &*rest {
                    [] => None,
                    [one] => Some(Self::One(Arc::clone(&one.entry))),
                    _ => Some(Self::Few(rest)),
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
            Self::Few(slots) => slots.len(),
            Self::Many(many) => many.len,
        }
    }

    pub(crate) fn visit<'a>(&'a self, visitor: &mut impl Visitor<'a, T>) {
        match self {
            Self::One(entry) => visitor.visit(entry, &entry.left),
            Self::Few(slots) => {
                for slot in slots.iter() {
                    if slot.is_free {
                        visitor.found(slot.target_number, &slot.target);
                    } else {
                        visitor.visit(&slot.entry, &slot.entry.left);
                    }
                }
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

impl<T: Clone> Slot<T> {
    fn of(entry: &Arc<Entry<T>>) -> Self {
        Self {
            target_number: entry.target_number,
            is_free: entry.left.is_empty(),
            target: entry.target.clone(),
            entry: Arc::clone(entry),
        }
    }
}

impl<T: Clone> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), entry: Arc::clone(&self.entry), ..*self }
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
