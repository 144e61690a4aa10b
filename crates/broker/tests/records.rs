//! Nothing is admitted and nothing delivered without a record of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wissel_audit::{RecordLog, RecordOptions, SubjectKey, verify};
use wissel_broker::{
    Broker, BrokerOptions, Caller, Reason, Records, SessionEnd, SessionEvent, SessionOptions,
    Verdict,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_message::Event;
use wissel_store::Store;

const PUBLISHER: &str = "00000099000000001000";
const RECEIVER: &str = "00000099000000002000";

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
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
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[subscription]]
name = "00000099000000002000.inbox"
"#;

async fn start(directory: &Path) -> Arc<Broker> {
    let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.join("bus"))).unwrap();
    let options = RecordOptions { file_bytes: 1_500, sync_every: Duration::from_millis(50) };
    let records = Records {
        log: RecordLog::open(&directory.join("records"), options).unwrap(),
        subjects: SubjectKey::load_or_create(&directory.join("key")).unwrap(),
    };
    let options = BrokerOptions { records: Some(records), ..BrokerOptions::default() };
    let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
    let store = Store::in_memory().unwrap();
    let broker = Broker::start(Arc::new(bus), store, catalogue, options).await.unwrap();
    broker.prepared().await;
    broker
}

async fn publish(broker: &Arc<Broker>, id: &str) -> Result<bool, Reason> {
    let source = format!("urn:nld:oin:{PUBLISHER}:systeem:BRP");
    let event = Event::builder(id, source, "nl.brp.geboorte").subject("999990019").build().unwrap();
    let caller = Caller::Party(PUBLISHER.parse().unwrap());
    let outcome = broker.publish(&caller, vec![event.encode()]).await.pop().unwrap();
    outcome.map(|receipt| receipt.repeated).map_err(|refusal| refusal.reason)
}

/// Where the next file of records is to be there is a directory.
fn obstruct(directory: &Path) -> PathBuf {
    let obstacle = directory.join("records/records-000002.jsonl");
    std::fs::create_dir(&obstacle).unwrap();
    obstacle
}

/// How many were taken, and the id of the first that was not, as it could not be recorded.
async fn publish_until_refused(broker: &Arc<Broker>) -> (usize, String) {
    for taken in 0..100 {
        let id = format!("e{taken}");
        match publish(broker, &id).await {
            Ok(repeated) => assert!(!repeated),
            Err(reason) => {
                assert_eq!(reason, Reason::BusUnavailable);
                return (taken, id);
            }
        }
    }
    panic!("records go on without a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_done_and_is_done_when_it_can() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path()).await;
    let receiver = Caller::Party(RECEIVER.parse().unwrap());
    let inbox: InboxName = format!("{RECEIVER}.inbox").parse().unwrap();
    let options = SessionOptions { credit: 100, lease: Duration::from_secs(30) };

    let mut session = broker.open_session(&receiver, &inbox, options.clone()).await.unwrap();
    let obstacle = obstruct(directory.path());
    let (taken, refused) = publish_until_refused(&broker).await;
    assert!(taken > 0);

    let opened = broker.open_session(&receiver, &inbox, options.clone()).await;
    assert_eq!(opened.err().unwrap().reason, Reason::BusUnavailable);
    let event = session.next().await;
    let SessionEvent::Ended(SessionEnd::Refused(refusal)) = event else { panic!("{event:?}") };
    assert_eq!(refusal.reason, Reason::BusUnavailable);
    session.settled().await;
    drop(session);

    std::fs::remove_dir(&obstacle).unwrap();
    // It has no receipt yet, so this is its first.
    assert_eq!(publish(&broker, &refused).await, Ok(false));
    assert_eq!(publish(&broker, &refused).await, Ok(true));
    let mut session = broker.open_session(&receiver, &inbox, options).await.unwrap();
    let mut found = BTreeSet::new();
    while found.len() <= taken {
        let next = tokio::time::timeout(Duration::from_secs(10), session.next()).await.unwrap();
        let SessionEvent::Deliveries(deliveries) = next else { continue };
        for delivery in &deliveries {
            let event = Event::from_frame(delivery.envelope.event.clone()).unwrap();
            found.insert(event.id().to_owned());
        }
        let ids: Vec<u64> = deliveries.iter().map(|delivery| delivery.id).collect();
        session.settle(&ids, &Verdict::Acknowledge);
    }
    session.settled().await;
    drop(session);
    broker.shut_down(Duration::from_secs(5)).await;

    let verified = verify(&directory.path().join("records"), |_| {}).unwrap();
    // Started, each admission and its delivery, and stopped.
    assert!(verified.records >= 2 * (taken as u64 + 1) + 2, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_knows_what_it_could_not_carry_out() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path()).await;
    let receiver = Caller::Party(RECEIVER.parse().unwrap());
    let inbox: InboxName = format!("{RECEIVER}.inbox").parse().unwrap();
    let options = SessionOptions { credit: 1, lease: Duration::from_secs(600) };
    let mut session = broker.open_session(&receiver, &inbox, options).await.unwrap();
    assert_eq!(publish(&broker, "first").await, Ok(false));
    let event = session.next().await;
    let SessionEvent::Deliveries(held) = event else { panic!("{event:?}") };
    let obstacle = obstruct(directory.path());
    publish_until_refused(&broker).await;

    let reject = Verdict::Reject { reason: "no use".to_owned() };
    session.settle(&[held[0].id], &reject);
    assert!(!session.settled().await, "a rejection is nothing without a record");
    std::fs::remove_dir(&obstacle).unwrap();
    let event = session.next().await;
    let SessionEvent::Deliveries(again) = event else { panic!("{event:?}") };
    assert_eq!(again[0].envelope.message_id, held[0].envelope.message_id);
    session.settle(&[again[0].id], &reject);
    assert!(session.settled().await);
    drop(session);
    broker.shut_down(Duration::from_secs(5)).await;
}
