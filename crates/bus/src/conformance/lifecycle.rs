//! Inboxes and buses that come and go.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Fixture;
use super::support::{
    PATIENCE, QUIET, Reader, dead_letters_once, envelopes_of, expect_state, message, new_inbox,
    new_name, numbered, put, retry, tidy, to_inbox,
};
use crate::{Bus, BusError, Credit, InboxState, Page, Selection, Settlement};

/// Opening what is open keeps what is in it.
pub async fn opening_twice_changes_nothing(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "open-twice").await;
    let envelopes = numbered(3);
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let held = reader.take(3).await;

    assert_eq!(bus.open_inbox(&inbox).await, Ok(()));
    reader.expect_nothing(QUIET).await;
    reader.acknowledge(&held[..1]).await;
    drop(reader);
    let expected = InboxState { depth: 2, ..InboxState::default() };
    expect_state(&*bus, &inbox, expected).await;
    tidy(&*bus, &[&inbox]).await;
}

/// Removing an inbox ends its consumers; doing it again is no error, nor is
/// removing what never was.
pub async fn removing_ends_consumers_and_may_be_repeated(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "remove").await;
    let neighbour = new_inbox(&*bus, "neighbour").await;
    put(&*bus, &inbox, &numbered(5)).await;
    let mut reader = Reader::of(&*bus, &inbox, 2).await;
    let mut bystander = Reader::of(&*bus, &neighbour, 2).await;
    let held = reader.take(2).await;

    assert_eq!(bus.remove_inbox(&inbox).await, Ok(()));
    reader.expect_end().await;
    let late = reader.settle(held[0].tag, Settlement::Acknowledge).await;
    assert!(late.is_err(), "settled in an inbox that is gone");
    assert_eq!(bus.remove_inbox(&inbox).await, Ok(()));
    assert_eq!(bus.remove_inbox(&new_name("never")).await, Ok(()));

    put(&*bus, &neighbour, &numbered(1)).await;
    bystander.next().await;
    tidy(&*bus, &[&neighbour]).await;
}

/// An inbox that is opened after its removal holds nothing of before, and works.
pub async fn a_removed_inbox_begins_anew(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "anew").await;
    put(&*bus, &inbox, &numbered(6)).await;
    let mut reader = Reader::of(&*bus, &inbox, 3).await;
    if fixture.forgets_waiting_retries() {
        let delivery = reader.next().await;
        let later = retry(Duration::from_millis(400));
        assert_eq!(reader.settle(delivery.tag, later).await, Ok(()));
    }
    reader.bury(1, "op").await;
    assert_eq!(bus.remove_inbox(&inbox).await, Ok(()));
    reader.expect_end().await;
    drop(reader);

    assert_eq!(bus.open_inbox(&inbox).await, Ok(()));
    expect_state(&*bus, &inbox, InboxState::default()).await;
    dead_letters_once(&*bus, &inbox, 0).await;
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    reader.expect_nothing(Duration::from_millis(700)).await;
    let envelopes = numbered(2);
    put(&*bus, &inbox, &envelopes).await;
    assert_eq!(envelopes_of(&reader.take(2).await), envelopes);
    tidy(&*bus, &[&inbox]).await;
}

/// Calls about an inbox that was never opened say so.
pub async fn unknown_inboxes_are_refused(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let never = new_name("never-opened");
    let unknown = BusError::UnknownInbox(never.clone());
    for failure in failures_of_inbox_calls(&*bus, &never).await {
        assert_eq!(failure, unknown);
    }
    tidy(&*bus, &[]).await;
}

/// Nothing that waits is lost when the bus is closed and opened.
pub async fn reopening_keeps_everything(fixture: &dyn Fixture) {
    keeps_everything(fixture, false).await;
}

/// Nothing that waits is lost when the bus comes to a hard end.
pub async fn a_crash_keeps_everything(fixture: &dyn Fixture) {
    keeps_everything(fixture, true).await;
}

