//! What may happen, by chance.

use std::time::Duration;

use super::Found;
use super::town::{PLACES, Rights};
use super::world::World;
use crate::clock;

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Publish,
    Open,
    Settle,
    Extend,
    Leave,
    Cut,
    Stall,
    Read,
    Pause,
    Redrive,
    Purge,
    /// An inbox may hold less, or more.
    Limit,
    Replay,
    /// A grant or a subscription is withdrawn, or given back.
    Rights,
    /// Whoever redrives slowly, or replays, gives up.
    GiveUp,
    /// Time goes on.
    Pass,
    /// It does, and nothing happens meanwhile: all that was to end is over at once.
    Jump,
    /// Time goes on, and the disk takes nothing.
    Stuck,
    /// The clock on the wall is set.
    SetClock,
    /// The bus does some of what it has to do.
    Turn,
    /// Others go on a little.
    Yield,
    /// Everything comes to rest, and is looked at.
    Rest,
}

/// What may happen, and how often at most beside the others.
pub(super) const WEIGHTS: [(Action, usize); 22] = [
    (Action::Publish, 10),
    (Action::Open, 5),
    (Action::Settle, 16),
    (Action::Extend, 1),
    (Action::Leave, 2),
    (Action::Cut, 1),
    (Action::Stall, 1),
    (Action::Read, 1),
    (Action::Pause, 1),
    (Action::Redrive, 2),
    (Action::Purge, 1),
    (Action::Limit, 1),
    (Action::Replay, 1),
    (Action::Rights, 1),
    (Action::GiveUp, 1),
    (Action::Pass, 6),
    (Action::Jump, 1),
    (Action::Stuck, 1),
    (Action::SetClock, 1),
    (Action::Turn, 6),
    (Action::Yield, 6),
    (Action::Rest, 6),
];

impl World {
    pub(super) async fn act(&mut self, action: Action) -> Result<(), Found> {
        match action {
            Action::Publish => self.publish(),
            Action::Open => self.open(),
            Action::Settle => self.settle(),
            Action::Extend => self.extend(),
            Action::Leave => self.leave(true)?,
            Action::Cut => self.leave(false)?,
            Action::Stall => self.stall(),
            Action::Read => self.read(),
            Action::Pause => {
                let place = self.random.usize(..PLACES.len());
                let paused = !self.paused[place];
                self.settle_down().await?;
                self.collect()?;
                self.pause(place, paused).await?;
            }
            Action::Redrive => {
                let place = self.random.usize(..PLACES.len());
                self.redrive(place).await?;
            }
            Action::Purge => {
                let place = self.random.usize(..PLACES.len());
                self.purge(place).await?;
            }
            Action::Limit => self.limit_some().await?,
            Action::Rights => {
                let rights = Rights { urgent: self.random.bool(), aged: self.random.bool() };
                self.set_rights(rights).await?;
            }
            Action::Replay => self.replay().await?,
            Action::GiveUp if self.random.bool() => self.give_up_replay().await?,
            Action::GiveUp => self.give_up_mending().await?,
            Action::Pass => {
                let longest = self.pick(&[20, 500, 2_000, 9_000, 40_000]);
                let by = Duration::from_millis(self.random.u64(..longest));
                self.log(|| format!("{by:?} pass"));
                self.pass(by).await?;
            }
            Action::Jump => {
                self.rest().await?;
                let by = Duration::from_millis(self.random.u64(..100_000));
                self.log(|| format!("{by:?} are over at once"));
                tokio::time::advance(by).await;
                self.settle_down().await?;
            }
            Action::Stuck => {
                let by = Duration::from_millis(self.random.u64(..3_000));
                self.log(|| format!("{by:?} pass, and the disk takes nothing"));
                tokio::time::sleep(by).await;
            }
            // What is replayed is meant by the clock of when that began.
            Action::SetClock if !self.replaying.is_empty() => {}
            Action::SetClock => {
                self.rest().await?;
                let by = Duration::from_millis(self.random.u64(..20_000));
                let wall = self.now().wall;
                let set = if self.random.bool() { wall + by } else { wall - by };
                self.log(|| format!("the clock is set from {wall:?} to {set:?}"));
                self.ledger.clock_is_set(self.now());
                clock::simulated::set(set);
            }
            Action::Turn => {
                self.turn();
            }
            Action::Yield => {
                for _ in 0..self.random.u32(1..6) {
                    tokio::task::yield_now().await;
                }
            }
            Action::Rest => self.rest().await?,
        }
        self.collect()
    }

    /// Everything comes to rest, and is looked at.
    pub(super) async fn rest(&mut self) -> Result<(), Found> {
        self.settle_down().await?;
        self.collect()?;
        let now = self.now();
        if now.failed {
            return Ok(());
        }
        self.ledger.rested(now);
        self.ledger.mendings_go_on(now)?;
        self.is_quiet = self.paused;
        self.nobody_waits()?;
        if self.chance(10) {
            for place in 0..PLACES.len() {
                self.look_at_dead(place).await?;
            }
        }
        Ok(())
    }
}
