//! What is special when messages travel together.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::{Instant, sleep, timeout};
use wissel_bus::{
    Arrival, Bus, BusError, Consumer, Credit, Delivery, Enqueue, Envelope, InboxName, Page,
    Selection, Settlement,
};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};
use wissel_testkit::{RabbitMq, messages_ready};

use common::{inbox_name, message};

/// Also for a broker that starts again on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn shared_url() -> String {
    wissel_testkit::shared_rabbitmq_url().await.unwrap()
}

async fn connect(options: AmqpOptions) -> AmqpBus {
    let bus = AmqpBus::connect(AmqpOptions { patience: PATIENCE, ..options }).unwrap();
    while !bus.health().ready {
        sleep(Duration::from_millis(10)).await;
    }
    bus
}

async fn bus() -> AmqpBus {
    connect(AmqpOptions::new(shared_url().await)).await
}

async fn new_inbox(bus: &AmqpBus, label: &str) -> InboxName {
    let inbox = inbox_name(label);
    bus.open_inbox(&inbox).await.unwrap();
    inbox
}

fn number_of(envelope: &Envelope) -> usize {
    std::str::from_utf8(&envelope.event).unwrap().parse().unwrap()
}

/// Messages with these numbers in one call, which come as packs.
async fn put(bus: &AmqpBus, inbox: &InboxName, numbers: std::ops::Range<usize>) {
    let items = numbers.map(|number| Enqueue::new(message(number, 0), vec![inbox.clone()]));
    for answer in bus.enqueue(items.collect()).await {
        answer.unwrap();
    }
}

struct Reader(Consumer);

impl Reader {
    async fn of(bus: &AmqpBus, inbox: &InboxName, credit: u16) -> Self {
        Self(bus.consume(inbox, Credit::of(credit)).await.unwrap())
    }

