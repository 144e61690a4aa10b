//! Another catalogue takes the place of the one in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use wissel_audit::{Actor, Operation, Record};
use wissel_catalogue::{Catalogue, Change, DeclaredSubscription};
use wissel_identifiers::{InboxName, Oin, SubscriptionName};
use wissel_store::SubscriptionRecord;

use crate::{Broker, Refusal, Subscription, entitlement};

impl Broker {
    /// The catalogue in force.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// Since when it is in force.
    #[must_use]
    pub fn catalogue_since(&self) -> SystemTime {
        *self.catalogue_since.lock()
    }

    /// Puts another catalogue in force. Rights that are gone are gone at once: for
    /// messages to come, for messages that wait in an inbox, and for running streams. So the
    /// bus is needed for what is new, and not for the rest.
    ///
    /// # Errors
    /// When an inbox that is new with it cannot be opened; the old catalogue stays in force.
    /// With [`Reason::BusUnavailable`](crate::Reason::BusUnavailable) it may be tried again.
    pub async fn replace_catalogue(&self, catalogue: Catalogue) -> Result<(), Refusal> {
        let _one_at_a_time = self.control.lock().await;
        let earlier = self.catalogue.load_full();
        for declared in catalogue.subscriptions() {
            if self.inboxes.read().contains_key(&declared.inbox) {
                continue;
            }
            self.store.add_inbox(declared.inbox.clone()).await?;
            if self.is_prepared() {
                self.bus.open_inbox(&declared.inbox).await?;
            }
        }
        let stored = self.store.subscriptions().await?;
        let changed = owners_with_other_rights(&earlier, &catalogue);
        let changes: Arc<[Change]> = catalogue.changes_since(&earlier).into();
        let detail = told(changed.len(), &changes);
        let record = Record::new(Operation::CatalogueReplaced, Actor::Wissel);
        self.keep(vec![Record { detail: Some(detail), ..record }]).await?;
        self.exchange_subscriptions(&catalogue, &changed, stored);
        // The table first: who routes by it with the old catalogue gets what both allow.
        self.catalogue.store(Arc::new(catalogue));
        *self.catalogue_since.lock() = SystemTime::now();
        *self.readings.changes.lock() = changes;
        self.catalogue_version.send_modify(|version| *version += 1);
        tracing::info!(parties_with_other_rights = changed.len(), "catalogue replaced");
        Ok(())
    }

    /// Takes out what is no longer declared, unless a stored one of that name rested
    /// meanwhile; puts in what is new, and does the others anew whose owners have other
    /// rights.
    fn exchange_subscriptions(
        &self,
        catalogue: &Catalogue,
        changed: &BTreeSet<Oin>,
        stored: Vec<SubscriptionRecord>,
    ) {
        let now = SystemTime::now();
        let declared: Vec<Subscription> =
            catalogue.subscriptions().iter().map(|one| Subscription::declared(one, now)).collect();
        let names: BTreeSet<SubscriptionName> =
            declared.iter().map(|one| one.name.clone()).collect();
        let mut subscriptions = self.subscriptions.write();
        let mut inboxes = self.inboxes.write();
        let ordered_before = ordered(&subscriptions);
        self.router.change(|changes| {
            subscriptions.retain(|name, one| {
                let stays = !one.declared || names.contains(name);
                if !stays {
                    // A stored one of that name may follow subjects.
                    changes.rest(name);
                }
                stays
            });
            for one in stored.into_iter().map(Subscription::from) {
                if !subscriptions.contains_key(&one.name) && !names.contains(&one.name) {
                    tracing::info!(subscription = %one.name, "no longer declared; the stored one is back");
                    entitlement::put(&one, catalogue, changes);
                    subscriptions.insert(one.name.clone(), one);
                }
            }
            for one in declared {
                let is_same = |old: &Subscription| old.declared && old.has_content_of(&one);
                let same = subscriptions.get(&one.name).is_some_and(is_same);
                if !same {
                    inboxes.entry(one.inbox.clone()).or_default();
                    entitlement::put(&one, catalogue, changes);
                    subscriptions.insert(one.name.clone(), one);
                }
            }
            for one in subscriptions.values() {
                if changed.contains(&one.name.owner()) {
                    entitlement::put(one, catalogue, changes);
                }
            }
        });
        let order_changes = ordered(&subscriptions) != ordered_before;
        drop((subscriptions, inboxes));
        self.order_may_change(order_changes);
    }
}

/// The inboxes that are ordered.
fn ordered(subscriptions: &BTreeMap<SubscriptionName, Subscription>) -> BTreeSet<InboxName> {
    let ordered = subscriptions.values().filter(|one| one.ordered);
    ordered.map(|one| one.inbox.clone()).collect()
}

impl Subscription {
    /// One that stands in a file.
    pub(crate) fn declared(one: &DeclaredSubscription, now: SystemTime) -> Self {
        Self {
            name: one.name.clone(),
            inbox: one.inbox.clone(),
            types: one.types.clone(),
            filters: one.filters.clone(),
            follows: false,
            ordered: one.ordered,
            created_at: now,
            declared: true,
        }
    }
}

/// What changed, for the record: the first of it.
fn told(parties: usize, changes: &[Change]) -> String {
    const TOLD: usize = 10;
    let first: Vec<String> = changes.iter().take(TOLD).map(ToString::to_string).collect();
    let more = match changes.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("parties with other rights {parties}: {}{more}", first.join(", "))
}

/// Parties of which the rights to receive differ in types, row limits or fields. Fields are
/// compared as they are, for their schema may have changed with the same names.
fn owners_with_other_rights(earlier: &Catalogue, later: &Catalogue) -> BTreeSet<Oin> {
    let parties = earlier.parties().chain(later.parties()).map(|party| party.oin);
    parties
        .filter(|party| {
            let (old, new) = (earlier.grants_to_receive(party), later.grants_to_receive(party));
            let watches = |catalogue: &Catalogue| catalogue.exchange() == Some(*party);
            let same = watches(earlier) == watches(later)
                && old.len() == new.len()
                && old.iter().zip(new).all(|(old, new)| {
                    let fields = (&old.fields, &new.fields);
                    old.event_type == new.event_type
                        && old.filters == new.filters
                        && matches!(fields, (None, None))
                });
            !same
        })
        .collect()
}
