use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use wissel_filter::Operand;

use crate::key::Key;
use crate::pages::Pages;

/// Which sets of subjects a subject is in. Only keys are kept: nobody can read from the
/// table who is followed.
#[derive(Clone)]
pub(crate) struct Members {
    /// What the sets are of.
    pub(crate) operand: Operand,
    by_subject: Pages<Numbers>,
}

/// The numbers of sets; nearly every subject is in few.
#[derive(Clone)]
enum Numbers {
    One(u32),
    Several(Arc<[u32]>),
}

/// What only a change needs to know of the sets.
#[derive(Default)]
pub(crate) struct Sets {
    by_subscription: HashMap<Key, Set>,
    next: u32,
    /// Sets that are gone, whose members are taken out little by little.
    gone: VecDeque<(u32, Vec<Key>)>,
}

#[derive(Default)]
struct Set {
    number: u32,
    members: HashSet<Key, foldhash::fast::RandomState>,
}

impl Default for Members {
    fn default() -> Self {
        Self { operand: Operand::Attribute("subject".into()), by_subject: Pages::default() }
    }
}

impl Members {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    pub(crate) fn sets_of(&self, subject: Key) -> &[u32] {
        self.by_subject.get(subject).map_or(&[], Numbers::as_slice)
    }

    fn add(&mut self, subject: Key, set: u32) {
        self.by_subject.alter(subject, |numbers| {
            Some(match numbers {
                None => Numbers::One(set),
                Some(numbers) => {
                    Numbers::Several(numbers.as_slice().iter().copied().chain([set]).collect())
                }
            })
        });
    }

    fn remove(&mut self, subject: Key, set: u32) {
        self.by_subject.alter(subject, |numbers| {
            let numbers = numbers?;
            let rest = numbers.as_slice().iter().copied().filter(|number| *number != set);
            let rest: Arc<[u32]> = rest.collect();
            match &*rest {
                [] => None,
                [one] => Some(Numbers::One(*one)),
                _ => Some(Numbers::Several(rest)),
            }
        });
    }
}

impl Numbers {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Several(numbers) => numbers,
        }
    }
}

impl Sets {
    /// The number of the set of a subscription, which is made when there is none.
    pub(crate) fn number(&mut self, subscription: Key) -> u32 {
        let next = &mut self.next;
        let set = self.by_subscription.entry(subscription).or_insert_with(|| {
            *next += 1;
            Set { number: *next, ..Set::default() }
        });
        set.number
    }

    /// Says whether the subject was not yet in the set.
    pub(crate) fn add(&mut self, subscription: Key, subject: Key, members: &mut Members) -> bool {
        let number = self.number(subscription);
        let set = self.by_subscription.get_mut(&subscription);
        let new = set.is_some_and(|set| set.members.insert(subject));
        if new {
            members.add(subject, number);
        }
        new
    }

    /// Says whether the subject was in the set.
    pub(crate) fn remove(
        &mut self,
        subscription: Key,
        subject: Key,
        members: &mut Members,
    ) -> bool {
        let Some(set) = self.by_subscription.get_mut(&subscription) else { return false };
        let old = set.members.remove(&subject);
        if old {
            members.remove(subject, set.number);
        }
        old
    }

    /// The set is gone: at once for messages, as no subscription is filed under it; its
    /// members go with the changes to come.
    pub(crate) fn forget(&mut self, subscription: Key) {
        if let Some(set) = self.by_subscription.remove(&subscription) {
            self.gone.push_back((set.number, set.members.into_iter().collect()));
        }
    }

    /// Takes out some of the members of sets that are gone.
    pub(crate) fn sweep(&mut self, members: &mut Members) {
        const SOME: usize = 256;
        for _ in 0..SOME {
            let Some((number, left)) = self.gone.front_mut() else { return };
            match left.pop() {
                Some(subject) => members.remove(subject, *number),
                None => drop(self.gone.pop_front()),
            }
        }
    }
}
