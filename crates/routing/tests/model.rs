//! The router, held against a scan of all subscriptions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_message::{Event, EventView};
use wissel_routing::{Alternative, Router};

const TYPES: [&str; 3] = ["nl.brp.geboorte", "nl.brp.verhuizing", "nl.bag.pand"];
const ATTRIBUTES: [&str; 3] = ["subject", "gemeente", "type"];
const VALUES: [&str; 5] = ["1", "12", "2", "nl.brp.geboorte", "nl."];

#[derive(Debug, Clone)]
enum Change {
    Insert { name: u8, types: Vec<&'static str>, filters: Vec<Filter>, target: u8 },
    Remove { name: u8 },
}

fn filter() -> impl Strategy<Value = Filter> {
    let one = (prop::sample::select(&ATTRIBUTES[..]), prop::sample::select(&VALUES[..]));
    (any::<bool>(), vec(one, 1..3)).prop_map(|(exact, values)| {
        let values: BTreeMap<String, String> =
            values.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if exact { Filter::Exact(values) } else { Filter::Prefix(values) }
    })
}

fn change() -> impl Strategy<Value = Change> {
    let types = vec(prop::sample::select(&TYPES[..]), 0..3);
    let insert = (0..12_u8, types, vec(filter(), 0..3), 0..4_u8)
        .prop_map(|(name, types, filters, target)| Change::Insert { name, types, filters, target });
    prop_oneof![3 => insert, 1 => (0..12_u8).prop_map(|name| Change::Remove { name })]
}

fn event() -> impl Strategy<Value = EventView> {
    let value = || prop::option::of(prop::sample::select(&VALUES[..]));
    (prop::sample::select(&TYPES[..]), value(), value()).prop_map(
        |(event_type, subject, gemeente)| {
            let mut event = Event::builder("1", "/s", event_type);
            if let Some(subject) = subject {
                event = event.subject(subject);
            }
            if let Some(gemeente) = gemeente {
                event = event.extension("gemeente", gemeente);
            }
            EventView::decode(event.build().unwrap().encode()).unwrap()
        },
    )
}

fn name(number: u8) -> SubscriptionName {
    format!("00000001002220647000.s{number}").parse().unwrap()
}

proptest! {
    #[test]
    fn the_index_finds_what_a_scan_finds(changes in vec(change(), 0..30), events in vec(event(), 1..8)) {
        let router = Router::default();
        let mut model: BTreeMap<u8, (Vec<String>, Vec<Filter>, u8)> = BTreeMap::new();
        let empty = router.snapshot();
        for change in changes {
            match change {
                Change::Insert { name: number, types, filters, target } => {
                    let types: Vec<String> = types.into_iter().map(String::from).collect();
                    router.insert(&name(number), &types, &filters, target);
                    model.insert(number, (types, filters, target));
                }
                Change::Remove { name: number } => {
                    prop_assert_eq!(router.remove(&name(number)), model.remove(&number).is_some());
                }
            }
        }
        prop_assert_eq!(router.len(), model.len());
        prop_assert!(empty.is_empty());
        for event in events {
            let mut found = Vec::new();
            router.snapshot().route(&event, &mut found);
            let all_found = found.len();
            found.sort_unstable();
            found.dedup();
            prop_assert_eq!(found.len(), all_found, "a target came twice");
            let mut expected: Vec<u8> = model
                .values()
                .filter(|(types, filters, _)| {
                    (types.is_empty() || types.iter().any(|wanted| wanted == event.event_type()))
                        && filters.iter().all(|filter| filter.matches(&event))
                })
                .map(|(_, _, target)| *target)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(found, expected);
        }
    }
}

fn plain_event(event_type: &str, more: &[(&str, &str)]) -> EventView {
    let event = Event::builder("1", "/s", event_type);
    let event = more.iter().fold(event, |event, (name, value)| event.extension(*name, *value));
    EventView::decode(event.build().unwrap().encode()).unwrap()
}

#[test]
fn a_popular_type_grows_and_shrinks() {
    let router = Router::default();
    // Twice the type: the subscription still counts once.
    let types = [TYPES[0].to_owned(), TYPES[0].to_owned()];
    let event = plain_event(TYPES[0], &[]);
    let route = || {
        let mut found = Vec::new();
        router.snapshot().route(&event, &mut found);
        found.sort_unstable();
        found
    };
    for number in 0..50 {
        router.insert(&name(number), &types, &[], number);
        assert_eq!(route(), (0..=number).collect::<Vec<_>>());
    }
    for number in 0..50 {
        assert!(router.remove(&name(number)));
        assert_eq!(route(), (number + 1..50).collect::<Vec<_>>());
    }
}

#[test]
fn many_shapes_and_few_attributes_match_alike() {
    let router = Router::default();
    for number in 0..60_u8 {
        let values = BTreeMap::from([(format!("a{number}"), "x".to_owned())]);
        router.insert(&name(number), &[], &[Filter::Exact(values)], number);
    }
    let event = plain_event("t", &[("a3", "x"), ("a5", "y"), ("a59", "x"), ("b", "x")]);
    let mut found = Vec::new();
    router.snapshot().route(&event, &mut found);
    found.sort_unstable();
    assert_eq!(found, [3, 59]);
}

#[test]
fn each_target_comes_once_and_what_was_there_stays() {
    let router = Router::default();
    for number in 0..200_u8 {
        router.insert(&name(number), &[], &[], number % 40);
    }
    let mut targets = vec![7, 7];
    router.snapshot().route(&plain_event("t", &[]), &mut targets);
    assert_eq!(targets[..2], [7, 7]);
    targets.drain(..2);
    targets.sort_unstable();
    assert_eq!(targets, (0..40).collect::<Vec<_>>());
}

#[test]
fn no_value_is_shown() {
    let router = Router::default();
    let values = BTreeMap::from([("subject".to_owned(), "999990019".to_owned())]);
    router.insert(&name(1), &[], &[Filter::Exact(values)], 1);
    let shown = format!("{router:?} {:?}", router.snapshot());
    assert!(shown.contains("subscriptions: 1"), "{shown}");
    assert!(!shown.contains("999990019"), "{shown}");
}

#[test]
fn a_subscription_matches_what_any_of_its_alternatives_matches() {
    let exact = |value: &str| Filter::Exact(BTreeMap::from([("gemeente".into(), value.into())]));
    let (utrecht, zwolle) = (exact("1"), exact("2"));
    let router = Router::default();
    let alternatives = [
        Alternative { types: &["nl.brp.geboorte"], filters: &[&utrecht], target: 7 },
        Alternative { types: &["nl.bag.pand"], filters: &[&zwolle], target: 7 },
    ];
    router.change(|changes| changes.put(&name(1), alternatives));
    let matches = |event_type: &str, gemeente: &str| {
        let event = Event::builder("1", "/s", event_type).extension("gemeente", gemeente);
        let view = EventView::decode(event.build().unwrap().encode()).unwrap();
        let mut found = Vec::new();
        router.snapshot().route(&view, &mut found);
        found == [7]
    };
    assert!(matches("nl.brp.geboorte", "1") && matches("nl.bag.pand", "2"));
    assert!(!matches("nl.brp.geboorte", "2") && !matches("nl.bag.pand", "1"));
    assert_eq!(router.len(), 1);
    router.change(|changes| changes.put(&name(1), []));
    assert!(!matches("nl.brp.geboorte", "1"));
    assert!(router.is_empty());
    router.change(|changes| changes.put(&name(1), alternatives));
    assert!(router.remove(&name(1)) && !matches("nl.bag.pand", "2"));
}
