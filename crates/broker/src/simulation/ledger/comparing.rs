//! At the end, and when dead letters are looked at.

use std::collections::HashSet;

use wissel_bus::{DeadLetter, Said};

use super::super::Found;
use super::super::town::PLACES;
use super::{Fate, Ledger, Now, State, Which};

impl Ledger {
    /// Dead letters of an inbox, when all is at rest: each for a reason, and all that should be
    /// there. Says which they are.
    pub(in super::super) fn dead_letters(
        &mut self,
        place: usize,
        letters: &[DeadLetter],
        now: Now,
    ) -> Result<Vec<Which>, Found> {
        let mut found = Vec::new();
        for letter in letters {
            let which = self.dead_letter(place, letter, now)?;
            if found.contains(&which) {
                return Err(Found(format!("{} is dead twice", self.messages[which.0].told(place))));
            }
            found.push(which);
        }
        let there: HashSet<Which> = found.iter().copied().collect();
        self.are_there(place, &there);
        let missing = self.all().find(|(which, stand)| {
            let known = self.messages[which.0].copies[which.1].is_known();
            which.2 == place
                && known
                && stand.state == State::Done(Fate::Dead)
                && stand.is_sure()
                && !there.contains(which)
        });
        if let Some((which, stand)) = missing {
            let told = self.messages[which.0].told(place);
            return Err(Found(format!("{told} is no dead letter: {stand:?}")));
        }
        Ok(found)
    }

    fn dead_letter(&mut self, place: usize, letter: &DeadLetter, now: Now) -> Result<Which, Found> {
        let (message, copy) = self.recognise(&letter.envelope, place)?;
        // A lease may have ended in this very moment.
        if self.is_over((message, copy, place), now) {
            self.retry((message, copy, place), None, now, now);
        }
        let kept = &self.messages[message];
        let told = kept.told(place);
        // The clock may have been set back since.
        let expired = letter.reason.starts_with("expired")
            && (kept.is_too_old(copy, place, letter.died_at.max(now.wall))
                || kept.copies[copy].stands[place].as_ref().is_some_and(|stand| stand.was_old));
        let has_receipt = kept.copies[copy].order.is_some();
        let withheld =
            Said::read(&letter.reason) == Some(Said::GrantGone) && self.is_withheld(message);
        let Some(stand) = &mut self.messages[message].copies[copy].stands[place] else {
            return Err(Found(format!("{told} died where it never was")));
        };
        if !has_receipt && stand.is_new() && self.limits[place].buries() {
            // Its publisher never heard that there was no room.
            (stand.maybe, stand.attempts) = (Some(Fate::Dead), (0, 1));
        }
        let said = Said::read(&letter.reason);
        // The attempt at which it would have been handed out: it was not.
        let in_place_of_one = matches!(said, Some(Said::Expired | Said::TooOld | Said::GrantGone));
        let attempt = letter.attempts + u32::from(in_place_of_one);
        if (attempt == 0) != (said == Some(Said::InboxFull)) {
            let (attempts, reason) = (letter.attempts, &letter.reason);
            return Err(Found(format!("{told} died at attempt {attempts} ({reason})")));
        }
        let explained = match stand.state {
            State::Done(Fate::Dead) => true,
            State::Done(Fate::Gone) => false,
            State::Waiting(_) if withheld => true,
            _ => stand.maybe == Some(Fate::Dead) || stand.may_be_dead || expired,
        };
        if !explained {
            return Err(Found(format!("{told} is dead ({}): {stand:?}", letter.reason)));
        }
        let (least, most) = stand.attempts;
        // It may have died before a gateway ended, with attempts that are forgotten of what lives.
        let before = PLACES[place].ordered && (expired || withheld);
        if !(least..=most).contains(&attempt) && !before {
            return Err(Found(format!(
                "{told} died at attempt {attempt} ({}), expected {least} to {most}",
                letter.reason
            )));
        }
        stand.state = State::Done(Fate::Dead);
        stand.attempts = (attempt, attempt);
        (stand.maybe, stand.settled_by, stand.before) = (None, None, None);
        Ok((message, copy, place))
    }

    /// Before the clock is set back: what is too old may be dead already, and what is due may
    /// have come back.
    pub(in super::super) fn clock_is_set(&mut self, now: Now) {
        let old: Vec<Which> = self.all().map(|(which, _)| which).collect();
        for (message, copy, place) in old {
            let kept = &mut self.messages[message];
            let is_old = kept.is_too_old(copy, place, now.wall);
            if let Some(stand) = &mut kept.copies[copy].stands[place]
                && let State::Waiting(times) = &mut stand.state
            {
                stand.was_old |= is_old;
                if !times.is_early(now) {
                    *times = times.maybe_early();
                }
            }
        }
    }

    /// All is settled: what has a receipt came to an end in each of its inboxes, and nothing
    /// came of what nobody published.
    pub(in super::super) fn is_settled(&self, now: Now) -> Result<(), Found> {
        for (which, stand) in self.all() {
            let message = &self.messages[which.0];
            let has_receipt = message.copies[which.1].is_known();
            let is_over = match stand.state {
                State::Done(_) => true,
                // Of one that has no receipt it may not have come here.
                State::Waiting(_) => {
                    let is_replayed = message.copies[which.1].is_replayed();
                    stand.maybe == Some(Fate::Acknowledged)
                        || is_replayed && stand.maybe == Some(Fate::Gone)
                        || !has_receipt
                }
                State::Leased { .. } => false,
            };
            if !is_over {
                let told = message.told(which.2);
                return Err(Found(format!("{told} came to no end: {stand:?}")));
            }
        }
        for message in &self.messages {
            let without = message.copies.iter().filter(|copy| !copy.is_known()).count();
            if without > message.unknown {
                let (name, unknown) = (&message.name, message.unknown);
                return Err(Found(format!(
                    "{name} came as {without} that have no receipt, of {unknown} at most"
                )));
            }
            let is_over = message.expires.is_some_and(|expires| expires <= now.wall);
            if !is_over && message.copies.iter().all(|copy| copy.order.is_none()) {
                return Err(Found(format!("{} has no receipt", message.name)));
            }
        }
        Ok(())
    }
}
