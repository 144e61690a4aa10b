//! Dead letters that are put back, some at a time, or purged.
//!
//! Which are meant is known when it begins. After each step the broker tells how many it put back
//! so far. So it is known of each whether it is still a dead letter, but for those of the step that
//! may be under way.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use super::super::Found;
use super::{Fate, Ledger, Now, Stand, State, Which};
use crate::Refusal;

/// By so much a step may be early, as timers are exact to the millisecond.
const EARLY: Duration = Duration::from_millis(1);
/// By so much a step may be late before those after it are as well.
const LATE: Duration = Duration::from_millis(7);

/// How fast it may go on.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Pace {
    /// So many in each step,
    pub(in super::super) at_once: usize,
    /// and so long from one to the next.
    pub(in super::super) period: Duration,
}

/// A call that is under way.
pub(in super::super) struct Mending {
    pub(in super::super) number: u64,
    from: usize,
    /// None: they are purged.
    to: Option<usize>,
    meant: Vec<(Which, Mended)>,
    pace: Pace,
    begun: Duration,
    /// Steps that are done, and when the last two were.
    steps: u32,
    last: [Duration; 2],
    /// How many dead letters went by these.
    told: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mended {
    NotYet,
    /// It came before its step was told.
    Came,
    Done,
    /// By somebody else.
    Elsewhere,
}

impl Mending {
    /// Puts back these dead letters of an inbox, in this order; or purges them.
    pub(in super::super) fn new(
        number: u64,
        (from, to): (usize, Option<usize>),
        meant: Vec<Which>,
        pace: Pace,
        now: Now,
    ) -> Self {
        let meant = meant.into_iter().map(|which| (which, Mended::NotYet)).collect();
        let begun = now.passed;
        Self { number, from, to, meant, pace, begun, steps: 0, last: [begun; 2], told: 0 }
    }

    /// Those of the next step, which are none after the last.
    fn next(&mut self) -> &mut [(Which, Mended)] {
        let next = self.places_of_next();
        &mut self.meant[next]
    }

    fn places_of_next(&self) -> Range<usize> {
        let done = self.meant.len().min(self.steps as usize * self.pace.at_once);
        done..self.meant.len().min(done + self.pace.at_once)
    }

    /// Whether the next step may be under way. One that was late is followed at once by the next.
    fn is_due(&self, now: Now) -> bool {
        let period = self.pace.period;
        let since_two = self.steps < 2 || now.passed + LATE >= self.last[0] + period;
        since_two && now.passed + EARLY >= self.begun + period * self.steps
    }
}

impl Ledger {
    /// Whether somebody puts back by and by what died there.
    pub(in super::super) fn is_mended_slowly(&self, place: usize) -> bool {
        let here = |one: &&Mending| one.from == place;
        self.mendings.iter().filter(here).any(|one| !one.pace.period.is_zero())
    }

    /// A step is done, and so many dead letters went since the beginning.
    pub(in super::super) fn step_done(
        &mut self,
        number: u64,
        count: u64,
        now: Now,
    ) -> Result<(), Found> {
        let Some(at) = self.mendings.iter().position(|one| one.number == number) else {
            return Ok(());
        };
        let mending = &self.mendings[at];
        if !mending.is_due(now) {
            let steps = mending.steps;
            return Err(Found(format!("mending {number} is too fast after step {steps}")));
        }
        self.does_step(at);
        let mending = &mut self.mendings[at];
        mending.steps += 1;
        mending.last = [mending.last[1], now.passed];
        if mending.told != count {
            let told = mending.told;
            return Err(Found(format!("mending {number} did {count}, expected {told}")));
        }
        Ok(())
    }

    /// What is left of the next step is done.
    fn does_step(&mut self, at: usize) {
        let to = self.mendings[at].to;
        let mut moved = Vec::new();
        let mut told = 0;
        for (which, mended) in self.mendings[at].next() {
            match mended {
                Mended::NotYet => moved.push(*which),
                Mended::Came => {}
                Mended::Done | Mended::Elsewhere => continue,
            }
            *mended = Mended::Done;
            told += 1;
        }
        self.mendings[at].told += told;
        for which in moved {
            self.mend(which, to);
        }
    }

    /// What came of it.
    pub(in super::super) fn mended(
        &mut self,
        number: u64,
        answer: &Result<u64, Refusal>,
        now: Now,
    ) -> Result<(), Found> {
        let Some(at) = self.mendings.iter().position(|one| one.number == number) else {
            return Ok(());
        };
        match answer {
            Ok(count) => {
                // Some are not told of by steps.
                if self.mendings[at].steps == 0 {
                    self.does_step(at);
                    self.mendings[at].steps += 1;
                }
                let mut mending = self.mendings.swap_remove(at);
                let (left, told) = (mending.next().len(), mending.told);
                if left > 0 || told != *count {
                    return Err(Found(format!(
                        "mending {number} did {count} of {told}, and {left} are left"
                    )));
                }
                Ok(())
            }
            Err(_) if now.failed => {
                let mending = self.mendings.swap_remove(at);
                self.may_be_under_way(mending, now);
                Ok(())
            }
            Err(refusal) => Err(Found(format!("mending {number} is refused: {refusal:?}"))),
        }
    }

