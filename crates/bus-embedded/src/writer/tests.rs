//! The writer, asked without its thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::oneshot;
use wissel_bus::{BusError, DeliveryTag, Envelope, MessageId, Outlives, Selection};

use super::pending::Pending;
use super::{Command, Fate, Incoming, Writer};
use crate::clock::Clock;
use crate::inbox::{Inbox, Outcome, Settled};
use crate::shared::Shared;
use crate::storage::engine::simulated::{Disk, Fault};
use crate::storage::slot::Slot;
use crate::storage::{Census, Cursor, Storage};
use crate::upkeep::Removals;

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

/// A writer without its thread, and two inboxes.
struct Bench {
    _directory: Option<TempDir>,
    storage: Arc<Storage>,
    shared: Arc<Shared>,
    writer: Writer,
    inboxes: [Arc<Inbox>; 2],
}

impl Bench {
    /// With [`MESSAGES`] messages.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(directory.path(), 1 << 20).unwrap();
        Self::on(storage, Some(directory))
    }

    fn on(storage: Storage, directory: Option<TempDir>) -> Self {
        let storage = Arc::new(storage);
        let shared = Arc::new(Shared::new(HashMap::new(), Clock::Machine));
        let (removals, _) = Removals::new();
        let inboxes = [("all", 1), ("some", 2)].map(|(name, number)| {
            let name = format!("00000099000000002000.{name}").parse().unwrap();
            let inbox = Arc::new(Inbox::new(name, number));
            shared.insert(&inbox);
            inbox
        });
        let census = Census::take(&storage).unwrap();
        let known = inboxes.to_vec();
        let writer =
            Writer::new(Arc::clone(&shared), Arc::clone(&storage), &census, known, removals);
        let mut bench = Self { _directory: directory, storage, shared, writer, inboxes };
        let items: Vec<Incoming> = (0..MESSAGES).map(|one| incoming(&bench.inboxes, one)).collect();
        let (reply, _answers) = oneshot::channel();
        let answers = vec![Ok(()); MESSAGES];
        let apart = bench.writer.group(vec![Command::Enqueue { items, answers, reply }]);
        assert!(apart.is_empty());
        bench
    }

    fn slots(&self, inbox: usize) -> Vec<Slot> {
        let number = self.inboxes[inbox].number;
        self.storage.ready_slots(number, Cursor::default(), MESSAGES).unwrap()
    }

    fn finish(&mut self, inbox: usize, slots: &[Slot]) {
        let mut pending = Pending::new(&self.storage);
        for slot in slots {
            pending.leave(&self.storage, self.inboxes[inbox].number, slot);
            pending.finish(&self.storage, slot);
        }
        self.writer.write(pending);
    }

    fn trim(&mut self) {
        let mut from = Some(0);
        while let Some(entry) = from {
            self.writer.trimming.next = Some((Instant::now(), entry));
            self.writer.trim_packs();
            from = self.writer.trimming.next.map(|(_, entry)| entry);
        }
    }

    fn bytes_of_messages(&self) -> usize {
        self.storage.messages.iter().map(|entry| entry.value().unwrap().len()).sum()
    }

    /// What every message has that is left to the second inbox.
    fn expect_the_tenth(&self) {
        let slots = self.slots(1);
        assert_eq!(slots.len(), MESSAGES.div_ceil(10));
        let mut reader = self.storage.reader();
        for (number, slot) in slots.iter().enumerate() {
            let message = reader.message(slot.message).unwrap().unwrap();
            assert_eq!(message.event, vec![u8::try_from(10 * number).unwrap(); LENGTH]);
        }
    }

    fn expect_nothing_on_disk(&self) {
        let Storage { messages, shares, ready, settled, delayed, dead, .. } = &*self.storage;
        for keyspace in [messages, shares, ready, settled, delayed, dead] {
            assert!(keyspace.is_empty().unwrap(), "something is left in {}", keyspace.name());
        }
        assert_eq!(self.shared.failure(), None);
    }
}

