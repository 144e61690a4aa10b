//! The first receipt is given again, also after a restart, and nothing is swallowed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use wissel_audit::{RecordLog, RecordOptions, SubjectKey};
use wissel_broker::{
    Broker, BrokerOptions, Caller, Receipt, Records, Refusal, SessionEvent, SessionOptions, Verdict,
};
use wissel_bus::Bus as _;
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_message::Event;
use wissel_receipts::{ReceiptOptions, Receipts};
use wissel_store::Store;

const REGISTRY: &str = "00000099000000001000";
const OTHER: &str = "00000099000000003000";
const RECEIVER: &str = "00000099000000002000";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000003000", name = "Other" },
    { oin = "00000099000000002000", name = "Utrecht" },
]
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
[[grant]]
party = "00000099000000001000"
type = "nl.brp.geboorte"
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000003000"
type = "nl.brp.geboorte"
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[subscription]]
name = "00000099000000002000.inbox"
[[subscription]]
name = "00000099000000002000.also"
"#;

struct Running {
    broker: Arc<Broker>,
    bus: Arc<EmbeddedBus>,
    receipts: Arc<Receipts>,
}

/// A broker with this directory, that holds so many units in memory, and remembers for so
/// long.
async fn start(directory: &Path, in_memory: usize, window: Duration) -> Running {
    let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.join("bus"))).unwrap();
    let bus = Arc::new(bus);
    let options = RecordOptions { file_bytes: 1_500, sync_every: Duration::from_millis(50) };
    let records = Records {
        log: RecordLog::open(&directory.join("records"), options).unwrap(),
        subjects: SubjectKey::load_or_create(&directory.join("key")).unwrap(),
    };
    let options = ReceiptOptions { window, ..ReceiptOptions::default() };
    let receipts = Arc::new(Receipts::open(&directory.join("receipts"), options).unwrap());
    let options = BrokerOptions {
        records: Some(records),
        receipts: Some(Arc::clone(&receipts)),
        deduplication_age: window,
        deduplication_capacity: in_memory,
        ..BrokerOptions::default()
    };
    let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
    let store = Store::in_memory().unwrap();
    let broker = Broker::start(Arc::clone(&bus) as _, store, catalogue, options).await.unwrap();
    broker.prepared().await;
    Running { broker, bus, receipts }
}

impl Running {
    async fn publish(&self, publisher: &str, id: &str) -> Result<Receipt, Refusal> {
        let source = format!("urn:nld:oin:{publisher}:systeem:BRP");
        let event = Event::builder(id, source, "nl.brp.geboorte").build().unwrap();
        let caller = Caller::Party(publisher.parse().unwrap());
        self.broker.publish(&caller, vec![event.encode()]).await.pop().unwrap()
    }

    async fn stop(self) {
        self.broker.shut_down(Duration::from_secs(10)).await;
    }

