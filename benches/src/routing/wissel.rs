use std::sync::Arc;

use anyhow::Result;
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_message::EventView;
use wissel_routing::{Alternative, Router, Table};

use super::matcher::Matcher;
use super::names::party;
use super::subscription::Subscription;

/// Wissel's router, and the table that messages are held against.
pub(crate) struct Wissel {
    router: Router<u32>,
    table: Arc<Table<u32>>,
    targets: Vec<u32>,
}

impl Default for Wissel {
    fn default() -> Self {
        let router = Router::default();
        let table = router.snapshot();
        Self { router, table, targets: Vec::new() }
    }
}

/// The name that a subscription has in Wissel.
pub(crate) fn name_of(number: u32) -> Result<SubscriptionName> {
    Ok(format!("{}.s{number}", party(number)).parse()?)
}

impl Matcher for Wissel {
    fn insert(&mut self, subscription: &Subscription) -> Result<bool> {
        let Subscription { number, types, .. } = subscription;
        self.router.insert(&name_of(*number)?, types, &subscription.filters()?, *number)?;
        Ok(true)
    }

    fn insert_all(&mut self, subscriptions: &[Subscription]) -> Result<Vec<u32>> {
        // Nobody looks at the table meanwhile, so nothing is copied for a reader.
        self.table = Router::default().snapshot();
        self.router.change(|changes| {
            for subscription in subscriptions {
                let filters = subscription.filters()?;
                let filters: Vec<&Filter> = filters.iter().collect();
                let types: Vec<&str> = subscription.types.iter().map(String::as_str).collect();
                let target = subscription.number;
                let alternative =
                    Alternative { types: &types, filters: &filters, followed: false, target };
                changes.put(&name_of(subscription.number)?, [alternative])?;
            }
            Ok(Vec::new())
        })
    }

    fn remove(&mut self, subscription: &Subscription) -> Result<()> {
        self.router.remove(&name_of(subscription.number)?);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.table = self.router.snapshot();
        Ok(())
    }

    fn matches(&mut self, messages: &[EventView]) -> Result<u64> {
        let mut matches = 0;
        for message in messages {
            self.targets.clear();
            self.table.route(message, &mut self.targets);
            matches += self.targets.len() as u64;
        }
        Ok(matches)
    }

    fn answer(&mut self, message: &EventView) -> Result<Vec<u32>> {
        let mut targets = Vec::new();
        self.table.route(message, &mut targets);
        targets.sort_unstable();
        Ok(targets)
    }
}
