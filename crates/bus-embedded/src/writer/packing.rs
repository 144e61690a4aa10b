//! Messages that are written together share an entry, a pack.

use std::sync::Arc;

use bytes::Bytes;
use wissel_bus::Envelope;

use super::Incoming;
use super::pending::Pending;
use crate::inbox::Inbox;
use crate::storage::Shares;
use crate::storage::Storage;
use crate::storage::archive::{Kept, end_key};
use crate::storage::keys::{ArchiveKey, from_ms, message_key, to_ms};
use crate::storage::pack::{PACK_BYTES_MAX, PACK_MAX, PACKED_MAX, encode_body, encode_pack};
use crate::storage::slot::{Address, Seat, Slot};

/// Messages whose numbers follow one another, to be written as one entry.
#[derive(Default)]
pub(super) struct OpenPack {
    first: u64,
    bytes: usize,
    envelopes: Vec<Envelope>,
    goals: Vec<Goal>,
}

/// Where a message goes.
struct Goal {
    inboxes: Vec<Arc<Inbox>>,
    archive_until_ms: Option<u64>,
}

impl OpenPack {
    fn takes(&self, number: u64, length: usize) -> bool {
        let count = self.envelopes.len();
        let large = length > PACKED_MAX || count == 1 && self.bytes > PACKED_MAX;
        count == 0
            || count < PACK_MAX
                && number == self.first + count as u64
                && self.bytes + length <= PACK_BYTES_MAX
                && !large
    }
}

impl Goal {
    /// How many get the message, the archive counted as one.
    fn holders(&self) -> u32 {
        let holders = self.inboxes.len() + usize::from(self.archive_until_ms.is_some());
        u32::try_from(holders).unwrap_or(u32::MAX)
    }
}

impl Pending {
    /// Adds a message to the pack, or to the next one.
    pub(super) fn pack(&mut self, storage: &Storage, item: Incoming, number: u64) {
        let Incoming { envelope, inboxes, archive_until_ms, .. } = item;
        let length = envelope.event.len();
        if !self.pack.takes(number, length) {
            self.close_pack(storage);
        }
        let pack = &mut self.pack;
        if pack.envelopes.is_empty() {
            pack.first = number;
        }
        pack.bytes += length;
        pack.envelopes.push(envelope);
        pack.goals.push(Goal { inboxes, archive_until_ms });
    }

    /// Adds the entry of the pack, and a delivery for each inbox of each message.
    pub(super) fn close_pack(&mut self, storage: &Storage) {
        let OpenPack { first, envelopes, goals, .. } = std::mem::take(&mut self.pack);
        let key = message_key(first);
        let alone = envelopes.len() == 1;
        let (value, events) = match &envelopes[..] {
            [] => return,
            [one] => {
                let value = encode_body(one);
                let event = value.len() - one.event.len()..value.len();
                (value, vec![event])
            }
            several => {
                let shares = Shares::of(goals.iter().map(Goal::holders).collect());
                self.batch.insert(&storage.shares, key, shares.encode());
                encode_pack(several.iter())
            }
        };
        self.batch.insert(&storage.messages, key, value.clone());
        let messages = envelopes.into_iter().zip(events).zip(goals);
        for (part, ((envelope, event), goal)) in (0..).zip(messages) {
            let message = Address { entry: first, part: (!alone).then_some(part) };
            let place = message.number();
            let slot = Slot {
                place,
                seat: Seat::alone(place),
                message,
                admitted_ms: to_ms(envelope.admitted_at),
                attempt: 1,
                length: u32::try_from(envelope.event.len()).unwrap_or(u32::MAX),
                holders: goal.holders(),
                requeued: false,
            };
            if let Some(until_ms) = goal.archive_until_ms {
                let key = ArchiveKey { admitted_ms: slot.admitted_ms, message: place };
                let kept = Kept { until_ms, holders: slot.holders, message };
                self.batch.insert(&storage.archive, key.encode(), kept.encode());
                self.batch.insert(&storage.archive_ends, end_key(until_ms, key), []);
            }
            // A consumer gets the same whether it was waiting or not. For who is not waiting the
            // message is read from disk.
            let at_hand = goal.inboxes.iter().any(|inbox| inbox.has_credit()).then(|| Envelope {
                admitted_at: from_ms(slot.admitted_ms),
                event: if alone {
                    Bytes::from_owner(value.clone()).slice(event)
                } else {
                    // Of its own, so that it does not keep the pack in memory.
                    Bytes::copy_from_slice(&value[event])
                },
                ..envelope
            });
            for inbox in &goal.inboxes {
                self.arrive(inbox, slot, at_hand.clone());
            }
        }
    }
}
