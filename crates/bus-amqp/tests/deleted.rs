//! A queue that somebody deleted by hand, and messages that go to it.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::collections::BTreeSet;
use std::slice::from_ref;
use std::time::Duration;

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use tokio::time::{sleep, timeout};
use wissel_bus::{Arrival, Bus, Credit, Enqueue, InboxName, Settlement};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};

use common::{inbox_name, message};

const PATIENCE: Duration = Duration::from_secs(60);
const COUNT: usize = 3_000;

async fn delete_queue(url: &str, inbox: &InboxName) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("wissel.inbox.{inbox}").into();
    channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

/// The numbers of all that waits in an inbox.
async fn take(bus: &AmqpBus, inbox: &InboxName, count: usize) -> BTreeSet<usize> {
    let mut consumer = bus.consume_alone(inbox, Credit::of(1_000)).await.unwrap();
    let mut numbers = BTreeSet::new();
    while numbers.len() < count {
        let Ok(arrival) = timeout(Duration::from_secs(3), consumer.arrivals.recv()).await else {
            break;
        };
        if let Arrival::Delivery(delivery) = arrival.unwrap() {
            let text = std::str::from_utf8(&delivery.envelope.event).unwrap();
            numbers.insert(text.trim().parse().unwrap());
            let acknowledged = vec![(delivery.tag, Settlement::Acknowledge)];
            consumer.settler.settle(acknowledged).await.remove(0).unwrap();
        }
    }
    numbers
}

async fn connect(url: &str, packing: Packing) -> AmqpBus {
    let bus = AmqpBus::connect(AmqpOptions { packing, ..AmqpOptions::new(url) }).unwrap();
    while !bus.health().ready {
        sleep(Duration::from_millis(10)).await;
    }
    bus
}

async fn publish(bus: &AmqpBus, items: Vec<Enqueue>) {
    for answer in timeout(PATIENCE, bus.enqueue(items)).await.unwrap() {
        answer.unwrap();
    }
}

fn assert_none_lost(there: &BTreeSet<usize>, what: &str) {
    let lost: Vec<usize> = (0..COUNT).filter(|one| !there.contains(one)).collect();
    assert!(lost.is_empty(), "{} lost, {what}: {:?}", lost.len(), &lost[..lost.len().min(20)]);
}

/// RabbitMQ takes what goes to a queue that is not there, returns it, and confirms it beside
/// what it kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_a_queue_that_is_gone_is_in_the_one_that_is_made_again() {
    let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
    for packing in [Packing::OFF, Packing::default()] {
        let bus = connect(&url, packing).await;
        let inboxes = [inbox_name("deleted"), inbox_name("other")];
        for inbox in &inboxes {
            bus.open_inbox(inbox).await.unwrap();
        }
        let item =
            |number, inboxes: &[InboxName]| Enqueue::new(message(number, 100), inboxes.to_vec());
        for round in 0..3 {
            delete_queue(&url, &inboxes[0]).await;
            let to_each = |number| inboxes.each_ref().map(|one| item(number, from_ref(one)));
            publish(&bus, (0..COUNT).flat_map(to_each).collect()).await;
            for inbox in &inboxes {
                let there = take(&bus, inbox, COUNT).await;
                assert_none_lost(&there, &format!("{inbox}, {packing:?}, round {round}"));
            }

            for inbox in &inboxes {
                delete_queue(&url, inbox).await;
            }
            publish(&bus, (0..COUNT).map(|number| item(number, &inboxes)).collect()).await;
            let mut there = take(&bus, &inboxes[0], COUNT).await;
            // What came when one of them was there again, and not yet the other, is in that one.
            there.extend(take(&bus, &inboxes[1], COUNT).await);
            assert_none_lost(&there, &format!("both, {packing:?}, round {round}"));
        }
        bus.close().await;
    }
}
