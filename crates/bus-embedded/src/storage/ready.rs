//! Deliveries that wait in an inbox, or are handed out: runs, in the order of their places.

use wissel_bus::Attempt;

use super::Storage;
use super::engine::{Entry, UserValue};
use super::keys::{damaged, parse_ready_key, ready_key};
use super::slot::{Seat, Slot, decode_history, decode_run};
use crate::EmbeddedBusError;

/// An entry of an inbox.
pub(crate) struct Run {
    pub(crate) inbox: u32,
    /// The place of its first delivery.
    pub(crate) first: u64,
    /// That of its last, be it done with or not.
    pub(crate) last: u64,
    /// Those that are not done with, in the order of their places.
    pub(crate) slots: Vec<Slot>,
    value: UserValue,
}

/// Where to go on reading an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor {
    /// The run that has the place.
    pub(crate) run: u64,
    pub(crate) place: u64,
}

impl Cursor {
    /// At this delivery.
    pub(crate) fn at(slot: &Slot) -> Self {
        Self { run: slot.seat.run, place: slot.place }
    }

    /// Behind this delivery.
    pub(crate) fn behind(slot: &Slot) -> Self {
        Self { run: slot.seat.run, place: slot.place + 1 }
    }
}

impl Run {
    /// What went before: of a delivery that was retried, which has its run for itself.
    pub(crate) fn history(&self) -> Result<Vec<Attempt>, EmbeddedBusError> {
        decode_history(&self.value)
    }
}

impl Storage {
    /// The runs of an inbox, from this one on.
    pub(crate) fn runs(
        &self,
        inbox: u32,
        from: u64,
    ) -> impl Iterator<Item = Result<Run, EmbeddedBusError>> {
        let whole = ready_key(inbox, from)..=ready_key(inbox, u64::MAX);
        self.ready.range(whole).map(|entry| self.run(entry))
    }

    /// The runs of all inboxes.
    pub(crate) fn all_runs(&self) -> impl Iterator<Item = Result<Run, EmbeddedBusError>> {
        self.ready.iter().map(|entry| self.run(entry))
    }

    fn run(&self, entry: Entry) -> Result<Run, EmbeddedBusError> {
        let (key, value) = entry.into_inner()?;
        let (inbox, first) = parse_ready_key(&key)?;
        let mut slots = decode_run(first, &value)?;
        let last = slots.last().map_or(first, |slot| slot.place);
        if let Some(seat) = slots.first().map(|slot| slot.seat) {
            let settled = self.settled_of(inbox, seat)?;
            slots.retain(|slot| settled & slot.seat.bit() == 0);
        }
        Ok(Run { inbox, first, last, slots, value })
    }

    /// Which of the deliveries of a run are done with: a bit each.
    pub(crate) fn settled_of(&self, inbox: u32, seat: Seat) -> Result<u64, EmbeddedBusError> {
        if seat.of == 1 {
            return Ok(0);
        }
        let Some(value) = self.settled.get(ready_key(inbox, seat.run))? else { return Ok(0) };
        let bits = value[..].try_into().map_err(|_| damaged("settled", "a number of 8 bytes"))?;
        Ok(u64::from_be_bytes(bits))
    }

    /// At most `limit` deliveries of the inbox, from the cursor on.
    pub(crate) fn ready_slots(
        &self,
        inbox: u32,
        from: Cursor,
        limit: usize,
    ) -> Result<Vec<Slot>, EmbeddedBusError> {
        let mut slots = Vec::new();
        if limit == 0 {
            return Ok(slots);
        }
        for run in self.runs(inbox, from.run) {
            let wanted = run?.slots.into_iter().filter(|slot| slot.place >= from.place);
            slots.extend(wanted.take(limit - slots.len()));
            if slots.len() == limit {
                break;
            }
        }
        Ok(slots)
    }

    /// The attempts before this one, which are on disk beside the delivery.
    pub(crate) fn history_of(
        &self,
        inbox: u32,
        slot: &Slot,
    ) -> Result<Vec<Attempt>, EmbeddedBusError> {
        let found = self.ready.get(ready_key(inbox, slot.seat.run))?;
        decode_history(&found.ok_or(damaged("ready", "an entry for each delivery"))?)
    }
}
