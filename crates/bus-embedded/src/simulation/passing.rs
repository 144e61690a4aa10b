//! Time that goes on, and coming to rest.

use std::time::Duration;

use super::world::World;
use super::{Found, audit};
use crate::storage::keys::to_ms;

/// After so long without a change every pack is trimmed.
const TRIMMED_AFTER: Duration = Duration::from_secs(30);
/// What is over its time leaves the archive so late at most.
const ARCHIVE_LATE: Duration = Duration::from_secs(61);
/// More turns than this without time going on are no coming to rest.
const TURNS_MAX: usize = 10_000;
/// By how much the clock may be set.
const CLOCK_SET_MAX_MS: usize = 1_000_000;

impl World {
    pub(super) fn pass_some(&mut self) -> Result<(), Found> {
        let longest = self.random.pick(&[5, self.pace_ms]);
        let by = Duration::from_millis(self.random.below(longest) as u64);
        self.log.write(|| format!("{by:?} pass"));
        self.pass(by)
    }

    /// Time goes on, and the writer looks when it said that it would.
    pub(super) fn pass(&mut self, by: Duration) -> Result<(), Found> {
        let end = self.time.instant() + by;
        for _ in 0..TURNS_MAX {
            let wake = self.up.writer.next_wake().filter(|wake| *wake <= end);
            let waits = !self.up.queued.is_empty();
            if waits {
                self.step()?;
                continue;
            }
            let Some(wake) = wake else {
                self.time.pass(end.saturating_duration_since(self.time.instant()));
                return Ok(());
            };
            self.time.pass(wake.saturating_duration_since(self.time.instant()));
            self.step()?;
        }
        Err(Found("the writer does not come to rest".to_owned()))
    }

    /// The clock on the wall is set, forward or back.
    pub(super) fn set_clock(&mut self) {
        let by = Duration::from_millis(self.random.below(CLOCK_SET_MAX_MS) as u64);
        let wall = self.time.wall();
        let set = if self.random.chance(50) { wall + by } else { wall - by };
        self.log.write(|| format!("the clock is set to {set:?}"));
        self.time.set_wall(set);
    }

    /// Both threads do what there is to do.
    pub(super) fn rest(&mut self) -> Result<(), Found> {
        self.log.write(|| "everything comes to rest".to_owned());
        self.pass(Duration::ZERO)?;
        while self.up.feeding.lock().part() {}
        self.collect()?;
        self.is_well()?;
        if self.has_failed() {
            return Ok(());
        }
        self.nothing_is_held_up()?;
        if self.random.chance(30) {
            self.look()?;
        }
        if self.random.chance(10) {
            self.expect_trimmed()?;
        }
        Ok(())
    }

    /// Some time later no pack is half for nobody.
    pub(super) fn expect_trimmed(&mut self) -> Result<(), Found> {
        let archive = self.model.state.archive.values().map(|kept| kept.until_ms);
        // Also of inboxes that were removed.
        let retries = audit::retries_due_ms(&self.up.storage)?;
        let let_go: Vec<u64> = archive.chain(retries).collect();
        self.pass(ARCHIVE_LATE)?;
        let since_ms = to_ms(self.time.wall() - ARCHIVE_LATE);
        self.pass(TRIMMED_AFTER)?;
        let until_ms = to_ms(self.time.wall());
        // What is let go meanwhile begins anew.
        if self.has_failed() || let_go.iter().any(|at| (since_ms..=until_ms).contains(at)) {
            return Ok(());
        }
        audit::is_trimmed(&self.up.storage)
    }
}
