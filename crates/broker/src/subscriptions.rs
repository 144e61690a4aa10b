use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use wissel_audit::Operation;
use wissel_catalogue::{Action, Catalogue, Fields};
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, Oin, SubscriptionName};
use wissel_routing::SubjectMark;
use wissel_store::{Put, SubscriptionRecord};

use crate::{Broker, Caller, Fault, Reason, Refusal, Role, StartError, entitlement};

/// Which messages go to which inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name; the owner is in it.
    pub name: SubscriptionName,
    /// The inbox it feeds, of the same owner.
    pub inbox: InboxName,
    /// The event types wanted; none: every type that the owner's grants cover.
    pub types: Vec<String>,
    /// All must match.
    pub filters: Vec<Filter>,
    /// Whether only messages match whose `subject` it follows ([`Broker::follow_subjects`]).
    pub follows: bool,
    /// Whether deliveries of one subject come one after the other: in the whole inbox that
    /// it feeds.
    pub ordered: bool,
    /// When it was created; for a declared one, when this process read it.
    pub created_at: SystemTime,
    /// Whether it stands in the catalogue's files rather than in the store.
    pub declared: bool,
}

/// The most event types that one subscription names.
const TYPES_MAX: usize = 1_000;
/// The most filters of one subscription.
pub(crate) const FILTERS_MAX: usize = 32;

impl Broker {
    /// Creates a subscription, and its inbox when that does not exist. Messages
    /// published after the answer are routed by it. `created_at` and `declared`
    /// of the argument do not count.
    ///
    /// # Errors
    /// [`Reason::InvalidSubscription`] with every field at fault; [`Reason::NotGranted`] for
    /// another party, and an operator without the role [`Role::Operator`];
    /// [`Reason::SubscriptionExists`] when there is another of that name.
    pub async fn create_subscription(
        &self,
        caller: &Caller,
        subscription: Subscription,
    ) -> Result<Subscription, Refusal> {
        let inbox = subscription.inbox.clone();
        let outcome = self.try_create(caller, subscription).await;
        self.unless_refused(caller, Operation::SubscriptionCreated, Some(&inbox), outcome).await
    }

    async fn try_create(
        &self,
        caller: &Caller,
        subscription: Subscription,
    ) -> Result<Subscription, Refusal> {
        let _ticket = self.ticket()?;
        let _one_at_a_time = self.control.lock().await;
        let catalogue = self.catalogue.load_full();
        caller.check_role(Role::Operator)?;
        caller.check(&catalogue)?;
        if !caller.may_see(subscription.name.owner()) {
            return Err(Refusal::of_field(
                Reason::NotGranted,
                "subscription.name",
                "the owner of a subscription is the party that calls, or that it acts for",
            ));
        }
        check(&subscription, &catalogue)?;
        check_mandate(caller, &subscription, &catalogue)?;
        let existing = self.subscriptions.read().get(&subscription.name).cloned();
        if let Some(existing) = existing {
            // An operator does not find out by trying what it filters on.
            let may_compare = !caller.is_operator();
            return if may_compare && existing.has_content_of(&subscription) {
                Ok(existing)
            } else {
                Err(exists(&subscription.name))
            };
        }
        self.check_count(subscription.name.owner())?;
        let created =
            Subscription { created_at: SystemTime::now(), declared: false, ..subscription };
        let detail = format!("subscription {}", created.name);
        self.keep_one(caller, Operation::SubscriptionCreated, Some(&created.inbox), detail).await?;
        self.bus.open_inbox(&created.inbox).await?;
        match self.store.put_subscription(created.record()).await? {
            Put::Conflict => return Err(exists(&created.name)),
            Put::Created | Put::Same => {}
        }
        self.put_in_force(created.clone());
        tracing::info!(subscription = %created.name, inbox = %created.inbox, "subscription created");
        Ok(created)
    }

    /// Deletes a subscription. Its inbox, and what waits there, stays.
    ///
    /// # Errors
    /// [`Reason::UnknownSubscription`] when there is none, or it is not the
    /// caller's; [`Reason::NotGranted`] for an operator without the role [`Role::Operator`];
    /// [`Reason::InvalidRequest`] when it is declared in a file.
    pub async fn delete_subscription(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
    ) -> Result<(), Refusal> {
        let outcome = self.try_delete(caller, name).await;
        self.unless_refused(caller, Operation::SubscriptionDeleted, None, outcome).await
    }

