//! Takes messages that nobody has out of packs that somebody still needs.
//!
//! A pack goes with its last message, so one inbox that nobody reads would keep all that was
//! written beside its own. Some seconds after messages were let go, those packs of which half
//! or more is for nobody are written again without it.

use std::time::{Duration, Instant};

use super::Writer;
use super::pending::Pending;
use crate::EmbeddedBusError;
use crate::storage::Shares;
use crate::storage::keys::message_key;
use crate::storage::pack::Pack;

/// From the moment at which messages were let go to that of looking: most packs are gone soon.
const REST: Duration = Duration::from_secs(10);
/// Between one look and the next, while there is more to look at.
const PAUSE: Duration = Duration::from_millis(100);
/// So many packs are looked at in one go,
const LOOKS: usize = 1024;
/// and so many are written again.
const TRIMS: usize = 16;

/// How far it is.
pub(crate) struct Trimming {
    /// The next look, and the entry from which on; none: nothing is to be seen.
    next: Option<(Instant, u64)>,
    /// Messages were let go since the look began at the first entry.
    again: bool,
}

impl Trimming {
    pub(super) fn starting() -> Self {
        // What was let go before is unknown.
        Self { next: Some((Instant::now() + REST, 0)), again: false }
    }

    /// Messages were let go, or none was.
    pub(super) fn expect(&mut self, parts_let_go: bool) {
        self.again |= parts_let_go;
        if self.again && self.next.is_none() {
            self.next = Some((Instant::now() + REST, 0));
            self.again = false;
        }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at)
    }
}

impl Writer {
    /// Trims some packs, when it is time. That need not be durable: if it is lost, they are
    /// as they were.
    pub(super) fn trim_packs(&mut self) {
        let Some((at, from)) = self.trimming.next else { return };
        if Instant::now() < at || self.shared.failure().is_some() {
            return;
        }
        if from == 0 {
            self.trimming.again = false;
        }
        let mut pending = Pending::new(&self.storage);
        let next = match self.trim_from(&mut pending, from) {
            Ok(next) => next,
            Err(error) => return self.shared.fail(&error),
        };
        let committed = pending.commit(&self.storage);
        if self.note(committed.outcome, false, committed.wrote).is_ok() {
            self.trimming.next = next.map(|from| (Instant::now() + PAUSE, from));
            self.trimming.expect(false);
        }
    }

    /// From which entry to go on; none: all were looked at.
    fn trim_from(&self, pending: &mut Pending, from: u64) -> Result<Option<u64>, EmbeddedBusError> {
        let mut trimmed = 0;
        for (looked_at, pack) in self.storage.shares_from(from).enumerate() {
            let (entry, shares) = pack?;
            if looked_at == LOOKS || trimmed == TRIMS {
                return Ok(Some(entry));
            }
            if shares.are_worth_a_trim() {
                self.trim(pending, entry, &shares)?;
                trimmed += 1;
            }
        }
        Ok(None)
    }

    fn trim(
        &self,
        pending: &mut Pending,
        entry: u64,
        shares: &Shares,
    ) -> Result<(), EmbeddedBusError> {
        let Some(value) = self.storage.messages.get(message_key(entry))? else { return Ok(()) };
        let left = Pack::read(value, Some(0))?.keep(|part| shares.has(part));
        pending.batch.insert(&self.storage.messages, message_key(entry), left);
        let shares = shares.trimmed().encode();
        pending.batch.insert(&self.storage.shares, message_key(entry), shares);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::SystemTime;

    use bytes::Bytes;
    use tokio::sync::oneshot;
    use wissel_bus::{Envelope, MessageId, Outlives};

    use super::*;
    use crate::inbox::Inbox;
    use crate::shared::Shared;
    use crate::storage::{Census, Cursor, Storage};
    use crate::upkeep::Removals;
    use crate::writer::{Command, Incoming};

    const MESSAGES: usize = 256;
    const LENGTH: usize = 1_000;

    /// To the first inbox all messages, to the other every tenth.
    fn incoming([all, some]: &[Arc<Inbox>; 2], position: usize) -> Incoming {
        let mut inboxes = vec![Arc::clone(all)];
        if position.is_multiple_of(10) {
            inboxes.push(Arc::clone(some));
        }
        let envelope = Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: SystemTime::now(),
            fields: None,
            replayed: false,
            event: Bytes::from(vec![u8::try_from(position).unwrap(); LENGTH]),
        };
        let (archive_until_ms, outlives) = (None, Outlives::PowerLoss);
        Incoming { position, envelope, inboxes, archive_until_ms, outlives }
    }

