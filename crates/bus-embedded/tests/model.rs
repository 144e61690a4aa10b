//! Any sequence of operations gives what a simple model in memory gives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tokio::time::timeout;
use wissel_bus::{
    Arrival, Bus, Consumer, Credit, Delivery, Enqueue, Envelope, InboxName, MessageId, Page,
    Selection, Settlement,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};

const INBOXES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
enum Operation {
    /// To the inboxes whose bit is set.
    Enqueue { inboxes: u8, messages: u8 },
    /// Takes deliveries from an inbox and settles each in its way; the consumer is
    /// then dropped with what is left.
    Consume { inbox: usize, credit: u16, settlements: Vec<Way> },
    /// Takes so many deliveries and acknowledges them together, every second one first.
    Take { inbox: usize, messages: usize },
    /// All, or the first and those that follow at this step.
    Redrive { inbox: usize, step: Option<usize> },
    /// Removes the inbox and opens it again.
    Renew { inbox: usize },
    /// Closes the bus and opens it again.
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Acknowledge,
    Release,
    RetryNow,
    Bury,
    Keep,
}

/// What an inbox should hold: the number of each message, and its attempt.
#[derive(Debug, Default)]
struct Model {
    waiting: VecDeque<(u64, u32)>,
    dead: Vec<(u64, u32)>,
}

fn operation() -> impl Strategy<Value = Operation> {
    let inbox = 0..INBOXES;
    let way = prop_oneof![
        4 => Just(Way::Acknowledge),
        1 => Just(Way::Release),
        1 => Just(Way::RetryNow),
        2 => Just(Way::Bury),
        1 => Just(Way::Keep),
    ];
    let ways = prop::collection::vec(way, 1..12);
    prop_oneof![
        6 => (1..1_u8 << INBOXES, prop_oneof![3 => 1..10_u8, 1 => 60..140_u8])
            .prop_map(|(inboxes, messages)| Operation::Enqueue { inboxes, messages }),
        6 => (inbox.clone(), 1..8_u16, ways).prop_map(|(inbox, credit, settlements)| {
            Operation::Consume { inbox, credit, settlements }
        }),
        2 => (inbox.clone(), 1..200_usize)
            .prop_map(|(inbox, messages)| Operation::Take { inbox, messages }),
        2 => (inbox.clone(), prop::option::of(1..4_usize))
            .prop_map(|(inbox, step)| Operation::Redrive { inbox, step }),
        1 => inbox.prop_map(|inbox| Operation::Renew { inbox }),
        2 => Just(Operation::Reopen),
    ]
}

fn name(inbox: usize) -> InboxName {
    format!("00000099000000001000.inbox-{inbox}").parse().unwrap()
}

fn envelope(number: u64) -> Envelope {
    Envelope {
        message_id: MessageId::now(),
        publisher: "00000099000000001000".parse().unwrap(),
        admitted_at: SystemTime::now(),
        fields: None,
        replayed: false,
        event: number.to_be_bytes().to_vec().into(),
    }
}

fn number_of(envelope: &Envelope) -> u64 {
    u64::from_be_bytes(envelope.event[..].try_into().unwrap())
}

async fn open(path: &Path) -> EmbeddedBus {
    let bus = EmbeddedBus::open(EmbeddedOptions::new(path)).unwrap();
    for inbox in 0..INBOXES {
        bus.open_inbox(&name(inbox)).await.unwrap();
    }
    bus
}

/// The bus beside its model.
struct Pair<'a> {
    path: &'a Path,
    bus: EmbeddedBus,
    models: [Model; INBOXES],
    next_number: u64,
}

