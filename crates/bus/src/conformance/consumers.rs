//! Consumers: credit, sharing, leaving; and what inspect tells of them.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::Fixture;
use super::support::{
    PATIENCE, QUIET, Reader, envelopes_of, expect_oldest, expect_state, message, new_inbox,
    new_name, number_of, numbered, put, retry, tidy,
};
use crate::{Bus, Credit, Delivery, InboxName, InboxState, Level, Selection, Settlement};

/// Never more than the credit is unsettled; settling frees it, in every way.
pub async fn credit_is_never_exceeded(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "credit").await;
    put(&*bus, &inbox, &numbered(20)).await;

    let mut reader = Reader::of(&*bus, &inbox, 5).await;
    let held = reader.take(5).await;
    reader.expect_nothing(QUIET).await;

    reader.acknowledge(&held[..2]).await;
    let later = retry(Duration::from_secs(60));
    let dead = Settlement::dead_letter("op");
    let answers = reader.settle_all(vec![(held[2].tag, later), (held[3].tag, dead)]).await;
    assert_eq!(answers, [Ok(()), Ok(())]);
    let more = reader.take(4).await;
    let numbers: Vec<usize> = more.iter().map(|d| number_of(&d.envelope)).collect();
    assert_eq!(numbers, [5, 6, 7, 8]);
    reader.expect_nothing(QUIET).await;

    let answer = reader.settle(more[0].tag, Settlement::Release).await;
    assert_eq!(answer, Ok(()));
    assert_eq!(number_of(&reader.next().await.envelope), 5);
    reader.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Nothing more comes while as many bytes are unsettled as there is credit for; settling frees
/// them, in every way. A message of any size comes when it is alone.
pub async fn credit_in_bytes_is_never_exceeded(fixture: &dyn Fixture) {
    const LENGTH: usize = 40_000;
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "bytes").await;
    let envelopes: Vec<_> = (0..10_u8).map(|number| message(vec![number; LENGTH])).collect();
    put(&*bus, &inbox, &envelopes).await;
    let number = |delivery: &Delivery| delivery.envelope.event[0];
    let numbers = |deliveries: &[Delivery]| deliveries.iter().map(number).collect::<Vec<_>>();

    let credit = Credit { deliveries: 100, bytes: 100_000 };
    let mut reader = Reader::with(&*bus, &inbox, credit).await;
    let held = reader.take(3).await;
    reader.expect_nothing(QUIET).await;
    let later = retry(Duration::from_secs(60));
    let dead = Settlement::dead_letter("op");
    let answers = reader.settle_all(vec![(held[0].tag, later), (held[1].tag, dead)]).await;
    assert_eq!(answers, [Ok(()), Ok(())]);
    let more = reader.take(2).await;
    assert_eq!(numbers(&more), [3, 4]);
    reader.expect_nothing(QUIET).await;
    assert_eq!(reader.settle(more[0].tag, Settlement::Release).await, Ok(()));
    // It comes again, or what is behind it comes first.
    let again = reader.next().await;
    reader.expect_nothing(QUIET).await;
    reader.acknowledge(&[held[2].clone(), again.clone(), more[1].clone()]).await;
    drop(reader);

    let mut reader = Reader::with(&*bus, &inbox, Credit { deliveries: 100, bytes: 1 }).await;
    let mut left: BTreeSet<u8> =
        (3..10).filter(|number| ![4, again.envelope.event[0]].contains(number)).collect();
    while !left.is_empty() {
        let delivery = reader.next().await;
        assert!(left.remove(&number(&delivery)), "{} came twice", number(&delivery));
        reader.expect_nothing(QUIET).await;
        reader.acknowledge(&[delivery]).await;
    }
    tidy(&*bus, &[&inbox]).await;
}

/// What a dropped consumer held, taken or not, comes to the next in order.
pub async fn a_dropped_consumer_gives_back_in_order(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "give-back").await;
    let envelopes = numbered(20);
    put(&*bus, &inbox, &envelopes).await;

    let mut leaver = Reader::of(&*bus, &inbox, 10).await;
    let taken = leaver.take(6).await;
    leaver.acknowledge(&taken[..1]).await;
    drop(leaver);
    let all_back = InboxState { depth: 19, ..InboxState::default() };
    expect_state(&*bus, &inbox, all_back).await;

    let mut reader = Reader::of(&*bus, &inbox, 30).await;
    let deliveries = reader.take(19).await;
    assert_eq!(envelopes_of(&deliveries), envelopes[1..]);
    assert!(deliveries.iter().all(|delivery| delivery.attempt == 1));
    reader.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// A consumer that is waiting gets what a dropped one held.
pub async fn deliveries_of_a_dropped_consumer_go_to_another(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "hand-over").await;
    put(&*bus, &inbox, &numbered(10)).await;

    let mut leaver = Reader::of(&*bus, &inbox, 10).await;
    leaver.take(10).await;
    let mut stayer = Reader::of(&*bus, &inbox, 10).await;
    stayer.expect_nothing(QUIET).await;
    drop(leaver);

    let deliveries = stayer.take(10).await;
    let numbers: BTreeSet<usize> = deliveries.iter().map(|d| number_of(&d.envelope)).collect();
    assert_eq!(numbers, (0..10).collect());
    tidy(&*bus, &[&inbox]).await;
}

