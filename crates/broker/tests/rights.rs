//! A right that changes while messages are under way.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use wissel_broker::{
    Broker, BrokerOptions, Caller, Session, SessionEvent, SessionOptions, Verdict,
};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::Store;

const PUBLISHER: &str = "00000099000000001000";
const RECEIVER: &str = "00000099000000002000";
/// What stands in a field that the narrowed grant does not allow.
const SECRET: &str = "van de ouders";

/// A catalogue in which the receiver may have these fields.
fn catalogue(directory: &Path, fields: &str) -> Catalogue {
    let schema = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
        "properties":{"datum":{"type":"string"},"geheim":{"type":"string"}}}"#;
    std::fs::write(directory.join("geboorte.json"), schema).unwrap();
    let text = format!(
        r#"
party = [{{ oin = "{PUBLISHER}", name = "Registry" }}, {{ oin = "{RECEIVER}", name = "SVB" }}]
[[event_type]]
name = "nl.brp.geboorte"
owner = "{PUBLISHER}"
description = "A birth was registered."
schema = "geboorte.json"
[[grant]]
party = "{PUBLISHER}"
type = "nl.brp.geboorte"
action = "publish"
purpose = "To tell"
legal_basis = "Wet BRP"
[[grant]]
party = "{RECEIVER}"
type = "nl.brp.geboorte"
action = "receive"
purpose = "To know"
legal_basis = "Wet BRP"
{fields}
[[subscription]]
name = "{RECEIVER}.inbox"
"#
    );
    let file = directory.join("catalogue.toml");
    std::fs::write(&file, text).unwrap();
    Catalogue::load(&file).unwrap()
}

async fn start(directory: &Path, fields: &str) -> Arc<Broker> {
    let bus = EmbeddedBus::open(EmbeddedOptions::new(directory.join("bus"))).unwrap();
    let catalogue = catalogue(directory, fields);
    let store = Store::in_memory().unwrap();
    let options = BrokerOptions::default();
    let broker = Broker::start(Arc::new(bus), store, catalogue, options).await.unwrap();
    broker.prepared().await;
    broker
}

async fn publish(broker: &Arc<Broker>, ids: impl Iterator<Item = usize>) -> usize {
    let frame = |id: usize| {
        let source = format!("urn:nld:oin:{PUBLISHER}:systeem:BRP");
        let event = Event::builder(id.to_string(), source, "nl.brp.geboorte");
        let data = format!(r#"{{"datum":"2026-01-01","geheim":"{SECRET}"}}"#);
        event.data_text("application/json", data).build().unwrap().encode()
    };
    let frames: Vec<_> = ids.map(frame).collect();
    let outcomes = broker.publish(&Caller::Party(PUBLISHER.parse().unwrap()), frames).await;
    outcomes.into_iter().map(Result::unwrap).count()
}

async fn open(broker: &Arc<Broker>) -> Session {
    let receiver = Caller::Party(RECEIVER.parse().unwrap());
    let options = SessionOptions { credit: 1_000, lease: Duration::from_secs(30) };
    broker
        .open_session(&receiver, &format!("{RECEIVER}.inbox").parse().unwrap(), options)
        .await
        .unwrap()
}

/// How many of the next deliveries hold the secret, and how many there are.
async fn receive(session: &mut Session) -> (usize, usize) {
    let next = tokio::time::timeout(Duration::from_secs(10), session.next()).await.unwrap();
    let SessionEvent::Deliveries(deliveries) = next else { return (0, 0) };
    let holds_secret = |event: &[u8]| event.windows(SECRET.len()).any(|at| at == SECRET.as_bytes());
    let secret = deliveries.iter().filter(|one| holds_secret(&one.envelope.event)).count();
    let ids: Vec<u64> = deliveries.iter().map(|delivery| delivery.id).collect();
    session.settle(&ids, &Verdict::Acknowledge);
    (secret, ids.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_narrows_holds_for_what_was_admitted_after_its_files_were_read() {
    for before in ["", r#"fields = ["/datum", "/geheim"]"#] {
        let directory = tempfile::tempdir().unwrap();
        let broker = start(directory.path(), before).await;
        let narrowed = catalogue(directory.path(), r#"fields = ["/datum"]"#);
        assert_eq!(publish(&broker, 0..3).await, 3);
        broker.replace_catalogue(narrowed).await.unwrap();
        let mut session = open(&broker).await;
        let mut count = 0;
        while count < 3 {
            let (secret, received) = receive(&mut session).await;
            assert_eq!(secret, 0, "{before}");
            count += received;
        }
    }
}

/// Publishes and receives without a pause while the grant goes to and fro.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_is_handed_out_while_a_grant_narrows_is_narrow() {
    const BATCH: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let (wide, narrow) = (r#"fields = ["/datum", "/geheim"]"#, r#"fields = ["/datum"]"#);
    let broker = start(directory.path(), wide).await;
    let published = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let (broker, published, done) =
            (Arc::clone(&broker), Arc::clone(&published), Arc::clone(&done));
        async move {
            while !done.load(Ordering::Relaxed) {
                let from = published.load(Ordering::Relaxed);
                publish(&broker, from..from + BATCH).await;
                published.store(from + BATCH, Ordering::Relaxed);
            }
        }
    });
    let mut session = open(&broker).await;
    let mut seen = (0, 0);
    for _ in 0..20 {
        // Wide: what is received may hold everything, and soon does.
        let (mut secret, mut rounds) = (0, 0);
        while secret == 0 || rounds < 3 {
            let (with_secret, received) = receive(&mut session).await;
            seen = (seen.0 + with_secret, seen.1 + received);
            (secret, rounds) = (secret + with_secret, rounds + 1);
        }
        let narrowed = catalogue(directory.path(), narrow);
        broker.replace_catalogue(narrowed).await.unwrap();
        for _ in 0..5 {
            let (secret, received) = receive(&mut session).await;
            assert_eq!(secret, 0);
            seen.1 += received;
        }
        broker.replace_catalogue(catalogue(directory.path(), wide)).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    publishing.await.unwrap();
    while seen.1 < published.load(Ordering::Relaxed) {
        seen.1 += receive(&mut session).await.1;
    }
    assert!(seen.0 > 0);
}
