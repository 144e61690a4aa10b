//! What opening a directory refuses, and what it finds again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::SystemTime;

use wissel_bus::{Bus, Enqueue, Envelope, InboxName, MessageId};
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
    assert_eq!((found.as_str(), *expected), ("99", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_bus_keeps_what_was_enqueued() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::new(directory.path());
    let bus = EmbeddedBus::open(options.clone()).unwrap();
    bus.open_inbox(&inbox()).await.unwrap();
    assert_eq!(bus.enqueue(vec![item()]).await, [Ok(())]);
    let consumer = bus.consume(&inbox(), 10).await.unwrap();
    drop(bus);

    let bus = EmbeddedBus::open(options).unwrap();
    assert_eq!(bus.inspect(&inbox()).await.unwrap().depth, 1);
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
