//! A queue that somebody deleted by hand, and messages that go to it.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::slice::from_ref;
use std::time::Duration;

use futures::future::select_all;
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

/// Each of these numbers comes from one of the inboxes. One of other numbers is left of before.
async fn assert_none_lost(bus: &AmqpBus, inboxes: &[InboxName], numbers: Range<usize>, what: &str) {
    let mut consumers = Vec::new();
    for inbox in inboxes {
        consumers.push(bus.consume_alone(inbox, Credit::of(1_000)).await.unwrap());
    }
    let mut left: BTreeSet<usize> = numbers.collect();
    while !left.is_empty() {
        let arrivals = consumers.iter_mut().map(|consumer| Box::pin(consumer.arrivals.recv()));
        let Ok((arrival, from, _)) = timeout(PATIENCE, select_all(arrivals)).await else {
            let some: Vec<&usize> = left.iter().take(20).collect();
            panic!("{} lost, {what}: {some:?}", left.len());
        };
        if let Arrival::Delivery(delivery) = arrival.unwrap() {
            let text = std::str::from_utf8(&delivery.envelope.event).unwrap();
            left.remove(&text.trim().parse().unwrap());
            let acknowledged = vec![(delivery.tag, Settlement::Acknowledge)];
            consumers[from].settler.settle(acknowledged).await.remove(0).unwrap();
        }
    }
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
            let numbers = 2 * round * COUNT..(2 * round + 1) * COUNT;
            publish(&bus, numbers.clone().flat_map(to_each).collect()).await;
            for inbox in &inboxes {
                let what = format!("{inbox}, {packing:?}, round {round}");
                assert_none_lost(&bus, from_ref(inbox), numbers.clone(), &what).await;
            }

            for inbox in &inboxes {
                delete_queue(&url, inbox).await;
            }
            let numbers = numbers.end..numbers.end + COUNT;
            publish(&bus, numbers.clone().map(|number| item(number, &inboxes)).collect()).await;
            // What came when one of them was there again, and not yet the other, is in that one.
            let what = format!("both, {packing:?}, round {round}");
            assert_none_lost(&bus, &inboxes, numbers, &what).await;
        }
        bus.close().await;
    }
}