    /// Whoever asked for it has gone, while everything was at rest.
    pub(in super::super) fn mending_ends(&mut self, number: u64) {
        self.mendings.retain(|mending| mending.number != number);
    }

    /// The broker is gone.
    pub(super) fn mendings_are_over(&mut self, now: Now) {
        for mending in std::mem::take(&mut self.mendings) {
            self.may_be_under_way(mending, now);
        }
    }

    /// At rest: each goes on, as fast as it may.
    pub(in super::super) fn mendings_go_on(&self, now: Now) -> Result<(), Found> {
        let stuck = self.mendings.iter().find(|mending| {
            let since = now.passed - mending.last[1];
            mending.steps == 0 || since > mending.pace.period + LATE
        });
        match stuck {
            Some(Mending { number, steps, .. }) => {
                Err(Found(format!("mending {number} does not go on after step {steps}")))
            }
            None => Ok(()),
        }
    }

    /// What may be put back in this moment, and where.
    pub(super) fn under_way(&self) -> impl Iterator<Item = (Which, usize)> {
        self.mendings.iter().flat_map(|mending| {
            let next = mending.meant[mending.places_of_next()].iter();
            let left = next.filter(|(_, mended)| *mended == Mended::NotYet);
            left.filter_map(|(which, _)| Some((*which, mending.to?)))
        })
    }

    /// What comes may be of a step that is not told of yet.
    pub(super) fn may_be_put_back(&mut self, which: Which, now: Now) {
        let (message, copy, place) = which;
        for at in 0..self.mendings.len() {
            let mending = &mut self.mendings[at];
            let from = (message, copy, mending.from);
            if mending.to != Some(place) || !mending.is_due(now) {
                continue;
            }
            let next = mending.next().iter_mut().find(|(meant, _)| *meant == from);
            let Some((_, mended @ Mended::NotYet)) = next else { continue };
            *mended = Mended::Came;
            self.mend(from, Some(place));
            return;
        }
    }

    /// It is a dead letter no more, and waits there, or is gone for good.
    fn mend(&mut self, from: Which, to: Option<usize>) {
        for (which, mended) in self.mendings.iter_mut().flat_map(|one| &mut one.meant) {
            if *which == from && *mended == Mended::NotYet {
                *mended = Mended::Elsewhere;
            }
        }
        let stands = &mut self.messages[from.0].copies[from.1].stands;
        stands[from.2] = Some(Stand::gone());
        if let Some(to) = to {
            stands[to] = Some(Stand::put_back());
        }
    }

    /// Nobody knows what came of the step that may be under way; what is behind it stays.
    fn may_be_under_way(&mut self, mut mending: Mending, now: Now) {
        if !mending.is_due(now) {
            return;
        }
        let to = mending.to;
        for (which, mended) in mending.next() {
            if *mended == Mended::NotYet {
                self.may_have_gone(*which, to);
            }
        }
    }

    fn may_have_gone(&mut self, from: Which, to: Option<usize>) {
        let (message, copy, place) = from;
        let stands = &mut self.messages[message].copies[copy].stands;
        if to == Some(place) {
            if let Some(stand) = &mut stands[place] {
                let attempts = (stand.attempts.0.min(1), stand.attempts.1.max(1));
                *stand = Stand { maybe: Some(Fate::Dead), attempts, ..Stand::put_back() };
            }
            return;
        }
        if let Some(stand) = &mut stands[place] {
            stand.maybe = Some(Fate::Gone);
        }
        let Some(to) = to else { return };
        stands[to] = Some(Stand { maybe: Some(Fate::Gone), ..Stand::put_back() });
        self.moved.push((from, (message, copy, to)));
    }

    /// It is there, so it is no more where it died.
    pub(super) fn has_moved(&mut self, to: Which) {
        if let Some(at) = self.moved.iter().position(|moved| moved.1 == to) {
            let ((message, copy, place), _) = self.moved.swap_remove(at);
            self.messages[message].copies[copy].stands[place] = Some(Stand::gone());
        }
    }

    /// These are the dead letters of an inbox, so what may have gone has, or has not.
    pub(super) fn are_there(&mut self, place: usize, there: &HashSet<Which>) {
        for which in there {
            self.has_moved(*which);
        }
        let (known, open): (Vec<_>, Vec<_>) =
            self.moved.drain(..).partition(|((.., from), _)| *from == place);
        self.moved = open;
        for (from, (message, copy, to)) in known {
            let stands = &mut self.messages[message].copies[copy].stands;
            if there.contains(&from) {
                stands[to] = Some(Stand::gone());
                continue;
            }
            if let Some(stand) = &mut stands[to] {
                stand.maybe = None;
            }
        }
        // Those that are there are known to be.
        let here = self.all_mut().filter(|(at, _)| *at == place).map(|(_, stand)| stand);
        for stand in here.filter(|stand| stand.maybe == Some(Fate::Gone)) {
            if stand.state == State::Done(Fate::Dead) {
                *stand = Stand::gone();
            }
        }
    }
}
