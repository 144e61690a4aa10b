//! Looking at what is not settled.

use std::time::{Duration, SystemTime};

use super::Fixture;
use super::support::{
    PATIENCE, QUIET, Reader, envelopes_of, expect_state, message, new_inbox, numbered, put, retry,
    tidy,
};
use crate::{Bus, InboxName, InboxState, PAGE_BYTES, Settlement, Stand, Unsettled};

async fn browse(bus: &dyn Bus, inbox: &InboxName, limit: usize) -> Vec<Unsettled> {
    let browsed = tokio::time::timeout(PATIENCE, bus.browse(inbox, limit)).await;
    browsed.expect("browse answers in time").expect("the inbox can be looked at")
}

/// What nobody reads is shown in its order, again and again, and is handed out in the same
/// order afterwards, with its first attempt.
pub async fn what_waits_is_shown_and_stays(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse").await;
    assert_eq!(browse(&*bus, &inbox, 10).await, []);
    let envelopes = numbered(30);
    put(&*bus, &inbox, &envelopes).await;
    for limit in [30, 7, 100] {
        let shown = browse(&*bus, &inbox, limit).await;
        let expected: Vec<Unsettled> = envelopes
            .iter()
            .take(limit)
            .map(|envelope| Unsettled {
                envelope: envelope.clone(),
                attempt: 1,
                stand: Stand::Ready,
                history: Vec::new(),
            })
            .collect();
        assert_eq!(shown, expected);
    }
    expect_state(&*bus, &inbox, InboxState { depth: 30, ..InboxState::default() }).await;
    let mut reader = Reader::of(&*bus, &inbox, 100).await;
    let deliveries = reader.take(30).await;
    assert_eq!(envelopes_of(&deliveries), envelopes);
    assert!(deliveries.iter().all(|one| one.attempt == 1), "looking counted as an attempt");
    reader.acknowledge(&deliveries).await;
    drop(reader);
    expect_state(&*bus, &inbox, InboxState::default()).await;
    assert_eq!(browse(&*bus, &inbox, 10).await, []);
    tidy(&*bus, &[&inbox]).await;
}

/// What a consumer has of this bus is shown, and stays with the consumer.
pub async fn what_is_in_flight_is_shown_and_stays(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse-held").await;
    let envelopes = numbered(5);
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 3).await;
    let held = reader.take(3).await;
    reader.acknowledge(&held[1..2]).await;
    let next = reader.next().await;
    let shown = browse(&*bus, &inbox, 3).await;
    let expected = [&held[0], &held[2], &next].map(|one| one.envelope.clone());
    assert_eq!(shown.iter().map(|one| one.envelope.clone()).collect::<Vec<_>>(), expected);
    assert!(shown.iter().all(|one| one.stand == Stand::InFlight), "{shown:?}");
    assert!(reader.settle(held[0].tag, Settlement::Acknowledge).await.is_ok());
    let last = reader.next().await;
    assert_eq!(last.envelope, envelopes[4]);
    // Given back, it waits, with what was settled left out.
    drop(reader);
    expect_state(&*bus, &inbox, InboxState { depth: 3, ..InboxState::default() }).await;
    let shown = browse(&*bus, &inbox, 10).await;
    let left: Vec<_> = shown.iter().map(|one| one.envelope.clone()).collect();
    assert_eq!(left, envelopes[2..]);
    assert!(shown.iter().all(|one| one.stand == Stand::Ready), "{shown:?}");
    tidy(&*bus, &[&inbox]).await;
}

