use std::time::Instant;

use wissel_bus::{Bus, Enqueue, Envelope, MessageId};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::{InboxSettings, Store};

use super::*;
use crate::{BrokerOptions, Operator, Roles};

const CATALOGUE: &str = r#"
party = [
    { oin = "00000099000000001000", name = "Registry" },
    { oin = "00000099000000002000", name = "Receiver" },
]
[[event_type]]
name = "nl.brp.geboorte"
owner = "00000099000000001000"
description = "A birth was registered."
[[grant]]
party = "00000099000000002000"
type = "nl.brp.geboorte"
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
[[subscription]]
name = "00000099000000002000.inbox"
"#;

/// What was replayed is as old as its receiver wants it. It is looked at, and no longer kept
/// from whoever comes than that takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_replayed_is_not_kept_while_nothing_else_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap();
    let bus: Arc<dyn Bus> = Arc::new(bus);
    let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
    let (store, options) = (Store::in_memory().unwrap(), BrokerOptions::default());
    let broker = Broker::start(Arc::clone(&bus), store, catalogue, options).await.unwrap();
    broker.prepared().await;
    let inbox: InboxName = "00000099000000002000.inbox".parse().unwrap();
    let operator = Operator { name: None, oin: None, roles: Roles::ALL }.into();
    let max_age = Some(Duration::from_secs(60));
    let change = |settings| InboxSettings { max_age, ..settings };
    broker.set_inbox(&operator, &inbox, change).await.unwrap();
    let item = |id: &str, replayed| {
        let event = Event::builder(id, "/s", "nl.brp.geboorte").build().unwrap();
        let envelope = Envelope {
            message_id: MessageId::now(),
            publisher: "00000099000000001000".parse().unwrap(),
            admitted_at: SystemTime::now() - Duration::from_secs(3_600),
            fields: None,
            replayed,
            event: event.encode(),
        };
        Enqueue::new(envelope, vec![inbox.clone()])
    };
    for answer in bus.enqueue(vec![item("replayed", true), item("live", false)]).await {
        answer.unwrap();
    }
    // The broker looks by itself too, and a slow disk may keep a look waiting past its patience.
    let deadline = Instant::now() + Duration::from_secs(60);
    while bus.inspect(&inbox).await.unwrap().dead_letters == 0 {
        assert!(Instant::now() < deadline, "what is too old stays");
        broker.expire(&inbox).await.unwrap();
    }
    let mut shortest = Duration::MAX;
    // One of them meets nothing else that keeps the machine busy.
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(broker.expire(&inbox).await.unwrap(), 0);
        shortest = shortest.min(begun.elapsed());
    }
    assert!(shortest < PATIENCE / 2, "something is waited for: {shortest:?}");
    let state = bus.inspect(&inbox).await.unwrap();
    assert_eq!((state.depth, state.dead_letters), (1, 1), "what was replayed stays");
    broker.shut_down(Duration::from_secs(10)).await;
}
