//! What the router does at its edges.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_message::{Event, EventView};
use wissel_routing::{Alternative, Filed, Router};

fn name(number: u32) -> SubscriptionName {
    format!("00000001002220647000.s{number}").parse().unwrap()
}

fn exact(attribute: &str, value: &str) -> Filter {
    Filter::Exact(BTreeMap::from([(attribute.into(), value.into())]))
}

fn event(event_type: &str, more: &[(&str, &str)]) -> EventView {
    let event = Event::builder("1", "/s", event_type);
    let event = more.iter().fold(event, |event, (name, value)| event.extension(*name, *value));
    EventView::decode(event.build().unwrap().encode()).unwrap()
}

fn route(router: &Router<u32>, event: &EventView) -> Vec<u32> {
    let mut found = Vec::new();
    router.snapshot().route(event, &mut found);
    found.sort_unstable();
    found
}

#[test]
fn a_popular_type_grows_and_shrinks() {
    let router = Router::default();
    // Twice the type: the subscription still counts once.
    let types = ["nl.brp.geboorte".to_owned(), "nl.brp.geboorte".to_owned()];
    let event = event("nl.brp.geboorte", &[]);
    for number in 0..50 {
        router.insert(&name(number), &types, &[], number).unwrap();
        assert_eq!(route(&router, &event), (0..=number).collect::<Vec<_>>());
    }
    for number in 0..50 {
        assert!(router.remove(&name(number)));
        assert_eq!(route(&router, &event), (number + 1..50).collect::<Vec<_>>());
    }
    assert!(router.is_empty());
}

#[test]
fn nobody_makes_messages_slow_by_asking_for_many_attributes() {
    let router = Router::default();
    for number in 0..500 {
        let filter = exact(&format!("a{number}"), "x");
        router.insert(&name(number), &["t".to_owned()], &[filter], number).unwrap();
    }
    let event = event("t", &[("a3", "x"), ("a5", "y"), ("a59", "x"), ("a499", "x"), ("b", "x")]);
    assert_eq!(route(&router, &event), [3, 59, 499]);
    for number in (0..500).rev() {
        assert!(router.remove(&name(number)));
    }
    assert_eq!(route(&router, &event), [0_u32; 0]);
}

#[test]
fn nobody_makes_changes_or_messages_slow_by_asking_for_much() {
    // Counted in places and not in time: a busy machine is no failure.
    let router: Router<u32> = Router::default();
    let types: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    let wide: Vec<Filter> = (0..1_000).map(|number| exact(&format!("b{number}"), "1")).collect();
    let any = Filter::Any(wide.clone());
    let filed = router.explain(&types, std::slice::from_ref(&any)).unwrap();
    let Filed::Under { places, .. } = filed else { panic!("it can match") };
    let expected: Vec<String> = types.iter().map(|one| format!("type = {one}")).collect();
    assert_eq!(places.len(), expected.len(), "a thousand kinds of look-up are none");
    assert!(places.iter().all(|place| expected.contains(place)), "{places:?}");
    // A thousand conditions at once: a few of them are weighed, and few in pairs.
    router.insert(&name(1), &types, &wide, 1).unwrap();
    router.insert(&name(2), &types, &[any], 2).unwrap();
    assert_eq!(route(&router, &event("t3", &[("b7", "1")])), [2]);
    let all: Vec<(String, &str)> = (0..200).map(|number| (format!("b{number}"), "1")).collect();
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    router.insert(&name(3), &types, &wide[..200], 3).unwrap();
    assert_eq!(route(&router, &event("t3", &all)), [2, 3]);
}

#[test]
fn subjects_are_found_fast_whatever_others_ask_for() {
    let router: Router<u32> = Router::default();
    for number in 0..100 {
        let filter = exact(&format!("a{number}"), "x");
        router.insert(&name(number), &["t".to_owned()], &[filter], number).unwrap();
    }
    let filed = router.explain(&["t".to_owned()], &[exact("subject", "1")]).unwrap();
    let Filed::Under { places, left, .. } = filed else { panic!("it can match") };
    assert_eq!((places, left.len()), (vec!["type = t and subject = 1".to_owned()], 0));
}

#[test]
fn what_rests_keeps_whom_it_follows() {
    let router: Router<u32> = Router::default();
    let follows = Alternative { types: &["t"], filters: &[], followed: true, target: 1 };
    router.change(|changes| changes.put(&name(1), [follows])).unwrap();
    router.change(|changes| changes.follow(&name(1), router.subject_mark("1")));
    assert!(router.change(|changes| changes.rest(&name(1))));
    let event = event("t", &[("subject", "1")]);
    assert_eq!(route(&router, &event), [0_u32; 0]);
    router.change(|changes| changes.put(&name(1), [follows])).unwrap();
    assert_eq!(route(&router, &event), [1]);
}

