use std::time::{Duration, Instant, SystemTime};

use wissel_bus::Attempt;

use super::Writer;
use super::pending::Pending;
use crate::EmbeddedBusError;
use crate::clock::Clock;
use crate::storage::Storage;
use crate::storage::engine::Entry;
use crate::storage::keys::{DelayedKey, to_ms};
use crate::storage::slot::{Slot, decode_history};

/// So many come back at a time; then it is the turn of what was asked meanwhile.
/// Fewer in tests, which so meet several turns.
pub(crate) const CHUNK: usize = if cfg!(test) { 16 } else { 1024 };

/// A retry that is due.
struct Due {
    key: DelayedKey,
    slot: Slot,
    history: Vec<Attempt>,
}

/// What is known of the retries that wait on disk, in the order of their moment.
pub(crate) struct Delays {
    /// None is due before.
    floor_ms: u64,
    next_due_ms: Option<u64>,
}

impl Delays {
    pub(crate) fn starting(next_due_ms: Option<u64>) -> Self {
        Self { floor_ms: next_due_ms.unwrap_or_default(), next_due_ms }
    }

    /// Where a delivery waits that is to come so long after this moment.
    pub(crate) fn key(
        &mut self,
        now: SystemTime,
        after: Duration,
        inbox: u32,
        place: u64,
    ) -> DelayedKey {
        let after_ms = u64::try_from(after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        // The moment is cut to a millisecond, and it must not come too early.
        let due_ms = to_ms(now).saturating_add(after_ms).saturating_add(1);
        // Also when the clock was set back, or the first that waits is due much later.
        self.floor_ms = self.floor_ms.min(due_ms);
        self.next_due_ms = Some(self.next_due_ms.map_or(due_ms, |next| next.min(due_ms)));
        DelayedKey { due_ms, inbox, place }
    }

    /// When the next is due.
    pub(crate) fn next_due(&self, clock: &Clock) -> Option<Instant> {
        let wait_ms = self.next_due_ms?.saturating_sub(clock.wall_ms());
        // Looks again every hour at least, as clocks may be set.
        let wait = Duration::from_millis(wait_ms).min(Duration::from_secs(3600));
        Some(clock.instant() + wait)
    }

    fn is_due(&self, now_ms: u64) -> bool {
        self.next_due_ms.is_some_and(|due| due <= now_ms)
    }

    /// The first that are due, and notes when the next one is.
    fn take_due(&mut self, storage: &Storage, now_ms: u64) -> Result<Vec<Due>, EmbeddedBusError> {
        let floor = DelayedKey { due_ms: self.floor_ms, inbox: 0, place: 0 };
        let mut due = Vec::new();
        self.next_due_ms = None;
        for entry in storage.delayed.range(floor.encode()..).map(Entry::into_inner) {
            let (key, value) = entry?;
            let key = DelayedKey::decode(&key)?;
            if key.due_ms > now_ms || due.len() == CHUNK {
                self.next_due_ms = Some(key.due_ms);
                break;
            }
            self.floor_ms = key.due_ms;
            due.push(Due {
                key,
                slot: Slot::decode(key.place, &value)?,
                history: decode_history(&value)?,
            });
        }
        Ok(due)
    }
}

impl Writer {
    /// Puts deliveries whose retry is due at the end of their inbox. That need not
    /// be durable: if it is lost, they are still waiting, and due.
    pub(super) fn bring_back_due(&mut self) {
        let now_ms = self.shared.clock.wall_ms();
        if !self.delays.is_due(now_ms) || self.shared.failure().is_some() {
            return;
        }
        let due = match self.delays.take_due(&self.storage, now_ms) {
            Ok(due) => due,
            Err(error) => return self.shared.fail(&error),
        };
        let mut pending = Pending::new(&self.storage);
        for Due { key, slot, history } in due {
            pending.remove(&self.storage.delayed, &key.encode());
            let Some(inbox) = self.by_number.get(&key.inbox) else {
                // Its inbox was removed.
                pending.finish(&self.storage, &slot);
                continue;
            };
            let again = slot.at(self.places.next());
            pending.arrive_again(&self.storage, inbox, again, &history, true);
        }
        let (outcome, effects) = self.commit(pending, false);
        effects.tell(&self.shared, outcome.as_ref().err());
    }
}
