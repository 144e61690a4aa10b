//! A round: a broker is used, goes down and is started again some times, and everything is
//! compared at the end.

use std::time::Duration;

use wissel_bus_embedded::driven::Fault;

use super::actions::{Action, WEIGHTS};
use super::ledger::{End, Now};
use super::world::World;
use super::{Counts, Found, Log};
use crate::BrokerOptions;

/// How many times the broker goes down in a round, at most.
const ENDS: usize = 3;
/// What happens from one start to the next, at most.
const ACTIONS: usize = 120;

/// Goes through the round of this seed.
pub(super) fn run(seed: u64, log: Log) -> Result<Counts, Found> {
    let mut world = World::new(seed, log);
    world.ledger.window_age = Duration::from_secs(world.pick(&[3, 60, 86_400]));
    // In each round some things happen more, and others never.
    let weights = WEIGHTS.map(|(_, most)| most * world.pick(&[0, 1, 1, 2, 4]));
    let ends = world.random.usize(..=ENDS);
    for life in 0..ends {
        world.lives(&weights, life == 0)?;
    }
    let runtime = world.idle.runtime();
    let outcome = runtime.block_on(world.ends(ends == 0, &weights));
    drop(runtime);
    world.gone();
    outcome?;
    world.counts.hash = world.log.hash();
    Ok(world.counts)
}

impl World {
    fn options(&self) -> BrokerOptions {
        BrokerOptions { deduplication_age: self.ledger.window_age, ..BrokerOptions::default() }
    }

    pub(super) async fn begins(&mut self, first: bool) -> Result<(), Found> {
        self.start(self.options()).await?;
        if first { self.furnish().await } else { Ok(()) }
    }

    /// From a start to an end.
    fn lives(&mut self, weights: &[usize], first: bool) -> Result<(), Found> {
        let runtime = self.idle.runtime();
        let outcome = runtime.block_on(async {
            self.begins(first).await?;
            self.is_used(weights, true).await?;
            self.goes_down().await
        });
        // Tasks end where they are, and nothing of what they do then reaches the disk.
        drop(runtime);
        let end = outcome;
        self.gone();
        let (end, now) = end?;
        let lost = match end {
            End::PowerLost => self.random.usize(..=self.disk.unsynced()),
            End::Killed | End::ShutDown => 0,
        };
        self.disk.crash(lost);
        self.ledger.crashed(end, now);
        self.counts.starts += 1;
        Ok(())
    }

    fn gone(&mut self) {
        *self.idle.driver.lock() = None;
        self.broker = None;
        self.seen.lock().clear();
        self.answers.lock().clear();
        self.news.lock().clear();
        self.replays.lock().clear();
        self.disk.rests();
    }

    pub(super) async fn is_used(&mut self, weights: &[usize], faults: bool) -> Result<(), Found> {
        if faults && self.chance(30) {
            let most = self.pick(&[10, 60]);
            let after = self.random.u64(..most);
            let fault = Fault { after, kept: self.random.bool() };
            self.log(|| format!("{fault:?}"));
            self.disk.set_fault(Some(fault));
        }
        let mut after_failure = 0;
        for _ in 0..self.random.usize(1..ACTIONS) {
            let action = self.weighted(weights);
            self.act(action).await?;
            self.counts.actions += 1;
            // A bus that failed takes nothing more, and hands out for a while.
            after_failure += usize::from(self.disk.has_failed());
            if after_failure > 8 {
                break;
            }
        }
        self.counts.faults += u64::from(self.disk.has_failed());
        Ok(())
    }

    /// Each as often as its weight says.
    fn weighted(&mut self, weights: &[usize]) -> Action {
        let mut left = self.random.usize(..weights.iter().sum::<usize>().max(1));
        for ((action, _), weight) in WEIGHTS.iter().zip(weights) {
            if left < *weight {
                return *action;
            }
            left -= weight;
        }
        Action::Rest
    }

    async fn goes_down(&mut self) -> Result<(End, Now), Found> {
        let end = self.pick(&[End::ShutDown, End::Killed, End::PowerLost, End::PowerLost]);
        self.log(|| format!("{end:?}"));
        if end == End::ShutDown {
            self.shut_down().await?;
        }
        self.collect()?;
        let now = self.now();
        self.bury();
        Ok((end, now))
    }
}