#[test]
fn what_nobody_has_goes_from_packs_that_somebody_needs() {
    let mut bench = Bench::new();
    assert_eq!(bench.storage.messages.len(), MESSAGES / 64, "64 messages go together");
    assert_eq!(bench.storage.ready.len(), MESSAGES / 64 + 1);
    let full = bench.bytes_of_messages();
    assert!(full > MESSAGES * LENGTH);

    let slots = bench.slots(0);
    let (some, rest) = slots.split_at(MESSAGES - 100);
    bench.finish(0, some);
    assert_eq!(bench.bytes_of_messages(), full, "each is needed for the other inbox");
    assert!(bench.writer.trimming.next.is_some_and(|(at, _)| at > Instant::now()), "it waits");
    bench.trim();
    let left = bench.bytes_of_messages();
    assert!(left < full * 5 / 8, "{left} bytes of {full}");
    bench.expect_the_tenth();

    bench.finish(0, rest);
    bench.trim();
    let left = bench.bytes_of_messages();
    assert!(left < full / 8, "{left} bytes of {full}");
    bench.expect_the_tenth();
    assert_eq!(bench.storage.messages.len(), MESSAGES / 64);

    bench.finish(1, &bench.slots(1));
    bench.expect_nothing_on_disk();
}

#[test]
fn what_is_settled_of_an_inbox_that_was_removed_is_not_settled_twice() {
    let outcomes: [fn() -> Outcome; 3] = [
        || Outcome::Done,
        || Outcome::Retry { after: Duration::ZERO, reason: "again".to_owned() },
        || Outcome::Dead { reason: "no".to_owned(), unheard: Vec::new(), handed_out: true },
    ];
    for outcome in outcomes {
        let mut bench = Bench::new();
        let inbox = Arc::clone(&bench.inboxes[0]);
        let settled: Vec<Settled> = (0..)
            .zip(bench.slots(0))
            .map(|(position, slot)| {
                let tag = DeliveryTag(position as u64);
                Settled { position, tag, slot, outcome: outcome() }
            })
            .collect();
        bench.writer.remove_inbox(&inbox.name).unwrap();
        bench.writer.work_on_job();
        // They were under way while the inbox was removed.
        let (reply, mut answer) = oneshot::channel();
        let late = Command::Settle { inbox, consumer: 1, settled, reply: Some(reply) };
        assert!(bench.writer.group(vec![late]).is_empty());
        assert!(matches!(answer.try_recv(), Ok(Err(BusError::UnknownInbox(_)))));
        while !bench.writer.jobs.is_empty() {
            bench.writer.work_on_job();
        }
        bench.trim();
        bench.expect_the_tenth();
        bench.finish(1, &bench.slots(1));
        bench.expect_nothing_on_disk();
    }
}

/// Found by the simulation: the writer then held for synced what was not, until it wrote again.
#[test]
fn dead_letters_that_are_none_leave_what_is_to_be_synced() {
    let mut bench = Bench::new();
    let slots = bench.slots(0);
    bench.finish(0, &slots[..10]);
    assert!(bench.writer.unsynced_since.is_some());
    let inbox = Arc::clone(&bench.inboxes[0]);
    let (reply, mut answer) = oneshot::channel();
    let (selection, fate) = (Selection::All, Fate::Purged);
    bench.writer.carry_out(Command::EndDeadLetters { inbox, selection, fate, reply });
    bench.writer.work_on_job();
    assert_eq!(answer.try_recv(), Ok(Ok(0)));
    assert!(bench.writer.unsynced_since.is_some());
}

/// Found by the simulation: what could not be written may be on disk all the same.
#[test]
fn an_inbox_is_neither_there_nor_gone_when_that_could_not_be_written() {
    let disk = Disk::default();
    let mut bench = Bench::on(Storage::simulated(&disk).unwrap(), None);
    disk.set_fault(Some(Fault { after: 0, kept: true }));
    let there = bench.inboxes[0].name.clone();
    let gone = "00000099000000002000.new".parse().unwrap();
    for outcome in [
        bench.writer.remove_inbox(&there),
        bench.writer.open_inbox(&there),
        bench.writer.open_inbox(&gone),
        bench.writer.remove_inbox(&gone),
    ] {
        assert!(matches!(outcome, Err(BusError::Storage { .. })), "{outcome:?}");
    }
}
