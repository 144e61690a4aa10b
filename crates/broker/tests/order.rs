//! Deliveries of one subject, one after the other.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wissel_broker::{BrokerOptions, Leased, Subscription, Verdict};
use wissel_bus::Page;
use wissel_catalogue::Catalogue;
use wissel_message::EventView;

use common::{CATALOGUE, Place, RECEIVER, Receiver, event, id_of, inbox, party, subscription};

const ORDERED: &str = r#"
[[subscription]]
name = "00000099000000002000.op-volgorde"
ordered = true
"#;
const INBOX: &str = "op-volgorde";
const QUIET: Duration = Duration::from_millis(300);

fn retry(ms: u64) -> Verdict {
    Verdict::Retry { after: Some(Duration::from_millis(ms)), reason: "busy".to_owned() }
}

/// Publishes messages named `subject-number`.
async fn publish(place: &Place, names: &[&str]) {
    let events = names.iter().map(|name| {
        let (subject, _) = name.split_once('-').unwrap();
        event(name).subject(subject)
    });
    for outcome in place.publish_all(events).await {
        outcome.unwrap();
    }
}

fn subject_of(leased: &Leased) -> String {
    let event = EventView::decode(leased.envelope.event.clone()).unwrap();
    event.subject().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_of_a_subject_waits_and_others_flow() {
    let place = Place::new(ORDERED).await;
    publish(&place, &["a-1", "a-2", "b-1", "a-3", "b-2"]).await;
    let mut receiver = place.open(INBOX).await;
    let first = receiver.next().await;
    assert_eq!(id_of(&first), "a-1");
    let other = receiver.next().await;
    assert_eq!(id_of(&other), "b-1");
    // What comes later overtakes those that wait.
    publish(&place, &["c-1"]).await;
    assert_eq!(receiver.next_id().await, "c-1");
    receiver.settle(other.id, Verdict::Acknowledge).await;
    assert_eq!(receiver.next_id().await, "b-2");
    publish(&place, &["c-2"]).await;
    assert_eq!(receiver.next_id().await, "c-2");
    receiver.settle(first.id, Verdict::Acknowledge).await;
    assert_eq!(receiver.next_id().await, "a-2");
    assert_eq!(receiver.next_id().await, "a-3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_its_place_and_a_dead_letter_makes_way() {
    let place = Place::new(ORDERED).await;
    publish(&place, &["a-1", "a-2", "b-1"]).await;
    let mut receiver = place.open(INBOX).await;
    let first = receiver.next().await;
    receiver.settle(first.id, retry(600)).await;
    assert_eq!(receiver.next_id().await, "b-1");
    // What comes later overtakes the one behind the retry.
    publish(&place, &["c-1"]).await;
    let mut next = [receiver.next().await, receiver.next().await];
    next.sort_by_key(id_of);
    let [again, later] = next;
    assert_eq!(id_of(&later), "c-1");
    assert_eq!((id_of(&again).as_str(), again.attempt), ("a-1", 2));
    receiver.settle(again.id, retry(0)).await;
    let again = receiver.next().await;
    assert_eq!((id_of(&again).as_str(), again.attempt), ("a-1", 3));
    receiver.settle(again.id, Verdict::Reject { reason: "poison".to_owned() }).await;
    assert_eq!(receiver.next_id().await, "a-2");

    let page = Page { after: None, limit: 10 };
    let letters = place.broker.dead_letters(&party(RECEIVER), &inbox(INBOX), page).await.unwrap();
    assert_eq!((letters[0].attempts, letters[0].reason.as_str()), (3, "poison"));
    let attempts: Vec<u32> = letters[0].history.iter().map(|one| one.number).collect();
    assert_eq!(attempts, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_holds_when_receivers_come_and_go_and_over_a_restart() {
    let place = Place::new(ORDERED).await;
    let names: Vec<String> =
        (1..=30).flat_map(|n| ["a", "b", "c"].map(|subject| format!("{subject}-{n}"))).collect();
    publish(&place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    let mut note = |leased: &Leased| {
        let number: u32 = id_of(leased).split_once('-').unwrap().1.parse().unwrap();
        let before = last.insert(subject_of(leased), number).unwrap_or(0);
        assert_eq!(number, before + 1, "{}", id_of(leased));
    };
    // Two at a time, of whom one always leaves with something unsettled.
    for _ in 0..5 {
        let mut staying = place.open_with(INBOX, 2).await;
        let mut leaving = place.open_with(INBOX, 1).await;
        let held = leaving.within(QUIET).await;
        for _ in 0..4 {
            let Some(leased) = staying.within(Duration::from_millis(50)).await else { break };
            note(&leased);
            staying.settle(leased.id, Verdict::Acknowledge).await;
        }
        drop((leaving, held));
        let leased = staying.next().await;
        note(&leased);
        staying.settle(leased.id, Verdict::Acknowledge).await;
    }
    let mut receiver = place.open(INBOX).await;
    let unsettled = receiver.next().await;
    receiver.settle(unsettled.id, retry(60_000)).await;
    drop(receiver);

    let place = place.again(ORDERED).await;
    let left = place.state(INBOX).await.depth;
    assert!(left > 10, "{left}");
    let mut receiver = place.open(INBOX).await;
    for _ in 0..left {
        let leased = receiver.next().await;
        note(&leased);
        receiver.settle(leased.id, Verdict::Acknowledge).await;
    }
    assert_eq!(last.into_values().collect::<Vec<_>>(), [30, 30, 30]);
    assert_eq!(place.state(INBOX).await.depth, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_a_subject_wait_for_nobody() {
    let place = Place::new(ORDERED).await;
    for outcome in place.publish_all(["1", "2", "3"].into_iter().map(event)).await {
        outcome.unwrap();
    }
    let mut receiver = place.open(INBOX).await;
    let held = [receiver.next().await, receiver.next().await, receiver.next().await];
    assert_eq!(held.each_ref().map(id_of), ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_goes_while_it_settles_holds_up_no_subject() {
    let place = Place::new(ORDERED).await;
    let names: Vec<String> = (1..=12).map(|number| format!("a-{number}")).collect();
    publish(&place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for attempt in 0..8 {
        let mut going = place.open_with(INBOX, 1).await;
        let first = going.next().await;
        let mut staying = place.open(INBOX).await;
        let poison = Verdict::Reject { reason: "poison".to_owned() };
        going.session.settle(&[first.id], &poison);
        // The bus may have been told, and nobody waits for its answer.
        let mut settled = Box::pin(going.session.settled());
        let _ = futures::poll!(settled.as_mut());
        tokio::time::sleep(Duration::from_micros(attempt * 50)).await;
        drop(settled);
        drop(going);
        // The same again, or the next one.
        staying.next().await;
    }
}

/// What waits behind its own subject is of the bytes that the inbox may have here.
#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_with_order_has_so_many_bytes_here_and_no_more() {
    let options = BrokerOptions { delivery_bytes: 100_000, ..BrokerOptions::default() };
    let place = Place::with(ORDERED, options).await;
    let names = ["a-1", "a-2", "a-3", "b-1", "b-2"];
    let large = format!("\"{}\"", "x".repeat(40_000));
    let events = names.iter().map(|name| {
        let (subject, _) = name.split_once('-').unwrap();
        event(name).subject(subject).data_text("application/json", large.clone())
    });
    for outcome in place.publish_all(events).await {
        outcome.unwrap();
    }
    let mut receiver = place.open(INBOX).await;
    let first = receiver.next().await;
    assert_eq!(id_of(&first), "a-1");
    assert!(receiver.within(QUIET).await.is_none(), "two wait behind the first");
    assert_eq!(place.state(INBOX).await.in_flight, 3);
    receiver.settle(first.id, Verdict::Acknowledge).await;
    let mut ids = BTreeSet::new();
    for _ in 1..names.len() {
        ids.insert(receiver.next_id().await);
    }
    assert_eq!(ids, names[1..].iter().map(|name| (*name).to_owned()).collect());
}

/// What comes until nothing does.
async fn all_of(receiver: &mut Receiver) -> Vec<Leased> {
    let mut all = Vec::new();
    while let Some(leased) = receiver.within(QUIET).await {
        all.push(leased);
    }
    all
}

fn ids(all: &[Leased]) -> Vec<String> {
    all.iter().map(id_of).collect()
}

/// One that feeds an inbox without order, and asks for it.
fn asks_for_order() -> Subscription {
    Subscription { inbox: inbox("inbox"), ordered: true, ..subscription("asks-for-order") }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_comes_and_goes_while_somebody_reads() {
    let place = Place::new("").await;
    let mut first = place.open_with("inbox", 4).await;
    publish(&place, &["a-1", "a-2", "a-3", "b-1"]).await;
    let held = all_of(&mut first).await;
    assert_eq!(ids(&held), ["a-1", "a-2", "a-3", "b-1"]);

    let created = place.broker.create_subscription(&party(RECEIVER), asks_for_order()).await;
    let name = created.unwrap().name;
    // What was handed out without order comes again, with it; what is settled by then does not.
    first.session.settle(&[held[1].id], &Verdict::Acknowledge);
    let again = all_of(&mut first).await;
    assert_eq!(ids(&again), ["a-1", "b-1"]);
    // Another one shares the lanes, and has more credit left.
    let mut second = place.open("inbox").await;
    publish(&place, &["c-1"]).await;
    let c = all_of(&mut second).await;
    assert_eq!(ids(&c), ["c-1"]);
    first.settle(again[0].id, Verdict::Acknowledge).await;
    assert_eq!(ids(&all_of(&mut second).await), ["a-3"]);

    place.broker.delete_subscription(&party(RECEIVER), &name).await.unwrap();
    drop(second);
    publish(&place, &["a-4"]).await;
    assert_eq!(ids(&all_of(&mut first).await), ["a-3", "b-1", "c-1", "a-4"]);
}

/// One with a receiver that takes up nothing is not in the way of the others.
#[tokio::test(flavor = "multi_thread")]
async fn order_comes_with_a_catalogue_and_waits_for_nobody() {
    let place = Place::new("").await;
    publish(&place, &["a-1", "a-2", "a-3"]).await;
    let mut stalled = place.open_with("inbox", 2).await;
    assert_eq!(stalled.next_id().await, "a-1");
    stalled.next().await;
    let tending = tokio::spawn(async move { stalled.session.tend().await });
    let mut reading = place.open("inbox").await;
    all_of(&mut reading).await;

    let catalogue = format!(
        "{CATALOGUE}[[subscription]]\nname = \"{RECEIVER}.order\"\ninbox = \"{RECEIVER}.inbox\"\nordered = true"
    );
    let ordered = Catalogue::from_toml("test", &catalogue).unwrap();
    place.broker.replace_catalogue(ordered).await.unwrap();
    for expected in ["a-2", "a-3"] {
        let leased = all_of(&mut reading).await;
        assert_eq!(ids(&leased), [expected]);
        reading.settle(leased[0].id, Verdict::Acknowledge).await;
    }
    tending.abort();
}
