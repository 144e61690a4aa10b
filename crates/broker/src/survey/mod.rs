//! A look at all inboxes together, for those who watch.

mod history;
mod take;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use wissel_bus::InboxState;
use wissel_identifiers::InboxName;
use wissel_metrics::Quantiles;
use wissel_store::InboxSettings;

use crate::Caller;

pub use self::history::HISTORY_LENGTH;

/// How all inboxes fared when they were last looked at.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// When they were looked at; none: not yet.
    pub taken_at: Option<SystemTime>,
    /// How long that took.
    pub took: Duration,
    /// Each inbox, by name.
    pub inboxes: Vec<Surveyed>,
    /// What went by, over the whole gateway.
    pub rates: Rates,
    /// Messages of each event type that were admitted, in a second; none: none were.
    pub types: HashMap<Arc<str>, f64>,
}

/// One inbox in a survey.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// Its name; the owner is in it.
    pub name: InboxName,
    /// Its state.
    pub state: InboxState,
    /// How it behaves, where that is not as everywhere.
    pub settings: InboxSettings,
    /// Deliveries that came, in a second, since the survey before.
    pub came_per_second: f64,
    /// Deliveries that were done with.
    pub settled_per_second: f64,
    /// How many waited, were in flight, at the surveys before, oldest first; at most
    /// [`HISTORY_LENGTH`].
    pub history: Arc<[u32]>,
}

/// What went by since the survey before, in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Messages that had an outcome.
    pub messages_per_second: f64,
    /// Deliveries that messages became.
    pub enqueued_per_second: f64,
    /// Deliveries that were handed out.
    pub handed_out_per_second: f64,
    /// From a message that came to its receipt.
    pub receipt: Quantiles,
    /// From the admission of a message to the first time it was handed out.
    pub delivery: Quantiles,
}

/// Inboxes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Inboxes.
    pub inboxes: u64,
    /// Inboxes with a concern.
    pub concerns: u64,
    /// Inboxes with deliveries that have waited for [`UNREAD_AFTER`], and no receiver.
    pub unread: u64,
    /// Deliveries that wait for a receiver.
    pub waiting: u64,
    /// Deliveries that wait for a retry.
    pub delayed: u64,
    /// Deliveries with a receiver.
    pub in_flight: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Streams that are open.
    pub consumers: u64,
    /// When the oldest message that is not settled was admitted.
    pub oldest: Option<SystemTime>,
}

/// Why an inbox needs somebody to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Deliveries wait, and nobody reads them.
    NoReceiver,
    /// Deliveries wait for long, though there is a receiver.
    Slow,
    /// Its deliveries are as many as it may have.
    Full,
    /// Nothing is handed out, as somebody paused it.
    Paused,
    /// Nothing comes in, as somebody is draining it.
    Draining,
    /// There are dead letters.
    DeadLetters,
}

/// By what inboxes are put in order; the highest first, but names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Those that need somebody to look, the gravest first.
    #[default]
    Concern,
    /// How many wait.
    Depth,
    /// How old the oldest is.
    Oldest,
    /// How many come.
    Came,
    /// How many are done with.
    Settled,
    /// Dead letters.
    DeadLetters,
    /// The name.
    Name,
}

/// How long a delivery may wait at a receiver before that is a concern.
pub const SLOW_AFTER: Duration = Duration::from_secs(300);
/// How long one may wait for a receiver that is to come.
pub const UNREAD_AFTER: Duration = Duration::from_secs(30);

/// The last survey, and what is counted for the next.
#[derive(Debug, Default)]
pub(crate) struct Surveys {
    last: ArcSwap<Survey>,
    traffic: RwLock<BTreeMap<InboxName, Arc<Traffic>>>,
    taking: tokio::sync::Mutex<take::Counted>,
}

/// What went through one inbox here.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    settled: AtomicU64,
}

impl Surveys {
    /// What is counted for an inbox.
    pub(crate) fn traffic(&self, inbox: &InboxName) -> Arc<Traffic> {
        if let Some(traffic) = self.traffic.read().get(inbox) {
            return Arc::clone(traffic);
        }
        Arc::clone(self.traffic.write().entry(inbox.clone()).or_default())
    }
}

impl Traffic {
    pub(crate) fn settled(&self, deliveries: u64) {
        self.settled.fetch_add(deliveries, Ordering::Relaxed);
    }
}

impl Survey {
    /// How old it is.
    #[must_use]
    pub fn age(&self) -> Duration {
        let age = self.taken_at.and_then(|taken_at| taken_at.elapsed().ok());
        age.unwrap_or_default()
    }

    /// The inboxes that a caller may see.
    pub fn seen_by(&self, caller: &Caller) -> impl Iterator<Item = &Surveyed> {
        self.inboxes.iter().filter(move |one| caller.may_see(one.name.owner()))
    }
}

impl Totals {
    /// Of these.
    pub fn of<'a>(inboxes: impl Iterator<Item = &'a Surveyed>, now: SystemTime) -> Self {
        let mut all = Self::default();
        for one in inboxes {
            let InboxState { depth, delayed, in_flight, consumers, oldest, dead_letters, .. } =
                &one.state;
            all.inboxes += 1;
            all.concerns += u64::from(one.concern(now).is_some());
            all.unread += u64::from(one.concern(now) == Some(Concern::NoReceiver));
            all.waiting += depth.saturating_sub(*delayed);
            all.delayed += delayed;
            all.in_flight += in_flight;
            all.dead_letters += dead_letters;
            all.consumers += u64::from(*consumers);
            all.oldest = [all.oldest, *oldest].into_iter().flatten().min();
        }
        all
    }
}

