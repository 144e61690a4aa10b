//! What is counted when the bus opens.

use std::collections::{BTreeSet, HashMap};

use wissel_identifiers::InboxName;

use super::keys::{DeadKey, DelayedKey, damaged, decode_u32};
use super::pack::PACK_MAX;
use super::slot::Slot;
use super::{Cursor, Storage};
use crate::EmbeddedBusError;
use crate::inbox::Ages;

/// The state that is kept in memory, as it follows from what is on disk.
#[derive(Default)]
pub(crate) struct Census {
    /// By number.
    pub(crate) inboxes: HashMap<u32, InboxCensus>,
    /// Inboxes that were removed and still have something on disk.
    pub(crate) removed: BTreeSet<u32>,
    /// Higher than every place and every message in use.
    pub(crate) next_place: u64,
    /// Higher than every inbox number ever used.
    pub(crate) next_inbox: u32,
    /// When the first retry is due.
    pub(crate) next_due_ms: Option<u64>,
    /// When the first message of the archive is over its time.
    pub(crate) archive_ends_ms: Option<u64>,
}

/// One inbox.
pub(crate) struct InboxCensus {
    pub(crate) name: InboxName,
    /// At the first delivery.
    pub(crate) first: Cursor,
    pub(crate) ready: u64,
    pub(crate) delayed: u64,
    pub(crate) dead: u64,
    /// Of the events of those that are ready or delayed.
    pub(crate) bytes: u64,
    pub(crate) requeued: Ages,
}

impl Census {
    /// Reads every delivery, but no message.
    pub(crate) fn take(storage: &Storage) -> Result<Self, EmbeddedBusError> {
        let mut census = Self { next_place: 1, ..Self::default() };
        census.read_inboxes(storage)?;
        census.read_ready(storage)?;
        census.read_delayed(storage)?;
        census.read_dead(storage)?;
        census.archive_ends_ms = storage.archive_ends_ms()?;
        if let Some(last) = storage.messages.last_key_value() {
            let key = last.key()?;
            let number = key[..]
                .try_into()
                .map_err(|_| damaged("messages", "a number of 8 bytes as key"))?;
            // The last of its pack, when it is one.
            census.use_place(u64::from_be_bytes(number).saturating_add(PACK_MAX as u64 - 1));
        }
        Ok(census)
    }

    fn read_inboxes(&mut self, storage: &Storage) -> Result<(), EmbeddedBusError> {
        for entry in storage.inboxes.iter() {
            let (name, number) = entry.into_inner()?;
            let name = std::str::from_utf8(&name)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(damaged("inboxes", "the name of an inbox as key"))?;
            let number = decode_u32("inboxes", &number)?;
            self.next_inbox = self.next_inbox.max(number.saturating_add(1));
            let inbox = InboxCensus {
                name,
                first: Cursor::default(),
                ready: 0,
                delayed: 0,
                dead: 0,
                bytes: 0,
                requeued: Ages::default(),
            };
            self.inboxes.insert(number, inbox);
        }
        if let Some(value) = storage.meta.get("next_inbox")? {
            self.next_inbox = self.next_inbox.max(decode_u32("meta", &value)?);
        }
        Ok(())
    }

    fn read_ready(&mut self, storage: &Storage) -> Result<(), EmbeddedBusError> {
        for run in storage.all_runs() {
            let run = run?;
            self.use_place(run.last);
            let Some(inbox) = self.inboxes.get_mut(&run.inbox) else {
                self.removed.insert(run.inbox);
                continue;
            };
            for slot in &run.slots {
                if inbox.ready == 0 {
                    inbox.first = Cursor::at(slot);
                }
                inbox.ready += 1;
                inbox.bytes += u64::from(slot.length);
                if slot.requeued {
                    inbox.requeued.add(slot.admitted_ms);
                }
            }
        }
        Ok(())
    }

    fn read_delayed(&mut self, storage: &Storage) -> Result<(), EmbeddedBusError> {
        for entry in storage.delayed.iter() {
            let (key, value) = entry.into_inner()?;
            let key = DelayedKey::decode(&key)?;
            self.use_place(key.place);
            self.next_due_ms.get_or_insert(key.due_ms);
            // What belongs to no inbox goes away when it is due.
            if let Some(inbox) = self.inboxes.get_mut(&key.inbox) {
                inbox.delayed += 1;
                let slot = Slot::decode(key.place, &value)?;
                inbox.bytes += u64::from(slot.length);
                inbox.requeued.add(slot.admitted_ms);
            }
        }
        Ok(())
    }

    fn read_dead(&mut self, storage: &Storage) -> Result<(), EmbeddedBusError> {
        for entry in storage.dead.iter() {
            let key = DeadKey::decode(&entry.key()?)?;
            self.use_place(key.number);
            match self.inboxes.get_mut(&key.inbox) {
                Some(inbox) => inbox.dead += 1,
                None => {
                    self.removed.insert(key.inbox);
                }
            }
        }
        Ok(())
    }

    fn use_place(&mut self, place: u64) {
        self.next_place = self.next_place.max(place.saturating_add(1));
    }
}
