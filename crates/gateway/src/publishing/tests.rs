use std::time::Duration;

use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use wissel_broker::BrokerOptions;
use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
use wissel_catalogue::Catalogue;
use wissel_message::Event;
use wissel_store::Store;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const BUDGET: usize = 1 << 20;
const MESSAGES: u64 = 200;
/// Of messages, each in a request of its own: far less than all.
const IN_FLIGHT: usize = 50;
/// Of answers, for a caller that does not read.
const WAITING: usize = 4;
const CATALOGUE: &str = r#"
party = [{ oin = "00000099000000001000", name = "Registry" }]
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
"#;

fn request(number: u64) -> pb::PublishStreamRequest {
    let source = "urn:nld:oin:00000099000000001000:systeem:BRP";
    let event = Event::builder(number.to_string(), source, "nl.brp.geboorte").build().unwrap();
    pb::PublishStreamRequest { events: vec![event.encode()] }
}

/// It would keep everybody else from publishing, and whoever sends the same from an answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_that_does_not_read_has_under_way_is_done_and_gives_back_its_budget() {
    let directory = tempfile::tempdir().unwrap();
    let bus = Arc::new(EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap());
    let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
    let store = Store::in_memory().unwrap();
    let broker = Broker::start(bus, store, catalogue, BrokerOptions::default()).await.unwrap();
    broker.prepared().await;
    let budget = Budget::new(BUDGET);
    let stream = PublishStream {
        broker: Arc::clone(&broker),
        caller: Caller::Party("00000099000000001000".parse().unwrap()),
        traced: Traced::of(&MetadataMap::new()),
        in_flight_max: IN_FLIGHT,
        waiting: VecDeque::new(),
        budget: budget.clone(),
        without_room: None,
        untold: VecDeque::new(),
        end: None,
    };
    let (asking, asked) = mpsc::channel(1);
    let (answers, mut told) = mpsc::channel(WAITING);
    let requests = tokio_stream::wrappers::ReceiverStream::new(asked);
    let running = tokio::spawn(stream.run(requests, answers, CancellationToken::new()));
    let taken = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            asking.send(Ok(request(number))).await.unwrap();
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    // It takes no more when so many have no answer: then all of them are done, and cost nothing.
    let done = async {
        loop {
            let before = taken.load(std::sync::atomic::Ordering::Relaxed);
            let all = [Bytes::from(vec![0; BUDGET])];
            drop(budget.clone().spend(&all).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
            let after = taken.load(std::sync::atomic::Ordering::Relaxed);
            if before == after && after >= IN_FLIGHT as u64 {
                return after;
            }
        }
    };
    let taken = tokio::time::timeout(PATIENCE, done).await.expect("all of the budget is free");
    let most = (IN_FLIGHT * (WAITING + 1) + 2) as u64;
    assert!(taken < MESSAGES.min(most), "{taken} were taken");
    // Should it read after all, every answer is there, in its place.
    let mut position = 0;
    while let Some(answer) = tokio::time::timeout(PATIENCE, told.recv()).await.unwrap() {
        for outcome in answer.outcomes {
            assert_eq!(outcome.position, position);
            let is_receipt =
                matches!(outcome.result, Some(pb::publish_outcome::Result::Receipt(_)));
            assert!(is_receipt, "{outcome:?}");
            position += 1;
        }
    }
    assert_eq!(position, MESSAGES);
    sending.await.unwrap();
    running.await.unwrap().unwrap();
    broker.shut_down(PATIENCE).await;
}
