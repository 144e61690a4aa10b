//! Subscriptions and operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt as _;
use wissel_client::{
    ClientError, DeliveryState, Filter, Followed, InboxName, RecordQuery, Subscription,
    SubscriptionName, Which,
};

use crate::peer::{INBOX, PARTY, Peer, bus_unavailable};

fn name(local: &str) -> SubscriptionName {
    SubscriptionName::new(PARTY.parse().unwrap(), local).unwrap()
}

fn reason(error: &ClientError) -> &str {
    &error.refusal().unwrap().reason
}

#[tokio::test]
async fn a_subscription_is_created_found_and_deleted() {
    let peer = Peer::start().await;
    let client = peer.client();
    let attributes = |value: &str| BTreeMap::from([("gemeente".to_owned(), value.to_owned())]);
    let wanted = Subscription {
        types: vec!["nl.brp.verhuizing".to_owned()],
        filters: vec![Filter::Exact(attributes("0344")), Filter::Prefix(attributes("03"))],
        ..Subscription::new(name("utrecht"))
    };

    let created = client.create_subscription(&wanted).await.unwrap();
    assert_eq!(created.inbox.as_ref().unwrap().local(), "utrecht");
    assert_eq!(created.types, wanted.types);
    assert_eq!(created.filters, wanted.filters);
    assert!(created.created_at.is_some());

    assert_eq!(client.get_subscription(&wanted.name).await.unwrap(), created);
    let other = Subscription::new(name("utrecht"));
    let refused = client.create_subscription(&other).await.unwrap_err();
    assert_eq!(reason(&refused), "SUBSCRIPTION_EXISTS");

    client.delete_subscription(&wanted.name).await.unwrap();
    let refused = client.get_subscription(&wanted.name).await.unwrap_err();
    assert_eq!(reason(&refused), "UNKNOWN_SUBSCRIPTION");
    let refused = client.delete_subscription(&wanted.name).await.unwrap_err();
    assert!(!refused.is_retryable());
}

#[tokio::test]
async fn subjects_are_followed_and_no_longer() {
    let peer = Peer::start().await;
    let client = peer.client();
    let follows = Subscription { follows_subjects: true, ..Subscription::new(name("klanten")) };
    let created = client.create_subscription(&follows).await.unwrap();
    assert!(created.follows_subjects);
    // A call that is repeated changes nothing more.
    peer.state.failures.lock().unwrap().push_back(bus_unavailable());
    let subjects = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let followed = client.follow_subjects(&follows.name, subjects(&["1", "2"]), vec![]).await;
    assert_eq!(followed.unwrap(), Followed { added: 2, removed: 0, total: 2 });
    let followed = client.follow_subjects(&follows.name, subjects(&["2", "3"]), subjects(&["1"]));
    assert_eq!(followed.await.unwrap(), Followed { added: 1, removed: 1, total: 2 });
    let refused = client.follow_subjects(&name("geen"), subjects(&["1"]), vec![]).await;
    assert_eq!(reason(&refused.unwrap_err()), "UNKNOWN_SUBSCRIPTION");
}

#[tokio::test]
async fn listings_go_over_all_pages() {
    let peer = Peer::start().await;
    let client = peer.client();
    for number in 0..10 {
        let subscription = Subscription::new(name(&format!("s{number}")));
        client.create_subscription(&subscription).await.unwrap();
    }
    // In the middle of a listing, too, a call is repeated.
    peer.state.failures.lock().unwrap().push_back(bus_unavailable());

    let listed = client.list_subscriptions().all().await.unwrap();
    let locals: Vec<&str> = listed.iter().map(|one| one.name.local()).collect();
    let expected: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    assert_eq!(locals, expected);

    let mut inboxes = client.list_inboxes();
    let first = inboxes.next().await.unwrap().unwrap();
    assert_eq!(first.name.local(), "s0");
    assert_eq!((first.depth, first.delayed, first.in_flight), (7, 2, 1));
    assert_eq!(first.oldest_age, Some(Duration::from_millis(1_500)));
    let rest: Vec<_> = inboxes.try_collect().await.unwrap();
    assert_eq!(rest.len(), 9);
}