impl Pair<'_> {
    async fn carry_out(&mut self, operation: &Operation) {
        match operation {
            Operation::Enqueue { inboxes, messages } => self.enqueue(*inboxes, *messages).await,
            Operation::Consume { inbox, credit, settlements } => {
                self.consume(*inbox, *credit, settlements).await;
            }
            Operation::Take { inbox, messages } => self.take(*inbox, *messages).await,
            Operation::Redrive { inbox, step } => self.redrive(*inbox, *step).await,
            Operation::Renew { inbox } => {
                self.bus.remove_inbox(&name(*inbox)).await.unwrap();
                self.bus.open_inbox(&name(*inbox)).await.unwrap();
                self.models[*inbox] = Model::default();
            }
            Operation::Reopen => {
                self.bus.close().await;
                self.bus = open(self.path).await;
            }
        }
        self.compare().await;
    }

    async fn enqueue(&mut self, inboxes: u8, messages: u8) {
        let chosen: Vec<usize> = (0..INBOXES).filter(|i| inboxes & (1 << i) != 0).collect();
        let mut items = Vec::new();
        for _ in 0..messages {
            let inboxes = chosen.iter().map(|&inbox| name(inbox)).collect();
            items.push(Enqueue::new(envelope(self.next_number), inboxes));
            for &inbox in &chosen {
                self.models[inbox].waiting.push_back((self.next_number, 1));
            }
            self.next_number += 1;
        }
        for answer in self.bus.enqueue(items).await {
            answer.unwrap();
        }
    }

    async fn consume(&mut self, inbox: usize, credit: u16, ways: &[Way]) {
        let model = &mut self.models[inbox];
        let mut consumer = self.bus.consume(&name(inbox), Credit::of(credit)).await.unwrap();
        let mut kept = Vec::new();
        for way in ways {
            if kept.len() == usize::from(credit) || model.waiting.is_empty() {
                break;
            }
            let delivery = next(&mut consumer).await;
            let found = (number_of(&delivery.envelope), delivery.attempt);
            if matches!(way, Way::Release) && credit > 1 {
                // Where it comes again depends on what was in the channel: keep it.
                assert_eq!(Some(found), model.waiting.pop_front());
                kept.push(found);
                continue;
            }
            assert_eq!(Some(found), model.waiting.pop_front());
            let (number, attempt) = found;
            let settlement = match way {
                Way::Keep => {
                    kept.push(found);
                    continue;
                }
                Way::Acknowledge => Settlement::Acknowledge,
                Way::Release => {
                    model.waiting.push_front(found);
                    Settlement::Release
                }
                Way::RetryNow => {
                    model.waiting.push_back((number, attempt + 1));
                    Settlement::Retry { after: Duration::ZERO, reason: "again".to_owned() }
                }
                Way::Bury => {
                    model.dead.push(found);
                    Settlement::dead_letter(format!("number {number}"))
                }
            };
            let answers = consumer.settler.settle(vec![(delivery.tag, settlement)]).await;
            assert_eq!(answers, [Ok(())]);
            if matches!(way, Way::RetryNow) {
                self.until_nothing_is_delayed(inbox).await;
                return self.put_back(inbox, kept);
            }
        }
        self.put_back(inbox, kept);
    }

    async fn take(&mut self, inbox: usize, messages: usize) {
        let mut consumer = self.bus.consume(&name(inbox), Credit::of(200)).await.unwrap();
        let (mut first, mut then) = (Vec::new(), Vec::new());
        for _ in 0..messages.min(self.models[inbox].waiting.len()) {
            let delivery = next(&mut consumer).await;
            let found = (number_of(&delivery.envelope), delivery.attempt);
            assert_eq!(Some(found), self.models[inbox].waiting.pop_front());
            let some = if first.len() > then.len() { &mut then } else { &mut first };
            some.push((delivery.tag, Settlement::Acknowledge));
        }
        for some in [first, then] {
            let answers = consumer.settler.settle(some).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    }

    fn put_back(&mut self, inbox: usize, kept: Vec<(u64, u32)>) {
        for found in kept.into_iter().rev() {
            self.models[inbox].waiting.push_front(found);
        }
    }

    async fn until_nothing_is_delayed(&self, inbox: usize) {
        let wait = async {
            while self.bus.inspect(&name(inbox)).await.unwrap().delayed > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    async fn redrive(&mut self, inbox: usize, step: Option<usize>) {
        let model = &mut self.models[inbox];
        let selection = match step {
            None => Selection::All,
            Some(step) => {
                let letters = all_dead(&self.bus, inbox).await;
                let ids = letters.iter().step_by(step).map(|letter| letter.id.clone());
                Selection::These(ids.collect())
            }
        };
        let chosen: Vec<_> = model.dead.iter().copied().step_by(step.unwrap_or(1)).collect();
        model.dead.retain(|dead| !chosen.contains(dead));
        let back = chosen.iter().map(|(number, _)| (*number, 1));
        model.waiting.extend(back);
        let redriven = self.bus.redrive(&name(inbox), &selection, &name(inbox)).await;
        assert_eq!(redriven, Ok(chosen.len() as u64));
    }

    async fn compare(&self) {
        for (inbox, model) in self.models.iter().enumerate() {
            let state = self.bus.inspect(&name(inbox)).await.unwrap();
            assert_eq!(state.depth, model.waiting.len() as u64, "inbox {inbox}");
            assert_eq!(state.in_flight, 0);
            assert_eq!(state.oldest.is_some(), !model.waiting.is_empty());
            let letters = all_dead(&self.bus, inbox).await;
            let dead: Vec<_> = letters
                .iter()
                .map(|letter| (number_of(&letter.envelope), letter.attempts))
                .collect();
            assert_eq!(dead, model.dead, "inbox {inbox}");
            assert_eq!(state.dead_letters, model.dead.len() as u64);
        }
    }

    /// At the end everything comes, and then the storage is empty.
    async fn empty(mut self) {
        for inbox in 0..INBOXES {
            self.redrive(inbox, None).await;
            let mut consumer = self.bus.consume(&name(inbox), Credit::of(5)).await.unwrap();
            for expected in std::mem::take(&mut self.models[inbox].waiting) {
                let delivery = next(&mut consumer).await;
                let found = (number_of(&delivery.envelope), delivery.attempt);
                assert_eq!(found, expected);
                let done = (delivery.tag, Settlement::Acknowledge);
                consumer.settler.settle(vec![done]).await;
            }
        }
        self.compare().await;
        self.bus.close().await;
        drop(self.bus);
        expect_nothing_on_disk(self.path);
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let arrival = timeout(PATIENCE, consumer.arrivals.recv()).await;
    match arrival.expect("a delivery comes in time") {
        Some(Arrival::Delivery(delivery)) => delivery,
        _ => panic!("the consumer ended"),
    }
}

async fn all_dead(bus: &EmbeddedBus, inbox: usize) -> Vec<wissel_bus::DeadLetter> {
    let everything = Page { after: None, limit: 10_000 };
    bus.dead_letters(&name(inbox), everything).await.unwrap()
}

/// Every message goes when the last inbox is done with it, and leaves nothing.
fn expect_nothing_on_disk(path: &Path) {
    let database = fjall::Database::builder(path).open().unwrap();
    for keyspace in ["messages", "shares", "ready", "settled", "delayed", "dead"] {
        let options = fjall::KeyspaceCreateOptions::default;
        let left = database.keyspace(keyspace, options).unwrap().len().unwrap();
        assert_eq!(left, 0, "{left} records are left in {keyspace}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_bus_does_what_the_model_does(
        operations in prop::collection::vec(operation(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let mut pair = Pair {
                path: directory.path(),
                bus: open(directory.path()).await,
                models: Default::default(),
                next_number: 0,
            };
            for operation in &operations {
                pair.carry_out(operation).await;
            }
            pair.empty().await;
        });
    }
}
