//! A gateway that was killed knows what was published, and swallows nothing.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wissel_client::Receipt;
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, PARTIES, REGISTRY, alone, event};

const EMBEDDED: &str = "embedded";

/// Receipts by the number of their message.
type Receipts = BTreeMap<u64, Receipt>;

async fn publish(gateway: &Gateway, run: &str, numbers: std::ops::Range<u64>) -> Receipts {
    let publisher = gateway.client(REGISTRY).publisher();
    let mut pending = Vec::new();
    for number in numbers {
        pending.push((number, publisher.send(&event(run, number)).await.unwrap()));
    }
    let mut receipts = BTreeMap::new();
    for (number, pending) in pending {
        receipts.insert(number, pending.await.unwrap());
    }
    publisher.close().await.unwrap();
    receipts
}

fn assert_same(first: &Receipt, again: &Receipt) {
    assert!(again.repeated, "{} was taken anew", again.id);
    assert_eq!(first.message_id, again.message_id);
    assert_eq!(first.inboxes, again.inboxes);
    assert_eq!(first.admitted_at, again.admitted_at);
}

/// Takes what comes to the inbox that gets all until these have come, and nothing more does.
/// Says how many came.
async fn receive(gateway: &Gateway, wanted: &BTreeSet<String>) -> usize {
    let client = gateway.client(PARTIES[2]);
    let inbox = client.subscribe(format!("{}.inbox", PARTIES[2])).credit(500);
    let mut inbox = inbox.open().await.unwrap();
    let (mut missing, mut count) = (wanted.clone(), 0);
    let begun = Instant::now();
    while !missing.is_empty() {
        let next = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await;
        let delivery =
            next.unwrap_or_else(|_| panic!("{missing:?} did not come")).unwrap().unwrap();
        missing.remove(delivery.event().id());
        delivery.acknowledge().await.unwrap();
        count += 1;
        assert!(begun.elapsed() < Duration::from_secs(60), "{missing:?} did not come");
    }
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(500), inbox.next()).await {
        more.unwrap().unwrap().acknowledge().await.unwrap();
        count += 1;
    }
    count
}

async fn repeats_after_a_crash(bus: &str) {
    const COUNT: u64 = 300;
    let mut gateway = Gateway::start(bus).await;
    let first = publish(&gateway, "known", 0..COUNT).await;
    assert!(first.values().all(|receipt| !receipt.repeated));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for _ in 0..2 {
        gateway.kill().await;
        gateway.start_again().await;
        for (number, again) in publish(&gateway, "known", 0..COUNT).await {
            assert_same(&first[&number], &again);
        }
    }

    // In order, what was published last is known as well.
    let last = publish(&gateway, "last", 0..COUNT).await;
    let (status, _) = gateway.terminate().await;
    assert!(status.success(), "{status}: {}", gateway.log());
    gateway.start_again().await;
    for (number, again) in publish(&gateway, "last", 0..COUNT).await {
        assert_same(&last[&number], &again);
    }
    // Each came once, however often it was published.
    let ids = |run: &str| (0..COUNT).map(|number| format!("{run}-{number}")).collect::<Vec<_>>();
    let all: BTreeSet<String> = [ids("known"), ids("last")].concat().into_iter().collect();
    assert_eq!(receive(&gateway, &all).await, all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_knows_what_was_published_embedded() {
    let _alone = alone().await;
    repeats_after_a_crash(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_knows_what_was_published_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    repeats_after_a_crash(&rabbitmq.url()).await;
}

/// The gateway is killed while messages are under way; all are published again. Each must
/// come at least once, and whoever got a receipt gets that one or a new delivery.
async fn killed_at_once(bus: &str) {
    const COUNT: u64 = 400;
    let mut gateway = Gateway::start(bus).await;
    let (mut repeated, mut taken_anew, mut deliveries) = (0, 0, 0);
    for round in 0..4 {
        let run = format!("once{round}");
        let before: Arc<Mutex<Receipts>> = Arc::default();
        let publisher = gateway.client(REGISTRY).publisher();
        let (ledger, events) = (Arc::clone(&before), run.clone());
        let publishing = tokio::spawn(async move {
            let mut pending = Vec::new();
            for number in 0..COUNT {
                pending.push((number, publisher.send(&event(&events, number)).await.unwrap()));
            }
            for (number, pending) in pending {
                let receipt = pending.await.unwrap();
                ledger.lock().unwrap().insert(number, receipt);
            }
        });
        let begun = Instant::now();
        while before.lock().unwrap().len() < 1 + 100 * round {
            assert!(begun.elapsed() < Duration::from_secs(20), "publishing does not begin");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gateway.kill().await;
        // It would try again by itself.
        publishing.abort();
        let before = std::mem::take(&mut *before.lock().unwrap());
        gateway.start_again().await;

        for (number, again) in publish(&gateway, &run, 0..COUNT).await {
            match before.get(&number) {
                Some(first) if again.repeated => assert_same(first, &again),
                _ => {}
            }
            if again.repeated { repeated += 1 } else { taken_anew += 1 }
        }
        let wanted = (0..COUNT).map(|number| format!("{run}-{number}")).collect();
        deliveries += receive(&gateway, &wanted).await;
    }
    eprintln!("{repeated} known, {taken_anew} taken anew, {deliveries} deliveries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_at_once_swallows_nothing_embedded() {
    let _alone = alone().await;
    killed_at_once(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_at_once_swallows_nothing_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    killed_at_once(&rabbitmq.url()).await;
}
