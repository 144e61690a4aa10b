use std::time::Instant;

use wissel_audit::{RecordLog, RecordOptions, SubjectKey};
use wissel_bus::{Bus, DeadLetter, Enqueue, Envelope, MessageId, Page};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::{InboxSettings, Store};

use super::*;
use crate::{
    BrokerOptions, Caller, Operator, Records, Roles, SessionEvent, SessionOptions, Verdict,
};

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
    directory: tempfile::TempDir,
}

impl Aged {
    async fn new() -> Self {
        Self::ordered(false).await
    }

    async fn ordered(ordered: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap();
        let bus: Arc<dyn Bus> = Arc::new(bus);
        let catalogue = format!("{CATALOGUE}ordered = {ordered}");
        let catalogue = Catalogue::from_toml("test", &catalogue).unwrap();
        let records = RecordOptions::default();
        let records = Records {
            log: RecordLog::open(&directory.path().join("records"), records).unwrap(),
            subjects: SubjectKey::load_or_create(&directory.path().join("key")).unwrap(),
        };
        let options = BrokerOptions { records: Some(records), ..BrokerOptions::default() };
        let store = Store::in_memory().unwrap();
        let broker = Broker::start(Arc::clone(&bus), store, catalogue, options).await.unwrap();
        broker.prepared().await;
        let inbox: InboxName = "00000099000000002000.inbox".parse().unwrap();
        let place = Self { bus, broker, inbox, directory };
        place.set_age(60).await;
        place
    }

    async fn set_age(&self, seconds: u64) {
        let operator = Operator { name: None, oin: None, roles: Roles::ALL }.into();
        let max_age = Some(Duration::from_secs(seconds));
        let change = |settings| InboxSettings { max_age, ..settings };
        self.broker.set_inbox(&operator, &self.inbox, change).await.unwrap();
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

/// Attempts are those that were made, also where the bus did not hear of them; on record as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_dies_of_its_age_has_the_attempts_that_were_made() {
    for ordered in [false, true] {
        let place = Aged::ordered(ordered).await;
        let Aged { bus, broker, inbox, directory } = &place;
        let owner = Caller::Party("00000099000000002000".parse().unwrap());
        let options = SessionOptions { credit: 1, lease: Duration::from_secs(600) };
        let mut session = broker.open_session(&owner, inbox, options).await.unwrap();
        place.put(&[(5, false)]).await;
        for attempt in 1..=2 {
            let SessionEvent::Deliveries(held) = session.next().await else { panic!("one") };
            assert_eq!(held[0].attempt, attempt);
            let (after, reason) = (Some(Duration::ZERO), format!("attempt {attempt} failed"));
            session.settle(&[held[0].id], &Verdict::Retry { after, reason });
            session.settled().await;
        }
        drop(session);
        place.put(&[(5, false)]).await;
        place.set_age(1).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        while bus.inspect(inbox).await.unwrap().dead_letters < 2 {
            assert!(Instant::now() < deadline, "what is too old stays");
            broker.expire(inbox).await.unwrap();
        }
        let letters = bus.dead_letters(inbox, Page { after: None, limit: 10 }).await.unwrap();
        let too_old = Said::TooOld.to_string();
        let told = |one: &DeadLetter| (one.attempts, one.history.len(), one.reason == too_old);
        let mut told: Vec<_> = letters.iter().map(told).collect();
        told.sort_unstable();
        assert_eq!(told, [(0, 0, true), (2, 2, true)], "ordered: {ordered}");
        broker.shut_down(Duration::from_secs(10)).await;

        let files = std::fs::read_dir(directory.path().join("records")).unwrap();
        let text = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(file.unwrap().path()).unwrap_or_default()
        };
        let records: String = files.map(text).collect();
        assert_eq!(records.matches(&too_old).count(), 2, "{records}");
        assert!(!records.contains(&format!(": {too_old}")), "{records}");
    }
}
