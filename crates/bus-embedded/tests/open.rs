//! What opening a directory refuses, and what it finds again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, SystemTime};

use wissel_bus::{
    Arrival, Bus, Credit, Enqueue, Envelope, InboxName, MessageId, Outlives, Settlement,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedBusError, EmbeddedOptions};

fn inbox() -> InboxName {
    "00000099000000001000.open".parse().unwrap()
}

fn item() -> Enqueue {
    let envelope = Envelope {
        message_id: MessageId::now(),
        publisher: "00000099000000001000".parse().unwrap(),
        admitted_at: SystemTime::now(),
        fields: None,
        replayed: false,
        event: "event".into(),
    };
    let inboxes = vec![inbox()];
    Enqueue::new(envelope, inboxes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_belongs_to_one_bus() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(directory.path());
    let bus = EmbeddedBus::open(options.clone()).unwrap();
    let refused = EmbeddedBus::open(options.clone()).err().unwrap();
    assert!(matches!(refused, EmbeddedBusError::InUse { .. }));
    let named = directory.path().display().to_string();
    assert!(refused.to_string().contains(&named), "{refused}");

    bus.close().await;
    EmbeddedBus::open(options).unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(directory.path());
    EmbeddedBus::open(options.clone()).unwrap().close().await;
    {
        let database = fjall::Database::builder(directory.path()).open().unwrap();
        let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
        meta.insert("format", 99_u32.to_be_bytes()).unwrap();
    }
    let refused = EmbeddedBus::open(options).err().unwrap();
    let EmbeddedBusError::Format { found, expected, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((found.as_str(), *expected), ("99", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_bus_keeps_what_was_enqueued() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(directory.path());
    let bus = EmbeddedBus::open(options.clone()).unwrap();
    bus.open_inbox(&inbox()).await.unwrap();
    assert_eq!(bus.enqueue(vec![item()]).await, [Ok(())]);
    let unsynced = Enqueue { outlives: Outlives::Process, ..item() };
    assert_eq!(bus.enqueue(vec![unsynced]).await, [Ok(())]);
    let consumer = bus.consume(&inbox(), Credit::of(10)).await.unwrap();
    drop(bus);

    let bus = EmbeddedBus::open(options).unwrap();
    assert_eq!(bus.inspect(&inbox()).await.unwrap().depth, 2);
    bus.close().await;
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_is_named_twice_gets_a_message_once() {
    let directory = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap();
    bus.open_inbox(&inbox()).await.unwrap();
    let mut twice = item();
    twice.inboxes.push(inbox());
    assert_eq!(bus.enqueue(vec![twice]).await, [Ok(())]);
    assert_eq!(bus.inspect(&inbox()).await.unwrap().depth, 1);
    bus.close().await;
}

/// What waits for long, also over a restart, holds up no retry that is due sooner.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_retry_holds_up_no_short_one() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(directory.path());
    let again = |after| Settlement::Retry { after, reason: "busy".to_owned() };
    for (round, opened) in [(0, 2), (1, 1)] {
        let bus = EmbeddedBus::open(options.clone()).unwrap();
        bus.open_inbox(&inbox()).await.unwrap();
        for answer in bus.enqueue((0..opened).map(|_| item()).collect()).await {
            answer.unwrap();
        }
        let mut consumer = bus.consume(&inbox(), Credit::of(10)).await.unwrap();
        let mut next = async || match consumer.arrivals.recv().await {
            Some(Arrival::Delivery(delivery)) => delivery.tag,
            other => panic!("{other:?}"),
        };
        let mut settlements = Vec::new();
        if round == 0 {
            settlements.push((next().await, again(Duration::from_secs(3_600))));
        }
        settlements.push((next().await, again(Duration::from_millis(100))));
        for answer in consumer.settler.settle(settlements).await {
            answer.unwrap();
        }
        let soon = tokio::time::timeout(Duration::from_secs(5), consumer.arrivals.recv()).await;
        let Ok(Some(Arrival::Delivery(soon))) = soon else { panic!("round {round}: {soon:?}") };
        assert_eq!(soon.attempt, 2);
        consumer.settler.settle(vec![(soon.tag, Settlement::Acknowledge)]).await;
        drop(consumer);
        bus.close().await;
    }
}
