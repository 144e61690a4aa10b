//! An inbox that an operator pauses, and one that takes nothing in.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use wissel_client::{Client, InboxOrder, InboxSettings, OpenInbox, RetryPolicy};
use wissel_identifiers::InboxName;
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, OPERATOR, PARTIES, REGISTRY, alone, event, wissel_binary};

const EMBEDDED: &str = "embedded";
/// Longer than a delivery takes to come.
const A_WHILE: Duration = Duration::from_millis(700);

fn name() -> InboxName {
    format!("{}.inbox", PARTIES[2]).parse().unwrap()
}

async fn pause(operator: &Client, paused: bool) {
    let settings = InboxSettings { paused, ..InboxSettings::default() };
    operator.set_inbox(&name(), &settings, &["paused"]).await.unwrap();
}

async fn open(gateway: &Gateway) -> OpenInbox {
    gateway.client(PARTIES[2]).subscribe(name().to_string()).credit(1).open().await.unwrap()
}

async fn nothing_comes(inbox: &mut OpenInbox) {
    let coming = tokio::time::timeout(A_WHILE, inbox.next()).await;
    assert!(coming.is_err(), "something is handed out of a paused inbox");
}

async fn next_id(inbox: &mut OpenInbox) -> String {
    let coming = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await;
    let delivery = coming.unwrap().unwrap().unwrap();
    let id = delivery.event().id().to_owned();
    delivery.acknowledge().await.unwrap();
    id
}

async fn a_paused_inbox_hands_out_nothing_and_loses_nothing(bus: &str) {
    let mut gateway = Gateway::start(bus).await;
    let (registry, operator) = (gateway.client(REGISTRY), gateway.client(OPERATOR));
    let mut inbox = open(&gateway).await;
    for number in 0..3 {
        registry.publish(&event("p", number)).await.unwrap();
    }
    let held = inbox.next().await.unwrap().unwrap();
    pause(&operator, true).await;
    registry.publish(&event("p", 3)).await.unwrap();
    // What a receiver holds is settled as ever.
    let mut ids = BTreeSet::from([held.event().id().to_owned()]);
    held.acknowledge().await.unwrap();
    nothing_comes(&mut inbox).await;
    let begun = Instant::now();
    loop {
        let state = operator.get_inbox(&name()).await.unwrap();
        if (state.consumers, state.depth, state.in_flight) == (0, 3, 0) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{state:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever comes waits as well, and so it is after a crash.
    let mut other = open(&gateway).await;
    nothing_comes(&mut other).await;
    drop((inbox, other));
    gateway.kill().await;
    gateway.start_again().await;
    let operator = gateway.client(OPERATOR);
    let mut inbox = open(&gateway).await;
    nothing_comes(&mut inbox).await;
    let overview = operator.overview(InboxOrder::Concern, 0, 10, Duration::ZERO).await.unwrap();
    let told = overview.inboxes.iter().find(|one| one.inbox.name == name()).unwrap();
    assert_eq!(told.concern.as_deref(), Some("paused"));

    pause(&operator, false).await;
    for _ in 0..3 {
        ids.insert(next_id(&mut inbox).await);
    }
    assert_eq!(ids, (0..4).map(|number| format!("p-{number}")).collect());
    assert!(gateway.records().contains("paused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_inbox_hands_out_nothing_embedded() {
    let _alone = alone().await;
    a_paused_inbox_hands_out_nothing_and_loses_nothing(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_inbox_hands_out_nothing_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    a_paused_inbox_hands_out_nothing_and_loses_nothing(&rabbitmq.url()).await;
}

fn set(gateway: &Gateway, setting: &str) {
    let mut command = Command::new(wissel_binary());
    command.args(["inboxes", "set", name().as_str(), setting, "--as", OPERATOR]);
    command.args(["--server", &gateway.url()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn an_inbox_that_is_drained_takes_nothing_in(bus: &str) {
    let gateway = Gateway::start(bus).await;
    let registry = gateway.builder().token(format!("dev.{REGISTRY}"));
    let registry = registry.retry(RetryPolicy::never()).connect().unwrap();
    for number in 0..2 {
        registry.publish(&event("d", number)).await.unwrap();
    }
    set(&gateway, "draining=true");
    let refused = registry.publish(&event("d", 2)).await.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!(refusal.reason, "INBOX_FULL");
    assert!(refusal.message.contains("takes in nothing for now"), "{}", refusal.message);
    let records = gateway.records();
    let on_record = records.lines().find(|line| line.contains("INBOX_FULL")).unwrap();
    assert!(on_record.contains(&format!("\"inbox\":\"{}\"", name())), "{on_record}");
    let mut inbox = open(&gateway).await;
    for _ in 0..2 {
        next_id(&mut inbox).await;
    }
    set(&gateway, "when_full=dead-letter");
    registry.publish(&event("d", 3)).await.unwrap();
    let operator = gateway.client(OPERATOR);
    let begun = Instant::now();
    while operator.get_inbox(&name()).await.unwrap().dead_letters != 1 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is no dead letter");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    set(&gateway, "draining=false");
    registry.publish(&event("d", 2)).await.unwrap();
    assert_eq!(next_id(&mut inbox).await, "d-2", "what was not taken in comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_is_drained_takes_nothing_in_embedded() {
    let _alone = alone().await;
    an_inbox_that_is_drained_takes_nothing_in(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_is_drained_takes_nothing_in_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    an_inbox_that_is_drained_takes_nothing_in(&rabbitmq.url()).await;
}
