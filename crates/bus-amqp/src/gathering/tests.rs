use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PACKING: Packing = Packing { messages_max: 4, bytes_max: 100 };

fn target(number: usize) -> Target {
    match number {
        0 => Target::Archive,
        _ => {
            let name = format!("00000099000000001000.i{number}");
            Target::Inbox(name.parse().unwrap())
        }
    }
}

fn targets(numbers: &[usize]) -> Vec<Target> {
    numbers.iter().map(|number| target(*number)).collect()
}

fn members(pack: Option<Pack<u32>>) -> Vec<u32> {
    pack.expect("a pack is ready").members
}

#[test]
fn few_go_at_once_and_the_rest_together() {
    let mut gathering = Gathering::new(PACKING);
    for number in 0..10 {
        assert_eq!(gathering.add(&targets(&[1]), 1, &number), 1);
        if number < 4 {
            assert_eq!(members(gathering.take()), [number]);
        }
    }
    assert!(gathering.take().is_none(), "more than is sent at once");
    gathering.done(&targets(&[1]));
    assert_eq!(members(gathering.take()), [4, 5, 6, 7]);
    assert!(gathering.take().is_none());
    gathering.done(&targets(&[1]));
    assert_eq!(members(gathering.take()), [8, 9]);
}

#[test]
fn another_inbox_does_not_wait() {
    let mut gathering = Gathering::new(PACKING);
    for number in 0..9 {
        gathering.add(&targets(&[1]), 1, &number);
        while gathering.take().is_some() {}
    }
    gathering.add(&targets(&[2]), 1, &100);
    assert_eq!(members(gathering.take()), [100]);
}

#[test]
fn a_mixed_stream_is_packed_by_inbox() {
    let mut gathering = Gathering::new(PACKING);
    for number in 0..4 {
        gathering.add(&targets(&[3]), 1, &number);
        gathering.take().unwrap();
    }
    // Inbox 3 gets everything, 1 and 2 every second one; 3 is busy.
    assert_eq!(gathering.add(&targets(&[1, 3]), 1, &10), 1);
    assert_eq!(gathering.add(&targets(&[2, 3]), 1, &11), 2);
    assert_eq!(gathering.add(&targets(&[1, 3]), 1, &12), 2);
    assert_eq!(gathering.add(&targets(&[2, 3]), 1, &13), 2);
    // Only what is for 2 alone may overtake.
    assert_eq!(members(gathering.take()), [11, 13]);
    assert!(gathering.take().is_none());
    gathering.done(&targets(&[3]));
    assert_eq!(members(gathering.take()), [10]);
    assert_eq!(members(gathering.take()), [12]);
    assert!(gathering.take().is_none());
    gathering.done(&targets(&[3]));
    assert_eq!(members(gathering.take()), [11, 12, 13]);
}

#[test]
fn what_is_large_travels_by_itself() {
    let mut gathering = Gathering::new(PACKING);
    for number in 0..4 {
        gathering.add(&targets(&[1]), 1, &number);
        gathering.take().unwrap();
    }
    for (number, bytes) in [(4, 60), (5, 60), (6, 500), (7, 1)] {
        gathering.add(&targets(&[1]), bytes, &number);
    }
    for expected in [vec![4], vec![5], vec![6], vec![7]] {
        gathering.done(&targets(&[1]));
        assert_eq!(members(gathering.take()), expected);
    }
}

#[test]
fn what_nobody_waits_for_is_forgotten() {
    let mut gathering = Gathering::new(PACKING);
    for number in 0..12 {
        gathering.add(&targets(&[1]), 1, &number);
        if number < 4 {
            gathering.take().unwrap();
        }
    }
    gathering.retain(|number| *number >= 9);
    gathering.done(&targets(&[1]));
    assert_eq!(members(gathering.take()), [9, 10, 11]);
    for _ in 0..4 {
        gathering.done(&targets(&[1]));
    }
    assert!(gathering.lanes.is_empty() && gathering.open.is_empty(), "something is left behind");
}

#[test]
fn a_wide_message_goes_in_several() {
    let mut gathering = Gathering::new(PACKING);
    let wide: Vec<usize> = (1..=TARGETS_MAX + 1).collect();
    assert_eq!(gathering.add(&targets(&wide), 1, &1), 2);
    assert_eq!(gathering.take().unwrap().targets.len(), TARGETS_MAX);
    assert_eq!(gathering.take().unwrap().targets.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        targets: Vec<usize>,
        bytes: usize,
    },
    Take,
    /// Of those under way, which is done.
    Done(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let add = (prop::collection::btree_set(0..6_usize, 1..5), 1..60_usize)
        .prop_map(|(targets, bytes)| Step::Add { targets: targets.into_iter().collect(), bytes });
    let done = any::<prop::sample::Index>().prop_map(Step::Done);
    prop_oneof![4 => add, 2 => Just(Step::Take), 1 => done]
}

/// Checks a pack, and notes what each of its targets got.
fn note(pack: &Pack<u32>, packing: Packing, came: &mut BTreeMap<ShortString, Vec<u32>>) {
    assert!(pack.members.len() <= packing.messages_max, "a pack has too many members");
    for target in &*pack.targets {
        came.entry(target.queue()).or_default().extend(&pack.members);
    }
}

proptest! {
    /// Whatever is added, taken and done: each target gets what is for it, once, in
    /// the order in which it was added, never more than a few packs at a time.
    #[test]
    fn every_target_gets_its_own_in_order(
        steps in prop::collection::vec(step(), 0..300),
        on: bool,
    ) {
        let packing = if on { PACKING } else { Packing::OFF };
        let mut gathering = Gathering::new(packing);
        let mut expected: BTreeMap<ShortString, Vec<u32>> = BTreeMap::new();
        let mut came: BTreeMap<ShortString, Vec<u32>> = BTreeMap::new();
        let mut under_way: Vec<Arc<[Target]>> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Add { targets: numbers, bytes } => {
                    for number in &numbers {
                        let key = target(*number).queue();
                        expected.entry(key).or_default().push(next);
                    }
                    gathering.add(&targets(&numbers), bytes, &next);
                    next += 1;
                }
                Step::Take => {
                    if let Some(pack) = gathering.take() {
                        note(&pack, packing, &mut came);
                        under_way.push(pack.targets);
                    }
                }
                Step::Done(which) if !under_way.is_empty() => {
                    let targets = under_way.swap_remove(which.index(under_way.len()));
                    gathering.done(&targets);
                }
                Step::Done(_) => {}
            }
            for number in 0..6 {
                let target = target(number);
                let busy = under_way.iter().filter(|targets| targets.contains(&target)).count();
                prop_assert!(!on || busy <= AT_ONCE);
            }
        }
        // When everything is confirmed in the end, nothing is left.
        loop {
            while let Some(pack) = gathering.take() {
                note(&pack, packing, &mut came);
                under_way.push(pack.targets);
            }
            let Some(targets) = under_way.pop() else { break };
            gathering.done(&targets);
        }
        prop_assert_eq!(came, expected);
        prop_assert!(gathering.lanes.is_empty() && gathering.open.is_empty());
    }
}
