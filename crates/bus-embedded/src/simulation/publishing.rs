//! Messages that are published, or buried.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use wissel_bus::{Burial, Bus, Enqueue, Envelope, FieldsKey, MessageId, Outlives};

use super::actions::LONGEST;
use super::calls::{Answer, Call, Expected};
use super::model::{Item, Which};
use super::queued::What;
use super::world::World;
use super::{Found, name};
use crate::storage::keys::{from_ms, to_ms};

/// An inbox that has so many gets no more.
const WAITING_MAX: usize = 400;

impl World {
    pub(super) fn envelope(&mut self) -> Envelope {
        let number = self.number();
        let length = match self.random.below(60) {
            0 => self.random.between(16 << 10, (16 << 10) + 2),
            1 => self.random.between(17 << 10, 40 << 10),
            2 | 3 => self.random.between(1 << 10, 12 << 10),
            4 => 0,
            _ => self.random.between(8, 120),
        };
        let begin = number.to_be_bytes();
        let event: Vec<u8> =
            (0..length).map(|at| begin[at % 8] ^ u8::try_from(at / 8 % 251).unwrap()).collect();
        // A gateway admits side by side, so that they come a little out of order.
        let since_ms = self.random.pick(&[0, 0, 0, 1, 3, 70_000]);
        let admitted_ms = to_ms(self.time.wall()).saturating_sub(since_ms);
        Envelope {
            message_id: MessageId(Uuid::from_u128(u128::from(number))),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: from_ms(admitted_ms),
            fields: self.random.chance(10).then_some(FieldsKey(number)),
            replayed: self.random.chance(5),
            event: Bytes::from(event),
        }
    }

    pub(super) fn enqueue(&mut self) -> Result<(), Found> {
        let count = match self.random.below(20) {
            0 => self.random.between(60, 140),
            1..4 => self.random.between(10, 40),
            _ => self.random.between(1, 6),
        };
        let few = self.random.chance(50);
        let same_inboxes: Vec<usize> = self.some_names();
        let (mut asked, mut items) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let names = if few { same_inboxes.clone() } else { self.some_names() };
            let full = |index: &usize| match self.model.state.inboxes.get(index) {
                Some(inbox) => inbox.ready.len() + inbox.delayed.len() > WAITING_MAX,
                None => false,
            };
            let names: Vec<usize> = names.into_iter().filter(|index| !full(index)).collect();
            let archive_until = self.random.chance(15).then(|| {
                let longest = usize::try_from(LONGEST.as_millis()).unwrap();
                self.time.wall() + Duration::from_millis(self.random.below(longest) as u64)
            });
            if names.is_empty() && archive_until.is_none() {
                continue;
            }
            let outlives = if self.random.chance(self.unsynced) {
                Outlives::Process
            } else {
                Outlives::PowerLoss
            };
            let envelope = self.envelope();
            let inboxes = names.iter().map(|index| name(*index)).collect();
            let to: Option<Vec<Which>> =
                names.iter().map(|index| self.model.find(*index)).collect();
            items.push(to.map(|to| Item {
                envelope: Arc::new(envelope.clone()),
                to,
                archive_until_ms: archive_until.map(to_ms),
                outlives,
            }));
            asked.push(Enqueue { envelope, inboxes, archive_until, outlives, lane: 0 });
        }
        let number = self.number();
        self.log.write(|| format!("call {number}: enqueue {} to {same_inboxes:?}", asked.len()));
        let (bus, answers) = (Arc::clone(&self.up.bus), asked.len());
        let mut call =
            Call::new(number, answers, async move { Answer::Each(bus.enqueue(asked).await) });
        let nothing = items.iter().all(Option::is_none);
        if nothing || self.has_failed() {
            // Nothing for the writer.
            call.expected = (!self.has_failed()).then(|| vec![Expected::UnknownInbox; answers]);
            return if answers == 0 { Ok(()) } else { self.submit(call, None) };
        }
        self.submit(call, Some(What::Enqueue(items)))
    }

    fn some_names(&mut self) -> Vec<usize> {
        let mask = self.random.between(0, (1 << self.names) - 1);
        (0..self.names).filter(|index| mask & (1 << index) != 0).collect()
    }

    pub(super) fn bury(&mut self) -> Result<(), Found> {
        let (mut asked, mut burials) = (Vec::new(), Vec::new());
        for _ in 0..self.random.between(1, 3) {
            let Some(inbox) = self.any_inbox() else { continue };
            let (envelope, reason) = (self.envelope(), format!("buried {}", self.next));
            burials.push((inbox, Arc::new(envelope.clone()), reason.clone()));
            asked.push(Burial { envelope, inbox: name(inbox.index), reason });
        }
        if asked.is_empty() || self.has_failed() {
            return Ok(());
        }
        let number = self.number();
        self.log.write(|| format!("call {number}: bury {}", asked.len()));
        let (bus, answers) = (Arc::clone(&self.up.bus), asked.len());
        let call = Call::new(number, answers, async move { Answer::Each(bus.bury(asked).await) });
        self.submit(call, Some(What::Bury(burials)))
    }
}
