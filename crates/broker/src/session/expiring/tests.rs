use std::time::Instant;

use wissel_bus::{Bus, Enqueue, Envelope, MessageId};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::{InboxSettings, Store};

use super::*;
use crate::{BrokerOptions, Caller, Operator, Roles, SessionEvent, SessionOptions, Verdict};

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

/// A broker with one inbox, in which messages may be a minute old.
struct Aged {
    bus: Arc<dyn Bus>,
    broker: Arc<Broker>,
    inbox: InboxName,
    _directory: tempfile::TempDir,
}

impl Aged {
    async fn new() -> Self {
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
        Self { bus, broker, inbox, _directory: directory }
    }

    /// Each with how old it is, in seconds, and whether it was replayed.
    async fn put(&self, messages: &[(u64, bool)]) {
        let item = |(age, replayed): &(u64, bool)| {
            let event = Event::builder("a", "/s", "nl.brp.geboorte").build().unwrap();
            let envelope = Envelope {
                message_id: MessageId::now(),
                publisher: "00000099000000001000".parse().unwrap(),
                admitted_at: SystemTime::now() - Duration::from_secs(*age),
                fields: None,
                replayed: *replayed,
                event: event.encode(),
            };
            Enqueue::new(envelope, vec![self.inbox.clone()])
        };
        for answer in self.bus.enqueue(messages.iter().map(item).collect()).await {
            answer.unwrap();
        }
    }
}

/// What was replayed is as old as its receiver wants it. It is looked at, and no longer kept
/// from whoever comes than that takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_replayed_is_not_kept_while_nothing_else_is_there() {
    let place = Aged::new().await;
    let Aged { bus, broker, inbox, .. } = &place;
    place.put(&[(3_600, true), (3_600, false)]).await;
    // The broker looks by itself too, and a slow disk may keep a look waiting past its patience.
    let deadline = Instant::now() + Duration::from_secs(60);
    while bus.inspect(inbox).await.unwrap().dead_letters == 0 {
        assert!(Instant::now() < deadline, "what is too old stays");
        broker.expire(inbox).await.unwrap();
    }
    let mut shortest = Duration::MAX;
    // One of them meets nothing else that keeps the machine busy.
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(broker.expire(inbox).await.unwrap(), 0);
        shortest = shortest.min(begun.elapsed());
    }
    assert!(shortest < PATIENCE / 2, "something is waited for: {shortest:?}");
    let state = bus.inspect(inbox).await.unwrap();
    assert_eq!((state.depth, state.dead_letters), (1, 1), "what was replayed stays");
    broker.shut_down(Duration::from_secs(10)).await;
}

/// A receiver that is there and takes up nothing does not keep what waits behind its credit.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_one_that_has_stopped_is_given_up() {
    let place = Aged::new().await;
    let Aged { bus, broker, inbox, .. } = &place;
    let owner = Caller::Party("00000099000000002000".parse().unwrap());
    let options = SessionOptions { credit: 2, lease: Duration::from_secs(600) };
    let mut stopped = broker.open_session(&owner, inbox, options).await.unwrap();
    place.put(&[(58, false), (58, false)]).await;
    let SessionEvent::Deliveries(held) = stopped.next().await else { panic!("expected some") };
    assert!(!held.is_empty());
    place.put(&[(58, false), (58, false), (0, false)]).await;
    let state = || async { bus.inspect(inbox).await.unwrap() };
    assert_eq!((state().await.depth, state().await.in_flight), (3, 2));

    let deadline = Instant::now() + Duration::from_secs(60);
    while state().await.dead_letters < 2 {
        assert!(Instant::now() < deadline, "what is too old stays: {:?}", state().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
        broker.expire(inbox).await.unwrap();
    }
    // What it holds stays, and so does the young one.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = state().await;
    assert_eq!((after.depth, after.in_flight, after.dead_letters), (1, 2, 2));
    // Whoever settles something looks at what comes by itself.
    stopped.settle(&[held[0].id], &Verdict::Acknowledge);
    stopped.settled().await;
    assert_eq!(broker.expire(inbox).await.unwrap(), 0);
    broker.shut_down(Duration::from_secs(10)).await;
}
