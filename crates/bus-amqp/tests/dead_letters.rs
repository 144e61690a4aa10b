//! What RabbitMQ has to send while somebody works with dead letters, and how much of it is
//! under way.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;
use wissel_bus::{Burial, Bus, DeadLetter, DeadLetterId, InboxName, Page, Selection};
use wissel_bus_amqp::{AmqpBus, AmqpOptions};
use wissel_testkit::Proxy;

use common::{inbox_name, message};

struct Place {
    proxy: Proxy,
    bus: AmqpBus,
    inbox: InboxName,
}

impl Place {
    /// With so many dead letters, of this size.
    async fn with(count: usize, length: usize) -> Self {
        let url = wissel_testkit::shared_rabbitmq_url().await.unwrap();
        let proxy = Proxy::start(&url).await.unwrap();
        let bus = AmqpBus::connect(AmqpOptions::new(proxy.url())).unwrap();
        while !bus.health().ready {
            sleep(Duration::from_millis(10)).await;
        }
        let inbox = inbox_name("dead");
        bus.open_inbox(&inbox).await.unwrap();
        let place = Self { proxy, bus, inbox };
        // Few at a time come in their order.
        for first in (0..count).step_by(50) {
            let burials = (first..count.min(first + 50)).map(|number| Burial {
                envelope: message(number, length),
                inbox: place.inbox.clone(),
                reason: "op".to_owned(),
            });
            for answer in place.bus.bury(burials.collect()).await {
                answer.unwrap();
            }
        }
        place
    }

    /// All of them, page by page.
    async fn all(&self) -> Vec<DeadLetter> {
        let mut all: Vec<DeadLetter> = Vec::new();
        loop {
            let page = Page { after: all.last().map(|last| last.id.clone()), limit: 100_000 };
            let letters = self.bus.dead_letters(&self.inbox, page.clone()).await.unwrap();
            let ended = !page.is_full(&letters);
            all.extend(letters);
            if ended {
                return all;
            }
        }
    }

    async fn done(self) {
        self.bus.remove_inbox(&self.inbox).await.unwrap();
        self.bus.close().await;
    }
}

fn number_of(letter: &DeadLetter) -> usize {
    std::str::from_utf8(&letter.envelope.event).unwrap().trim_end().parse().unwrap()
}

fn ids_of(letters: &[DeadLetter], is_meant: impl Fn(usize) -> bool) -> Vec<DeadLetterId> {
    let meant = letters.iter().filter(|letter| is_meant(number_of(letter)));
    meant.map(|letter| letter.id.clone()).collect()
}

/// However small the steps, and whatever is left: RabbitMQ sends each dead letter once.
#[tokio::test(flavor = "multi_thread")]
async fn each_dead_letter_is_sent_once() {
    const COUNT: usize = 3_000;
    let place = Place::with(COUNT, 100).await;
    let before = place.proxy.delivered();
    let mut walk = place.bus.walk_dead_letters(&place.inbox, &Selection::All).await.unwrap();
    let mut redriven = 0;
    loop {
        let letters = walk.next(20).await.unwrap();
        if letters.is_empty() {
            break;
        }
        for ids in ids_of(&letters, |number| number.is_multiple_of(2)).chunks(5) {
            redriven += walk.redrive(ids, &place.inbox).await.unwrap();
        }
    }
    walk.end().await;
    assert_eq!(redriven, COUNT as u64 / 2);
    assert_eq!(place.proxy.delivered() - before, COUNT as u64);

    // What was left is in its place, though it was taken by many consumers.
    let left: Vec<usize> = (1..COUNT).step_by(2).collect();
    let before = place.proxy.delivered();
    let mut walk = place.bus.walk_dead_letters(&place.inbox, &Selection::All).await.unwrap();
    let mut met = Vec::new();
    loop {
        let letters = walk.next(1_000).await.unwrap();
        if letters.is_empty() {
            break;
        }
        met.extend(letters.iter().map(number_of));
    }
    walk.end().await;
    assert_eq!(met, left);
    assert_eq!(place.proxy.delivered() - before, left.len() as u64);
    place.done().await;
}

/// Dead letters that are too large for a channel's few consumers keep their order.
#[tokio::test(flavor = "multi_thread")]
async fn many_large_dead_letters_keep_their_order() {
    const COUNT: usize = 600;
    let place = Place::with(COUNT, 400_000).await;
    for _ in 0..2 {
        let mut walk = place.bus.walk_dead_letters(&place.inbox, &Selection::All).await.unwrap();
        let mut met = Vec::new();
        loop {
            let letters = walk.next(1_000).await.unwrap();
            if letters.is_empty() {
                break;
            }
            assert!(letters.len() <= 16, "{} of 400 kB each are here", letters.len());
            met.extend(letters.iter().map(number_of));
        }
        walk.end().await;
        assert_eq!(met, (0..COUNT).collect::<Vec<_>>());
    }
    place.done().await;
}

/// Whoever looks and is slow has a few of them under way, not all.
#[tokio::test(flavor = "multi_thread")]
async fn few_are_under_way_to_whoever_looks() {
    const COUNT: usize = 400;
    let place = Place::with(COUNT, 100_000).await;
    let before = place.proxy.delivered();
    let sent = || place.proxy.delivered() - before;
    {
        let everything = Page { after: None, limit: 10 };
        let mut listing = place.bus.dead_letters(&place.inbox, everything);
        while sent() == 0 {
            assert!(matches!(futures::poll!(&mut listing), Poll::Pending));
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert!(sent() <= 40, "{} of {COUNT} are under way", sent());
    }
    assert_eq!(place.all().await.len(), COUNT);

    let before = place.proxy.delivered();
    let mut walk = place.bus.walk_dead_letters(&place.inbox, &Selection::All).await.unwrap();
    assert_eq!(walk.next(1).await.unwrap().len(), 1);
    sleep(Duration::from_millis(500)).await;
    assert!(place.proxy.delivered() - before <= 40);
    drop(walk);
    place.done().await;
}

/// A connection that breaks in the middle of a walk loses nothing and doubles nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_over_a_connection_that_broke() {
    const COUNT: usize = 300;
    let place = Place::with(COUNT, 100).await;
    let mut walk = place.bus.walk_dead_letters(&place.inbox, &Selection::All).await.unwrap();
    let mut redriven = 0;
    let (mut met, mut step) = (Vec::new(), 0);
    loop {
        let letters = walk.next(20).await.unwrap();
        if letters.is_empty() {
            break;
        }
        met.extend(letters.iter().map(number_of));
        for ids in ids_of(&letters, |number| number.is_multiple_of(2)).chunks(2) {
            step += 1;
            if step % 20 == 0 {
                place.proxy.break_connections();
                sleep(Duration::from_millis(500)).await;
            }
            redriven += walk.redrive(ids, &place.inbox).await.unwrap();
        }
    }
    walk.end().await;
    assert!(step >= 60, "{step}");
    assert_eq!(redriven, COUNT as u64 / 2);
    assert_eq!(met, (0..COUNT).collect::<Vec<_>>());
    let left: Vec<usize> = place.all().await.iter().map(number_of).collect();
    assert_eq!(left, (1..COUNT).step_by(2).collect::<Vec<_>>());
    let depth = place.bus.inspect(&place.inbox).await.unwrap().depth;
    assert_eq!(depth, COUNT as u64 / 2);
    place.done().await;
}
