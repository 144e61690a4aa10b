//! A delivery comes: may it?

use super::super::Found;
use super::super::town::PLACES;
use super::{Fate, Ledger, Now, State, Which};
use crate::Leased;

impl Ledger {
    /// A subscriber was handed this.
    pub(in super::super) fn comes(
        &mut self,
        (by, place): (u64, usize),
        leased: &Leased,
        lease: std::time::Duration,
        now: Now,
    ) -> Result<Which, Found> {
        let (message, copy) = self.recognise(&leased.envelope, place)?;
        let told = self.messages[message].told(place);
        self.may_be_put_back((message, copy, place), now);
        let fault = |what: &str| Err(Found(format!("{told}: {what}")));
        let kept = &self.messages[message];
        let Some(stand) = &kept.copies[copy].stands[place] else {
            return fault("is not for this inbox");
        };
        match stand.state {
            State::Done(fate) if stand.is_sure() || !now.failed => {
                return fault(&format!("comes though it is done with ({fate:?})"));
            }
            State::Leased { until, .. } if now.passed < until && !now.failed => {
                return fault("comes while another has it");
            }
            State::Waiting(times) if times.is_early(now) && !now.failed => {
                return fault(&format!("comes too early: {times:?}, at {now:?}"));
            }
            _ => {}
        }
        let (least, most) = stand.attempts;
        if !now.failed && !(least..=most).contains(&leased.attempt) {
            return fault(&format!(
                "comes at attempt {}, expected {least} to {most}",
                leased.attempt
            ));
        }
        if leased.attempt > PLACES[place].max_attempts {
            return fault(&format!("comes at attempt {}", leased.attempt));
        }
        if kept.is_too_old(copy, place, now.wall) {
            return fault("comes though it is too old");
        }
        if self.is_withheld(message) {
            return fault("comes without a grant");
        }
        if kept.deadline(copy) != leased.deadline {
            return fault(&format!("has another deadline: {:?}", leased.deadline));
        }
        if PLACES[place].ordered && !stand.redriven && !now.failed {
            self.is_in_order((message, copy, place), now)?;
        }
        let until = now.passed + lease;
        let Some(stand) = &mut self.messages[message].copies[copy].stands[place] else {
            return fault("is not for this inbox");
        };
        let attempt = leased.attempt;
        if let State::Waiting(times) = stand.state
            && times.is_wait()
        {
            stand.retried = times.maybe_early();
            stand.late |= now.failed;
        }
        if stand.maybe == Some(Fate::Gone) {
            stand.maybe = None;
        }
        if now.failed {
            if let State::Done(fate) = stand.state {
                stand.maybe = Some(fate);
                stand.may_be_dead |= fate == Fate::Dead;
            }
            stand.attempts = (least.min(attempt), most.max(attempt));
        } else {
            (stand.maybe, stand.may_be_dead) = (None, false);
            stand.attempts = (attempt, attempt);
            (stand.settled_by, stand.before) = (None, None);
        }
        stand.state = State::Leased { by, id: leased.id, attempt, until };
        self.has_moved((message, copy, place));
        self.next_end = self.next_end.min(until);
        Ok((message, copy, place))
    }

    /// All that was published before it, of its subject and with a receipt, is done with.
    fn is_in_order(&self, (message, copy, place): Which, now: Now) -> Result<(), Found> {
        let this = &self.messages[message];
        let Some(order) = this.copies[copy].order else { return Ok(()) };
        for (which, stand) in self.of_place(place) {
            let other = &self.messages[which.0];
            let before = other.copies[which.1].order.is_some_and(|other| other < order);
            if other.subject == this.subject
                && before
                && !stand.may_be_done()
                && !stand.redriven
                && !self.is_withheld(which.0)
                && !other.is_too_old(which.1, place, now.wall)
                && !self.is_over(which, now)
            {
                let (this, other) = (this.told(place), &other.name);
                return Err(Found(format!("{this} comes before {other}, which is {stand:?}")));
            }
        }
        Ok(())
    }

    /// Nothing waits in an inbox of which somebody takes what comes.
    pub(in super::super) fn nothing_is_held_up(&self, place: usize, now: Now) -> Result<(), Found> {
        for (which, stand) in self.of_place(place) {
            let State::Waiting(times) = stand.state else { continue };
            let message = &self.messages[which.0];
            let is_held_up = message.copies[which.1].is_known()
                && !stand.may_be_done()
                && !self.is_withheld(which.0)
                && times.is_late(now)
                && !message.is_too_old(which.1, place, now.wall)
                && (!PLACES[place].ordered || self.is_first(which));
            if is_held_up {
                return Err(Found(format!("{} is held up: {stand:?}", message.told(place))));
            }
        }
        Ok(())
    }

    /// Whether nothing of its subject may stand before it.
    fn is_first(&self, (message, copy, place): Which) -> bool {
        let subject = self.messages[message].subject;
        let order = self.messages[message].copies[copy].order;
        let redriven = self.stand((message, copy, place)).is_some_and(|stand| stand.redriven);
        self.of_place(place).into_iter().all(|(which, stand)| {
            let other = &self.messages[which.0];
            let unknown_before = other.unknown > 0 && which.0 != message;
            other.subject != subject
                || (which.0, which.1) == (message, copy)
                || matches!(stand.state, State::Done(_)) && !unknown_before
                || !stand.redriven
                    && !redriven
                    && !unknown_before
                    && other.copies[which.1].order > order
        })
    }
}
