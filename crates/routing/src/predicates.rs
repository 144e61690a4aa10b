use std::collections::HashMap;
use std::sync::Arc;

use wissel_filter::Condition;

/// A condition that subscriptions share: held against a message at most once.
pub(crate) struct Predicate {
    /// No two in one table are alike.
    pub(crate) number: u32,
    pub(crate) condition: Condition,
}

/// The predicates in use, each kept once for all the subscriptions that use it.
#[derive(Default)]
pub(crate) struct Predicates {
    known: HashMap<Condition, Arc<Predicate>, foldhash::fast::RandomState>,
    /// Numbers of those that went.
    free: Vec<u32>,
    /// When there are more than these, those that are no longer used go.
    sweep_above: usize,
}

/// How many are kept before a sweep is worth its time.
const SWEEP_MIN: usize = 1_024;

impl Predicates {
    pub(crate) fn shared(&mut self, condition: Condition) -> Arc<Predicate> {
        if let Some(known) = self.known.get(&condition) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_above.max(SWEEP_MIN) {
            self.sweep();
        }
        let next = u32::try_from(self.known.len() + self.free.len()).unwrap_or(u32::MAX);
        let number = self.free.pop().unwrap_or(next);
        let new = Arc::new(Predicate { number, condition: condition.clone() });
        self.known.insert(condition, Arc::clone(&new));
        new
    }

    fn sweep(&mut self) {
        let free = &mut self.free;
        self.known.retain(|_, predicate| {
            let used = Arc::strong_count(predicate) > 1;
            if !used {
                free.push(predicate.number);
            }
            used
        });
        // Twice what is in use: each is looked at once or twice in its life.
        self.sweep_above = self.known.len() * 2;
    }
}