async fn keeps_everything(fixture: &dyn Fixture, crash: bool) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "keep").await;
    let envelopes = numbered(6);
    put(&*bus, &inbox, &envelopes).await;
    let mut reader = Reader::of(&*bus, &inbox, 4).await;
    let held = reader.take(4).await;
    let later = retry(Duration::from_secs(3));
    assert_eq!(reader.settle(held[0].tag, later).await, Ok(()));
    let dead = Settlement::dead_letter("voor later");
    assert_eq!(reader.settle(held[1].tag, dead).await, Ok(()));
    let before = dead_letters_once(&*bus, &inbox, 1).await;

    // The consumer goes down with the bus, two or more deliveries in its hands.
    let bus = if crash { fixture.crash(bus).await } else { fixture.reopen(bus).await };
    drop(reader);
    assert_eq!(bus.open_inbox(&inbox).await, Ok(()));
    assert_eq!(dead_letters_once(&*bus, &inbox, 1).await, before);
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    let deliveries = reader.take(5).await;
    // The retry comes when it is due, between the others or behind them.
    let (retried, others): (Vec<_>, Vec<_>) =
        deliveries.iter().cloned().partition(|delivery| delivery.attempt > 1);
    assert_eq!(envelopes_of(&others), envelopes[2..]);
    assert_eq!(envelopes_of(&retried), envelopes[..1]);
    assert_eq!(retried[0].attempt, 2);
    reader.acknowledge(&deliveries).await;
    reader.expect_nothing(QUIET).await;
    tidy(&*bus, &[&inbox]).await;
}

/// A closed bus ends its consumers, gives back what they held, and refuses
/// every call; closing it again does no harm.
pub async fn a_closed_bus_refuses_every_call(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "closed").await;
    put(&*bus, &inbox, &numbered(2)).await;
    let mut reader = Reader::of(&*bus, &inbox, 1).await;
    let held = reader.next().await;

    close(&*bus).await;
    reader.expect_end().await;
    let settled = reader.settle(held.tag, Settlement::Acknowledge).await;
    assert!(
        matches!(settled, Err(BusError::Closed | BusError::NotHeld(_))),
        "settled on a closed bus: {settled:?}"
    );
    for failure in failures_of_inbox_calls(&*bus, &inbox).await {
        assert_eq!(failure, BusError::Closed);
    }
    assert_eq!(bus.open_inbox(&inbox).await, Err(BusError::Closed));
    assert_eq!(bus.remove_inbox(&inbox).await, Err(BusError::Closed));
    assert!(!bus.health().ready, "a closed bus claims to be ready");
    close(&*bus).await;

    let bus: Arc<dyn Bus> = fixture.reopen(bus).await;
    assert!(bus.health().ready, "an opened bus is not ready");
    assert_eq!(bus.open_inbox(&inbox).await, Ok(()));
    let mut reader = Reader::of(&*bus, &inbox, 10).await;
    assert_eq!(reader.take(2).await[0].envelope, held.envelope);
    tidy(&*bus, &[&inbox]).await;
}

async fn close(bus: &dyn Bus) {
    timeout(PATIENCE, bus.close()).await.expect("close ends");
}

/// What each call about one inbox fails with; panics when one does not.
async fn failures_of_inbox_calls(bus: &dyn Bus, inbox: &crate::InboxName) -> Vec<BusError> {
    let first_page = Page { after: None, limit: 10 };
    let these = Selection::These(vec![]);
    let mut failures = vec![
        bus.consume(inbox, Credit::of(1)).await.map(|_| ()),
        bus.inspect(inbox).await.map(|_| ()),
        bus.browse(inbox, 10).await.map(|_| ()),
        bus.dead_letters(inbox, first_page).await.map(|_| ()),
        bus.redrive(inbox, &Selection::All, inbox).await.map(|_| ()),
        bus.redrive(inbox, &these, inbox).await.map(|_| ()),
        bus.purge_dead_letters(inbox, &these).await.map(|_| ()),
        bus.walk_dead_letters(inbox, &these).await.map(|_| ()),
    ];
    failures.extend(bus.enqueue(to_inbox(inbox, &[message("x")])).await);
    assert_eq!(failures.len(), 9);
    failures.into_iter().map(|outcome| outcome.expect_err("the call fails")).collect()
}
