use anyhow::Result;
use wissel_filter::{Condition, EventFacts, Filter};
use wissel_message::EventView;

use super::matcher::Matcher;
use super::subscription::Subscription;
use super::workload::Workload;

/// Holds every message against every subscription, each compiled once.
#[derive(Default)]
pub(crate) struct Naive {
    subscriptions: Vec<One<Condition>>,
    targets: Vec<u32>,
}

/// The same, slower yet: goes through every filter as it is written. It shares nothing
/// with the index, and says what is right.
pub struct Oracle {
    workload: Workload,
    subscriptions: Vec<One<Filter>>,
}

struct One<F> {
    number: u32,
    types: Box<[String]>,
    filters: Box<[F]>,
}

impl<F> One<F> {
    fn wants_type_of(&self, message: &EventView) -> bool {
        let event_type = message.event_type();
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == event_type)
    }
}

impl Oracle {
    /// For this workload.
    ///
    /// # Errors
    /// When Wissel has no such filter.
    pub fn of(workload: Workload) -> Result<Self> {
        let subscriptions = workload.subscriptions().map(|one| {
            let filters = one.filters()?.into();
            Ok(One { number: one.number, types: one.types.into(), filters })
        });
        Ok(Self { workload, subscriptions: subscriptions.collect::<Result<_>>()? })
    }

    /// The subscriptions it has.
    #[must_use]
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// The numbers of those that match, in order.
    pub(crate) fn answer(&self, message: &EventView) -> Vec<u32> {
        let matching = self.subscriptions.iter().filter(|one| {
            one.wants_type_of(message) && one.filters.iter().all(|one| one.matches(message))
        });
        matching.map(|one| one.number).collect()
    }
}

impl Naive {
    fn scan(&mut self, message: &EventView) {
        let facts = EventFacts::new(message);
        self.targets.clear();
        let matching = self.subscriptions.iter().filter(|one| {
            one.wants_type_of(message) && one.filters.iter().all(|one| one.holds(&facts))
        });
        self.targets.extend(matching.map(|one| one.number));
    }
}

impl Matcher for Naive {
    fn insert(&mut self, subscription: &Subscription) -> Result<bool> {
        let filters = subscription.filters()?;
        let conditions = filters.iter().map(Filter::compile);
        self.subscriptions.push(One {
            number: subscription.number,
            types: subscription.types.clone().into(),
            filters: conditions.collect::<Result<_, _>>()?,
        });
        Ok(true)
    }

    fn remove(&mut self, subscription: &Subscription) -> Result<()> {
        self.subscriptions.retain(|one| one.number != subscription.number);
        Ok(())
    }

    fn matches(&mut self, messages: &[EventView]) -> Result<u64> {
        let mut matches = 0;
        for message in messages {
            self.scan(message);
            matches += self.targets.len() as u64;
        }
        Ok(matches)
    }

    fn answer(&mut self, message: &EventView) -> Result<Vec<u32>> {
        self.scan(message);
        Ok(self.targets.clone())
    }
}
