//! What this process knows of packs in one inbox that the broker does not.

use std::collections::{HashMap, VecDeque};

use crate::gathering::AT_ONCE;
use crate::pack::PackId;

/// How many packs that were given back are remembered for each inbox. Of older ones,
/// members that were settled come again.
const REMEMBERED_MAX: usize = 4_096;

/// Which members of a pack are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    bits: Box<[u64]>,
    members: usize,
    count: usize,
}

/// A pack that was given back.
struct Remembered {
    settled: Settled,
    /// Whether its messages are in the surplus.
    counted: bool,
}

/// Packs of one inbox.
#[derive(Default)]
pub(crate) struct Marks {
    /// The packs that were given back, half settled or met for the first time.
    given_back: HashMap<PackId, Remembered>,
    /// Their order, oldest first. May name what is no longer remembered.
    order: VecDeque<PackId>,
    /// How many more messages than AMQP messages wait in the queue, of the packs that
    /// this process put there or met. Too low for a moment, when a delivery overtakes
    /// the confirm of its publish.
    surplus: i64,
    /// Whether that is all: the queue was seen empty, and no pack of others was met since.
    knows_all: bool,
    /// AMQP messages that this process put in the queue, less those that came, since then.
    put: i64,
}

impl Marks {
    /// A pack was put in the queue.
    pub(crate) fn published(&mut self, members: usize) {
        self.surplus += surplus_of(members);
        self.put += 1;
    }

    /// A message that travels by itself came out of the queue.
    pub(crate) fn came_alone(&mut self) {
        self.put -= 1;
    }

    /// A pack came out of the queue: which of its members are settled already. `own`:
    /// this bus packed it.
    pub(crate) fn came(&mut self, pack: PackId, members: usize, own: bool) -> Settled {
        self.put -= 1;
        let known = self.given_back.remove(&pack);
        match known.filter(|known| known.settled.members == members) {
            Some(Remembered { settled, counted: true }) => {
                self.surplus -= surplus_of(members - settled.count);
                settled
            }
            known => {
                if own {
                    self.surplus -= surplus_of(members);
                } else {
                    self.knows_all = false;
                }
                known.map_or_else(|| Settled::none_of(members), |known| known.settled)
            }
        }
    }

    /// What is settled of a pack that is in the queue, if that is known.
    pub(crate) fn settled_of(&self, pack: PackId, members: usize) -> Option<Settled> {
        let known = self.given_back.get(&pack)?;
        (known.settled.members == members).then(|| known.settled.clone())
    }

    pub(crate) fn knows(&self, pack: PackId) -> bool {
        self.given_back.contains_key(&pack)
    }

    /// What another process, or this one before, knew of a pack that it gave back. Of
    /// several reports of a pack the latest says most.
    pub(crate) fn learn(&mut self, pack: PackId, settled: Settled) {
        match self.given_back.get_mut(&pack) {
            Some(known) if known.settled.members == settled.members => {
                known.settled.merge(&settled);
            }
            Some(_) => {}
            None => self.remember(pack, Remembered { settled, counted: false }),
        }
    }

    /// A pack goes back into the queue.
    pub(crate) fn goes_back(&mut self, pack: PackId, settled: &Settled) {
        self.surplus += surplus_of(settled.members - settled.count);
        self.put += 1;
        self.remember(pack, Remembered { settled: settled.clone(), counted: true });
    }

    fn remember(&mut self, pack: PackId, remembered: Remembered) {
        if self.given_back.insert(pack, remembered).is_none() {
            self.order.push_back(pack);
        }
        while self.given_back.len() > REMEMBERED_MAX || self.order.len() > 2 * REMEMBERED_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.given_back.remove(&oldest);
        }
    }

    /// A member was settled after its pack went back. Says whether that is remembered.
    pub(crate) fn settled_late(&mut self, pack: PackId, member: usize) -> bool {
        let Some(Remembered { settled, counted }) = self.given_back.get_mut(&pack) else {
            return false;
        };
        let new = settled.settle(member);
        if new && *counted && settled.count < settled.members {
            self.surplus -= 1;
        }
        true
    }

    /// How many messages `ready` AMQP messages are, of packs of so many at most.
    pub(crate) fn messages(&self, ready: u64, members_max: usize) -> u64 {
        let most = ready.saturating_mul((members_max.max(1) - 1) as u64);
        ready + u64::try_from(self.surplus).unwrap_or(0).min(most)
    }

    /// Whether more may wait than [`Marks::messages`] says: packs of others, which count as one.
    pub(crate) fn is_least(&self, ready: u64) -> bool {
        /// Not confirmed, and there.
        const ON_THEIR_WAY: u64 = AT_ONCE as u64;
        let known = u64::try_from(self.put).unwrap_or(0) + ON_THEIR_WAY;
        ready > 0 && (!self.knows_all || ready > known)
    }

    /// The queue is empty.
    pub(crate) fn nothing_is_ready(&mut self) {
        (self.knows_all, self.put) = (true, 0);
    }

    /// The queue is empty, and this process holds nothing of it.
    pub(crate) fn nothing_is_left(&mut self) {
        *self = Self { knows_all: true, ..Self::default() };
    }
}

