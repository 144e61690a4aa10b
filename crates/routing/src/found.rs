use std::collections::HashSet;
use std::hash::Hash;

use smallvec::SmallVec;

/// The targets found for one message, each once.
pub(crate) struct Found<'a, T> {
    targets: SmallVec<[&'a T; FEW]>,
    /// The same, once comparing with each would take too long.
    seen: Option<HashSet<&'a T, foldhash::fast::RandomState>>,
}

const FEW: usize = 16;

impl<'a, T: Eq + Hash> Found<'a, T> {
    pub(crate) fn new() -> Self {
        Self { targets: SmallVec::new(), seen: None }
    }

    pub(crate) fn add(&mut self, target: &'a T) {
        if self.targets.len() < FEW {
            if !self.targets.contains(&target) {
                self.targets.push(target);
            }
            return;
        }
        let targets = &self.targets;
        let seen = self.seen.get_or_insert_with(|| targets.iter().copied().collect());
        if seen.insert(target) {
            self.targets.push(target);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a T> {
        self.targets.iter().copied()
    }
}