    /// The ids of all that the inbox holds, in order; waits until it is so many.
    async fn receive(&self, count: usize) -> Vec<String> {
        let inbox: InboxName = format!("{RECEIVER}.inbox").parse().unwrap();
        let caller = Caller::Party(RECEIVER.parse().unwrap());
        let options = SessionOptions { credit: 100, lease: Duration::from_secs(30) };
        let mut session = self.broker.open_session(&caller, &inbox, options).await.unwrap();
        let mut ids = Vec::new();
        while ids.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(10), session.next()).await.unwrap();
            let SessionEvent::Deliveries(deliveries) = next else { continue };
            for delivery in &deliveries {
                let event = Event::from_frame(delivery.envelope.event.clone()).unwrap();
                ids.push(event.id().to_owned());
            }
            let done: Vec<u64> = deliveries.iter().map(|delivery| delivery.id).collect();
            session.settle(&done, &Verdict::Acknowledge);
        }
        session.settled().await;
        ids
    }
}

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_receipt_also_after_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), 1_000, DAY).await;
    let first = running.publish(REGISTRY, "e1").await.unwrap();
    assert!(!first.repeated && first.inboxes.len() == 2);
    let repeated = Receipt { repeated: true, ..first };
    assert_eq!(running.publish(REGISTRY, "e1").await.unwrap(), repeated);
    running.stop().await;
    for _ in 0..2 {
        let running = start(directory.path(), 1_000, DAY).await;
        for _ in 0..2 {
            assert_eq!(running.publish(REGISTRY, "e1").await.unwrap(), repeated);
        }
        running.stop().await;
    }
    let running = start(directory.path(), 1_000, DAY).await;
    // Another party's message of the same id is another one.
    assert!(!running.publish(OTHER, "e1").await.unwrap().repeated);
    assert!(!running.publish(REGISTRY, "e2").await.unwrap().repeated);
    assert_eq!(running.receive(3).await, ["e1", "e1", "e2"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_forgets_is_still_known() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), 1, DAY).await;
    let first = running.publish(REGISTRY, "e1").await.unwrap();
    // Memory holds one; what came before is on disk a moment later.
    running.publish(REGISTRY, "e2").await.unwrap();
    tokio::task::block_in_place(|| running.receipts.settle());
    let again = running.publish(REGISTRY, "e1").await.unwrap();
    assert_eq!(again, Receipt { repeated: true, ..first });
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_window_is_published_anew() {
    let directory = tempfile::tempdir().unwrap();
    let window = Duration::from_secs(3);
    let running = start(directory.path(), 1_000, window).await;
    let begun = SystemTime::now();
    let first = running.publish(REGISTRY, "e1").await.unwrap();
    running.stop().await;
    let running = start(directory.path(), 1_000, window).await;
    let again = running.publish(REGISTRY, "e1").await.unwrap();
    if begun.elapsed().unwrap() < window {
        assert_eq!(again.message_id, first.message_id);
    }
    // Asking for it again has not made it younger.
    tokio::time::sleep(window + Duration::from_millis(500)).await;
    let anew = running.publish(REGISTRY, "e1").await.unwrap();
    assert!(!anew.repeated && anew.message_id != first.message_id);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bus_did_not_take_is_taken_again_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), 1_000, DAY).await;
    running.bus.close().await;
    for _ in 0..2 {
        running.publish(REGISTRY, "e1").await.unwrap_err();
    }
    running.stop().await;
    let running = start(directory.path(), 1_000, DAY).await;
    assert!(!running.publish(REGISTRY, "e1").await.unwrap().repeated);
    assert_eq!(running.receive(1).await, ["e1"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_record_is_taken_again_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), 1_000, DAY).await;
    // Where the next file of records is to be there is a directory.
    let obstacle = directory.path().join("records/records-000002.jsonl");
    std::fs::create_dir(&obstacle).unwrap();
    let mut number = 0;
    while running.publish(REGISTRY, &format!("e{number}")).await.is_ok() {
        number += 1;
        assert!(number < 100, "records go on without a file");
    }
    running.stop().await;
    std::fs::remove_dir(&obstacle).unwrap();

    let running = start(directory.path(), 1_000, DAY).await;
    let refused = format!("e{number}");
    assert!(!running.publish(REGISTRY, &refused).await.unwrap().repeated);
    for known in 0..=number {
        assert!(running.publish(REGISTRY, &format!("e{known}")).await.unwrap().repeated);
    }
    let received: BTreeSet<String> = running.receive(number + 1).await.into_iter().collect();
    assert!(received.contains(&refused));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = BTreeSet::new();
    for expected_firsts in [1, 0] {
        let running = Arc::new(start(directory.path(), 1_000, DAY).await);
        let publishing = (0..50).map(|_| {
            let running = Arc::clone(&running);
            tokio::spawn(async move { running.publish(REGISTRY, "e1").await.unwrap() })
        });
        let receipts: Vec<Receipt> =
            join_all(publishing).await.into_iter().map(Result::unwrap).collect();
        let firsts = receipts.iter().filter(|receipt| !receipt.repeated).count();
        assert_eq!(firsts, expected_firsts);
        ids.extend(receipts.iter().map(|receipt| receipt.message_id.to_string()));
        Arc::into_inner(running).unwrap().stop().await;
    }
    assert_eq!(ids.len(), 1);
    let running = start(directory.path(), 1_000, DAY).await;
    running.publish(REGISTRY, "e2").await.unwrap();
    assert_eq!(running.receive(2).await, ["e1", "e2"]);
    running.stop().await;
}