/// However many are asked for, what is shown ends with the message with which it is large, be it
/// with a consumer or not, and all of it stays.
pub async fn what_is_shown_is_bounded_in_bytes(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse-large").await;
    let large = |number: u8| message(vec![number; PAGE_BYTES / 2]);
    let envelopes: Vec<_> = (0..5).map(large).collect();
    put(&*bus, &inbox, &envelopes).await;
    expect_state(&*bus, &inbox, InboxState { depth: 5, ..InboxState::default() }).await;
    let expect_two = async |stand| {
        let shown = browse(&*bus, &inbox, 100).await;
        assert_eq!(shown.len(), 2);
        let is_expected = |(shown, envelope): (&Unsettled, _)| {
            (&shown.envelope, shown.stand) == (envelope, stand)
        };
        assert!(shown.iter().zip(&envelopes).all(is_expected), "others are shown");
    };
    expect_two(Stand::Ready).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(5).await;
    assert!(envelopes_of(&deliveries) == envelopes, "the order changed");
    expect_two(Stand::InFlight).await;
    reader.acknowledge(&deliveries).await;
    drop(reader);
    expect_state(&*bus, &inbox, InboxState::default()).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Messages that came back, that come while somebody looks, and a look that is given up: all are
/// handed out in their order, to a consumer that begins in the middle of a look.
pub async fn looking_changes_no_order(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse-order").await;
    let envelopes = numbered(400);
    put(&*bus, &inbox, &envelopes[..200]).await;
    let mut reader = Reader::of(&*bus, &inbox, 150).await;
    reader.take(150).await;
    drop(reader);
    expect_state(&*bus, &inbox, InboxState { depth: 200, ..InboxState::default() }).await;
    for patience in [1, 5, 20] {
        let given_up = bus.browse(&inbox, 10);
        let _ = tokio::time::timeout(Duration::from_millis(patience), given_up).await;
    }
    let (shown, ()) =
        tokio::join!(browse(&*bus, &inbox, 500), put(&*bus, &inbox, &envelopes[200..]));
    let shown: Vec<_> = shown.into_iter().map(|one| one.envelope).collect();
    assert!(shown.len() >= 200 && shown[..] == envelopes[..shown.len()], "{}", shown.len());
    let (_, mut reader) = tokio::join!(bus.browse(&inbox, 10), Reader::of(&*bus, &inbox, 500));
    let deliveries = reader.take(400).await;
    assert!(envelopes_of(&deliveries) == envelopes, "the order changed");
    tidy(&*bus, &[&inbox]).await;
}

/// A consumer that waits for messages is no fault, and nothing is shown.
pub async fn an_empty_inbox_shows_nothing_to_whoever_looks(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse-empty").await;
    let mut reader = Reader::of(&*bus, &inbox, 5).await;
    assert_eq!(browse(&*bus, &inbox, 10).await, []);
    let envelopes = numbered(2);
    put(&*bus, &inbox, &envelopes).await;
    let deliveries = reader.take(2).await;
    assert_eq!(envelopes_of(&deliveries), envelopes);
    assert_eq!(browse(&*bus, &inbox, 10).await.len(), 2);
    tidy(&*bus, &[&inbox]).await;
}

/// A retry shows its attempts, at least once it is due.
pub async fn a_retry_shows_its_attempts(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse-retry").await;
    put(&*bus, &inbox, &numbered(1)).await;
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let delivery = reader.next().await;
    let now = SystemTime::now();
    assert!(reader.settle(delivery.tag, retry(QUIET)).await.is_ok());
    drop(reader);
    if let [waiting] = &browse(&*bus, &inbox, 10).await[..]
        && let Stand::Delayed(due) = waiting.stand
    {
        assert!(due + Duration::from_millis(1) >= now + QUIET, "due too early");
        assert_eq!(waiting.attempt, 2);
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let shown = loop {
        assert!(tokio::time::Instant::now() < deadline, "the retry never waits to be taken");
        match &browse(&*bus, &inbox, 10).await[..] {
            [one] if one.stand == Stand::Ready => break one.clone(),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    assert_eq!((shown.attempt, shown.history.len()), (2, 1));
    assert_eq!(shown.history[0].reason, "not now");
    tidy(&*bus, &[&inbox]).await;
}

/// A bus says whether it shows retries that wait; it counts them in any case.
pub async fn retries_that_wait_are_shown_or_else_counted(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "browse-delayed").await;
    put(&*bus, &inbox, &numbered(1)).await;
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let delivery = reader.next().await;
    assert!(reader.settle(delivery.tag, retry(Duration::from_secs(60))).await.is_ok());
    drop(reader);
    let waits = InboxState { depth: 1, delayed: 1, ..InboxState::default() };
    expect_state(&*bus, &inbox, waits).await;
    let shown = browse(&*bus, &inbox, 10).await;
    assert_eq!(shown.len(), usize::from(bus.shows_retries()));
    assert!(shown.iter().all(|one| matches!(one.stand, Stand::Delayed(_))));
    tidy(&*bus, &[&inbox]).await;
}
