//! What a walk has out of the queue at one time, and what it remembers of ids.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::ErrorKind;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use wissel_bus::{BusError, DeadLetterId};

use crate::inspect::Knowledge;
use crate::taking::{Found, Place, Taking, broken};

/// What is taken out of the queue at this time.
pub(crate) struct Sight {
    pub(crate) taking: Taking,
    knowledge: Arc<Knowledge>,
    turn: OwnedMutexGuard<()>,
    pub(crate) begun: Instant,
    /// When it met the first that was not known.
    pub(crate) fresh: Option<Instant>,
    /// Those that were left before, or in this sight.
    pub(crate) left: u64,
    /// What is no dead letter of ours.
    pub(crate) foreign: u64,
    /// What was acknowledged.
    pub(crate) settled: u64,
    /// What is counted as taken.
    counted: u64,
    /// Whether RabbitMQ may not have heard of all of that.
    pub(crate) broke: bool,
}

/// Ids, by their hashes.
#[derive(Default)]
pub(crate) struct Known {
    state: RandomState,
    hashes: HashSet<u64>,
}

impl Sight {
    pub(crate) fn new(
        taking: Taking,
        knowledge: Arc<Knowledge>,
        turn: OwnedMutexGuard<()>,
    ) -> Self {
        let (begun, fresh) = (Instant::now(), None);
        let (left, foreign, settled, counted, broke) = (0, 0, 0, 0, false);
        Self { taking, knowledge, turn, begun, fresh, left, foreign, settled, counted, broke }
    }

    /// How many can be taken now.
    pub(crate) async fn ready(&self, unknown: BusError) -> Result<u64, BusError> {
        // Asking for a queue that is not there closes the channel.
        self.taking.ready().await.map_err(|error| match error.kind() {
            ErrorKind::ProtocolError(_) => unknown,
            _ => broken(&error),
        })
    }

    /// Takes the next, at most so many.
    pub(crate) async fn take(&mut self, most: u64) -> Result<Vec<Found>, BusError> {
        let found = self.taking.take(most).await?;
        self.counted += found.len() as u64;
        self.knowledge.dead_taken.fetch_add(found.len() as u64, Ordering::Relaxed);
        Ok(found)
    }

    pub(crate) fn settled(&mut self, place: Place) {
        self.taking.settled(place);
        self.settled += 1;
        if self.counted > 0 {
            self.counted -= 1;
            self.knowledge.dead_taken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether it looked at what is new for long enough, beside what it had to look at again.
    pub(crate) fn had_its_turn(&self) -> bool {
        const LEAST: Duration = Duration::from_secs(1);
        const TIMES: u32 = 4;
        self.fresh.is_some_and(|fresh| {
            fresh.elapsed() >= LEAST.max((fresh - self.begun).saturating_mul(TIMES))
        })
    }

    /// Gives back what is left.
    pub(crate) async fn end(self) {
        let Self { taking, knowledge, turn, counted, .. } = self;
        knowledge.dead_taken.fetch_sub(counted, Ordering::Relaxed);
        taking.give_back().await;
        drop(turn);
    }
}

impl Known {
    pub(crate) fn add(&mut self, id: &DeadLetterId) {
        self.hashes.insert(self.state.hash_one(id));
    }

    pub(crate) fn has(&self, id: &DeadLetterId) -> bool {
        self.hashes.contains(&self.state.hash_one(id))
    }

    pub(crate) fn len(&self) -> u64 {
        self.hashes.len() as u64
    }
}
