//! A right that changes while messages are under way.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use wissel_broker::{
    Broker, BrokerOptions, Caller, Leased, ReplayOptions, Session, SessionEvent, SessionOptions,
    Verdict,
};
use wissel_bus::{Page, Said};
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::Store;

const PUBLISHER: &str = "00000099000000001000";
const RECEIVER: &str = "00000099000000002000";
/// What stands in a field that the narrowed grant does not allow.
const SECRET: &str = "van de ouders";

/// A catalogue in which the receiver may have these fields, or these rows of these fields.
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
archive = "30 days"
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
    settle(session, &deliveries)
}

/// Acknowledges them, and says how many hold the secret and how many there are.
fn settle(session: &mut Session, deliveries: &[Leased]) -> (usize, usize) {
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

/// As many as come, and how many of them hold the secret.
async fn receive_all(session: &mut Session) -> (usize, usize) {
    let mut all = (0, 0);
    let pause = Duration::from_millis(300);
    while let Ok(event) = tokio::time::timeout(pause, session.next()).await {
        let SessionEvent::Deliveries(deliveries) = event else { continue };
        let (secret, count) = settle(session, &deliveries);
        all = (all.0 + secret, all.1 + count);
    }
    all
}

/// Row limits of a grant of the first field alone, that look into the second.
fn limited_by(condition: &str) -> String {
    format!(
        r#"fields = ["/datum"]
filters = [{{ sql = "DATA('/geheim') {condition}" }}]"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn row_limits_may_look_into_what_the_receiver_does_not_get() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path(), &limited_by("= 'van de ouders'")).await;
    assert_eq!(publish(&broker, 0..3).await, 3);
    let mut session = open(&broker).await;
    assert_eq!(receive_all(&mut session).await, (0, 3));

    let receiver = Caller::Party(RECEIVER.parse().unwrap());
    let inbox = format!("{RECEIVER}.inbox").parse().unwrap();
    let everything = ReplayOptions {
        from: SystemTime::UNIX_EPOCH,
        until: SystemTime::now() + Duration::from_secs(60),
        types: Vec::new(),
        filters: Vec::new(),
    };
    let replayed = broker.replay(&receiver, &inbox, everything.clone(), |_| ()).await.unwrap();
    assert_eq!(replayed.replayed, 3);
    assert_eq!(receive_all(&mut session).await, (0, 3));

    // Others are not within them.
    let other = catalogue(directory.path(), &limited_by("= 'van de buren'"));
    broker.replace_catalogue(other).await.unwrap();
    publish(&broker, 3..6).await;
    let replayed = broker.replay(&receiver, &inbox, everything, |_| ()).await.unwrap();
    assert_eq!(replayed.replayed, 0);
    assert_eq!(receive_all(&mut session).await, (0, 0));
    assert_eq!(broker.inbox(&receiver, &inbox).await.unwrap().state.dead_letters, 0);
}

/// Which of the messages that waited are handed out when the grant changes meanwhile; the others
/// are dead letters.
#[tokio::test(flavor = "multi_thread")]
async fn row_limits_that_change_hold_for_what_waits_as_far_as_they_can_be_told() {
    let hidden = limited_by("= 'van de ouders'");
    let both = r#"fields = ["/datum", "/geheim"]"#;
    for (before, after, comes) in [
        // What they look into is in what waits.
        ("", hidden.as_str(), true),
        (both, &hidden, true),
        (both, &limited_by("!= 'van de ouders'"), false),
        // It is not: by then nobody can tell, whatever the limits say.
        (r#"fields = ["/datum"]"#, &hidden, false),
        (&limited_by("LIKE 'van%'"), &hidden, false),
        // Without such limits there is nothing to tell.
        (&hidden, r#"fields = ["/datum"]"#, true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let broker = start(directory.path(), before).await;
        publish(&broker, 0..2).await;
        broker.replace_catalogue(catalogue(directory.path(), after)).await.unwrap();
        let mut session = open(&broker).await;
        let expected = if comes { 2 } else { 0 };
        assert_eq!(receive_all(&mut session).await, (0, expected), "{before} then {after}");
        let receiver = Caller::Party(RECEIVER.parse().unwrap());
        let inbox = format!("{RECEIVER}.inbox").parse().unwrap();
        let state = broker.inbox(&receiver, &inbox).await.unwrap().state;
        assert_eq!(state.dead_letters, 2 - expected as u64, "{before} then {after}");
    }
}

/// What was published before its event type had a schema cannot be cut down to fields.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_cannot_be_cut_down_says_by_which_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let narrow = r#"fields = ["/datum"]"#;
    let broker = start(directory.path(), "").await;
    let file = directory.path().join("catalogue.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("schema = \"geboorte.json\"\n", "")).unwrap();
    broker.replace_catalogue(Catalogue::load(&file).unwrap()).await.unwrap();
    let source = format!("urn:nld:oin:{PUBLISHER}:systeem:BRP");
    let event = Event::builder("1", source, "nl.brp.geboorte").data_text("text/plain", SECRET);
    let frame = event.build().unwrap().encode();
    let published = broker.publish(&Caller::Party(PUBLISHER.parse().unwrap()), vec![frame]).await;
    assert!(published[0].is_ok(), "{published:?}");
    broker.replace_catalogue(catalogue(directory.path(), narrow)).await.unwrap();
    assert_eq!(receive_all(&mut open(&broker).await).await, (0, 0));
    let (receiver, page) =
        (Caller::Party(RECEIVER.parse().unwrap()), Page { after: None, limit: 10 });
    let inbox = format!("{RECEIVER}.inbox").parse().unwrap();
    let letters = broker.dead_letters(&receiver, &inbox, page).await.unwrap();
    let [letter] = &letters[..] else { panic!("{} dead letters", letters.len()) };
    let Some(Said::Refused(refusal)) = Said::read(&letter.reason) else {
        panic!("{}", letter.reason)
    };
    assert!(refusal.starts_with("MINIMISED_DATA_INVALID: data: "), "{refusal}");
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
