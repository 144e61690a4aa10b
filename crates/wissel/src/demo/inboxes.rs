use std::ops::{BitAnd, BitOr, BitXor};

/// A set of inboxes by number, from 0 to 255: small, as there is one for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Inboxes([u64; 4]);

impl Inboxes {
    /// How many inboxes are told apart.
    pub(crate) const MAX: usize = 256;

    /// The set of this one.
    pub(crate) fn of(number: usize) -> Self {
        let mut set = Self::default();
        if let Some(part) = set.0.get_mut(number / 64) {
            *part = 1 << (number % 64);
        }
        set
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn len(self) -> u64 {
        self.0.iter().map(|part| u64::from(part.count_ones())).sum()
    }

    fn with(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let mut joined = self;
        for (part, other) in joined.0.iter_mut().zip(other.0) {
            *part = join(*part, other);
        }
        joined
    }
}

impl BitOr for Inboxes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }
}

impl BitAnd for Inboxes {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }
}

impl BitXor for Inboxes {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        self.with(other, |a, b| a ^ b)
    }
}