    async fn try_delete(&self, caller: &Caller, name: &SubscriptionName) -> Result<(), Refusal> {
        let _one_at_a_time = self.control.lock().await;
        caller.check_role(Role::Operator)?;
        let catalogue = self.catalogue.load_full();
        let subscription = self.subscription(caller, name)?;
        check_mandate(caller, &subscription, &catalogue)?;
        if subscription.declared {
            return Err(Refusal::of_field(
                Reason::InvalidRequest,
                "name",
                "this subscription is declared in the catalogue's files; take it out there",
            ));
        }
        let detail = format!("subscription {name}");
        let inbox = Some(&subscription.inbox);
        self.keep_one(caller, Operation::SubscriptionDeleted, inbox, detail).await?;
        self.store.delete_subscription(name.clone()).await?;
        self.router.remove(name);
        self.subscriptions.write().remove(name);
        self.order_may_change(subscription.ordered);
        tracing::info!(subscription = %name, "subscription deleted");
        Ok(())
    }

    /// One subscription.
    ///
    /// # Errors
    /// [`Reason::UnknownSubscription`] when there is none, or it is not the
    /// caller's.
    pub fn subscription(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
    ) -> Result<Subscription, Refusal> {
        let catalogue = self.catalogue.load();
        caller.check_may_receive(&catalogue)?;
        let found = self.subscriptions.read().get(name).cloned();
        let found = found.filter(|found| may_see(caller, found, &catalogue));
        found.map(|found| found.shown_to(caller)).ok_or_else(|| {
            Refusal::new(
                Reason::UnknownSubscription,
                format!("there is no subscription {name} that you may see"),
            )
        })
    }

    /// The subscriptions that the caller may see, by name, behind `after`, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`Reason::NoMandate`] for one that acts for another without a mandate.
    pub fn subscriptions(
        &self,
        caller: &Caller,
        after: Option<&SubscriptionName>,
        limit: usize,
    ) -> Result<Vec<Subscription>, Refusal> {
        let catalogue = self.catalogue.load();
        caller.check_may_receive(&catalogue)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.subscriptions.read();
        let all = all.range::<SubscriptionName, _>((from, Bound::Unbounded));
        let seen = all.filter(|(_, subscription)| may_see(caller, subscription, &catalogue));
        Ok(seen.map(|(_, one)| one.clone().shown_to(caller)).take(limit).collect())
    }

    /// Puts the stored and the declared subscriptions in force.
    pub(crate) async fn load_subscriptions(&self) -> Result<(), StartError> {
        let inboxes = self.store.inboxes().await?;
        for inbox in &inboxes {
            self.room.set(&inbox.name, &inbox.settings);
        }
        let settings = inboxes.into_iter().map(|inbox| (inbox.name, inbox.settings));
        self.inboxes.write().extend(settings);
        let stored = self.store.subscriptions().await?;
        let followed = self.store.followed().await?;
        let catalogue = self.catalogue.load_full();
        for declared in catalogue.subscriptions() {
            self.store.add_inbox(declared.inbox.clone()).await?;
        }
        let now = SystemTime::now();
        let declared = catalogue.subscriptions().iter().map(|one| Subscription::declared(one, now));
        // One that is declared comes after, and takes the place of a stored one.
        let all: Vec<Subscription> = stored.into_iter().map(Into::into).chain(declared).collect();
        self.router.change(|changes| {
            all.iter().for_each(|one| entitlement::put(one, &catalogue, changes));
            for (name, mark) in followed {
                changes.follow(&name, SubjectMark::of_bytes(mark));
            }
        });
        for one in &all {
            self.inboxes.write().entry(one.inbox.clone()).or_default();
        }
        for one in all {
            let name = one.name.clone();
            let earlier = self.subscriptions.write().insert(name, one);
            if let Some(earlier) = earlier {
                tracing::warn!(
                    subscription = %earlier.name,
                    "declared in the catalogue; the stored one of that name rests"
                );
            }
        }
        Ok(())
    }

    fn check_count(&self, owner: Oin) -> Result<(), Refusal> {
        let most = self.options.subscriptions_per_party;
        let all = self.subscriptions.read();
        if all.values().filter(|one| one.name.owner() == owner).count() < most {
            return Ok(());
        }
        let message = format!(
            "party {owner} has {most} subscriptions, the most that it may; one that follows \
             subjects takes the place of many"
        );
        Err(Refusal::new(Reason::TooManySubscriptions, message))
    }

    fn put_in_force(&self, subscription: Subscription) {
        self.inboxes.write().entry(subscription.inbox.clone()).or_default();
        let catalogue = self.catalogue.load();
        self.router.change(|changes| entitlement::put(&subscription, &catalogue, changes));
        let ordered = subscription.ordered;
        self.subscriptions.write().insert(subscription.name.clone(), subscription);
        self.order_may_change(ordered);
    }
}

fn exists(name: &SubscriptionName) -> Refusal {
    Refusal::new(
        Reason::SubscriptionExists,
        format!("subscription {name} exists with other content; delete it first"),
    )
}

