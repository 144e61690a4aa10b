//! What callers, consumers and time may do, by chance.

use std::sync::Arc;
use std::time::Duration;

use wissel_bus::{Bus, DeadLetter, DeadLetterId, Page, Selection};

use super::calls::{Answer, Call, Expected, now};
use super::compare::{pages, same};
use super::model::{DeadKey, Which};
use super::queued::{Queued, What};
use super::world::World;
use super::{Found, name};

/// A retry is due, and the archive over, within this time.
pub(super) const LONGEST: Duration = Duration::from_secs(1_800);

/// What may happen, and how often at most beside the others.
pub(super) const WEIGHTS: [(Action, usize); 15] = [
    (Action::Enqueue, 12),
    (Action::Write, 12),
    (Action::Feed, 10),
    (Action::Consume, 4),
    (Action::Settle, 14),
    (Action::Leave, 2),
    (Action::Pass, 5),
    (Action::SetClock, 1),
    (Action::Redrive, 2),
    (Action::Purge, 1),
    (Action::Open, 2),
    (Action::Remove, 1),
    (Action::Bury, 2),
    (Action::Rest, 3),
    (Action::GiveUp, 1),
];

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Enqueue,
    /// The writer looks once.
    Write,
    /// The feeder does a part of its turn.
    Feed,
    Consume,
    Settle,
    /// A consumer goes, with what it holds.
    Leave,
    /// Time goes on.
    Pass,
    /// The clock on the wall is set.
    SetClock,
    Redrive,
    Purge,
    Open,
    Remove,
    Bury,
    /// Everything comes to rest, and is looked at.
    Rest,
    /// A caller no longer waits for its answer.
    GiveUp,
}

impl World {
    pub(super) fn act(&mut self, action: Action) -> Result<(), Found> {
        match action {
            Action::Enqueue => self.enqueue()?,
            Action::Write => {
                self.log.write(|| "the writer looks".to_owned());
                self.step()?;
            }
            Action::Feed => {
                self.log.write(|| "the feeder goes on".to_owned());
                self.up.feeding.lock().part();
            }
            Action::Consume => self.consume()?,
            Action::Settle => self.settle()?,
            Action::Leave => self.leave(),
            Action::Pass => self.pass_some()?,
            Action::SetClock => self.set_clock(),
            Action::Redrive => self.end_dead(true)?,
            Action::Purge => self.end_dead(false)?,
            Action::Open => self.open()?,
            Action::Remove => self.remove()?,
            Action::Bury => self.bury()?,
            Action::Rest => self.rest()?,
            Action::GiveUp => self.give_up(),
        }
        self.collect()?;
        self.is_well()
    }

    /// Polls a call for the first time.
    pub(super) fn submit(&mut self, mut call: Call, what: Option<What>) -> Result<(), Found> {
        let number = call.number;
        match call.poll() {
            Some(answer) => {
                let failed = self.has_failed();
                self.heard(&call, answer, failed)?;
            }
            None => self.up.calls.push(call),
        }
        if let Some(what) = what {
            self.up.queued.push(Queued { call: number, what });
        }
        Ok(())
    }

    pub(super) fn any_inbox(&mut self) -> Option<Which> {
        let index = self.random.below(self.names);
        self.model.find(index)
    }

    // === inboxes ===

    fn open(&mut self) -> Result<(), Found> {
        let index = self.random.below(self.names);
        let exists = self.model.find(index).is_some();
        if self.has_failed() {
            return Ok(());
        }
        let number = self.number();
        self.log.write(|| format!("call {number}: open inbox {index}"));
        let bus = Arc::clone(&self.up.bus);
        let mut call =
            Call::new(number, 1, async move { Answer::One(bus.open_inbox(&name(index)).await) });
        call.expected = exists.then(|| vec![Expected::Fine]);
        self.submit(call, (!exists).then_some(What::Open(index)))
    }

    fn remove(&mut self) -> Result<(), Found> {
        let index = self.random.below(self.names);
        if self.has_failed() {
            return Ok(());
        }
        let number = self.number();
        self.log.write(|| format!("call {number}: remove inbox {index}"));
        let bus = Arc::clone(&self.up.bus);
        let call =
            Call::new(number, 1, async move { Answer::One(bus.remove_inbox(&name(index)).await) });
        self.submit(call, Some(What::Remove(index)))
    }

    fn end_dead(&mut self, redrive: bool) -> Result<(), Found> {
        let Some(inbox) = self.any_inbox() else { return Ok(()) };
        let to = if redrive { self.any_inbox() } else { None };
        if self.has_failed() || redrive && to.is_none() || self.is_ending(inbox) {
            return Ok(());
        }
        let (mut selection, mut these) = (Selection::All, None);
        if self.random.chance(50) {
            let letters = pages(100_000, |after: Option<&DeadLetter>, limit| {
                let page = Page { after: after.map(|letter| letter.id.clone()), limit };
                Ok(now(self.up.bus.dead_letters(&name(inbox.index), page))??)
            })?;
            let keys = self.model.dead_keys(inbox);
            same("dead letters", &letters.len(), &keys.len())?;
            let percent = self.random.pick(&[0, 20, 60]);
            let chosen: Vec<usize> =
                (0..keys.len()).filter(|_| self.random.chance(percent)).collect();
            let ids = chosen.iter().map(|at| letters[*at].id.clone());
            // One that never was is passed over.
            let unknown = DeadLetterId("0-0".to_owned());
            selection = Selection::These(ids.chain([unknown]).collect());
            these = Some(chosen.iter().map(|at| keys[*at]).collect());
        }
        self.ask_end(inbox, to, selection, these)
    }

    /// Redrives dead letters to an inbox, or purges them.
    pub(super) fn ask_end(
        &mut self,
        inbox: Which,
        to: Option<Which>,
        selection: Selection,
        these: Option<Vec<DeadKey>>,
    ) -> Result<(), Found> {
        let number = self.number();
        self.log.write(|| format!("call {number}: end {selection:?} of {inbox:?}, to {to:?}"));
        let bus = Arc::clone(&self.up.bus);
        let call = Call::new(number, 1, async move {
            let from = name(inbox.index);
            Answer::Count(match to {
                Some(to) => bus.redrive(&from, &selection, &name(to.index)).await,
                None => bus.purge_dead_letters(&from, &selection).await,
            })
        });
        self.submit(call, Some(What::End { inbox, these, to }))
    }

    fn give_up(&mut self) {
        if self.up.calls.is_empty() {
            return;
        }
        let at = self.random.below(self.up.calls.len());
        let is_end = self.up.ends.iter().any(|end| end.call == self.up.calls[at].number)
            || self.up.queued.iter().any(|one| {
                one.call == self.up.calls[at].number && matches!(one.what, What::End { .. })
            });
        // When that is done with is only known from its answer.
        if !is_end {
            let call = self.up.calls.remove(at);
            self.log.write(|| format!("call {}: given up", call.number));
        }
    }
}
