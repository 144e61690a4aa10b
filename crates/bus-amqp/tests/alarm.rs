//! A RabbitMQ that takes no messages, and one with a queue that is not as it should be.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tokio::time::{sleep, timeout};
use wissel_bus::{
    ArchivePage, Arrival, Bus, BusError, Consumer, Credit, Delivery, Enqueue, InboxName, Settlement,
};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};
use wissel_testkit::{Proxy, RabbitMq};

use common::{inbox_name, message};

const PATIENCE: Duration = Duration::from_secs(60);
const COUNT: usize = 500;

async fn connect(url: &str, packing: Packing) -> AmqpBus {
    let options = AmqpOptions { packing, patience: PATIENCE, ..AmqpOptions::new(url) };
    let bus = AmqpBus::connect(options).unwrap();
    until_ready(&bus, true).await;
    bus
}

async fn until_ready(bus: &AmqpBus, ready: bool) {
    let waiting = async {
        while bus.health().ready != ready {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

async fn publish(bus: &AmqpBus, inbox: &InboxName, count: usize) {
    let item = |number| Enqueue::new(message(number, 100), vec![inbox.clone()]);
    for answer in timeout(PATIENCE, bus.enqueue((0..count).map(item).collect())).await.unwrap() {
        answer.unwrap();
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    loop {
        let arrival = timeout(PATIENCE, consumer.arrivals.recv()).await.expect("a delivery comes");
        if let Arrival::Delivery(delivery) = arrival.unwrap() {
            return delivery;
        }
    }
}

async fn acknowledge(consumer: &Consumer, delivery: Delivery) {
    let settling = consumer.settler.settle(vec![(delivery.tag, Settlement::Acknowledge)]);
    timeout(PATIENCE, settling).await.unwrap().remove(0).unwrap();
}

/// What nobody takes fills the memory of RabbitMQ: who takes it must not be kept from that.
#[tokio::test(flavor = "multi_thread")]
async fn who_receives_goes_on_while_nothing_can_be_published() {
    let rabbitmq = RabbitMq::start().await.unwrap();
    let bus = Arc::new(connect(&rabbitmq.url(), Packing::default()).await);
    let unpacking = connect(&rabbitmq.url(), Packing::OFF).await;
    let (left, read) = (inbox_name("left"), inbox_name("read"));
    for inbox in [&left, &read] {
        bus.open_inbox(inbox).await.unwrap();
        unpacking.open_inbox(inbox).await.unwrap();
    }
    publish(&bus, &left, 20).await;
    publish(&unpacking, &read, COUNT).await;
    let mut leaving = bus.consume(&left, Credit::of(20)).await.unwrap();
    for _ in 0..5 {
        let delivery = next(&mut leaving).await;
        acknowledge(&leaving, delivery).await;
    }
    let mut reading = bus.consume(&read, Credit::of(10)).await.unwrap();
    let first = next(&mut reading).await;

    rabbitmq.control(&["set_vm_memory_high_watermark", "0.00001"]).await.unwrap();
    let (publishing, to) = (Arc::clone(&bus), read.clone());
    let published = tokio::spawn(async move { publish(&publishing, &to, 1).await });
    until_ready(&bus, false).await;
    // It has settled a part of a pack, and leaves word of that.
    drop(leaving);
    let all = ArchivePage {
        from: SystemTime::UNIX_EPOCH,
        until: SystemTime::now(),
        after: None,
        limit: 10,
    };
    let archived = timeout(PATIENCE, bus.archived(all)).await.unwrap();
    assert!(matches!(archived, Err(BusError::Unavailable { .. })), "{archived:?}");
    acknowledge(&reading, first).await;
    for _ in 1..COUNT {
        let delivery = next(&mut reading).await;
        acknowledge(&reading, delivery).await;
    }
    assert!(!published.is_finished(), "RabbitMQ takes no messages yet");

    rabbitmq.control(&["set_vm_memory_high_watermark", "0.5"]).await.unwrap();
    timeout(PATIENCE, published).await.unwrap().unwrap();
    let delivery = next(&mut reading).await;
    acknowledge(&reading, delivery).await;
    let mut taking = bus.consume(&left, Credit::of(20)).await.unwrap();
    // What was settled may come again, for RabbitMQ took no word of it. Nothing is lost.
    while next(&mut taking).await.envelope.event.trim_ascii() != b"19" {}
}

/// Somebody made a queue of another kind in its place.
#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_cannot_be_declared_keeps_nobody_from_the_others() {
    let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
    let proxy = Proxy::start(&url).await.unwrap();
    let bus = connect(&proxy.url(), Packing::default()).await;
    // More than are declared at a time.
    let inboxes: Vec<InboxName> = (0..20).map(|_| inbox_name("many")).collect();
    for inbox in &inboxes {
        bus.open_inbox(inbox).await.unwrap();
    }
    let other = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = other.create_channel().await.unwrap();
    let queue_of = |inbox: &InboxName| format!("wissel.inbox.{inbox}").into();
    let gone = queue_of(&inboxes[1]);
    channel.queue_delete(gone, QueueDeleteOptions::default()).await.unwrap();
    let foreign = queue_of(&inboxes[0]);
    channel.queue_delete(foreign, QueueDeleteOptions::default()).await.unwrap();
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let foreign = queue_of(&inboxes[0]);
    channel.queue_declare(foreign.clone(), options, FieldTable::default()).await.unwrap();

    proxy.break_connections();
    until_ready(&bus, false).await;
    until_ready(&bus, true).await;
    for inbox in &inboxes[1..] {
        publish(&bus, inbox, 1).await;
        let mut consumer = bus.consume(inbox, Credit::of(1)).await.unwrap();
        let delivery = next(&mut consumer).await;
        acknowledge(&consumer, delivery).await;
    }
    channel.queue_delete(foreign, QueueDeleteOptions::default()).await.unwrap();
    bus.close().await;
}
