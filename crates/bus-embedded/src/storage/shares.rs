//! Who still has a message: a count for each message of a pack.

use super::Storage;
use super::keys::{damaged, message_key};
use crate::EmbeddedBusError;

/// How many still have each message of an entry of `messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shares(Vec<u32>);

/// In place of the count of a message that is no longer in its pack.
const GONE: u32 = u32::MAX;

impl Shares {
    /// Of messages that were given to so many each.
    pub(crate) fn of(holders: Vec<u32>) -> Self {
        Self(holders)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|left| left.to_be_bytes()).collect()
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, EmbeddedBusError> {
        match value.as_chunks() {
            (counts, []) if !counts.is_empty() => {
                Ok(Self(counts.iter().map(|left| u32::from_be_bytes(*left)).collect()))
            }
            _ => Err(damaged("shares", "numbers of 4 bytes")),
        }
    }

    /// Of each message; none: it is no longer in its pack.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> Vec<Option<u32>> {
        self.0.iter().map(|left| (*left != GONE).then_some(*left)).collect()
    }

    /// One of those who have this message is done with it.
    pub(crate) fn let_go(&mut self, part: u8) -> Result<(), EmbeddedBusError> {
        let left = self.0.get_mut(usize::from(part)).filter(|left| **left != GONE);
        let left = left.ok_or(damaged("shares", "a count for each message of a pack"))?;
        *left = left.saturating_sub(1);
        Ok(())
    }

    /// Whether nobody has any of the messages.
    pub(crate) fn are_none(&self) -> bool {
        self.0.iter().all(|left| [0, GONE].contains(left))
    }

    /// Whether at least half of the messages that are in the pack are there for nobody.
    pub(crate) fn are_worth_a_trim(&self) -> bool {
        let unwanted = self.0.iter().filter(|left| **left == 0).count();
        unwanted > 0 && 2 * unwanted >= self.0.iter().filter(|left| **left != GONE).count()
    }

    /// Whether somebody has this message.
    pub(crate) fn has(&self, part: usize) -> bool {
        self.0.get(part).is_some_and(|left| ![0, GONE].contains(left))
    }

    /// The same when those that nobody has are out of the pack.
    pub(crate) fn trimmed(&self) -> Self {
        Self(self.0.iter().map(|left| if *left == 0 { GONE } else { *left }).collect())
    }
}

impl Storage {
    /// None where no count was ever written: one message alone, that nobody is done with.
    pub(crate) fn shares_of(&self, entry: u64) -> Result<Option<Shares>, EmbeddedBusError> {
        self.shares.get(message_key(entry))?.map(|value| Shares::decode(&value)).transpose()
    }

    /// Entries with their counts, from this one on.
    pub(crate) fn shares_from(
        &self,
        entry: u64,
    ) -> impl Iterator<Item = Result<(u64, Shares), EmbeddedBusError>> {
        self.shares.range(message_key(entry)..).map(|found| {
            let (key, value) = found.into_inner()?;
            let entry = key[..].try_into().map_err(|_| damaged("shares", "8 bytes as key"))?;
            Ok((u64::from_be_bytes(entry), Shares::decode(&value)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_trimmed_when_half_of_it_is_for_nobody_and_gone_when_all_is() {
        let mut shares = Shares::of(vec![1, 2, 1, 1]);
        shares.let_go(0).unwrap();
        shares.let_go(1).unwrap();
        assert!(!shares.are_worth_a_trim());
        shares.let_go(1).unwrap();
        assert!(shares.are_worth_a_trim());
        assert!(shares.has(2) && !shares.has(1) && !shares.has(4));

        let mut shares = Shares::decode(&shares.trimmed().encode()).unwrap();
        assert!(!shares.are_worth_a_trim() && !shares.are_none());
        assert!(shares.let_go(0).is_err(), "it is gone");
        assert!(shares.let_go(4).is_err(), "there is none");
        shares.let_go(2).unwrap();
        assert!(shares.are_worth_a_trim());
        shares.let_go(3).unwrap();
        assert!(shares.are_none());
    }

    #[test]
    fn damage_is_an_error() {
        assert!(Shares::decode(&[]).is_err());
        assert!(Shares::decode(&[0; 5]).is_err());
    }
}
