//! Messages of the archive, once more.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use wissel_broker::{BrokerOptions, Caller, InboxSettings, Reason, ReplayOptions, Verdict};
use wissel_filter::Filter;

use common::{Place, RECEIVER, REGISTRY, event, id_of, inbox, operator, party, urgent};

fn everything() -> ReplayOptions {
    ReplayOptions {
        from: SystemTime::UNIX_EPOCH,
        until: SystemTime::now() + Duration::from_secs(60),
        types: Vec::new(),
        filters: Vec::new(),
    }
}

/// Until nothing is left of what the inbox holds.
async fn acknowledge_all(place: &Place, local: &str) {
    let mut receiver = place.open(local).await;
    let begun = Instant::now();
    loop {
        while let Some(leased) = receiver.within(Duration::from_millis(50)).await {
            receiver.settle(leased.id, Verdict::Acknowledge).await;
        }
        let state = place.state(local).await;
        if state.depth + state.in_flight == 0 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_comes_again_marked_by_time_and_filter() {
    let place = Place::new("").await;
    for number in 0..5 {
        let gemeente = if number == 3 { "0344" } else { "0193" };
        place.publish(event(&number.to_string()).extension("gemeente", gemeente)).await.unwrap();
    }
    // Its type is not kept.
    place.publish(urgent("urgent")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let later = SystemTime::now();
    place.publish(event("late")).await.unwrap();
    acknowledge_all(&place, "inbox").await;

    let replay = |options| {
        let broker = std::sync::Arc::clone(&place.broker);
        async move { broker.replay(&party(RECEIVER), &inbox("inbox"), options, |_| ()).await }
    };
    let done = replay(everything()).await.unwrap();
    assert_eq!((done.examined, done.replayed), (6, 6));
    let mut receiver = place.open("inbox").await;
    for expected in ["0", "1", "2", "3", "4", "late"] {
        let leased = receiver.next().await;
        assert_eq!(id_of(&leased), expected);
        assert!(leased.envelope.replayed && leased.deadline.is_none());
        receiver.settle(leased.id, Verdict::Acknowledge).await;
    }
    let sql = Filter::Sql("gemeente = '0344'".to_owned());
    replay(ReplayOptions { filters: vec![sql], ..everything() }).await.unwrap();
    assert_eq!(receiver.next_id().await, "3");
    replay(ReplayOptions { from: later, ..everything() }).await.unwrap();
    assert_eq!(receiver.next_id().await, "late");
    let none = replay(ReplayOptions {
        until: later,
        from: later - Duration::from_millis(1),
        ..everything()
    });
    assert_eq!(none.await.unwrap().replayed, 0);
    // A live message is none of them.
    place.publish(event("live")).await.unwrap();
    let live = receiver.next().await;
    assert!(id_of(&live) == "live" && !live.envelope.replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_for_the_owner_within_its_grant() {
    let place = Place::new("").await;
    place.publish(event("1").subject("999990019")).await.unwrap();
    let replay = |caller: Caller, options: ReplayOptions| {
        let broker = std::sync::Arc::clone(&place.broker);
        async move { broker.replay(&caller, &inbox("inbox"), options, |_| ()).await.map(drop) }
    };
    let refused = replay(operator(), everything()).await.unwrap_err();
    assert_eq!(refused.reason, Reason::NotGranted);
    let refused = replay(party(REGISTRY), everything()).await.unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownInbox);
    let nonsense = ReplayOptions {
        from: SystemTime::now(),
        until: SystemTime::UNIX_EPOCH,
        types: vec!["nl.brp.onbekend".to_owned()],
        filters: vec![Filter::Sql("gemeente =".to_owned())],
    };
    let refused = replay(party(RECEIVER), nonsense).await.unwrap_err();
    let fields: Vec<&str> = refused.faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["until", "types[0]", "filters[0].sql"]);

    // With a grant of now that gives less, less comes.
    let less = common::CATALOGUE_WITHOUT_RECEIVER;
    let catalogue = wissel_catalogue::Catalogue::from_toml("test", less).unwrap();
    place.broker.replace_catalogue(catalogue).await.unwrap();
    acknowledge_all(&place, "inbox").await;
    replay(party(RECEIVER), everything()).await.unwrap();
    assert_eq!(place.state("inbox").await.depth, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_keeps_its_pace_and_waits_for_room() {
    let options =
        BrokerOptions { replay_per_second: NonZeroU32::new(500).unwrap(), ..Default::default() };
    let place = Place::with("", options).await;
    for outcome in place.publish_all((0..600).map(|n| event(&n.to_string()))).await {
        outcome.unwrap();
    }
    acknowledge_all(&place, "inbox").await;
    let begun = Instant::now();
    let broker = std::sync::Arc::clone(&place.broker);
    broker.replay(&party(RECEIVER), &inbox("inbox"), everything(), |_| ()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    acknowledge_all(&place, "inbox").await;

    let settings = InboxSettings { max_deliveries: Some(300), ..InboxSettings::default() };
    broker.set_inbox(&party(RECEIVER), &inbox("inbox"), |_| settings).await.unwrap();
    let replaying = tokio::spawn(async move {
        broker.replay(&party(RECEIVER), &inbox("inbox"), everything(), |_| ()).await
    });
    let begun = Instant::now();
    while place.state("inbox").await.depth < 300 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not fill the inbox");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // At its pace all would be there by then.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(!replaying.is_finished());
    assert_eq!(place.state("inbox").await.depth, 300);
    let mut receiver = place.open("inbox").await;
    for _ in 0..600 {
        receiver.next_id().await;
    }
    assert_eq!(replaying.await.unwrap().unwrap().replayed, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_large_messages_is_bounded_and_paced_in_bytes() {
    // 60 of 0.8 MB are 46 MiB, more than what one goes through in a second.
    const COUNT: u64 = 60;
    let place = Place::new("").await;
    let large = format!("\"{}\"", "x".repeat(800_000));
    for n in 0..COUNT {
        let event = event(&n.to_string()).data_text("application/json", large.clone());
        place.publish(event).await.unwrap();
    }
    acknowledge_all(&place, "inbox").await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(vec![0]));
    let begun = Instant::now();
    let steps = std::sync::Arc::clone(&seen);
    let progress = move |so_far: wissel_broker::Replayed| {
        steps.lock().unwrap().push(so_far.examined);
    };
    let broker = std::sync::Arc::clone(&place.broker);
    let done = broker.replay(&party(RECEIVER), &inbox("inbox"), everything(), progress).await;
    assert_eq!(done.unwrap().replayed, COUNT);
    let seen = seen.lock().unwrap();
    let largest = seen.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    assert_eq!(largest, 6, "a page ends with the message with which it has 4 MiB: {seen:?}");
    assert!(begun.elapsed() >= Duration::from_millis(1_100), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_has_two_replays_at_a_time() {
    let place = Place::new("").await;
    for outcome in place.publish_all((0..3).map(|n| event(&n.to_string()))).await {
        outcome.unwrap();
    }
    // One that is full, so that replays wait.
    let settings = InboxSettings { max_deliveries: Some(1), ..InboxSettings::default() };
    place.broker.set_inbox(&party(RECEIVER), &inbox("inbox"), |_| settings).await.unwrap();
    let replay = |local: &str| {
        let (broker, inbox) = (std::sync::Arc::clone(&place.broker), inbox(local));
        tokio::spawn(
            async move { broker.replay(&party(RECEIVER), &inbox, everything(), |_| ()).await },
        )
    };
    let waiting = [replay("inbox"), replay("inbox")];
    tokio::time::sleep(Duration::from_millis(200)).await;
    let refused = replay("second").await.unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
    assert!(refused.retry_after.is_some());
    // One is given up.
    waiting[0].abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(replay("second").await.unwrap().unwrap().replayed, 3);
    waiting[1].abort();
}
