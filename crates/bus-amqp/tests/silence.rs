//! Connections over which nothing comes any more, though neither end was told: a firewall
//! forgot them, or a cable was pulled.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wissel_bus::{
    Arrival, Burial, Bus, BusError, Consumer, Credit, Delivery, Enqueue, Envelope, InboxName, Page,
    Selection, Settlement,
};
use wissel_bus_amqp::{AmqpBus, AmqpOptions};
use wissel_testkit::Proxy;

use common::{inbox_name, message};

/// Less than RabbitMQ's own heartbeat of a minute, after two of which it would go on anyway.
const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    proxy: Proxy,
    bus: AmqpBus,
    inbox: InboxName,
}

impl Place {
    async fn new() -> Self {
        let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
        let proxy = Proxy::start(&url).await.unwrap();
        let heartbeat = Duration::from_secs(2);
        let options =
            AmqpOptions { heartbeat, patience: PATIENCE, ..AmqpOptions::new(proxy.url()) };
        let bus = AmqpBus::connect(options).unwrap();
        while !bus.health().ready {
            sleep(Duration::from_millis(10)).await;
        }
        let inbox = inbox_name("silent");
        bus.open_inbox(&inbox).await.unwrap();
        Self { proxy, bus, inbox }
    }

    async fn put(&self, numbers: std::ops::Range<usize>) {
        let item = |number| Enqueue::new(message(number, 100), vec![self.inbox.clone()]);
        for answer in self.bus.enqueue(numbers.map(item).collect()).await {
            answer.unwrap();
        }
    }

    async fn done(self) {
        self.bus.remove_inbox(&self.inbox).await.unwrap();
        self.bus.close().await;
    }
}

fn number_of(envelope: &Envelope) -> usize {
    std::str::from_utf8(&envelope.event).unwrap().trim_end().parse().unwrap()
}

async fn arrival(consumer: &mut Consumer) -> Arrival {
    timeout(PATIENCE, consumer.arrivals.recv()).await.unwrap().unwrap()
}

async fn acknowledge(consumer: &Consumer, delivery: &Delivery) {
    let answers = consumer.settler.settle(vec![(delivery.tag, Settlement::Acknowledge)]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_and_receiving_go_on_over_new_connections() {
    let place = Place::new().await;
    place.put(0..20).await;
    let credit = Credit { deliveries: 5, bytes: 1 << 20 };
    let mut consumer = place.bus.consume(&place.inbox, credit).await.unwrap();
    for number in 0..3 {
        let Arrival::Delivery(delivery) = arrival(&mut consumer).await else { panic!() };
        assert_eq!(number_of(&delivery.envelope), number);
        acknowledge(&consumer, &delivery).await;
    }
    // So that RabbitMQ has heard of it: the next ones are here.
    let Arrival::Delivery(held) = arrival(&mut consumer).await else { panic!() };
    assert_eq!(number_of(&held.envelope), 3);
    sleep(Duration::from_millis(200)).await;

    place.proxy.silence_connections();
    place.put(20..30).await;
    // What was handed out before does not count any more, and comes again, in its order.
    loop {
        if matches!(arrival(&mut consumer).await, Arrival::Interrupted) {
            break;
        }
    }
    let mut next = 3;
    while next < 30 {
        let Arrival::Delivery(delivery) = arrival(&mut consumer).await else { continue };
        assert_eq!(number_of(&delivery.envelope), next);
        acknowledge(&consumer, &delivery).await;
        next += 1;
    }
    place.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_dead_letters_goes_on() {
    // On a busy machine heartbeats come too late on new connections as well, and a walk that
    // loses several gives up.
    for _ in 0..3 {
        match walk_in_silence().await {
            Err(BusError::Unavailable { reason }) => eprintln!("given up: {reason}"),
            gone_on => return gone_on.unwrap(),
        }
    }
    panic!("each walk was given up");
}

/// RabbitMQ keeps what the walk had taken until it finds that nobody is there.
async fn walk_in_silence() -> Result<(), BusError> {
    const COUNT: usize = 40;
    let place = Place::new().await;
    let burial = |number| Burial {
        envelope: message(number, 100),
        inbox: place.inbox.clone(),
        reason: "op".to_owned(),
    };
    for answer in place.bus.bury((0..COUNT).map(burial).collect()).await {
        answer.unwrap();
    }
    let mut walk = place.bus.walk_dead_letters(&place.inbox, &Selection::All).await.unwrap();
    let first = walk.next(10).await.unwrap();
    let ids: Vec<_> = first.iter().map(|letter| letter.id.clone()).collect();
    assert_eq!(walk.redrive(&ids, &place.inbox).await.unwrap(), ids.len() as u64);

    place.proxy.silence_connections();
    let mut met: Vec<usize> = first.iter().map(|letter| number_of(&letter.envelope)).collect();
    loop {
        let letters = timeout(2 * PATIENCE, walk.next(10)).await.unwrap()?;
        if letters.is_empty() {
            break;
        }
        met.extend(letters.iter().map(|letter| number_of(&letter.envelope)));
    }
    walk.end().await;
    met.sort_unstable();
    assert_eq!(met, (0..COUNT).collect::<Vec<_>>());
    let page = Page { after: None, limit: 1_000 };
    let left = place.bus.dead_letters(&place.inbox, page).await.unwrap();
    assert_eq!(left.len(), COUNT - ids.len());
    place.done().await;
    Ok(())
}

/// Nobody was there since the start, so that nobody saw the archive.
#[tokio::test]
async fn without_rabbitmq_that_is_what_is_told_of_the_archive() {
    let options = AmqpOptions::new("amqp://127.0.0.1:1".to_owned());
    let bus = AmqpBus::connect(options).unwrap();
    let mut item = Enqueue::new(message(1, 10), Vec::new());
    item.archive_until = Some(item.envelope.admitted_at);
    let answer = bus.enqueue(vec![item]).await.remove(0);
    let Err(BusError::Unavailable { reason }) = answer else { panic!("{answer:?}") };
    assert!(reason.starts_with("no connection to RabbitMQ at 127.0.0.1:1 "), "{reason}");
    bus.close().await;
}