    fn bytes_of_messages(storage: &Storage) -> usize {
        storage.messages.iter().map(|entry| entry.value().unwrap().len()).sum()
    }

    fn finish_all(writer: &mut Writer, inbox: &Inbox) {
        let slots = writer.storage.ready_slots(inbox.number, Cursor::default(), MESSAGES).unwrap();
        let mut pending = Pending::new(&writer.storage);
        for slot in &slots {
            pending.leave(&writer.storage, inbox.number, slot);
            pending.finish(&writer.storage, slot);
        }
        writer.write(pending);
    }

    #[test]
    fn what_nobody_has_goes_from_packs_that_somebody_needs() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::open(directory.path(), 1 << 20).unwrap());
        let shared = Arc::new(Shared::new(HashMap::new()));
        let (removals, _requests) = Removals::new();
        let inboxes = ["all", "some"].map(|name| {
            let name = format!("00000099000000002000.{name}").parse().unwrap();
            let number = if shared.all().is_empty() { 1 } else { 2 };
            let inbox = Arc::new(Inbox::new(name, number));
            shared.insert(&inbox);
            inbox
        });
        let census = Census::take(&storage).unwrap();
        let known = inboxes.to_vec();
        let mut writer =
            Writer::new(Arc::clone(&shared), Arc::clone(&storage), &census, known, removals);

        let items: Vec<Incoming> = (0..MESSAGES).map(|one| incoming(&inboxes, one)).collect();
        let (reply, _answers) = oneshot::channel();
        let answers = vec![Ok(()); MESSAGES];
        assert!(writer.group(vec![Command::Enqueue { items, answers, reply }]).is_empty());
        assert_eq!(storage.messages.len().unwrap(), MESSAGES / 64, "64 messages go together");
        assert_eq!(storage.ready.len().unwrap(), MESSAGES / 64 + 1);
        let full = bytes_of_messages(&storage);
        assert!(full > MESSAGES * LENGTH);

        finish_all(&mut writer, &inboxes[0]);
        assert_eq!(bytes_of_messages(&storage), full, "each is needed for the other inbox");
        assert!(writer.trimming.next().is_some_and(|at| at > Instant::now()), "it waits a while");
        writer.trimming.next = Some((Instant::now(), 0));
        writer.trim_packs();
        assert_eq!(writer.trimming.next, None, "everything was looked at");
        let left = bytes_of_messages(&storage);
        assert!(left < full / 8, "{left} bytes of {full}");

        let slots = storage.ready_slots(2, Cursor::default(), MESSAGES).unwrap();
        let mut reader = storage.reader();
        for (number, slot) in slots.iter().enumerate() {
            let message = reader.message(slot.message).unwrap().unwrap();
            assert_eq!(message.event, vec![u8::try_from(10 * number).unwrap(); LENGTH]);
        }
        assert_eq!(slots.len(), MESSAGES.div_ceil(10));

        finish_all(&mut writer, &inboxes[1]);
        for keyspace in [&storage.messages, &storage.shares, &storage.ready, &storage.settled] {
            assert!(keyspace.is_empty().unwrap(), "something is left in {}", &**keyspace.name());
        }
        assert_eq!(shared.failure(), None);
    }
}
