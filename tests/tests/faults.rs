//! Faults under load, with the real binary, on both buses.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::time::{Duration, Instant};

use wissel_client::InboxSettings;
use wissel_testkit::RabbitMq;
use wissel_tests::{CATALOGUE, Gateway, Load, OPERATOR, PARTIES, REGISTRY, alone, event};

const EMBEDDED: &str = "embedded";

async fn killed_under_load(bus: &str) {
    let mut gateway = Gateway::start(bus).await;
    let load = Load::start(&gateway, "kill", 300);
    for _ in 0..3 {
        load.progress(150).await;
        gateway.kill().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        gateway.start_again().await;
    }
    load.progress(150).await;
    let (receipts, duplicates) = load.finish(&gateway).await;
    eprintln!("{receipts} receipts, all delivered, {duplicates} duplicates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_nothing_embedded() {
    let _alone = alone().await;
    killed_under_load(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_nothing_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    killed_under_load(&rabbitmq.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_may_go_away_for_ten_seconds() {
    let _alone = alone().await;
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    let gateway = Gateway::start(&rabbitmq.url()).await;
    let load = Load::start(&gateway, "away", 300);
    load.progress(200).await;

    rabbitmq.stop().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let status = gateway.client(OPERATOR).status().await.unwrap();
    assert!(!status.ready, "{}", status.bus_detail);
    // Who looks at an inbox is told why that cannot be, and soon; what is set holds.
    let operator = gateway.as_caller(OPERATOR).call_timeout(Duration::from_secs(8));
    let (operator, begun) = (operator.connect().unwrap(), Instant::now());
    let name = format!("{}.inbox", PARTIES[0]).parse().unwrap();
    let told = operator.get_inbox(&name).await.unwrap_err().to_string();
    assert!(told.contains("no connection to RabbitMQ"), "{told}");
    let settings =
        InboxSettings { max_age: Some(Duration::from_secs(3_600)), ..InboxSettings::default() };
    let set = operator.set_inbox(&name, &settings, &["max_age"]).await.unwrap();
    assert!(set.depth_is_least, "{set:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(gateway.memory() < 400 << 20, "{} bytes", gateway.memory());
    rabbitmq.start_again().await.unwrap();
    load.progress(200).await;

    rabbitmq.kill().await.unwrap();
    rabbitmq.start_again().await.unwrap();
    load.progress(200).await;
    let inbox = operator.get_inbox(&name).await.unwrap();
    assert_eq!(inbox.settings.max_age, settings.max_age);
    let (receipts, duplicates) = load.finish(&gateway).await;
    eprintln!("{receipts} receipts, all delivered, {duplicates} duplicates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_waits_for_a_rabbitmq_that_is_not_there() {
    let _alone = alone().await;
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    rabbitmq.kill().await.unwrap();
    let mut gateway = Gateway::stopped(&rabbitmq.url());
    gateway.spawn();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let client = gateway.client(OPERATOR);
    assert!(!client.status().await.unwrap().ready);
    rabbitmq.start_again().await.unwrap();
    gateway.wait_until_ready().await;
    let receipt = gateway.client(REGISTRY).publish(&event("late", 0)).await.unwrap();
    assert_eq!(receipt.inboxes.len(), 2);
}

/// Rights that are withdrawn do not wait for RabbitMQ; what is new is put in force when it is
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_replaced_while_rabbitmq_is_away() {
    let _alone = alone().await;
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    let gateway = Gateway::start(&rabbitmq.url()).await;
    rabbitmq.stop().await.unwrap();
    let grant =
        format!("party = \"{}\"\ntype = \"nl.brp.geboorte\"\naction = \"receive\"", PARTIES[0]);
    assert!(CATALOGUE.contains(&grant));
    let without = CATALOGUE.replace(&grant, &grant.replace("geboorte", "overlijden"));
    gateway.write_catalogue(&without);
    gateway.logs("catalogue replaced").await;

    let later = format!("\n[[subscription]]\nname = \"{}.later\"\n", PARTIES[1]);
    gateway.write_catalogue(&format!("{without}{later}"));
    gateway.logs("inboxes that cannot be opened yet").await;
    rabbitmq.start_again().await.unwrap();
    let begun = Instant::now();
    while gateway.log().matches("catalogue replaced").count() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let published = gateway.client(REGISTRY).publish(&event("after", 0)).await;
    let receipt = published.unwrap_or_else(|error| panic!("{error}: {}", gateway.log()));
    let inboxes: Vec<String> = receipt.inboxes.iter().map(ToString::to_string).collect();
    assert!(inboxes.contains(&format!("{}.later", PARTIES[1])), "{inboxes:?}");
    assert!(!inboxes.iter().any(|inbox| inbox.starts_with(PARTIES[0])), "{inboxes:?}");
}

async fn a_subscriber_dies(bus: &str) {
    let gateway = Gateway::start(bus).await;
    let registry = gateway.client(REGISTRY);
    for number in 0..20 {
        registry.publish(&event("dies", number)).await.unwrap();
    }
    let name = format!("{}.inbox", PARTIES[2]);
    let client = gateway.client(PARTIES[2]);
    let mut first = client.subscribe(name.as_str()).credit(20).open().await.unwrap();
    let mut held = Vec::new();
    while held.len() < 20 {
        held.push(first.next().await.unwrap().unwrap());
    }
    // It goes without a word; what it held is leased for 30 s.
    drop((first, held));
    let mut second = client.subscribe(name.as_str()).credit(20).open().await.unwrap();
    let begun = Instant::now();
    let mut ids: Vec<String> = Vec::new();
    while ids.len() < 20 {
        let delivery = second.next().await.unwrap().unwrap();
        ids.push(delivery.event().id().to_owned());
        delivery.acknowledge().await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_subscriber_held_comes_again_embedded() {
    let _alone = alone().await;
    a_subscriber_dies(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_subscriber_held_comes_again_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    a_subscriber_dies(&rabbitmq.url()).await;
}

async fn slow_beside_fast(bus: &str) {
    const COUNT: u64 = 3_000;
    let gateway = Gateway::start(bus).await;
    // Utrecht takes ten, and never settles them.
    let slow_client = gateway.client(PARTIES[0]);
    let slow = slow_client.subscribe(format!("{}.inbox", PARTIES[0])).credit(10);
    let mut slow = slow.open().await.unwrap();
    let fast_client = gateway.client(PARTIES[2]);
    let fast = fast_client.subscribe(format!("{}.inbox", PARTIES[2])).credit(500);
    let mut fast = fast.open().await.unwrap();

    let publisher = gateway.client(REGISTRY).publisher();
    let publishing = tokio::spawn(async move {
        for number in 0..COUNT {
            // Its receipt is part of what the fast one shows.
            drop(publisher.send(&event("slow", number)).await.unwrap());
        }
        publisher.close().await.unwrap();
    });
    let begun = Instant::now();
    for _ in 0..COUNT {
        let delivery = fast.next().await.unwrap().unwrap();
        delivery.acknowledge().await.unwrap();
    }
    publishing.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert!(gateway.memory() < 400 << 20, "{} bytes", gateway.memory());

    let inbox = format!("{}.inbox", PARTIES[0]).parse().unwrap();
    let state = gateway.client(OPERATOR).get_inbox(&inbox).await.unwrap();
    assert_eq!(state.in_flight, 10);
    assert_eq!(state.depth, COUNT / 2 - 10);
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(slow.next().await.unwrap().unwrap());
    }
    let more = tokio::time::timeout(Duration::from_millis(300), slow.next()).await;
    assert!(more.is_err(), "more came than the credit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_holds_back_nobody_embedded() {
    let _alone = alone().await;
    slow_beside_fast(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_holds_back_nobody_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    slow_beside_fast(&rabbitmq.url()).await;
}

async fn terminated_under_load(bus: &str) {
    let mut gateway = Gateway::start(bus).await;
    let load = Load::start(&gateway, "term", 300);
    load.progress(200).await;
    let (status, took) = gateway.terminate().await;
    assert!(status.success(), "{status}: {}", gateway.log());
    assert!(took < Duration::from_secs(35), "{took:?}");
    gateway.start_again().await;
    load.progress(200).await;
    let (receipts, duplicates) = load.finish(&gateway).await;
    eprintln!("stopped in {took:?}; {receipts} receipts, {duplicates} duplicates");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_in_order_embedded() {
    let _alone = alone().await;
    terminated_under_load(EMBEDDED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_in_order_on_rabbitmq() {
    let _alone = alone().await;
    let rabbitmq = RabbitMq::start().await.unwrap();
    terminated_under_load(&rabbitmq.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_stays_out_of_logs_and_lists() {
    let _alone = alone().await;
    let mut gateway = Gateway::start(EMBEDDED).await;
    let registry = gateway.client(REGISTRY);
    registry.publish(&event("quiet", 0)).await.unwrap();
    let refused = wissel_message::Event::builder("x", "/s", "nl.brp.onbekend")
        .subject("999990019")
        .build()
        .unwrap();
    let refusal = registry.publish(&refused).await.unwrap_err();
    let client = gateway.client(PARTIES[2]);
    let name = format!("{}.inbox", PARTIES[2]);
    let mut inbox = client.subscribe(name.as_str()).open().await.unwrap();
    let delivery = inbox.next().await.unwrap().unwrap();
    assert_eq!(delivery.event().subject(), Some("999990019"));
    delivery.reject("address unknown").await.unwrap();
    inbox.close().await.unwrap();
    let name = name.parse().unwrap();
    let begun = Instant::now();
    let dead_letters = loop {
        let all = client.list_dead_letters(&name).all().await.unwrap();
        if !all.is_empty() || begun.elapsed() > Duration::from_secs(10) {
            break all;
        }
    };
    assert_eq!(dead_letters.len(), 1);
    gateway.kill().await;
    gateway.start_again().await;
    gateway.terminate().await;
    for text in [gateway.log(), refusal.to_string(), format!("{dead_letters:?}")] {
        assert!(!text.is_empty() && !text.contains("999990019"), "{text}");
    }
}
