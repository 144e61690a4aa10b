//! How a session begins.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use tokio_util::time::DelayQueue;
use wissel_audit::Operation;
use wissel_catalogue::Action;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, SubscriptionName};

use super::source::Source;
use super::{RIGHT_CHECKED_EVERY, Session, SessionOptions};
use crate::{Broker, Caller, Reason, Refusal, Subscription};

/// What one that acts for another for some types is to do.
pub(super) const INBOX_OF_ITS_OWN: &str =
    "expected an inbox of its own, fed by a subscription to the types of the mandate";

impl Broker {
    /// Opens an inbox for its owner.
    ///
    /// # Errors
    /// [`Reason::UnknownInbox`](crate::Reason::UnknownInbox) when there is no such inbox, or
    /// it is not the caller's; [`Reason::NotGranted`](crate::Reason::NotGranted) for an
    /// operator; [`Reason::NoMandate`] for one that acts for another and has no mandate for
    /// all that the inbox may hold; what the bus says.
    pub async fn open_session(
        self: &Arc<Self>,
        caller: &Caller,
        inbox: &InboxName,
        options: SessionOptions,
    ) -> Result<Session, Refusal> {
        let outcome = self.try_open(caller, inbox, options).await;
        self.unless_refused(caller, Operation::InboxOpened, Some(inbox), outcome).await
    }

    async fn try_open(
        self: &Arc<Self>,
        caller: &Caller,
        inbox: &InboxName,
        options: SessionOptions,
    ) -> Result<Session, Refusal> {
        let ticket = self.ticket()?;
        let party = caller.party()?;
        caller.check_may_receive(&self.catalogue.load())?;
        caller.check_sees(inbox)?;
        if !self.inboxes.read().contains_key(inbox) {
            return Err(Refusal::unknown_inbox(inbox));
        }
        self.check_mandate_to_open(caller, inbox)?;
        let detail = format!("credit {}", options.credit);
        self.keep_one(caller, Operation::InboxOpened, Some(inbox), detail).await?;
        let credit = options.credit.max(1);
        // Heard of from before it is looked at.
        let pauses = self.pauses.subscribe();
        let source = Source::open(self, inbox, credit).await?;
        self.metrics().session_began();
        tracing::info!(%inbox, %party, credit = options.credit, "inbox opened");
        Ok(Session {
            broker: Arc::clone(self),
            inbox: inbox.clone(),
            lease: options.lease,
            source,
            pauses,
            held: HashMap::new(),
            ends_of_leases: DelayQueue::new(),
            lost: BTreeSet::new(),
            settling: FuturesUnordered::new(),
            arrived: Vec::new(),
            recording: None,
            next_id: 1,
            stopping: self.shutdown_token(),
            caller: caller.clone(),
            told: self.receivers.tell(inbox, caller, credit),
            traffic: self.surveys.traffic(inbox),
            catalogue_version: self.catalogue_version.subscribe(),
            right_checks: tokio::time::interval(RIGHT_CHECKED_EVERY),
            refused: None,
            receiver: None,
            _ticket: ticket,
        })
    }

    /// Whether a subscription that feeds the inbox asks for order.
    pub(super) fn is_ordered(&self, inbox: &InboxName) -> bool {
        let subscriptions = self.subscriptions.read();
        // Those of one owner stand together, and their inboxes are of the same one.
        let owner = inbox.owner();
        let first = SubscriptionName::new(owner, "0").ok();
        let from = first.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let of_owner = subscriptions.range::<SubscriptionName, _>((from, Bound::Unbounded));
        let mut of_owner = of_owner.take_while(|(name, _)| name.owner() == owner);
        of_owner.any(|(_, one)| one.ordered && one.inbox == *inbox)
    }

    /// Refuses one that acts for another when the inbox may hold a type that its mandate
    /// does not cover. Such a message would stand in the way of all behind it, until its
    /// owner takes it: better to say so at once.
    fn check_mandate_to_open(&self, caller: &Caller, inbox: &InboxName) -> Result<(), Refusal> {
        let Caller::Representative { party, principal } = *caller else { return Ok(()) };
        let catalogue = self.catalogue.load();
        let subscriptions = self.subscriptions.read();
        let feeding: Vec<&Subscription> =
            subscriptions.values().filter(|one| one.inbox == *inbox).collect();
        let outside = catalogue.grants_to_receive(&principal).iter().filter(|grant| {
            feeding.iter().any(|one| may_bring(one, &grant.event_type))
                && caller.check_mandate(&catalogue, Action::Receive, &grant.event_type).is_err()
        });
        let outside: Vec<&str> = outside.map(|grant| &*grant.event_type).collect();
        let Some(first) = outside.first() else { return Ok(()) };
        let others = match outside.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more types"),
        };
        Err(Refusal::of_field(
            Reason::NoMandate,
            "open.inbox",
            format!(
                "it may hold {first}{others}, outside the mandate of {principal} for party {party}; \
                 {INBOX_OF_ITS_OWN}"
            ),
        ))
    }
}

/// Whether a subscription may bring messages of this type, by what it says of types.
fn may_bring(subscription: &Subscription, event_type: &str) -> bool {
    let Subscription { types, filters, .. } = subscription;
    let wanted = types.is_empty() || types.iter().any(|one| one == event_type);
    wanted && filters.iter().all(|filter| may_match(filter, event_type))
}

/// Only what a filter plainly says of the type counts.
fn may_match(filter: &Filter, event_type: &str) -> bool {
    if let Filter::Exact(values) = filter {
        values.get("type").is_none_or(|value| event_type == value)
    } else if let Filter::Prefix(values) = filter {
        values.get("type").is_none_or(|value| event_type.starts_with(value))
    } else {
        true
    }
}