#[tokio::test]
async fn dead_letters_are_listed_and_redriven() {
    let peer = Peer::start().await;
    let client = peer.client();
    for id in ["a", "b", "c", "d", "e"] {
        peer.state.managed.lock().unwrap().add_dead_letter(id);
    }
    let inbox: InboxName = INBOX.parse().unwrap();

    let letters = client.list_dead_letters(&inbox).all().await.unwrap();
    assert_eq!(letters.len(), 5);
    assert_eq!(letters[0].dead_letter_id, "a");
    assert_eq!(letters[0].publisher.as_str(), PARTY);
    assert_eq!(letters[0].reason, "unreadable");
    let state = client.get_inbox(&inbox).await.unwrap();
    let receiver = &state.receivers[0];
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    assert_eq!((receiver.party.as_str(), receiver.since), (PARTY, since));
    assert_eq!((receiver.credit, receiver.in_hand, receiver.settled_at), (100, 3, None));
    assert_eq!(state.dead_letters, 5);
    assert_eq!(state.settings.max_attempts, None);
    assert_eq!(state.in_effect.and_then(|settings| settings.max_attempts), Some(20));

    let before = &letters[0].history[0];
    assert_eq!((before.number, before.reason.as_str(), before.before_redrive), (2, "busy", true));

    let these = Which::These(vec!["a".to_owned(), "gone".to_owned()]);
    assert_eq!(client.redrive(&inbox, these).await.unwrap(), 1);
    let these = Which::These(vec!["b".to_owned()]);
    assert_eq!(client.purge_dead_letters(&inbox, these).await.unwrap(), 1);
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::clone(&told);
    let redrive = client.redrive(&inbox, Which::All).to(&inbox).per_second(10);
    let redrive = redrive.on_progress(move |count| progress.lock().unwrap().push(count));
    assert_eq!(redrive.await.unwrap(), 3);
    assert_eq!(*told.lock().unwrap(), [1, 3]);
    for none in [Which::These(Vec::new()), Which::Matching(Vec::new())] {
        let refused = client.redrive(&inbox, none.clone()).await;
        assert!(matches!(refused, Err(ClientError::InvalidArgument { .. })));
        let refused = client.purge_dead_letters(&inbox, none).await;
        assert!(matches!(refused, Err(ClientError::InvalidArgument { .. })));
    }

    let other: InboxName = format!("{PARTY}.other").parse().unwrap();
    let refused = client.list_dead_letters(&other).all().await.unwrap_err();
    assert_eq!(reason(&refused), "UNKNOWN_INBOX");
}

#[tokio::test]
async fn what_is_not_settled_is_listed() {
    let peer = Peer::start().await;
    let client = peer.client();
    let inbox: InboxName = INBOX.parse().unwrap();
    let listed = client.list_deliveries(&inbox, 100).await.unwrap();
    let due = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    let states: Vec<DeliveryState> = listed.iter().map(|one| one.state).collect();
    let expected = [DeliveryState::InFlight, DeliveryState::Ready, DeliveryState::Delayed(due)];
    assert_eq!(states, expected);
    assert_eq!((listed[0].attempt, listed[0].size), (2, 120));
    assert_eq!(client.list_deliveries(&inbox, 1).await.unwrap().len(), 1);
    let other: InboxName = format!("{PARTY}.other").parse().unwrap();
    let refused = client.list_deliveries(&other, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "UNKNOWN_INBOX");
}

#[tokio::test]
async fn the_status_is_read() {
    let peer = Peer::start().await;
    let status = peer.client().status().await.unwrap();
    assert_eq!((status.version.as_str(), status.bus.as_str()), ("0.1.0", "embedded"));
    assert!(status.ready);
    assert_eq!(status.uptime, Duration::from_secs(61));
    assert_eq!((status.subscriptions, status.inboxes), (0, 1));
}

#[tokio::test]
async fn a_replay_tells_how_far_it_is() {
    let peer = Peer::start().await;
    let inbox: InboxName = INBOX.parse().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::clone(&told);
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let replay = peer.client().replay(&inbox).from(from).types(["nl.brp.geboorte"]);
    let replay = replay.on_progress(move |so_far| progress.lock().unwrap().push(so_far.replayed));
    let done = replay.await.unwrap();
    assert_eq!((done.examined, done.replayed, done.reached), (9, 2, Some(from)));
    assert_eq!(*told.lock().unwrap(), [1, 2]);
}

#[tokio::test]
async fn records_are_listed_over_pages_without_any() {
    let peer = Peer::start().await;
    let query = RecordQuery { inbox: Some(INBOX.parse().unwrap()), ..RecordQuery::default() };
    let records = peer.client().list_records(query).all().await.unwrap();
    let found: Vec<_> = records.iter().map(|one| (one.sequence, one.inbox.as_deref())).collect();
    assert_eq!(found, [(9, Some(INBOX)), (2, Some(INBOX))]);
    assert_eq!(records[0].detail, None);
}

#[tokio::test]
async fn the_catalogue_comes_in_parts() {
    let peer = Peer::start().await;
    let files = peer.client().catalogue_files().await.unwrap();
    let files: Vec<_> = files.iter().map(|one| (&*one.name, &*one.text)).collect();
    assert_eq!(files, [("a.toml", ""), ("b.toml", "een twee")]);
}

#[tokio::test]
async fn what_is_kept_is_told_by_type_with_progress() {
    let peer = Peer::start().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::clone(&told);
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let survey = peer.client().survey_archive().from(from).until(from + Duration::from_secs(60));
    let survey = survey.types(["nl.brp.geboorte"]);
    let kept = survey.on_progress(move |seen| progress.lock().unwrap().push(seen)).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [250, 300]);
    assert_eq!((kept.len(), kept[0].event_type.as_str()), (1, "nl.brp.geboorte"));
    assert_eq!((kept[0].messages, kept[0].bytes), (2, 600));
    assert_eq!((kept[0].first_at, kept[0].last_at), (from, from + Duration::from_secs(60)));
}