fn surplus_of(messages: usize) -> i64 {
    i64::try_from(messages.max(1)).unwrap_or(i64::MAX) - 1
}

// === impl Settled ===

impl Settled {
    pub(crate) fn none_of(members: usize) -> Self {
        Self { bits: vec![0; members.div_ceil(64)].into(), members, count: 0 }
    }

    /// Says whether it was not settled before.
    pub(crate) fn settle(&mut self, member: usize) -> bool {
        let new = member < self.members && !self.is_settled(member);
        if new {
            self.bits[member / 64] |= 1 << (member % 64);
            self.count += 1;
        }
        new
    }

    /// Adds what another knew of the same pack.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (word, more) in self.bits.iter_mut().zip(&other.bits) {
            *word |= more;
        }
        self.count = self.bits.iter().map(|word| word.count_ones() as usize).sum();
    }

    pub(crate) fn is_settled(&self, member: usize) -> bool {
        self.bits[member / 64] & (1 << (member % 64)) != 0
    }

    pub(crate) fn is_none(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn all(&self) -> bool {
        self.count == self.members
    }

    pub(crate) fn members(&self) -> usize {
        self.members
    }

    /// A bit for each member, in words.
    pub(crate) fn words(&self) -> &[u64] {
        &self.bits
    }

    /// From as many words as so many members take.
    pub(crate) fn of_words(members: usize, words: &[u64]) -> Self {
        let mut settled = Self::none_of(members);
        for member in 0..members {
            if words[member / 64] & (1 << (member % 64)) != 0 {
                settled.settle(member);
            }
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(number: u64) -> PackId {
        PackId { instance: 7, number }
    }

    #[test]
    fn what_was_settled_is_remembered_and_counted() {
        let mut marks = Marks::default();
        marks.published(100);
        marks.published(10);
        assert_eq!(marks.messages(3, 256), 111, "a single one and two packs");
        let mut settled = marks.came(pack(1), 100, true);
        assert_eq!(marks.messages(2, 256), 11);
        for member in [0, 63, 64, 99] {
            assert!(settled.settle(member));
            assert!(!settled.settle(member));
        }
        marks.goes_back(pack(1), &settled);
        assert_eq!(marks.messages(3, 256), 1 + 10 + 96);
        assert!(marks.settled_late(pack(1), 5));
        assert!(marks.settled_late(pack(1), 5));
        assert!(!marks.settled_late(pack(2), 5), "pack 2 did not go back");
        assert_eq!(marks.messages(3, 256), 1 + 10 + 95);
        let again = marks.came(pack(1), 100, true);
        let expected = [0, 5, 63, 64, 99];
        assert!((0..100).all(|member| again.is_settled(member) == expected.contains(&member)));
        assert_eq!(marks.messages(2, 256), 11);
        assert!(!again.all());
    }

    #[test]
    fn a_pack_of_another_process_counts_when_it_was_met() {
        let mut marks = Marks::default();
        let settled = marks.came(pack(1), 50, false);
        assert_eq!(marks.messages(0, 256), 0);
        marks.goes_back(pack(1), &settled);
        assert_eq!(marks.messages(1, 256), 50);
        marks.came(pack(1), 50, false);
        assert_eq!(marks.messages(0, 256), 0);
    }

    #[test]
    fn reports_of_a_pack_add_up() {
        let mut marks = Marks::default();
        for words in [[0b1], [0b1011], [0b1]] {
            marks.learn(pack(1), Settled::of_words(10, &words));
        }
        assert_eq!(marks.came(pack(1), 10, false), Settled::of_words(10, &[0b1011]));
    }

    #[test]
    fn memory_is_bounded() {
        let mut marks = Marks::default();
        for number in 0..3 * REMEMBERED_MAX as u64 {
            marks.goes_back(pack(number), &Settled::none_of(2));
            if number % 2 == 0 {
                marks.came(pack(number), 2, true);
            }
        }
        assert!(marks.given_back.len() <= REMEMBERED_MAX);
        assert!(marks.order.len() <= 2 * REMEMBERED_MAX);
    }
}
