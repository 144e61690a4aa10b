//! How many bytes a consumer has here, whatever it asked for.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tokio::time::{sleep, timeout};
use wissel_bus::{Arrival, Bus, Consumer, Credit, Delivery, Enqueue, InboxName, Settlement};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};

use common::{inbox_name, message};

const PATIENCE: Duration = Duration::from_secs(30);
const LARGE: usize = 64 << 10;

fn number_of(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.envelope.event).unwrap().trim_end().parse().unwrap()
}

/// Each message travels by itself.
async fn alone() -> (AmqpBus, InboxName) {
    let mut options = AmqpOptions::new(wissel_testkit::shared_rabbitmq_url().await.unwrap());
    options.packing = Packing { messages_max: 1, ..options.packing };
    let bus = AmqpBus::connect(options).unwrap();
    while !bus.health().ready {
        sleep(Duration::from_millis(10)).await;
    }
    let inbox = inbox_name("bytes");
    bus.open_inbox(&inbox).await.unwrap();
    (bus, inbox)
}

async fn put(bus: &AmqpBus, inbox: &InboxName, numbers: std::ops::Range<usize>, length: usize) {
    let items = numbers.map(|number| Enqueue::new(message(number, length), vec![inbox.clone()]));
    for answer in bus.enqueue(items.collect()).await {
        answer.unwrap();
    }
}

async fn take(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        match timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap().unwrap() {
            Arrival::Delivery(delivery) => deliveries.push(delivery),
            Arrival::Interrupted => panic!("no connection broke"),
        }
    }
    deliveries
}

async fn acknowledge(consumer: &Consumer, deliveries: &[Delivery]) {
    let each = deliveries.iter().map(|delivery| (delivery.tag, Settlement::Acknowledge));
    for answer in consumer.settler.settle(each.collect()).await {
        answer.unwrap();
    }
}

/// How many AMQP messages are in the queue of the inbox, and not with its consumer.
async fn ready(inbox: &InboxName) -> usize {
    let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("wissel.inbox.{inbox}");
    let count = wissel_testkit::messages_ready(&channel, &queue).await.unwrap();
    connection.close(200, "counted".into()).await.unwrap();
    count as usize
}

/// A consumer with much credit, which it does not use, has as many bytes here as it may.
#[tokio::test(flavor = "multi_thread")]
async fn the_window_grows_only_as_far_as_there_is_room() {
    const COUNT: usize = 200;
    let (bus, inbox) = alone().await;
    put(&bus, &inbox, 0..COUNT, LARGE).await;
    let credit = Credit { deliveries: 1_000, bytes: 20 * LARGE as u64 };
    let mut consumer = bus.consume(&inbox, credit).await.unwrap();
    let held = take(&mut consumer, 20).await;
    sleep(Duration::from_millis(500)).await;
    assert!(ready(&inbox).await >= COUNT - 24, "{} are left", ready(&inbox).await);
    assert!(consumer.arrivals.try_recv().is_err(), "there is no room");
    acknowledge(&consumer, &held).await;
    for number in 20..COUNT {
        let next = take(&mut consumer, 1).await;
        assert_eq!(number_of(&next[0]), number);
        acknowledge(&consumer, &next).await;
    }
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// A window that grew while messages were small takes no more once large ones have come, and
/// goes on, in their order, when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_grew_is_halted_by_large_messages() {
    const SMALL: usize = 400;
    const ALL: usize = SMALL + 400;
    let (bus, inbox) = alone().await;
    put(&bus, &inbox, 0..SMALL, 10).await;
    let credit = Credit { deliveries: 1_000, bytes: 20 * LARGE as u64 };
    let mut consumer = bus.consume(&inbox, credit).await.unwrap();
    let small = take(&mut consumer, SMALL).await;
    acknowledge(&consumer, &small).await;
    for first in (SMALL..ALL).step_by(10) {
        put(&bus, &inbox, first..first + 10, LARGE).await;
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(500)).await;
    let left = ready(&inbox).await;
    assert!(left > 300, "{} large messages are here", ALL - SMALL - left);
    let mut held = take(&mut consumer, 20).await;
    assert!(consumer.arrivals.try_recv().is_err(), "there is no room");
    let mut numbers: Vec<usize> = held.iter().map(number_of).collect();
    while numbers.len() < ALL - SMALL {
        acknowledge(&consumer, &held).await;
        held = take(&mut consumer, 1).await;
        numbers.extend(held.iter().map(number_of));
    }
    acknowledge(&consumer, &held).await;
    assert_eq!(numbers, (SMALL..ALL).collect::<Vec<_>>());
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}