/// Two consumers of one inbox get everything once between them.
pub async fn two_consumers_share_an_inbox(fixture: &dyn Fixture) {
    // More than may travel together, as what does is with one of them.
    const COUNT: usize = 1_200;
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "share").await;
    let mut first = Reader::of(&*bus, &inbox, 10).await;
    let mut second = Reader::of(&*bus, &inbox, 10).await;
    put(&*bus, &inbox, &numbered(COUNT)).await;

    let mut seen = BTreeSet::new();
    let (mut by_first, mut by_second) = (0, 0);
    while seen.len() < COUNT {
        let delivery = tokio::select! {
            delivery = first.next() => { by_first += 1; first.acknowledge(std::slice::from_ref(&delivery)).await; delivery }
            delivery = second.next() => { by_second += 1; second.acknowledge(std::slice::from_ref(&delivery)).await; delivery }
        };
        assert!(seen.insert(number_of(&delivery.envelope)), "came twice");
    }
    assert!(by_first > 0 && by_second > 0, "shared {by_first} to {by_second}");
    first.expect_nothing(QUIET).await;
    second.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Every count of the state follows what happens.
pub async fn inspect_counts(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "inspect").await;
    expect_state(&*bus, &inbox, InboxState::default()).await;

    put(&*bus, &inbox, &numbered(10)).await;
    let mut expected = InboxState { depth: 10, ..InboxState::default() };
    expect_state(&*bus, &inbox, expected.clone()).await;

    let mut reader = Reader::of(&*bus, &inbox, 4).await;
    let held = reader.take(4).await;
    expected.depth = 6;
    expected.in_flight = 4;
    expected.consumers = 1;
    expect_state(&*bus, &inbox, expected.clone()).await;

    let later = retry(Duration::from_secs(60));
    let dead = Settlement::dead_letter("op");
    let answers = reader
        .settle_all(vec![
            (held[0].tag, Settlement::Acknowledge),
            (held[1].tag, later),
            (held[2].tag, dead),
        ])
        .await;
    assert_eq!(answers, [Ok(()), Ok(()), Ok(())]);
    reader.take(3).await;
    expected.depth = 4;
    expected.delayed = 1;
    expected.dead_letters = 1;
    expect_state(&*bus, &inbox, expected.clone()).await;

    drop(reader);
    expected.depth = 8;
    expected.in_flight = 0;
    expected.consumers = 0;
    expect_state(&*bus, &inbox, expected).await;
    tidy(&*bus, &[&inbox]).await;
}

/// The oldest is what was admitted first of all that waits or is in flight.
pub async fn inspect_tells_the_oldest(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "oldest").await;
    expect_oldest(&*bus, &inbox, None).await;

    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_millis(1_600_000_000_123);
    let mut envelopes = numbered(2);
    envelopes[0].admitted_at = long_ago;
    envelopes[1].admitted_at = long_ago + Duration::from_secs(5);
    put(&*bus, &inbox, &envelopes).await;
    expect_oldest(&*bus, &inbox, Some(long_ago)).await;

    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let first = reader.next().await;
    expect_oldest(&*bus, &inbox, Some(long_ago)).await;
    reader.acknowledge(&[first]).await;
    let second = reader.next().await;
    expect_oldest(&*bus, &inbox, Some(envelopes[1].admitted_at)).await;
    reader.acknowledge(&[second]).await;
    expect_oldest(&*bus, &inbox, None).await;
    tidy(&*bus, &[&inbox]).await;
}

/// The level follows what comes and goes, within a second or so.
pub async fn the_level_follows(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "level").await;
    let bytes_of = |count: u64| count * 3;
    expect_level(&*bus, &inbox, 0, bytes_of(0)).await;
    let envelopes: Vec<_> = (100..150).map(|number: u64| message(number.to_string())).collect();
    put(&*bus, &inbox, &envelopes).await;
    expect_level(&*bus, &inbox, 50, bytes_of(50)).await;

    let mut reader = Reader::of(&*bus, &inbox, 40).await;
    let deliveries = reader.take(40).await;
    expect_level(&*bus, &inbox, 50, bytes_of(50)).await;
    reader.acknowledge(&deliveries).await;
    expect_level(&*bus, &inbox, 10, bytes_of(10)).await;
    reader.bury(4, "op").await;
    expect_level(&*bus, &inbox, 6, bytes_of(6)).await;
    assert_eq!(bus.redrive(&inbox, &Selection::All, &inbox).await, Ok(4));
    expect_level(&*bus, &inbox, 10, bytes_of(10)).await;
    assert_eq!(bus.level(&new_name("unknown")), None);
    tidy(&*bus, &[&inbox]).await;
}

async fn expect_level(bus: &dyn Bus, inbox: &InboxName, deliveries: u64, bytes: u64) {
    let expected = Some(Level { deliveries, bytes });
    let deadline = Instant::now() + PATIENCE;
    while bus.level(inbox) != expected {
        let found = bus.level(inbox);
        assert!(Instant::now() < deadline, "expected {expected:?}, found {found:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Who consumes alone begins when the others are gone, and has everything in its order,
/// what they gave back as well.
pub async fn one_that_consumes_alone_has_everything_in_order(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "alone").await;
    put(&*bus, &inbox, &numbered(30)).await;
    let mut other = Reader::of(&*bus, &inbox, 10).await;
    other.take(10).await;
    let leaving = tokio::spawn(async move {
        sleep(Duration::from_millis(300)).await;
        drop(other);
    });
    for round in 0..3 {
        let consumer =
            tokio::time::timeout(PATIENCE, bus.consume_alone(&inbox, Credit::of(20))).await;
        let consumer = consumer.expect("it begins in time").expect("the inbox can be consumed");
        let mut reader = Reader(consumer);
        let deliveries = reader.take(20).await;
        let numbers: Vec<usize> =
            deliveries.iter().map(|delivery| number_of(&delivery.envelope)).collect();
        let first = 2 * round;
        assert_eq!(numbers, (first..first + 20).collect::<Vec<_>>());
        reader.acknowledge(&deliveries[..2]).await;
        // The next one comes at once.
        drop(reader);
    }
    leaving.await.expect("the other leaves");
    tidy(&*bus, &[&inbox]).await;
}
