use std::collections::HashSet;
use std::sync::Arc;

/// Names of attributes and event types, each kept once for all the subscriptions that
/// use it.
#[derive(Default)]
pub(crate) struct Names {
    names: HashSet<Arc<str>, foldhash::fast::RandomState>,
    /// When there are more than these, those that are no longer used go.
    sweep_above: usize,
}

/// How many names are kept before a sweep is worth its time.
const SWEEP_MIN: usize = 1_024;

impl Names {
    pub(crate) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= self.sweep_above.max(SWEEP_MIN) {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            // Twice what is in use: a name is looked at once or twice in its life.
            self.sweep_above = self.names.len() * 2;
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_only_while_it_is_used() {
        let mut names = Names::default();
        let kept = names.shared("nl.brp.geboorte");
        for number in 0..10_000 {
            drop(names.shared(&number.to_string()));
        }
        assert!(Arc::ptr_eq(&kept, &names.shared("nl.brp.geboorte")));
        assert!(names.names.len() <= SWEEP_MIN);
    }
}
