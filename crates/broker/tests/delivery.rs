//! Retries, deadlines, limits, dead letters: what becomes of a delivery that is not simply
//! acknowledged.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use wissel_broker::{
    BrokerOptions, InboxSettings, Reason, RedriveOptions, Verdict, WhenFull, Which,
};
use wissel_bus::{Bus as _, DeadLetter, Page, Stand};
use wissel_filter::Filter;
use wissel_message::{OwnedValue, Timestamp};

use common::{Place, RECEIVER, event, inbox, operator, party};

async fn dead_letters(place: &Place, local: &str, count: usize) -> Vec<DeadLetter> {
    let begun = Instant::now();
    loop {
        let page = Page { after: None, limit: 1_000 };
        let found = place.broker.dead_letters(&party(RECEIVER), &inbox(local), page).await.unwrap();
        if found.len() == count {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{} and not {count}", found.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// When the only message of an inbox comes again, while it waits for that.
async fn due(place: &Place, local: &str) -> Option<SystemTime> {
    let unsettled = place.bus.browse(&inbox(local), 10).await.unwrap();
    assert!(unsettled.len() <= 1, "{unsettled:?}");
    unsettled.iter().find_map(|one| match one.stand {
        Stand::Delayed(due) => Some(due),
        Stand::Ready | Stand::InFlight => None,
    })
}

async fn set(place: &Place, local: &str, settings: InboxSettings) {
    place.broker.set_inbox(&party(RECEIVER), &inbox(local), |_| settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_waits_longer_after_each_attempt_and_tells_why_it_died() {
    let place = Place::new("").await;
    let (initial, max) = (Duration::from_millis(200), Duration::from_secs(10));
    let settings = InboxSettings {
        max_attempts: Some(4),
        retry_initial: Some(initial),
        retry_max: Some(max),
        ..InboxSettings::default()
    };
    set(&place, "inbox", settings).await;
    place.publish(event("1")).await.unwrap();
    let mut receiver = place.open("inbox").await;
    let mut came = Vec::new();
    for attempt in 1..=4 {
        let leased = receiver.next().await;
        assert_eq!(leased.attempt, attempt);
        came.push(Instant::now());
        let reason = format!("attempt {attempt} of 123456789");
        receiver.settle(leased.id, Verdict::Retry { after: None, reason }).await;
        let settled_at = SystemTime::now();
        if let Some(due) = due(&place, "inbox").await {
            // A bus may wait 100 ms longer.
            let most = (initial * (1 << (attempt - 1))).mul_f64(1.2) + Duration::from_millis(100);
            assert!(due <= settled_at + most, "{due:?} after attempt {attempt}, {settled_at:?}");
        }
    }
    for (attempt, waited) in came.windows(2).map(|pair| pair[1] - pair[0]).enumerate() {
        let expected = initial * (1 << attempt);
        assert!(waited >= expected.mul_f64(0.79), "{waited:?} after attempt {}", attempt + 1);
    }
    let letter = dead_letters(&place, "inbox", 1).await.remove(0);
    assert_eq!(letter.attempts, 4);
    assert_eq!(letter.reason, "given up after 4 attempts; the last: attempt 4 of [number]");
    let reasons: Vec<&str> = letter.history.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["attempt 1 of [number]", "attempt 2 of [number]", "attempt 3 of [number]"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_ends_at_the_deadline_of_the_event_type() {
    let place = Place::new("").await;
    place.publish(common::urgent("1")).await.unwrap();
    let mut receiver = place.open("inbox").await;
    let leased = receiver.next().await;
    let deadline = leased.deadline.unwrap();
    let left = deadline.duration_since(SystemTime::now()).unwrap();
    assert!(left <= Duration::from_secs(3), "{left:?}");
    // It comes again before the deadline and not in an hour, some times; then it is given up.
    let (mut attempts, mut came) = (0, Some(leased));
    let begun = Instant::now();
    while place.state("inbox").await.dead_letters == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not given up");
        if let Some(leased) = came.take() {
            attempts += 1;
            assert_eq!(leased.attempt, attempts);
            let after = Some(Duration::from_hours(1));
            let again = Verdict::Retry { after, reason: "busy".into() };
            receiver.settle(leased.id, again).await;
            let due = due(&place, "inbox").await;
            assert!(due.is_none_or(|due| due < deadline), "late after attempt {attempts}");
        }
        came = receiver.within(Duration::from_millis(50)).await;
    }
    assert!((2..=5).contains(&attempts), "{attempts} attempts");
    let letter = dead_letters(&place, "inbox", 1).await.remove(0);
    let expected = format!("past its deadline, at attempt {attempts}");
    assert!(letter.reason.starts_with(&expected), "{}", letter.reason);
    // A receiver that comes late gets what it never saw.
    place.publish(common::urgent("2")).await.unwrap();
    drop(receiver);
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let late = place.open("inbox").await.next().await;
    assert!(late.deadline.unwrap() < SystemTime::now());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_refused_or_dead_and_never_delivered() {
    let place = Place::new("").await;
    let at = |seconds: i64| {
        let now = Timestamp::now();
        OwnedValue::Timestamp(Timestamp::new(now.seconds() + seconds, 0).unwrap())
    };
    let past = event("past").extension("expirytime", at(-1));
    let refusal = place.publish(past).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::InvalidMessage);
    assert_eq!(refusal.faults[0].field, "expirytime");
    place.publish(event("soon").extension("expirytime", at(2))).await.unwrap();
    place.publish(event("never")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let mut receiver = place.open("inbox").await;
    assert_eq!(receiver.next_id().await, "never");
    let letter = dead_letters(&place, "inbox", 1).await.remove(0);
    // It was not handed out, and so that is no attempt.
    assert_eq!(
        (letter.reason.as_str(), letter.attempts),
        ("expired: its expirytime has passed", 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_dies_even_when_nobody_reads() {
    let place = Place::new("").await;
    let settings =
        InboxSettings { max_age: Some(Duration::from_secs(1)), ..InboxSettings::default() };
    set(&place, "inbox", settings).await;
    for id in ["1", "2", "3"] {
        place.publish(event(id)).await.unwrap();
    }
    for letter in dead_letters(&place, "inbox", 3).await {
        assert_eq!(letter.reason, "expired: older than the inbox keeps messages");
    }
    place.publish(event("4")).await.unwrap();
    assert_eq!(place.open("inbox").await.next_id().await, "4");
}

/// As when somebody means to redrive what has died of age.
#[tokio::test(flavor = "multi_thread")]
async fn a_greatest_age_that_is_taken_away_holds_for_nothing_more() {
    const COUNT: u64 = 12_000;
    let place = Place::new("").await;
    let settings =
        InboxSettings { max_age: Some(Duration::from_secs(1)), ..InboxSettings::default() };
    for first in (0..COUNT).step_by(1_000) {
        let events = (first..first + 1_000).map(|number| event(&number.to_string()));
        assert!(place.publish_all(events).await.iter().all(Result::is_ok));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    set(&place, "inbox", settings).await;
    let begun = Instant::now();
    while place.state("inbox").await.dead_letters == 0 {
        assert!(begun.elapsed() < Duration::from_secs(15), "nothing died");
    }
    set(&place, "inbox", InboxSettings::default()).await;
    while place.state("inbox").await.consumers > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let state = place.state("inbox").await;
    assert_eq!(state.depth + state.dead_letters, COUNT);
    assert!(state.depth > 0, "all died of an age that did not hold any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_inbox_refuses_to_the_publisher_and_nothing_is_kept() {
    let place = Place::new("").await;
    let settings = InboxSettings { max_deliveries: Some(3), ..InboxSettings::default() };
    set(&place, "inbox", settings).await;
    // Together, so that all are under way at the same time.
    let outcomes = place.publish_all((0..10).map(|n| event(&n.to_string()))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (3, 7));
    for refusal in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!(refusal.reason, Reason::InboxFull);
        assert!(refusal.retry_after.is_some());
    }
    // Nor does another inbox of the message have it.
    assert_eq!(place.state("second").await.depth, 3);

    let mut receiver = place.open("inbox").await;
    let leased = receiver.next().await;
    assert_eq!(place.publish(event("x")).await.unwrap_err().reason, Reason::InboxFull);
    receiver.settle(leased.id, Verdict::Acknowledge).await;
    place.publish(event("x")).await.unwrap();
    let bytes = InboxSettings { max_bytes: Some(1), ..InboxSettings::default() };
    set(&place, "inbox", bytes).await;
    assert_eq!(place.publish(event("y")).await.unwrap_err().reason, Reason::InboxFull);
    set(&place, "inbox", InboxSettings::default()).await;
    place.publish(event("y")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_inbox_may_take_the_rest_as_dead_letters() {
    let place = Place::new("").await;
    let settings = InboxSettings {
        max_deliveries: Some(2),
        when_full: Some(WhenFull::DeadLetter),
        ..InboxSettings::default()
    };
    set(&place, "inbox", settings).await;
    for id in ["1", "2", "3"] {
        let receipt = place.publish(event(id)).await.unwrap();
        assert_eq!(receipt.inboxes.len(), 2);
    }
    assert_eq!(place.state("second").await.depth, 3);
    let letter = dead_letters(&place, "inbox", 1).await.remove(0);
    assert_eq!((letter.reason.as_str(), letter.attempts), ("the inbox was full", 0));
    let options = RedriveOptions { which: Which::All, to: None, per_second: None, why: None };
    let redriven = place.broker.redrive(&operator(), &inbox("inbox"), options, |_| ()).await;
    assert_eq!(redriven.unwrap(), 1);
    assert_eq!(place.state("inbox").await.depth, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_publishes_too_fast_is_told_how_long_to_wait() {
    let options =
        BrokerOptions { publish_per_second: NonZeroU32::new(5), ..BrokerOptions::default() };
    let place = Place::with("", options).await;
    let outcomes = place.publish_all((0..8).map(|n| event(&n.to_string()))).await;
    assert!(outcomes[..5].iter().all(Result::is_ok), "{outcomes:?}");
    for refused in &outcomes[5..] {
        let refusal = refused.as_ref().unwrap_err();
        assert_eq!(refusal.reason, Reason::RateLimited);
        assert!(refusal.retry_after.unwrap() <= Duration::from_millis(200));
    }
    assert_eq!(place.state("inbox").await.depth, 5);
    tokio::time::sleep(Duration::from_millis(250)).await;
    place.publish(event("8")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_put_back_by_filter_and_pace_and_elsewhere() {
    let place = Place::new("").await;
    for number in 0..20 {
        let gemeente = if number % 2 == 0 { "0344" } else { "0193" };
        place.publish(event(&number.to_string()).extension("gemeente", gemeente)).await.unwrap();
    }
    let mut receiver = place.open("inbox").await;
    for _ in 0..20 {
        let leased = receiver.next().await;
        receiver.settle(leased.id, Verdict::Reject { reason: "no".into() }).await;
    }
    dead_letters(&place, "inbox", 20).await;

    let sql = |text: &str| Which::Matching(vec![Filter::Sql(text.to_owned())]);
    let redrive = |which, to: Option<&str>, per_second| {
        let to = to.map(inbox);
        let per_second = NonZeroU32::new(per_second);
        let options = RedriveOptions { which, to, per_second, why: None };
        let broker = std::sync::Arc::clone(&place.broker);
        async move { broker.redrive(&party(RECEIVER), &inbox("inbox"), options, |_| ()).await }
    };
    let begun = Instant::now();
    let redriven = redrive(sql("gemeente = '0344'"), None, 10).await;
    assert_eq!(redriven.unwrap(), 10);
    assert!(begun.elapsed() >= Duration::from_millis(850), "{:?}", begun.elapsed());
    for _ in 0..10 {
        let leased = receiver.next().await;
        assert_eq!(leased.attempt, 1);
        receiver.settle(leased.id, Verdict::Acknowledge).await;
    }
    let before = place.state("second").await.depth;
    let redriven = redrive(sql("id = '1'"), Some("second"), 0).await;
    assert_eq!(redriven.unwrap(), 1);
    assert_eq!(place.state("second").await.depth, before + 1);

    // An operator does not find out whom they are about, and no inbox of others takes them.
    for hidden in ["subject = '999990019'", "id LIKE '99999%'", "HAS_DATA('/bsn')"] {
        let refused =
            place.broker.purge_dead_letters(&operator(), &PURGED, sql(hidden), None).await;
        let refusal = refused.unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidRequest);
        assert_eq!(refusal.faults[0].field, "filters[0]");
    }
    let many = Which::Matching(vec![Filter::Sql("TRUE".to_owned()); 33]);
    let refusal = redrive(many, None, 0).await.unwrap_err();
    assert_eq!(refusal.faults[0].field, "filters");
    let options = RedriveOptions {
        which: Which::All,
        to: Some("00000099000000001000.inbox".parse().unwrap()),
        per_second: None,
        why: None,
    };
    let refusal = place.broker.redrive(&operator(), &inbox("inbox"), options, |_| ()).await;
    assert_eq!(refusal.unwrap_err().reason, Reason::InvalidRequest);

    let owner = party(RECEIVER);
    let purge = |which| place.broker.purge_dead_letters(&owner, &PURGED, which, None);
    static PURGED: std::sync::LazyLock<wissel_identifiers::InboxName> =
        std::sync::LazyLock::new(|| inbox("inbox"));
    assert_eq!(purge(sql("id IN ('3', '5', '6')")).await.unwrap(), 2);
    assert_eq!(purge(Which::All).await.unwrap(), 7);
    dead_letters(&place, "inbox", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_has_no_more_subscriptions_than_it_may() {
    let options = BrokerOptions { subscriptions_per_party: 3, ..BrokerOptions::default() };
    let place = Place::with("", options).await;
    place
        .broker
        .create_subscription(&party(RECEIVER), common::subscription("third"))
        .await
        .unwrap();
    let refused =
        place.broker.create_subscription(&party(RECEIVER), common::subscription("fourth")).await;
    assert_eq!(refused.unwrap_err().reason, Reason::TooManySubscriptions);
}
