//! The router, held against a scan of all subscriptions: random filters in every dialect,
//! random messages, random changes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_message::EventView;
use wissel_routing::{Alternative, Router, Table};

use crate::random::{alternatives, event, filter, subject};

type Target = u16;

/// A subscription, and what it follows.
#[derive(Debug, Default)]
struct Known {
    alternatives: Vec<random::Asked>,
    followed: BTreeSet<String>,
}

/// What the router is to do, done the plain way.
#[derive(Debug, Default)]
struct Model(BTreeMap<u16, Known>);

impl Model {
    fn route(&self, event: &EventView) -> Vec<Target> {
        let matches = |known: &Known, asked: &random::Asked| {
            let type_wanted = asked.types.is_empty() || asked.types.contains(&event.event_type());
            let subject = event.subject().unwrap_or_default();
            type_wanted
                && asked.filters.iter().all(|filter| filter.matches(event))
                && (!asked.followed || known.followed.contains(subject))
        };
        let found = self.0.values().flat_map(|known| {
            known
                .alternatives
                .iter()
                .filter(|asked| matches(known, asked))
                .map(|asked| asked.target)
        });
        let found: BTreeSet<Target> = found.collect();
        found.into_iter().collect()
    }
}

fn name(number: u16) -> SubscriptionName {
    format!("00000001002220647000.s{number}").parse().unwrap()
}

fn route(table: &Table<Target>, event: &EventView) -> Vec<Target> {
    let mut found = Vec::new();
    table.route(event, &mut found);
    let all = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), all, "a target came twice");
    found
}

/// One random change to both.
fn change(random: &mut SmallRng, names: u16, router: &Router<Target>, model: &mut Model) {
    let number = random.random_range(0..names);
    match random.random_range(0..10) {
        0..6 => {
            let asked = alternatives(random);
            let kept: Vec<(Vec<&Filter>, &random::Asked)> =
                asked.iter().map(|asked| (asked.filters.iter().collect(), asked)).collect();
            let given = kept.iter().map(|(filters, asked)| Alternative {
                types: &asked.types,
                filters,
                followed: asked.followed,
                target: asked.target,
            });
            router.change(|changes| changes.put(&name(number), given)).unwrap();
            model.0.entry(number).or_default().alternatives = asked;
        }
        6..8 => {
            let one = subject(random);
            let followed = &mut model.0.entry(number).or_default().followed;
            let add = random.random_bool(0.7);
            let key = router.subject_mark(&one);
            let changed = router.change(|changes| {
                if add {
                    changes.follow(&name(number), key)
                } else {
                    changes.unfollow(&name(number), key)
                }
            });
            assert_eq!(changed, if add { followed.insert(one) } else { followed.remove(&one) });
        }
        _ => {
            let was = model.0.remove(&number).is_some_and(|known| !known.alternatives.is_empty());
            // One that can match nothing is not in force.
            let removed = router.remove(&name(number));
            assert!(was || !removed);
        }
    }
}

/// Plays one game of changes and messages.
fn play(seed: u64, names: u16, turns: usize) -> usize {
    let mut random = SmallRng::seed_from_u64(seed);
    let router = Router::default();
    let mut model = Model::default();
    let mut matched = 0;
    let mut earlier: Option<(Arc<Table<Target>>, EventView, Vec<Target>)> = None;
    for turn in 0..turns {
        for _ in 0..random.random_range(0..4) {
            change(&mut random, names, &router, &mut model);
        }
        let event = event(&mut random);
        let table = router.snapshot();
        let (found, expected) = (route(&table, &event), model.route(&event));
        assert_eq!(found, expected, "seed {seed}, turn {turn}");
        matched += found.len();
        if let Some((table, event, expected)) = &earlier {
            assert_eq!(&route(table, event), expected, "seed {seed}: a snapshot changed");
        }
        if turn % 16 == 0 {
            earlier = Some((table, event, found));
        }
    }
    matched
}

#[test]
fn the_index_finds_what_a_scan_finds() {
    // Few subscriptions, so that each kind of place is begun and ended again and again.
    let matched: usize = (0..400).map(|seed| play(seed, 12, 60)).sum();
    assert!(matched > 10_000, "the game is worth playing: {matched}");
}

#[test]
fn crowds_are_found_as_well() {
    // Many, so that places are crowded and share what is left to check.
    let matched: usize = (1_000..1_012).map(|seed| play(seed, 900, 1_500)).sum();
    assert!(matched > 100_000, "the game is worth playing: {matched}");
}

/// Whether what the index takes out of a filter says the same as the filter.
#[test]
fn conditions_hold_when_their_filter_matches() {
    let mut random = SmallRng::seed_from_u64(7);
    let mut held = 0_u32;
    for _ in 0..60_000 {
        let filter = filter(&mut random, 0);
        let condition = filter.compile().unwrap();
        for _ in 0..4 {
            let event = event(&mut random);
            let holds = condition.holds(&wissel_filter::EventFacts::new(&event));
            assert_eq!(
                holds,
                filter.matches(&event),
                "{}",
                serde_json::to_string(&filter).unwrap()
            );
            held += u32::from(holds);
        }
    }
    assert!(held > 10_000, "{held}");
}
