use anyhow::Result;
use wissel_message::EventView;

use super::atree::ATreeMatcher;
use super::lookup::Lookup;
use super::naive::Naive;
use super::quamina::QuaminaMatcher;
use super::subscription::Subscription;
use super::wissel::Wissel;
use super::workload::Kind;

/// Something that finds the subscriptions that match a message, and answers with their
/// numbers.
pub trait Matcher {
    /// Adds a subscription. Says whether it can be expressed; when not, it is left out.
    ///
    /// # Errors
    /// When it could be expressed, but was refused.
    fn insert(&mut self, subscription: &Subscription) -> Result<bool>;

    /// Adds several. Gives the numbers of those that cannot be expressed.
    ///
    /// # Errors
    /// As [`Matcher::insert`].
    fn insert_all(&mut self, subscriptions: &[Subscription]) -> Result<Vec<u32>> {
        let mut left_out = Vec::new();
        for subscription in subscriptions {
            if !self.insert(subscription)? {
                left_out.push(subscription.number);
            }
        }
        Ok(left_out)
    }

    /// Takes a subscription away.
    ///
    /// # Errors
    /// When it cannot be done.
    fn remove(&mut self, subscription: &Subscription) -> Result<()>;

    /// Makes every change so far count for the next message.
    ///
    /// # Errors
    /// When there are too many subscriptions for it.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Brings messages into the form that is matched. Their matching is timed apart.
    ///
    /// # Errors
    /// When a message cannot be brought into that form.
    fn take(&mut self, _messages: &[EventView]) -> Result<()> {
        Ok(())
    }

    /// Matches the messages that were taken last. Says how many matches there were.
    ///
    /// # Errors
    /// When matching fails.
    fn matches(&mut self, messages: &[EventView]) -> Result<u64>;

    /// Only reads the messages that were taken last, for a matcher that reads them anew
    /// each time. Says whether it is one.
    ///
    /// # Errors
    /// When a message cannot be read.
    fn read(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// The subscriptions that match, lowest number first.
    ///
    /// # Errors
    /// When matching fails.
    fn answer(&mut self, message: &EventView) -> Result<Vec<u32>>;
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// Wissel's router.
    Wissel,
    /// The crate `quamina`: automata over JSON.
    Quamina,
    /// The crate `a-tree`: shared Boolean expressions.
    ATree,
    /// Every subscription in turn.
    Naive,
    /// A hash map by what the workload's subscriptions equal: the limit.
    Lookup,
}

impl Contender {
    /// All but Wissel.
    pub const PEERS: [Self; 4] = [Self::Quamina, Self::ATree, Self::Naive, Self::Lookup];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wissel => "Wissel",
            Self::Quamina => "quamina",
            Self::ATree => "a-tree",
            Self::Naive => "a naive scan",
            Self::Lookup => "a plain hash look-up",
        }
    }

    /// What it does to a message before matching it, which is timed apart.
    #[must_use]
    pub fn form(self) -> Option<&'static str> {
        match self {
            Self::Quamina => Some("making quamina's JSON of a message"),
            Self::ATree => Some("making a-tree's event of a message"),
            Self::Wissel | Self::Naive | Self::Lookup => None,
        }
    }

    /// What it cannot express of this kind of subscriptions.
    #[must_use]
    pub fn cannot(self, kind: Kind) -> Option<&'static str> {
        match (self, kind) {
            (Self::ATree, Kind::Affixes) => Some("prefixes and suffixes"),
            (Self::ATree, Kind::Mix) => Some("LIKE and LEFT"),
            (Self::Lookup, Kind::Mix) => Some("anything but equalities"),
            _ => None,
        }
    }

    /// One without subscriptions.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn empty(self, kind: Kind) -> Result<Box<dyn Matcher>> {
        Ok(match self {
            Self::Wissel => Box::new(Wissel::default()),
            Self::Quamina => Box::new(QuaminaMatcher::empty()?),
            Self::ATree => Box::new(ATreeMatcher::empty()?),
            Self::Naive => Box::new(Naive::default()),
            Self::Lookup => Box::new(Lookup::empty(kind)),
        })
    }
}
