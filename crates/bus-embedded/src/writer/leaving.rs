//! Deliveries and messages that somebody is done with: an entry goes when all of it is done
//! with, and until then it is known of each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::pending::Pending;
use crate::EmbeddedBusError;
use crate::storage::keys::{damaged, message_key, ready_key};
use crate::storage::slot::{Address, Seat, Slot};
use crate::storage::{Shares, Storage};

/// What changes, gathered until it is written.
#[derive(Default)]
pub(super) struct Leaving {
    /// Deliveries that are done with.
    deliveries: u64,
    /// Runs of which a delivery is done with, by inbox and first place.
    runs: HashMap<(u32, u64), Settled>,
    /// How many still have the messages of entries of which somebody is done with one.
    shares: HashMap<u64, Shares>,
}

/// Which deliveries of a run are done with: a bit each.
struct Settled {
    seat: Seat,
    before: u64,
    now: u64,
}

/// What left.
pub(super) struct Left {
    pub(super) deliveries: u64,
    /// Half of some pack or more is for nobody any longer.
    pub(super) worth_a_trim: bool,
}

impl Pending {
    /// A delivery is no longer in its place.
    pub(super) fn leave(&mut self, storage: &Storage, inbox: u32, slot: &Slot) {
        let seat = slot.seat;
        if seat.of == 1 {
            self.batch.remove(&storage.ready, ready_key(inbox, seat.run));
            return;
        }
        match self.leaving.runs.entry((inbox, seat.run)) {
            Entry::Occupied(mut run) => run.get_mut().now |= seat.bit(),
            Entry::Vacant(run) => match storage.settled_of(inbox, seat) {
                Ok(before) => {
                    run.insert(Settled { seat, before, now: before | seat.bit() });
                }
                Err(error) => self.fail(error),
            },
        }
    }

    /// A run goes with all that is in it.
    pub(super) fn remove_run(&mut self, storage: &Storage, inbox: u32, first: u64) {
        let key = ready_key(inbox, first);
        self.batch.remove(&storage.ready, key);
        self.batch.remove(&storage.settled, key);
    }

    /// One inbox is done with a message; the last one takes it away.
    pub(super) fn finish(&mut self, storage: &Storage, slot: &Slot) {
        self.let_go(storage, slot.message, slot.holders);
    }

    /// One of those who hold a message, an inbox or the archive, is done with it.
    pub(super) fn let_go(&mut self, storage: &Storage, message: Address, holders: u32) {
        self.leaving.deliveries += 1;
        if message.part.is_none() && holders <= 1 {
            self.batch.remove(&storage.messages, message_key(message.entry));
        } else if let Err(error) = self.leaving.let_go(storage, message, holders) {
            self.fail(error);
        }
    }

    /// Adds what is left of each entry.
    pub(super) fn write_what_left(&mut self, storage: &Storage) -> Left {
        let Leaving { deliveries, runs, shares } = std::mem::take(&mut self.leaving);
        for ((inbox, first), Settled { seat, before, now }) in runs {
            let key = ready_key(inbox, first);
            if now != seat.all_bits() {
                self.batch.insert(&storage.settled, key, now.to_be_bytes());
                continue;
            }
            self.batch.remove(&storage.ready, key);
            if before != 0 {
                self.batch.remove(&storage.settled, key);
            }
        }
        let mut worth_a_trim = false;
        for (entry, shares) in shares {
            let key = message_key(entry);
            if shares.are_none() {
                self.batch.remove(&storage.messages, key);
                self.batch.remove(&storage.shares, key);
            } else {
                worth_a_trim |= shares.are_worth_a_trim();
                self.batch.insert(&storage.shares, key, shares.encode());
            }
        }
        Left { deliveries, worth_a_trim }
    }
}

impl Leaving {
    fn let_go(
        &mut self,
        storage: &Storage,
        message: Address,
        holders: u32,
    ) -> Result<(), EmbeddedBusError> {
        let shares = match self.shares.entry(message.entry) {
            Entry::Occupied(shares) => shares.into_mut(),
            Entry::Vacant(vacant) => {
                let found = match (storage.shares_of(message.entry)?, message.part) {
                    (Some(shares), _) => shares,
                    (None, None) => Shares::of(vec![holders]),
                    (None, Some(_)) => return Err(damaged("shares", "a count for each pack")),
                };
                vacant.insert(found)
            }
        };
        shares.let_go(message.part.unwrap_or_default())
    }
}
