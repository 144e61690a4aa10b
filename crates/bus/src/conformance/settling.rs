//! Acknowledge, release, and tags that are not held.

use super::Fixture;
use super::support::{QUIET, Reader, new_inbox, numbered, put, tidy};
use crate::{BusError, InboxState, Settlement};

/// What was acknowledged stays away: from this consumer, from the next, and
/// after the bus was closed and opened.
pub async fn an_acknowledged_delivery_never_comes_again(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "acknowledge").await;
    let envelopes = numbered(4);
    put(&*bus, &inbox, &envelopes).await;

    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(4).await;
    reader.acknowledge(&deliveries[..3]).await;
    reader.expect_nothing(QUIET).await;
    drop(reader);

    let bus = fixture.reopen(bus).await;
    bus.open_inbox(&inbox).await.expect("the inbox opens");
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let left = reader.next().await;
    assert_eq!(left.envelope, envelopes[3]);
    reader.acknowledge(&[left]).await;
    reader.expect_nothing(QUIET).await;
    drop(reader);
    super::support::expect_state(&*bus, &inbox, InboxState::default()).await;
    tidy(&*bus, &[&inbox]).await;
}

/// What is given back comes again at its place, as if it had never left.
pub async fn a_released_delivery_comes_again_with_the_same_attempt(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "release").await;
    let envelopes = numbered(2);
    put(&*bus, &inbox, &envelopes).await;

    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let mut earlier_tags = Vec::new();
    for _ in 0..3 {
        let delivery = reader.next().await;
        assert_eq!(delivery.envelope, envelopes[0]);
        assert_eq!(delivery.attempt, 1);
        assert!(!earlier_tags.contains(&delivery.tag), "a tag came twice");
        earlier_tags.push(delivery.tag);
        let answer = reader.settle(delivery.tag, Settlement::Release).await;
        assert_eq!(answer, Ok(()));
    }
    for expected in &envelopes {
        let delivery = reader.next().await;
        assert_eq!(delivery.envelope, *expected);
        reader.acknowledge(&[delivery]).await;
    }
    tidy(&*bus, &[&inbox]).await;
}

/// The second settlement of a delivery is refused, in one call or in two, and
/// the first one stands.
pub async fn settling_twice_is_not_held(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "twice").await;
    put(&*bus, &inbox, &numbered(2)).await;

    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(2).await;
    let (first, second) = (deliveries[0].tag, deliveries[1].tag);

    let answers = reader
        .settle_all(vec![(first, Settlement::Acknowledge), (first, Settlement::Release)])
        .await;
    assert_eq!(answers, [Ok(()), Err(BusError::NotHeld(first))]);

    let answer = reader.settle(second, Settlement::Acknowledge).await;
    assert_eq!(answer, Ok(()));
    for settlement in [
        Settlement::Acknowledge,
        Settlement::Release,
        super::support::retry(std::time::Duration::ZERO),
        Settlement::dead_letter("too late"),
    ] {
        let answer = reader.settle(second, settlement).await;
        assert_eq!(answer, Err(BusError::NotHeld(second)));
    }
    reader.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// A consumer cannot settle what another holds.
pub async fn a_tag_of_another_consumer_is_not_held(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "tag-holder").await;
    let elsewhere = new_inbox(&*bus, "tag-other").await;
    put(&*bus, &inbox, &numbered(1)).await;

    let mut holder = Reader::of(&*bus, &inbox, 10).await;
    let tag = holder.next().await.tag;
    let same_inbox = Reader::of(&*bus, &inbox, 10).await;
    let other_inbox = Reader::of(&*bus, &elsewhere, 10).await;
    for stranger in [&same_inbox, &other_inbox] {
        let answer = stranger.settle(tag, Settlement::Acknowledge).await;
        assert_eq!(answer, Err(BusError::NotHeld(tag)));
    }
    assert_eq!(holder.settle(tag, Settlement::Acknowledge).await, Ok(()));
    tidy(&*bus, &[&inbox, &elsewhere]).await;
}
