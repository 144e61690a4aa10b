//! Looking at an inbox that nobody reads, and what it leaves as it was.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tokio::time::{sleep, timeout};
use wissel_bus::{Arrival, Bus, Credit, Enqueue, InboxName};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};

use common::{inbox_name, message};

const PATIENCE: Duration = Duration::from_secs(30);
const COUNT: usize = 40;

async fn connect(url: &str) -> AmqpBus {
    let options = AmqpOptions { packing: Packing::OFF, ..AmqpOptions::new(url) };
    let bus = AmqpBus::connect(options).unwrap();
    while !bus.health().ready {
        sleep(Duration::from_millis(10)).await;
    }
    bus
}

/// Somebody took the first messages, and was killed.
async fn take_and_die(url: &str, inbox: &InboxName, count: u16) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(count, BasicQosOptions::default()).await.unwrap();
    let queue = format!("wissel.inbox.{inbox}").into();
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue, "".into(), options, FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    for _ in 0..count {
        timeout(PATIENCE, consumer.next()).await.unwrap().unwrap().unwrap();
    }
    connection.close(200, "died".into()).await.unwrap();
}

/// What came back is in the order in which it was, however often somebody asks how old it is.
#[tokio::test(flavor = "multi_thread")]
async fn asking_how_old_the_first_message_is_changes_no_order() {
    let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
    let bus = connect(&url).await;
    let inbox = inbox_name("looking");
    bus.open_inbox(&inbox).await.unwrap();
    for number in 0..COUNT {
        let item = Enqueue::new(message(number, 100), vec![inbox.clone()]);
        bus.enqueue(vec![item]).await.remove(0).unwrap();
    }
    take_and_die(&url, &inbox, 20).await;

    for _ in 0..3 {
        // Knows nothing of the inbox.
        let other = connect(&url).await;
        other.open_inbox(&inbox).await.unwrap();
        let (first, second) = tokio::join!(other.inspect(&inbox), other.inspect(&inbox));
        assert!(first.unwrap().oldest.is_some() && second.unwrap().oldest.is_some());
        other.close().await;
    }
    let state = bus.inspect(&inbox).await.unwrap();
    assert_eq!((state.depth, state.consumers), (COUNT as u64, 0));
    let mut consumer = bus.consume_alone(&inbox, Credit::of(100)).await.unwrap();
    for number in 0..COUNT {
        let arrival = timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap().unwrap();
        let Arrival::Delivery(delivery) = arrival else { panic!("no connection broke") };
        let event = std::str::from_utf8(&delivery.envelope.event).unwrap();
        assert_eq!(event.trim_end(), number.to_string());
    }
    drop(consumer);
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}