impl Surveyed {
    /// The gravest reason to look at it.
    #[must_use]
    pub fn concern(&self, now: SystemTime) -> Option<Concern> {
        let age = self.state.oldest_age(now).unwrap_or_default();
        let waits = self.state.depth > self.state.delayed;
        // What was handed over is not held against a limit.
        let held = self.state.depth - self.state.handed_over + self.state.in_flight;
        if self.settings.max_deliveries.is_some_and(|most| held >= most) {
            Some(Concern::Full)
        } else if self.settings.paused {
            Some(Concern::Paused)
        } else if waits && self.state.consumers == 0 && age >= UNREAD_AFTER {
            Some(Concern::NoReceiver)
        } else if waits && age >= SLOW_AFTER {
            Some(Concern::Slow)
        } else if self.settings.draining {
            Some(Concern::Draining)
        } else if self.state.dead_letters > 0 {
            Some(Concern::DeadLetters)
        } else {
            None
        }
    }
}

impl Concern {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoReceiver => "no receiver",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::DeadLetters => "dead letters",
        }
    }
}

impl Order {
    /// The first `limit` of some inboxes, behind the first `skip`.
    pub fn first<'a>(
        self,
        inboxes: impl Iterator<Item = &'a Surveyed>,
        skip: usize,
        limit: usize,
    ) -> Vec<&'a Surveyed> {
        let now = SystemTime::now();
        if self == Self::Name {
            return inboxes.skip(skip).take(limit).collect();
        }
        let mut all: Vec<(f64, &Surveyed)> =
            inboxes.map(|one| (self.rank(one, now), one)).collect();
        // The highest first; what is as high stays in the order of names.
        all.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        all.into_iter().map(|(_, one)| one).skip(skip).take(limit).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "an order of what is large")]
    fn rank(self, one: &Surveyed, now: SystemTime) -> f64 {
        let age = || one.state.oldest_age(now).unwrap_or_default().as_secs_f64();
        match self {
            Self::Concern => {
                // Ages and counts stay below the weight of a concern.
                let graver = match one.concern(now) {
                    Some(Concern::Full) => 6e12,
                    Some(Concern::NoReceiver) => 5e12,
                    Some(Concern::Slow) => 4e12,
                    Some(Concern::Paused) => 3e12,
                    Some(Concern::Draining) => 2e12,
                    Some(Concern::DeadLetters) => 1e12,
                    None => 0.0,
                };
                graver + age() + (one.state.dead_letters + one.state.depth) as f64
            }
            Self::Depth => (one.state.depth + one.state.in_flight) as f64,
            Self::Oldest => age(),
            Self::Came => one.came_per_second,
            Self::Settled => one.settled_per_second,
            Self::DeadLetters => one.state.dead_letters as f64,
            Self::Name => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(name: &str, state: InboxState) -> Surveyed {
        Surveyed {
            name: format!("00000001002220647000.{name}").parse().unwrap(),
            state,
            settings: InboxSettings::default(),
            came_per_second: 0.0,
            settled_per_second: 0.0,
            history: Arc::default(),
        }
    }

    #[test]
    fn the_gravest_comes_first_and_totals_add_up() {
        let now = SystemTime::now();
        let ago = |seconds| Some(now - Duration::from_secs(seconds));
        let well = InboxState { depth: 5, consumers: 1, oldest: ago(1), ..InboxState::default() };
        let unread = InboxState { depth: 2, oldest: ago(60), ..InboxState::default() };
        let slow =
            InboxState { depth: 900, consumers: 1, oldest: ago(400), ..InboxState::default() };
        let dead = InboxState { dead_letters: 1_000_000, ..InboxState::default() };
        let delayed =
            InboxState { depth: 3, delayed: 3, oldest: ago(900), ..InboxState::default() };
        let most = |most| InboxSettings { max_deliveries: Some(most), ..InboxSettings::default() };
        let nearly = Surveyed { settings: most(6), ..inbox("a", well.clone()) };
        let full = Surveyed { settings: most(5), ..inbox("a", well.clone()) };
        assert_eq!((nearly.concern(now), full.concern(now)), (None, Some(Concern::Full)));
        let all = [
            inbox("a", well),
            inbox("b", dead),
            inbox("c", slow),
            inbox("d", unread),
            inbox("e", delayed),
        ];
        let first = |order: Order| -> Vec<String> {
            let first = order.first(all.iter(), 0, 3);
            first.iter().map(|one| one.name.local().to_owned()).collect()
        };
        assert_eq!(first(Order::Concern), ["d", "c", "b"]);
        assert_eq!(first(Order::Depth), ["c", "a", "e"]);
        assert_eq!(first(Order::Oldest), ["e", "c", "d"]);
        assert_eq!(first(Order::Name), ["a", "b", "c"]);
        let totals = Totals::of(all.iter(), now);
        assert_eq!((totals.inboxes, totals.concerns, totals.unread), (5, 3, 1));
        assert_eq!((totals.waiting, totals.delayed, totals.dead_letters), (907, 3, 1_000_000));
        assert_eq!(totals.oldest, ago(900));
    }
}
