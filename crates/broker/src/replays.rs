//! How many replays there are at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use wissel_identifiers::Oin;

use crate::{Reason, Refusal};

/// The most replays into inboxes of one party. Another one is refused: one may last for hours,
/// and wait for room for longer.
const OF_ONE_PARTY: usize = 2;
/// How many go through a page of the archive at a time; others wait for their turn, which
/// comes soon.
const PAGES_AT_ONCE: usize = 4;
/// When to try again, for whoever was refused.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// The replays that are under way.
pub(crate) struct Replays {
    /// How many there are into inboxes of a party.
    of: Arc<Mutex<HashMap<Oin, usize>>>,
    turns: Semaphore,
}

/// One that is under way, until it is dropped.
pub(crate) struct Underway {
    of: Arc<Mutex<HashMap<Oin, usize>>>,
    owner: Oin,
}

impl Replays {
    /// Counts one more.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] when the party has as many as it may.
    pub(crate) fn begin(&self, owner: Oin) -> Result<Underway, Refusal> {
        let mut all = self.of.lock();
        let count = all.entry(owner).or_default();
        if *count >= OF_ONE_PARTY {
            let message = format!(
                "{OF_ONE_PARTY} replays into inboxes of party {owner} are under way, the most at a \
                 time; begin this one when one of them has ended"
            );
            let retry_after = Some(TRY_AGAIN);
            return Err(Refusal { retry_after, ..Refusal::new(Reason::RateLimited, message) });
        }
        *count += 1;
        Ok(Underway { of: Arc::clone(&self.of), owner })
    }

    /// Waits until it may go through a page, while what is returned is kept.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.ok()
    }
}

impl Default for Replays {
    fn default() -> Self {
        Self { of: Arc::default(), turns: Semaphore::new(PAGES_AT_ONCE) }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        if let Some(count) = all.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.owner);
            }
        }
    }
}
