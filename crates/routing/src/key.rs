use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use siphasher::sip128::SipHasher13;

/// What stands for a value, or for several values together: 128 bits that nobody outside
/// can steer, as they depend on a secret of this process. Two keys of different values
/// are alike once in 10^38, so the values themselves need not be kept: a table that
/// leads from subjects to inboxes holds no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key([u64; 2]);

/// What stands for a subject that is followed: it tells nothing of the subject to who does
/// not have the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectMark(pub(crate) Key);

/// Makes the keys of texts that are found in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PlaceKeys((u64, u64));

/// Makes keys, with a secret.
#[derive(Clone)]
pub(crate) struct Keys {
    secret: (u64, u64),
}

impl Keys {
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(secret);
        Self { secret: Key::of_bits(bits).halves() }
    }

    /// With a secret that nobody knows, and that ends with the process.
    pub(crate) fn random() -> Self {
        let random = || RandomState::new().hash_one(());
        Self { secret: (random(), random()) }
    }

    /// Makes the keys of texts that are found in one place: an attribute, a field of
    /// `data`. Each place has a secret of its own.
    pub(crate) fn of_place(&self, place: &str) -> PlaceKeys {
        PlaceKeys(hash(self.secret, place))
    }

    /// The key of a text that is found in a place.
    pub(crate) fn of(&self, place: &str, text: &str) -> Key {
        self.of_place(place).of(text)
    }
}

impl PlaceKeys {
    /// The key of a text.
    #[inline]
    pub(crate) fn of(self, text: &str) -> Key {
        let (first, second) = hash(self.0, text);
        Key([first, second])
    }
}

#[inline]
fn hash(secret: (u64, u64), text: &str) -> (u64, u64) {
    let hash = SipHasher13::new_with_keys(secret.0, secret.1).hash(text.as_bytes());
    (hash.h1, hash.h2)
}

/// Any large odd number: multiplication by it loses nothing.
const SPREAD: u128 = 0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9;

impl Key {
    /// The key of something that is known by its number or its place in memory, where
    /// nobody outside chooses those.
    pub(crate) fn of_number(number: usize) -> Self {
        // Spread over the first bits, which is where a map looks.
        Self::of_bits((number as u128 + 1).wrapping_mul(SPREAD))
    }

    pub(crate) fn of_address<T: ?Sized>(one: &Arc<T>) -> Self {
        Self::of_number(Arc::as_ptr(one).cast::<()>().addr())
    }

    /// The key of one value and of all those before it, in this order.
    #[inline]
    pub(crate) fn and(self, next: Self) -> Self {
        Self::of_bits(self.bits().wrapping_mul(SPREAD).wrapping_add(next.bits()))
    }

    /// Six bits of it, by their number from 0 to 19: the way through a tree.
    #[inline]
    pub(crate) fn six_bits(self, number: u32) -> usize {
        let (word, number) =
            if number < 10 { (self.0[0], number) } else { (self.0[1], number - 10) };
        (word << (6 * number) >> 58) as usize
    }

    /// By what items are ordered in a page: all of it, beginning with the bits that lead to
    /// no page but in trees deeper than there is memory for.
    #[inline]
    pub(crate) fn in_page(self) -> (u64, u64) {
        (self.0[1], self.0[0])
    }

    /// Where it is likely to be among so many, in that order.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of items")]
    pub(crate) fn guess(self, count: usize) -> usize {
        ((u128::from(self.0[1]) * count as u128) >> 64) as usize
    }

    #[inline]
    pub(crate) fn bits(self) -> u128 {
        u128::from(self.0[0]) << 64 | u128::from(self.0[1])
    }

    fn halves(self) -> (u64, u64) {
        (self.0[0], self.0[1])
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    pub(crate) const fn of_bits(bits: u128) -> Self {
        // Two words and not one of 128 bits, which would be aligned to 16 bytes.
        Self([(bits >> 64) as u64, bits as u64])
    }
}

impl SubjectMark {
    /// As it may be kept.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.bits().to_be_bytes()
    }

    /// As it was kept.
    #[must_use]
    pub fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(Key::of_bits(u128::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_values_places_and_orders_apart() {
        let keys = Keys::random();
        let [one, other, elsewhere] =
            [("subject", "1"), ("subject", "2"), ("sub", "ject1")].map(|(a, b)| keys.of(a, b));
        assert_eq!(one, keys.of("subject", "1"));
        assert_ne!(one, other);
        assert_ne!(one, elsewhere);
        assert_ne!(one.and(other), other.and(one));
        assert_ne!(Keys::random().of("subject", "1"), one, "each process has its own secret");
    }
}
