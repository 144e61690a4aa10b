//! What became durable lately, by identity: a queue, and an index of places in it.
//!
//! Each message is looked up, put in, and in the end taken out again. The index has 4 bytes for
//! each, so that it stays in the processor's cache, and finding the oldest in it does not take
//! looking at any other; the messages themselves lie in the order in which they came.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use wissel_receipts::{Identity, Remembered};

/// Bounded by age and by size: it forgets the oldest.
#[derive(Debug)]
pub(super) struct Recent {
    age: Duration,
    capacity: usize,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// The number of the oldest. Numbers go up by one, and begin again at 0 after the last.
    first: u32,
    /// The numbers of all, by identity.
    index: HashTable<u32>,
    hasher: RandomState,
    /// Of all entries together.
    units: usize,
}

#[derive(Debug)]
struct Entry {
    identity: Identity,
    since: Instant,
    remembered: Remembered,
}

/// How many inboxes of a receipt are one unit of the capacity, after a first unit for the
/// receipt itself.
const INBOXES_PER_UNIT: usize = 8;

impl Recent {
    pub(super) fn new(age: Duration, capacity: usize) -> Self {
        // There are never more entries than units, nor than numbers to tell them apart.
        let capacity = capacity.min(u32::MAX as usize / 2);
        Self {
            age,
            capacity,
            entries: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            hasher: RandomState::default(),
            units: 0,
        }
    }

    /// What is known of a message that is not too old. Nearly all are new: only for the others
    /// it has to know the time.
    pub(super) fn find(
        &self,
        identity: Identity,
        now: impl FnOnce() -> Instant,
    ) -> Option<&Remembered> {
        let entry = |number: u32| &self.entries[number.wrapping_sub(self.first) as usize];
        let hash = self.hasher.hash_one(identity);
        let number = self.index.find(hash, |number| entry(*number).identity == identity)?;
        let entry = entry(*number);
        (!entry.is_older_than(self.age, now())).then_some(&entry.remembered)
    }

    /// Remembers what is not known yet, and forgets what is too old, and the oldest when there
    /// is no room.
    pub(super) fn remember(&mut self, identity: Identity, remembered: Remembered, now: Instant) {
        debug_assert!(self.find(identity, || now).is_none(), "nothing is remembered twice");
        self.forget_older_than_its_age(now);
        let units = units(&remembered);
        while !self.entries.is_empty() && self.units + units > self.capacity {
            self.forget_oldest();
        }
        let Self { entries, first, index, hasher, .. } = self;
        let number = first.wrapping_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        // Two calls may come in another order than their clocks were read.
        let since = entries.back().map_or(now, |youngest| youngest.since.max(now));
        entries.push_back(Entry { identity, since, remembered });
        index.insert_unique(hasher.hash_one(identity), number, |number| {
            hasher.hash_one(entries[number.wrapping_sub(*first) as usize].identity)
        });
        self.units += units;
    }

    fn forget_older_than_its_age(&mut self, now: Instant) {
        let age = self.age;
        while self.entries.front().is_some_and(|oldest| oldest.is_older_than(age, now)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        let hash = self.hasher.hash_one(oldest.identity);
        if let Ok(entry) = self.index.find_entry(hash, |number| *number == self.first) {
            entry.remove();
        }
        self.first = self.first.wrapping_add(1);
        self.units -= units(&oldest.remembered);
    }
}

impl Entry {
    fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > age
    }
}

fn units(remembered: &Remembered) -> usize {
    1 + remembered.inboxes.len() / INBOXES_PER_UNIT
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::SystemTime;

    use wissel_bus::MessageId;
    use wissel_receipts::IdentityKey;

    use super::*;

    struct Made {
        key: IdentityKey,
        recent: Recent,
    }

    impl Made {
        fn new(age: Duration, capacity: usize) -> Self {
            Self { key: IdentityKey::random(), recent: Recent::new(age, capacity) }
        }

        fn identity(&self, number: u64) -> Identity {
            let publisher = "00000099000000001000".parse().unwrap();
            self.key.hash(&publisher, "urn:x", &number.to_string())
        }

        fn remember(&mut self, number: u64, inboxes: usize, now: Instant) -> MessageId {
            let message_id = MessageId::now();
            let inbox = |place| format!("00000099000000001000.inbox-{place}").parse().unwrap();
            let remembered = Remembered {
                message_id,
                admitted_at: SystemTime::UNIX_EPOCH,
                inboxes: (0..inboxes).map(inbox).collect(),
            };
            self.recent.remember(self.identity(number), remembered, now);
            message_id
        }

        fn find(&self, number: u64) -> Option<MessageId> {
            self.find_at(number, Instant::now())
        }

        fn find_at(&self, number: u64, now: Instant) -> Option<MessageId> {
            self.recent.find(self.identity(number), || now).map(|remembered| remembered.message_id)
        }
    }

    #[test]
    fn the_last_ones_are_known_by_what_they_are_and_no_others() {
        const CAPACITY: u64 = 100;
        let mut made = Made::new(Duration::MAX, 100);
        // Numbers begin again at 0 on the way.
        made.recent.first = u32::MAX - 250;
        let mut known = HashMap::new();
        for number in 0..1_000 {
            known.insert(number, made.remember(number, 1, Instant::now()));
            for looked_for in [0, number.saturating_sub(CAPACITY), number / 2, number, number + 1] {
                let is_kept = looked_for <= number && looked_for + CAPACITY > number;
                let expected = known.get(&looked_for).filter(|_| is_kept);
                assert_eq!(made.find(looked_for).as_ref(), expected, "{looked_for} of {number}");
            }
        }
        assert_eq!((made.recent.entries.len(), made.recent.index.len()), (100, 100));
    }

    #[test]
    fn many_inboxes_take_more_room() {
        let mut made = Made::new(Duration::MAX, 4);
        for number in 0..4 {
            made.remember(number, 1, Instant::now());
        }
        made.remember(4, 2 * INBOXES_PER_UNIT, Instant::now());
        assert_eq!(
            (0..5).map(|one| made.find(one).is_some()).collect::<Vec<_>>(),
            [false, false, false, true, true]
        );
        assert_eq!(made.recent.units, 4);
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut made = Made::new(Duration::from_secs(10), 100);
        let begun = Instant::now();
        made.remember(0, 1, begun);
        made.remember(1, 1, begun + Duration::from_secs(5));
        assert!(made.find_at(0, begun + Duration::from_secs(10)).is_some());
        let later = begun + Duration::from_secs(11);
        assert!(made.find_at(0, later).is_none() && made.find_at(1, later).is_some());
        // It can be taken again, and the old one is gone.
        let again = made.remember(0, 1, later);
        assert_eq!(made.find_at(0, later), Some(again));
        assert_eq!((made.recent.entries.len(), made.recent.index.len()), (2, 2));
    }
}