    async fn next(&mut self) -> Delivery {
        loop {
            match timeout(PATIENCE, self.0.arrivals.recv()).await.unwrap().unwrap() {
                Arrival::Delivery(delivery) => return delivery,
                Arrival::Interrupted => {}
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while deliveries.len() < count {
            deliveries.push(self.next().await);
        }
        deliveries
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BusError> {
        self.0.settler.settle(vec![(delivery.tag, settlement)]).await.remove(0)
    }

    async fn acknowledge(&self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            self.settle(delivery, Settlement::Acknowledge).await.unwrap();
        }
    }

    /// The next that comes is the next that is put there.
    async fn expect_nothing_more(&mut self, bus: &AmqpBus, inbox: &InboxName) {
        const LATER: usize = 987_654_321;
        put(bus, inbox, LATER..LATER + 1).await;
        let next = self.next().await;
        assert_eq!(number_of(&next.envelope), LATER, "nothing was to come");
        self.acknowledge(&[next]).await;
    }
}

fn numbers(deliveries: &[Delivery]) -> Vec<usize> {
    deliveries.iter().map(|delivery| number_of(&delivery.envelope)).collect()
}

async fn raw_channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// What comes together travels together, what comes alone travels alone, and what is
/// switched off does not happen.
#[tokio::test(flavor = "multi_thread")]
async fn few_amqp_messages_carry_many() {
    let url = shared_url().await;
    let off = AmqpOptions { packing: Packing::OFF, ..AmqpOptions::new(&url) };
    for (options, packed) in [(AmqpOptions::new(&url), true), (off, false)] {
        let bus = connect(options).await;
        let inbox = new_inbox(&bus, "few").await;
        let (_connection, channel) = raw_channel(&url).await;
        let queue = format!("wissel.inbox.{inbox}");
        put(&bus, &inbox, 0..1).await;
        put(&bus, &inbox, 1..1_001).await;
        let deadline = Instant::now() + PATIENCE;
        let enough = |count: u32| if packed { count >= 3 } else { count == 1_001 };
        let count = loop {
            let count = messages_ready(&channel, &queue).await.unwrap();
            if enough(count) {
                break count;
            }
            assert!(Instant::now() < deadline, "too few AMQP messages");
            sleep(Duration::from_millis(20)).await;
        };
        assert!(!packed || count < 20, "1,001 messages travelled as {count}");
        assert_eq!(bus.inspect(&inbox).await.unwrap().depth, 1_001, "depth counts messages");

        let options = BasicConsumeOptions::default();
        let consumed =
            channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let first = consumed.await.unwrap().next().await.unwrap().unwrap();
        let content_type = first.properties.content_type().as_ref().unwrap().as_str();
        assert_eq!(content_type, "application/vnd.wissel.pack.v1");
        let headers = first.properties.headers().iter().flat_map(|headers| headers.inner().keys());
        let ours = headers.filter(|name| name.as_str().starts_with("wissel-")).count();
        assert_eq!(ours, 0, "one queue needs no headers");
        let members = u16::from_be_bytes(first.data[17..19].try_into().unwrap());
        assert_eq!(members, 1, "the first was alone");
        assert!(first.data.ends_with(b"\0\0\0\x010"), "its event is 0, one byte long");
        channel.close(200, "done".into()).await.unwrap();
        bus.remove_inbox(&inbox).await.unwrap();
        bus.close().await;
    }
}

/// What RabbitMQ itself gives up on, as by an operator's policy, is a dead letter like others.
#[tokio::test(flavor = "multi_thread")]
async fn what_rabbitmq_gives_up_on_can_be_looked_at_and_redriven() {
    let bus = bus().await;
    let inbox = new_inbox(&bus, "given-up").await;
    let (_connection, channel) = raw_channel(&shared_url().await).await;
    put(&bus, &inbox, 7..8).await;
    let queue = format!("wissel.inbox.{inbox}");
    let deadline = Instant::now() + PATIENCE;
    let taken = loop {
        assert!(Instant::now() < deadline, "the message is not in its queue");
        let options = BasicGetOptions::default();
        match channel.basic_get(queue.as_str().into(), options).await.unwrap() {
            Some(taken) => break taken,
            None => sleep(Duration::from_millis(20)).await,
        }
    };
    taken.acker.nack(BasicNackOptions::default()).await.unwrap();

    let letter = loop {
        assert!(Instant::now() < deadline, "it is not among the dead letters");
        let page = Page { after: None, limit: 10 };
        match bus.dead_letters(&inbox, page).await.unwrap().pop() {
            Some(letter) => break letter,
            None => sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!((&letter.envelope.event[..], letter.attempts), (&b"7"[..], 1));
    assert_eq!(letter.reason, "given up on by RabbitMQ");
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await.unwrap(), 1);
    let mut reader = Reader::of(&bus, &inbox, 5).await;
    let again = reader.next().await;
    assert_eq!(again.envelope, letter.envelope);
    reader.acknowledge(&[again]).await;
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// Who did not put packs there, and has not met them, counts each as one, and says that there
/// may be more; until it has met all.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_packed_is_counted_as_the_least_that_waits() {
    const COUNT: u16 = 200;
    let count = usize::from(COUNT);
    let (bus, other) = (bus().await, bus().await);
    let inbox = new_inbox(&bus, "least").await;
    put(&bus, &inbox, 0..count).await;
    let state = bus.inspect(&inbox).await.unwrap();
    assert_eq!((state.depth, state.depth_is_least), (u64::from(COUNT), false));
    other.open_inbox(&inbox).await.unwrap();
    let state = other.inspect(&inbox).await.unwrap();
    assert!(state.depth < u64::from(COUNT) && state.depth_is_least, "{state:?}");

    let mut reader = Reader::of(&other, &inbox, 2 * COUNT).await;
    let held = reader.take(count).await;
    let state = other.inspect(&inbox).await.unwrap();
    assert_eq!((state.in_flight, state.depth_is_least), (u64::from(COUNT), false));
    reader.acknowledge(&held).await;
    put(&other, &inbox, 0..10).await;
    drop(reader);
    bus.remove_inbox(&inbox).await.unwrap();
    other.close().await;
    bus.close().await;
}

/// A retry, a dead letter and a release of members repeat nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_settled_one_by_one() {
    let bus = bus().await;
    let inbox = new_inbox(&bus, "one-by-one").await;
    put(&bus, &inbox, 0..50).await;
    let mut reader = Reader::of(&bus, &inbox, 50).await;
    let held = reader.take(50).await;

    let after = Duration::from_millis(300);
    let retry = Settlement::Retry { after, reason: "not now".to_owned() };
    reader.settle(&held[7], retry).await.unwrap();
    let dead = Settlement::dead_letter("op");
    reader.settle(&held[8], dead).await.unwrap();
    reader.settle(&held[9], Settlement::Release).await.unwrap();
    let mut came = reader.take(2).await;
    came.sort_by_key(|delivery| number_of(&delivery.envelope));
    let told = came.iter().map(|delivery| (number_of(&delivery.envelope), delivery.attempt));
    assert_eq!(told.collect::<Vec<_>>(), [(7, 2), (9, 1)]);
    let gone = reader.settle(&held[7], Settlement::Acknowledge).await;
    assert_eq!(gone, Err(BusError::NotHeld(held[7].tag)));

    reader.acknowledge(&came).await;
    reader.acknowledge(&held[..7]).await;
    reader.acknowledge(&held[10..]).await;
    reader.expect_nothing_more(&bus, &inbox).await;
    drop(reader);
    let mut reader = Reader::of(&bus, &inbox, 50).await;
    reader.expect_nothing_more(&bus, &inbox).await;
    let letters = bus.dead_letters(&inbox, Page { after: None, limit: 10 }).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(number_of(&letters[0].envelope), 8);
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// A released member comes before those behind it that wait for credit.
#[tokio::test(flavor = "multi_thread")]
async fn a_released_member_keeps_its_place() {
    let bus = bus().await;
    let inbox = new_inbox(&bus, "place").await;
    put(&bus, &inbox, 0..30).await;
    let mut reader = Reader::of(&bus, &inbox, 3).await;
    let held = reader.take(3).await;
    reader.settle(&held[1], Settlement::Release).await.unwrap();
    reader.settle(&held[0], Settlement::Release).await.unwrap();
    reader.acknowledge(&held[2..]).await;
    let mut came = Vec::new();
    for _ in 0..29 {
        let delivery = reader.next().await;
        came.push(number_of(&delivery.envelope));
        reader.acknowledge(&[delivery]).await;
    }
    // The first credit that was given back went to the member that was there then.
    assert_eq!(came[..2].iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));
    assert_eq!(came[2..], (3..30).collect::<Vec<_>>());
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// What was settled of a pack does not come again: not to the next consumer, and not
/// after the bus was closed and opened in an orderly way.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_pack_comes_again_by_half() {
    let mut bus = bus().await;
    let inbox = new_inbox(&bus, "half").await;
    put(&bus, &inbox, 0..100).await;
    put(&bus, &inbox, 100..150).await;
    let mut left: BTreeSet<usize> = (0..150).collect();
    for round in 0..6 {
        let mut reader = Reader::of(&bus, &inbox, 200).await;
        let held = reader.take(left.len()).await;
        assert_eq!(numbers(&held), left.iter().copied().collect::<Vec<_>>(), "round {round}");
        for delivery in held.iter().skip(round % 2).step_by(2).take(15) {
            reader.acknowledge(std::slice::from_ref(delivery)).await;
            left.remove(&number_of(&delivery.envelope));
        }
        if round % 3 == 2 {
            // Whoever holds deliveries when a bus closes gives them back.
            bus.close().await;
            drop(reader);
            bus = connect(AmqpOptions::new(shared_url().await)).await;
            bus.open_inbox(&inbox).await.unwrap();
        } else {
            drop(reader);
            let deadline = Instant::now() + PATIENCE;
            while bus.inspect(&inbox).await.unwrap().depth != left.len() as u64 {
                assert!(Instant::now() < deadline, "what was given back is counted wrongly");
                sleep(Duration::from_millis(30)).await;
            }
        }
    }
    let mut reader = Reader::of(&bus, &inbox, 200).await;
    let held = reader.take(left.len()).await;
    reader.acknowledge(&held).await;
    reader.expect_nothing_more(&bus, &inbox).await;
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// However small the credit, no more is handed out, and everything comes in order.
#[tokio::test(flavor = "multi_thread")]
async fn credit_counts_messages_and_not_packs() {
    let bus = bus().await;
    let inbox = new_inbox(&bus, "credit").await;
    put(&bus, &inbox, 0..2_000).await;
    for (credit, count) in [(1, 3), (7, 300), (300, 1_697)] {
        let mut reader = Reader::of(&bus, &inbox, credit).await;
        let mut held = Vec::new();
        for _ in 0..count {
            if held.len() == usize::from(credit) {
                assert!(reader.0.arrivals.try_recv().is_err(), "more than the credit");
                let state = bus.inspect(&inbox).await.unwrap();
                assert_eq!(state.in_flight, u64::from(credit));
                reader.acknowledge(&held.split_off(0)).await;
            }
            held.push(reader.next().await);
        }
        assert!(held.is_sorted_by_key(|delivery| number_of(&delivery.envelope)));
        reader.acknowledge(&held).await;
        drop(reader);
        let deadline = Instant::now() + PATIENCE;
        while bus.inspect(&inbox).await.unwrap().in_flight > 0 {
            assert!(Instant::now() < deadline, "a consumer that left still holds something");
            sleep(Duration::from_millis(20)).await;
        }
    }
    let mut reader = Reader::of(&bus, &inbox, 300).await;
    reader.expect_nothing_more(&bus, &inbox).await;
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// Many callers to overlapping inboxes: each inbox gets the messages of each caller in
/// their order, and all of them.
#[tokio::test(flavor = "multi_thread")]
async fn order_holds_across_mixed_inboxes() {
    const CALLERS: usize = 4;
    const EACH: usize = 2_000;
    let bus = bus().await;
    let mut inboxes = Vec::new();
    for label in ["mixed-a", "mixed-b", "mixed-c"] {
        inboxes.push(new_inbox(&bus, label).await);
    }
    let goes_to = |number: usize, inbox: usize| match number % 5 {
        0 => inbox == 0 || inbox == 2,
        1 => inbox == 1 || inbox == 2,
        2 => inbox == 2,
        3 => true,
        _ => inbox == 0,
    };
    let call = |caller: usize| {
        let (bus, inboxes) = (&bus, &inboxes);
        async move {
            for chunk in (0..EACH).collect::<Vec<_>>().chunks(1 + 37 * caller) {
                let item = |number: &usize| {
                    let to = (0..3).filter(|inbox| goes_to(*number, *inbox));
                    let to = to.map(|inbox| inboxes[inbox].clone()).collect();
                    Enqueue::new(message(caller * 1_000_000 + number, 0), to)
                };
                for answer in bus.enqueue(chunk.iter().map(item).collect()).await {
                    answer.unwrap();
                }
            }
        }
    };
    futures::future::join_all((0..CALLERS).map(call)).await;
    for (index, inbox) in inboxes.iter().enumerate() {
        let expected: Vec<usize> = (0..EACH).filter(|number| goes_to(*number, index)).collect();
        let mut came = vec![Vec::new(); CALLERS];
        let mut reader = Reader::of(&bus, inbox, 500).await;
        for _ in 0..CALLERS * expected.len() {
            let delivery = reader.next().await;
            let number = number_of(&delivery.envelope);
            came[number / 1_000_000].push(number % 1_000_000);
            reader.acknowledge(&[delivery]).await;
        }
        assert!(came.iter().all(|came| *came == expected), "an order or a message was lost");
        reader.expect_nothing_more(&bus, inbox).await;
        bus.remove_inbox(inbox).await.unwrap();
    }
    bus.close().await;
}

/// A pack that is none goes where foreign messages go, and stops nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pack_is_taken_aside() {
    let url = shared_url().await;
    let bus = bus().await;
    let inbox = new_inbox(&bus, "damaged").await;
    let (_connection, channel) = raw_channel(&url).await;
    for body in [&b""[..], b"\x01", b"\x02garbage", &[1; 200], &[255; 5_000]] {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/vnd.wissel.pack.v1".into());
        let options = BasicPublishOptions::default();
        let queue = format!("wissel.inbox.{inbox}").into();
        let sent = channel.basic_publish("".into(), queue, options, body, properties);
        sent.await.unwrap();
    }
    put(&bus, &inbox, 0..20).await;
    let mut reader = Reader::of(&bus, &inbox, 5).await;
    for expected in 0..20 {
        let delivery = reader.next().await;
        assert_eq!(number_of(&delivery.envelope), expected);
        reader.acknowledge(&[delivery]).await;
    }
    let deadline = Instant::now() + PATIENCE;
    while bus.inspect(&inbox).await.unwrap().dead_letters != 5 {
        assert!(Instant::now() < deadline, "damaged packs are not among the dead");
        sleep(Duration::from_millis(50)).await;
    }
    bus.remove_inbox(&inbox).await.unwrap();
    bus.close().await;
}

/// The broker is killed while packs are half settled and others are published: nothing
/// that was confirmed is lost, and what was settled comes again at most once.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_nothing_of_packs() {
    const COUNT: usize = 3_000;
    let mut rabbitmq = RabbitMq::start().await.unwrap();
    let bus = connect(AmqpOptions::new(rabbitmq.url())).await;
    let inbox = new_inbox(&bus, "killed").await;
    // RabbitMQ 3.10 forgets a queue, with all that is in it, if it is killed within a few
    // seconds of the queue's declaration.
    sleep(Duration::from_secs(8)).await;
    let publishing = async {
        for first in (0..COUNT).step_by(100) {
            sleep(Duration::from_millis(20)).await;
            put(&bus, &inbox, first..first + 100).await;
        }
    };
    let killing = async {
        for _ in 0..2 {
            sleep(Duration::from_millis(300)).await;
            rabbitmq.kill().await.unwrap();
            rabbitmq.start_again().await.unwrap();
        }
    };
    let receiving = async {
        let mut reader = Reader::of(&bus, &inbox, 300).await;
        let (mut seen, mut repeated) = (BTreeSet::new(), 0);
        while seen.len() < COUNT {
            let batch = reader.take(1).await;
            // Some are settled and some are not when the broker goes down.
            sleep(Duration::from_micros(500)).await;
            for delivery in batch {
                if reader.settle(&delivery, Settlement::Acknowledge).await.is_ok()
                    && !seen.insert(number_of(&delivery.envelope))
                {
                    repeated += 1;
                }
            }
        }
        repeated
    };
    let ((), (), repeated) =
        timeout(PATIENCE * 4, async { tokio::join!(publishing, killing, receiving) })
            .await
            .expect("something was lost");
    // Packs that were under way, or acknowledged, when the broker went down.
    assert!(repeated <= 2 * (4 + 8) * Packing::default().messages_max, "{repeated} came again");
    bus.close().await;
}