#[test]
fn each_target_comes_once_and_what_was_there_stays() {
    let router = Router::default();
    for number in 0..200 {
        router.insert(&name(number), &[], &[], number % 40).unwrap();
    }
    let mut targets = vec![7, 7];
    router.snapshot().route(&event("t", &[]), &mut targets);
    assert_eq!(targets[..2], [7, 7]);
    targets.drain(..2);
    targets.sort_unstable();
    assert_eq!(targets, (0..40).collect::<Vec<_>>());
}

#[test]
fn no_value_is_shown() {
    let router = Router::default();
    router.insert(&name(1), &[], &[exact("subject", "999990019")], 1).unwrap();
    let shown = format!("{router:?} {:?}", router.snapshot());
    assert!(shown.contains("subscriptions: 1"), "{shown}");
    assert!(!shown.contains("999990019"), "{shown}");
}

#[test]
fn a_subscription_matches_what_any_of_its_alternatives_matches() {
    let (utrecht, zwolle) = (exact("gemeente", "0344"), exact("gemeente", "0193"));
    let router = Router::default();
    let alternatives = [
        Alternative {
            types: &["nl.brp.geboorte"],
            filters: &[&utrecht],
            followed: false,
            target: 7,
        },
        Alternative { types: &["nl.bag.pand"], filters: &[&zwolle], followed: false, target: 7 },
    ];
    let matches = |event_type: &str, gemeente: &str| {
        route(&router, &event(event_type, &[("gemeente", gemeente)])) == [7]
    };
    router.change(|changes| changes.put(&name(1), alternatives)).unwrap();
    assert!(matches("nl.brp.geboorte", "0344") && matches("nl.bag.pand", "0193"));
    assert!(!matches("nl.brp.geboorte", "0193") && !matches("nl.bag.pand", "0344"));
    assert_eq!(router.len(), 1);
    router.change(|changes| changes.put(&name(1), [])).unwrap();
    assert!(!matches("nl.brp.geboorte", "0344"));
    assert!(router.is_empty());
    router.change(|changes| changes.put(&name(1), alternatives)).unwrap();
    assert!(router.remove(&name(1)) && !matches("nl.bag.pand", "0193"));
}

#[test]
fn a_filter_that_cannot_be_used_changes_nothing() {
    let router = Router::default();
    router.insert(&name(1), &[], &[exact("a", "x")], 1).unwrap();
    let bad = Filter::Sql("a = ".to_owned());
    router.insert(&name(1), &[], &[bad], 2).unwrap_err();
    assert_eq!(route(&router, &event("t", &[("a", "x")])), [1]);
}

#[test]
fn a_set_of_subjects_changes_all_day() {
    let router = Router::default();
    let types = ["nl.brp.geboorte"];
    let follows = |target| Alternative { types: &types, filters: &[], followed: true, target };
    for number in 0..3 {
        router.change(|changes| changes.put(&name(number), [follows(number)])).unwrap();
        router.change(|changes| {
            for subject in 0..5_000 {
                assert!(
                    changes.follow(&name(number), router.subject_mark(&format!("{subject:09}")))
                );
            }
        });
    }
    let born = |subject: &str| route(&router, &event("nl.brp.geboorte", &[("subject", subject)]));
    assert_eq!(born("000004999"), [0, 1, 2]);
    assert_eq!(born("000005000"), [0_u32; 0]);
    assert_eq!(
        route(&router, &event("nl.brp.overlijden", &[("subject", "000000001")])),
        [0_u32; 0]
    );

    let unfollow = |number, subject: &str| {
        router.change(|changes| changes.unfollow(&name(number), router.subject_mark(subject)))
    };
    assert!(unfollow(1, "000000007") && !unfollow(1, "000000007"));
    assert_eq!(born("000000007"), [0, 2]);

    // One that is put again keeps its set; one that is taken out forgets it.
    router.change(|changes| changes.put(&name(0), [follows(10)])).unwrap();
    assert_eq!(born("000000007"), [2, 10]);
    assert!(router.remove(&name(2)));
    assert_eq!(born("000000007"), [10]);
    router.change(|changes| changes.put(&name(2), [follows(2)])).unwrap();
    assert_eq!(born("000000007"), [10]);
}
