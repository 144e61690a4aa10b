use std::time::{Duration, Instant};

use super::Writer;
use super::pending::Pending;
use crate::clock::Clock;
use crate::storage::archive::end_key;

/// So many go at a time; then it is the turn of what was asked meanwhile.
/// Fewer in tests, which so meet several turns.
const CHUNK: usize = if cfg!(test) { 16 } else { 1024 };
/// What is over its time goes this late at most; it is not shown meanwhile.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// When messages of the archive are over their time.
pub(crate) struct ArchiveEnds {
    /// None ends before.
    floor_ms: u64,
    next_ms: Option<u64>,
    looked_at: Option<Instant>,
}

impl ArchiveEnds {
    pub(crate) fn starting(next_ms: Option<u64>) -> Self {
        Self { floor_ms: 0, next_ms, looked_at: None }
    }

    /// Messages come that are kept until these moments.
    pub(crate) fn expect(&mut self, until_ms: impl Iterator<Item = u64>) {
        for until_ms in until_ms {
            self.next_ms = Some(self.next_ms.map_or(until_ms, |next| next.min(until_ms)));
            self.floor_ms = self.floor_ms.min(until_ms);
        }
    }

    /// When to look next.
    pub(crate) fn next_trim(&self, clock: &Clock) -> Option<Instant> {
        let wait_ms = self.next_ms?.saturating_sub(clock.wall_ms());
        let at = clock.instant() + Duration::from_millis(wait_ms).min(TRIM_EVERY);
        Some(self.looked_at.map_or(at, |looked_at| at.max(looked_at + TRIM_EVERY)))
    }

    fn is_due(&self, clock: &Clock) -> bool {
        let rested = self.looked_at.is_none_or(|looked_at| clock.since(looked_at) >= TRIM_EVERY);
        rested && self.next_ms.is_some_and(|next| next <= clock.wall_ms())
    }
}

impl Writer {
    /// Takes what is over its time out of the archive. That need not be durable: if it is
    /// lost, it is over its time again.
    pub(super) fn trim_archive(&mut self) {
        let clock = &self.shared.clock;
        if !self.archive_ends.is_due(clock) || self.shared.failure().is_some() {
            return;
        }
        let (floor_ms, now_ms) = (self.archive_ends.floor_ms, clock.wall_ms());
        let ended = match self.storage.archive_ended(floor_ms, now_ms, CHUNK) {
            Ok(ended) => ended,
            Err(error) => return self.shared.fail(&error),
        };
        let mut pending = Pending::new(&self.storage);
        for one in &ended {
            pending.remove(&self.storage.archive, &one.key.encode());
            pending.remove(&self.storage.archive_ends, &end_key(one.until_ms, one.key));
            pending.let_go(&self.storage, one.message, one.holders);
        }
        if self.commit(pending, false).0.is_err() {
            return;
        }
        self.archive_ends.floor_ms = ended.last().map_or(floor_ms, |last| last.until_ms);
        if ended.len() < CHUNK {
            self.archive_ends.looked_at = Some(self.shared.clock.instant());
            match self.storage.archive_ends_ms() {
                Ok(next_ms) => self.archive_ends.next_ms = next_ms,
                Err(error) => self.shared.fail(&error),
            }
        }
    }
}
