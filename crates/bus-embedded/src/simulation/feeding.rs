//! The thread that reads, beside a writer that is driven by hand.

use std::sync::Arc;

use super::random::Random;
use crate::driven;
use crate::shared::Shared;
use crate::storage::Storage;

pub(super) struct Feeding {
    parts: driven::Feeding,
    random: Random,
}

impl Feeding {
    pub(super) fn new(shared: Arc<Shared>, storage: Arc<Storage>, random: Random) -> Self {
        Self { parts: driven::Feeding::new(shared, storage), random }
    }

    /// What falls before or after a write: some parts, or none.
    pub(super) fn meanwhile(&mut self) {
        while self.random.chance(40) {
            self.part();
        }
    }

    /// The next part. False when there is nothing to do.
    pub(super) fn part(&mut self) -> bool {
        self.parts.part()
    }
}
