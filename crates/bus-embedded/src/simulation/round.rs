//! A round: the bus is used, goes down and comes up some times, and is emptied at the end.

use std::time::Duration;

use wissel_bus::Selection;

use super::actions::{Action, LONGEST, WEIGHTS};
use super::model::{Way, Which};
use super::world::World;
use super::{Counts, Found, Log, audit};
use crate::storage::engine::simulated::Fault;

/// How many times the bus is started in a round, at most.
const STARTS: usize = 4;
/// What happens from one start to the next, at most.
const ACTIONS: usize = 80;
/// What is left at the end is gone after so many turns.
const TURNS_MAX: usize = 200;

/// How a bus goes down.
#[derive(Debug, Clone, Copy)]
enum End {
    Closed,
    Killed,
    PowerLost,
}

/// Goes through the round of this seed.
pub(super) fn run(seed: u64, log: Log) -> Result<Counts, Found> {
    let mut world = World::new(seed, log)?;
    let mut counts = Counts { rounds: 1, ..Counts::default() };
    // In each round some things happen more, and others never.
    let weights = WEIGHTS.map(|(_, most)| {
        let part = world.random.pick(&[0, 1, 1, 2, 4]);
        most * part
    });
    for _ in 0..world.random.between(1, STARTS) {
        world.used(&weights, &mut counts)?;
        world.goes_down(&mut counts)?;
    }
    world.emptied()?;
    counts.hash = world.log.hash();
    Ok(counts)
}

impl World {
    fn used(&mut self, weights: &[usize], counts: &mut Counts) -> Result<(), Found> {
        if self.random.chance(40) {
            let most = self.random.pick(&[8, 40]);
            let after = u64::try_from(self.random.below(most)).unwrap();
            let fault = Fault { after, kept: self.random.chance(50) };
            self.log.write(|| format!("{fault:?}"));
            self.disk.set_fault(Some(fault));
        }
        for _ in 0..self.random.between(0, 2 * self.names) {
            self.act(Action::Open)?;
        }
        self.act(Action::Rest)?;
        let mut after_failure = 0;
        for _ in 0..self.random.between(1, ACTIONS) {
            let action = match weights.iter().sum::<usize>() {
                0 => Action::Write,
                _ => WEIGHTS[self.random.weighted(weights)].0,
            };
            self.act(action)?;
            counts.actions += 1;
            // A bus that failed takes nothing more, and hands out for a while.
            after_failure += usize::from(self.has_failed());
            if after_failure > 8 {
                break;
            }
        }
        counts.faults += u64::from(self.has_failed());
        Ok(())
    }

    fn goes_down(&mut self, counts: &mut Counts) -> Result<(), Found> {
        counts.starts += 1;
        let end = self.random.pick(&[End::Closed, End::Killed, End::PowerLost, End::PowerLost]);
        if matches!(end, End::Closed) {
            self.closes()?;
        }
        let lost = match end {
            End::Killed => 0,
            // What was closed has nothing to lose, unless its disk failed.
            End::Closed | End::PowerLost => self.random.between(0, self.disk.unsynced()),
        };
        counts.writes_lost += lost as u64;
        self.log.write(|| format!("{end:?}, the last {lost} writes are lost"));
        if matches!(end, End::Killed) {
            // Whatever is written outlives a process.
            self.model.promise(self.up.written);
        }
        self.crash(lost)
    }

    /// The bus is closed: what it was asked is done first.
    fn closes(&mut self) -> Result<(), Found> {
        while !self.up.consumers.is_empty() {
            self.leaves(0);
        }
        self.up.bus.shared.close();
        while self.step()? {}
        self.up.writer.end();
        // Dead letters that were not come to.
        self.hear(self.has_failed())?;
        if !self.has_failed() {
            self.model.promise(self.model.latest());
        }
        Ok(())
    }

    /// Everything that is left comes, and then nothing is left.
    fn emptied(&mut self) -> Result<(), Found> {
        self.disk.set_fault(None);
        self.log.write(|| "everything is emptied".to_owned());
        for _ in 0..TURNS_MAX {
            self.act(Action::Rest)?;
            let inboxes = self.model.state.inboxes.values();
            let left =
                inboxes.map(|inbox| inbox.ready.len() + inbox.delayed.len() + inbox.dead.len());
            if left.sum::<usize>() == 0 {
                break;
            }
            self.redrive_all()?;
            self.act(Action::Rest)?;
            self.acknowledge_all()?;
            if self.model.state.inboxes.values().any(|inbox| !inbox.delayed.is_empty()) {
                self.pass(Duration::from_secs(60))?;
            }
        }
        // The archive ends, and so do retries of inboxes that were removed.
        self.pass(10 * LONGEST)?;
        self.look()?;
        audit::is_empty(&self.up.storage)
    }

    fn acknowledge_all(&mut self) -> Result<(), Found> {
        for inbox in self.all_inboxes() {
            if self.up.consumers.iter().all(|consuming| consuming.inbox != inbox) {
                self.consume_from(inbox, 50)?;
            }
        }
        self.act(Action::Rest)?;
        for at in 0..self.up.consumers.len() {
            while !self.up.consumers[at].held.is_empty() {
                self.settle_as(at, |_| Way::Done)?;
            }
        }
        Ok(())
    }

    fn redrive_all(&mut self) -> Result<(), Found> {
        for inbox in self.all_inboxes() {
            if !self.is_ending(inbox) {
                self.ask_end(inbox, Some(inbox), Selection::All, None)?;
            }
        }
        Ok(())
    }

    fn all_inboxes(&self) -> Vec<Which> {
        (0..self.names).filter_map(|index| self.model.find(index)).collect()
    }
}