/// Every fault of a subscription at once.
fn check(subscription: &Subscription, catalogue: &Catalogue) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    let mut fault = |field: String, description: String| {
        faults.push(Fault { field: format!("subscription.{field}"), description });
    };
    let owner = subscription.name.owner();
    if subscription.inbox.owner() != owner {
        fault("inbox".to_owned(), "expected an inbox of the subscription's owner".to_owned());
    }
    if subscription.types.len() > TYPES_MAX {
        fault("types".to_owned(), format!("expected at most {TYPES_MAX} event types"));
    }
    for (index, event_type) in subscription.types.iter().take(TYPES_MAX).enumerate() {
        if catalogue.grant(&owner, Action::Receive, event_type).is_none() {
            let description = "the owner has no grant to receive an event type of this name";
            fault(format!("types[{index}]"), description.to_owned());
        }
    }
    if subscription.filters.len() > FILTERS_MAX {
        fault("filters".to_owned(), format!("expected at most {FILTERS_MAX} filters"));
    }
    for (index, filter) in subscription.filters.iter().take(FILTERS_MAX).enumerate() {
        match filter.check() {
            Err(error) => {
                fault(format!("filters[{index}].{}", error.place), error.fault.to_string());
            }
            Ok(()) => {
                if let Some(description) = unreadable(subscription, filter, catalogue) {
                    fault(format!("filters[{index}]"), description);
                }
            }
        }
    }
    if let (true, Err(error)) = (faults.is_empty(), Filter::check_together(&subscription.filters)) {
        let description = format!("all filters together: {}", error.fault);
        faults.push(Fault { field: "subscription.filters".to_owned(), description });
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Refusal::of_fields(Reason::InvalidSubscription, faults))
    }
}

/// Why a filter may not look into `data` as it does: it would tell the owner of fields that
/// no grant gives.
fn unreadable(
    subscription: &Subscription,
    filter: &Filter,
    catalogue: &Catalogue,
) -> Option<String> {
    let pointers = filter.data_pointers();
    let grants = catalogue.grants_to_receive(&subscription.name.owner());
    let types = &subscription.types;
    let mut wanted = grants.iter().filter(|grant| {
        types.is_empty() || types.iter().any(|wanted| **wanted == *grant.event_type)
    });
    let allowed = |fields: Option<&Arc<Fields>>| {
        fields.is_none_or(|fields| entitlement::allows(fields, &pointers))
    };
    if types.is_empty() {
        // Of types that are not named, those are left out that may not be looked into.
        let any = wanted.any(|grant| allowed(grant.fields.as_ref()));
        return (!any && !pointers.is_empty())
            .then(|| "looks into `data` for fields that no grant of the owner allows".to_owned());
    }
    let denied = wanted.find(|grant| !allowed(grant.fields.as_ref()))?;
    let event_type = &denied.event_type;
    Some(format!(
        "looks into `data` for a field that the owner's grant on {event_type} does not allow"
    ))
}

/// Whether a caller may see a subscription: what it filters on may be personal.
fn may_see(caller: &Caller, subscription: &Subscription, catalogue: &Catalogue) -> bool {
    caller.may_see(subscription.name.owner())
        && check_mandate(caller, subscription, catalogue).is_ok()
}

/// One that acts for another has a mandate to receive each event type that is wanted; of
/// all types, when none is named.
pub(crate) fn check_mandate(
    caller: &Caller,
    subscription: &Subscription,
    catalogue: &Catalogue,
) -> Result<(), Refusal> {
    let Caller::Representative { .. } = caller else {
        return Ok(());
    };
    if subscription.types.is_empty() {
        return caller.check_may_receive_all(catalogue);
    }
    for event_type in &subscription.types {
        caller.check_mandate(catalogue, Action::Receive, event_type)?;
    }
    Ok(())
}

impl Subscription {
    /// An operator sees what it filters on, and not whom.
    fn shown_to(mut self, caller: &Caller) -> Self {
        if caller.is_operator() {
            self.filters = self.filters.iter().map(Filter::masked).collect();
        }
        self
    }

    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        let content = |one: &Self| (one.follows, one.ordered);
        (&self.name, &self.inbox, &self.types, &self.filters, content(self))
            == (&other.name, &other.inbox, &other.types, &other.filters, content(other))
    }

    fn record(&self) -> SubscriptionRecord {
        SubscriptionRecord {
            name: self.name.clone(),
            inbox: self.inbox.clone(),
            types: self.types.clone(),
            filters: self.filters.clone(),
            follows: self.follows,
            ordered: self.ordered,
            created_at: self.created_at,
        }
    }
}

impl From<SubscriptionRecord> for Subscription {
    fn from(record: SubscriptionRecord) -> Self {
        Self {
            name: record.name,
            inbox: record.inbox,
            types: record.types,
            filters: record.filters,
            follows: record.follows,
            ordered: record.ordered,
            created_at: record.created_at,
            declared: false,
        }
    }
}
