//! How full inboxes are, and what that makes of what is published.

use wissel_bus::Level;
use wissel_store::WhenFull;

use super::super::Found;
use super::super::town::{self, PLACES, Rights};
use super::{Call, Fate, Ledger, Message, Now, State};
use crate::Refusal;

/// How much an inbox may hold.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Limit {
    pub(in super::super) deliveries: Option<u64>,
    pub(in super::super) bytes: Option<u64>,
    pub(in super::super) when_full: WhenFull,
}

/// How much an inbox holds, as far as is known. At rest the two are the same.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Held {
    least: Level,
    most: Level,
}

impl Limit {
    fn is_none(self) -> bool {
        self.deliveries.is_none() && self.bytes.is_none()
    }

    /// Whether what finds no room is a dead letter.
    pub(super) fn buries(self) -> bool {
        !self.is_none() && self.when_full == WhenFull::DeadLetter
    }

    /// Whether so many bytes more are within it.
    fn lets(self, held: Level, bytes: u64) -> bool {
        self.deliveries.is_none_or(|most| held.deliveries < most)
            && self.bytes.is_none_or(|most| held.bytes + bytes <= most)
    }
}

fn add(level: &mut Level, bytes: u64) {
    level.deliveries += 1;
    level.bytes += bytes;
}

impl Message {
    fn bytes(&self) -> u64 {
        self.frame.len() as u64
    }
}

impl Ledger {
    /// How much each inbox holds, while these calls are under way.
    pub(in super::super) fn held(&self, calls: &[Call], now: Now) -> [Held; PLACES.len()] {
        let mut all = [Held::default(); PLACES.len()];
        if self.limits.iter().all(|limit| limit.is_none()) {
            return all;
        }
        for (which, stand) in self.all() {
            let message = &self.messages[which.0];
            let held = &mut all[which.2];
            let is_there = match stand.state {
                State::Done(_) => false,
                State::Leased { .. } => !self.is_over(which, now),
                // Whoever finds it too old makes a dead letter of it.
                State::Waiting(_) => {
                    !stand.may_be_done() && !message.is_too_old(which.1, which.2, now.wall)
                }
            };
            let is_known = message.copies[which.1].is_known();
            if is_there && is_known && !self.is_withheld(which.0) {
                add(&mut held.least, message.bytes());
            }
            // What is settled may not be so on the bus.
            if !matches!(stand.state, State::Done(_)) || !stand.is_sure() {
                add(&mut held.most, message.bytes());
            }
        }
        let under_way = calls.iter().flat_map(|call| &call.messages);
        for message in under_way.map(|message| &self.messages[*message]) {
            for place in message.places() {
                // It counts twice when it is there and has yet to be answered.
                add(&mut all[place].most, message.bytes());
                add(&mut all[place].most, message.bytes());
            }
        }
        for message in &self.messages {
            for place in message.places() {
                // What is replayed of it is not known either.
                for _ in 0..message.unknown * 2 {
                    add(&mut all[place].most, message.bytes());
                }
            }
        }
        for (which, to) in self.under_way() {
            add(&mut all[to].most, self.messages[which.0].bytes());
        }
        all
    }

    /// A copy was taken in: it is in each of its inboxes, or among the dead letters of one that
    /// had no room.
    pub(super) fn finds_room(
        &mut self,
        (message, copy): (usize, usize),
        held: &mut [Held],
        now: Now,
    ) -> Result<(), Found> {
        let bytes = self.messages[message].bytes();
        for place in self.messages[message].places() {
            let (limit, held) = (self.limits[place], &mut held[place]);
            if limit.is_none() {
                continue;
            }
            let surely = limit.lets(held.most, bytes) && !now.failed;
            let perhaps = limit.lets(held.least, bytes) || now.failed;
            let told = self.messages[message].told(place);
            let Some(stand) = &mut self.messages[message].copies[copy].stands[place] else {
                continue;
            };
            let has_come = !stand.is_new();
            match limit.when_full {
                WhenFull::DeadLetter if !perhaps && !has_come => {
                    (stand.state, stand.attempts) = (State::Done(Fate::Dead), (0, 0));
                    continue;
                }
                WhenFull::DeadLetter if !surely && !has_come => {
                    (stand.maybe, stand.attempts) = (Some(Fate::Dead), (0, 1));
                }
                _ if !perhaps => {
                    return Err(Found(format!("{told} is one too many: {limit:?}, {held:?}")));
                }
                _ => add(&mut held.least, bytes),
            }
            add(&mut held.most, bytes);
        }
        Ok(())
    }

    /// A message is refused, as an inbox is full: is it?
    pub(super) fn finds_no_room(
        &self,
        (rights, message): (Rights, usize),
        refusal: &Refusal,
        held: &[Held],
        now: Now,
    ) -> Result<(), Found> {
        let message = &self.messages[message];
        let place = refusal.inbox.as_ref().and_then(town::place_of);
        let is_for = |place: &usize| {
            message.places().any(|one| one == *place) && rights.route(message.urgent, *place)
        };
        let Some(place) = place.filter(is_for) else {
            return Err(Found(format!("{} is refused for {:?}", message.name, refusal.inbox)));
        };
        let (limit, held) = (self.limits[place], &held[place]);
        let is_full =
            limit.when_full == WhenFull::Refuse && !limit.lets(held.most, message.bytes());
        if is_full || now.failed {
            return Ok(());
        }
        let told = message.told(place);
        Err(Found(format!("{told} is refused though there is room: {limit:?}, {held:?}")))
    }
}
