//! Which messages a slice certainly does not know, in memory.
//!
//! Nearly every message is new, and there are several slices with several tables each: to
//! ask the engine's own filters takes microseconds. One filter a slice takes some
//! nanoseconds, and one line of the processor's cache.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Identity;

/// The least number of bits for each message; up to twice as many, as there are powers of
/// two of blocks. About one new message of 300 is taken for a known one.
const BITS_PER_UNIT: u64 = 12;

const WORDS_PER_BLOCK: usize = 8;
const BITS_PER_BLOCK: u64 = 64 * WORDS_PER_BLOCK as u64;

/// A Bloom filter in blocks: a message has one bit in each word of one block.
pub(crate) struct Filter {
    /// A power of two of them.
    blocks: Box<[Block]>,
    complete: AtomicBool,
}

#[derive(Default)]
#[repr(align(64))]
struct Block([AtomicU64; WORDS_PER_BLOCK]);

impl Filter {
    /// A filter for so many messages, to which all that the slice knows must still be
    /// added, and [`Filter::complete`] be said.
    pub(crate) fn for_units(units: u64) -> Self {
        let count = (units.saturating_mul(BITS_PER_UNIT) / BITS_PER_BLOCK).max(1);
        let count = usize::try_from(count.next_power_of_two()).unwrap_or(1);
        let blocks = (0..count).map(|_| Block::default()).collect();
        Self { blocks, complete: AtomicBool::new(false) }
    }

    /// Everything that the slice knows was added.
    pub(crate) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, identity: Identity) {
        for (word, bit) in self.block(identity).0.iter().zip(bits(identity)) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether the slice may know the message: true of all that it knows.
    pub(crate) fn may_know(&self, identity: Identity) -> bool {
        // Asked first: what was added by then is seen below.
        let complete = self.is_complete();
        let words = self.block(identity).0.iter().zip(bits(identity));
        // All words, as they are at hand together: no branch for each.
        let lacking =
            words.fold(0, |lacking, (word, bit)| lacking | (bit & !word.load(Ordering::Relaxed)));
        lacking == 0 || !complete
    }

    /// The same for fewer messages than it was made for, in less memory; none when that
    /// saves nothing.
    pub(crate) fn shrunk_to(&self, units: u64) -> Option<Self> {
        let smaller = Self::for_units(units);
        if !self.is_complete() || smaller.blocks.len() >= self.blocks.len() {
            return None;
        }
        for (index, block) in self.blocks.iter().enumerate() {
            // A block is found by the last bits of the identity, of which fewer are left.
            let other = &smaller.blocks[index & (smaller.blocks.len() - 1)];
            for (word, other) in block.0.iter().zip(&other.0) {
                other.fetch_or(word.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        smaller.complete();
        Some(smaller)
    }

    fn block(&self, identity: Identity) -> &Block {
        let last = usize::try_from(identity.last_bits() & u64::from(u32::MAX)).unwrap_or_default();
        &self.blocks[last & (self.blocks.len() - 1)]
    }
}

/// One bit of each word, by six bits of the identity that have no part in finding the block.
fn bits(identity: Identity) -> impl Iterator<Item = u64> {
    let first = identity.first_bits();
    (0..WORDS_PER_BLOCK).map(move |word| 1 << ((first >> (6 * word)) & 63))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::IdentityKey;

    fn identities(from: u32, count: u32) -> Vec<Identity> {
        let key = IdentityKey::of(b"0123456789abcdef");
        let publisher = "00000099000000001000".parse().unwrap();
        (from..from + count).map(|number| key.hash(&publisher, "/s", &number.to_string())).collect()
    }

    fn share_of_new_that_may_be_known(filter: &Filter) -> f64 {
        let new = identities(1_000_000, 50_000);
        let found = new.iter().filter(|identity| filter.may_know(**identity)).count();
        f64::from(u32::try_from(found).unwrap()) / 50_000.0
    }

    #[test]
    fn all_that_is_known_may_be_known_and_hardly_anything_else() {
        let known = identities(0, 20_000);
        let filter = Filter::for_units(20_000);
        known.iter().for_each(|identity| filter.add(*identity));
        assert_eq!(
            share_of_new_that_may_be_known(&filter).total_cmp(&1.0),
            std::cmp::Ordering::Equal
        );
        filter.complete();
        assert!(known.iter().all(|identity| filter.may_know(*identity)));
        assert!(share_of_new_that_may_be_known(&filter) < 0.01);
    }

    #[test]
    fn a_shrunk_filter_knows_the_same() {
        let known = identities(0, 20_000);
        let filter = Filter::for_units(1_000_000);
        known.iter().for_each(|identity| filter.add(*identity));
        assert!(filter.shrunk_to(20_000).is_none(), "it is not complete");
        filter.complete();
        let shrunk = filter.shrunk_to(20_000).unwrap();
        assert!(shrunk.blocks.len() <= 1_024, "{}", shrunk.blocks.len());
        assert!(known.iter().all(|identity| shrunk.may_know(*identity)));
        assert!(share_of_new_that_may_be_known(&shrunk) < 0.01);
        assert!(shrunk.shrunk_to(20_000).is_none());
    }
}
