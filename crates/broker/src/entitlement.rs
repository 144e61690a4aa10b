//! What a subscription comes down to, given the grants of its owner.
//!
//! Rights to receive are worked out when a subscription or the catalogue changes, and not
//! for each message: a match in the routing table says which inbox gets the message, and
//! which fields of it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use wissel_catalogue::{Catalogue, Fields, Grant};
use wissel_filter::Filter;
use wissel_identifiers::InboxName;
use wissel_routing::{Alternative, Changes};

use crate::Subscription;

/// Where a match leads.
#[derive(Debug, Clone)]
pub struct Target {
    /// The inbox that gets the message.
    pub inbox: InboxName,
    /// What it gets of the data; none: everything.
    pub fields: Option<Arc<Fields>>,
    /// Whether it is the exchange's own: that is no recipient, and is told who the others
    /// are.
    pub watches: bool,
}

/// Event types with the same row limits and fields.
struct Group<'a> {
    limits: &'a [Filter],
    fields: Option<&'a Arc<Fields>>,
    types: Vec<&'a str>,
}

/// What a routing table has of a subscription, besides its name.
type Entry<'a> = (Vec<&'a Filter>, Group<'a>);

/// Puts a subscription in the routing table, with the row limits of each grant as part of
/// it. What its owner has no grant for, it does not match; nor what it would have to look
/// into fields for that the owner may not have.
pub fn put(subscription: &Subscription, catalogue: &Catalogue, changes: &mut Changes<'_, Target>) {
    let grants = catalogue.grants_to_receive(&subscription.name.owner());
    let mut groups: Vec<Group<'_>> = Vec::new();
    for grant in grants.iter().filter(|grant| wants(subscription, grant)) {
        match groups.iter_mut().find(|group| group.is_of(grant)) {
            Some(group) => group.types.push(&grant.event_type),
            None => groups.push(Group {
                limits: &grant.filters,
                fields: grant.fields.as_ref(),
                types: vec![&*grant.event_type],
            }),
        }
    }
    let pointers: Vec<String> =
        subscription.filters.iter().flat_map(Filter::data_pointers).collect();
    groups.retain(|group| {
        let allowed = group.fields.is_none_or(|fields| allows(fields, &pointers));
        if !allowed {
            tracing::warn!(
                subscription = %subscription.name, types = ?group.types,
                "a filter looks into fields that no grant gives; these types are left out"
            );
        }
        allowed
    });
    let with_filters = |group| {
        let Group { limits, .. } = group;
        let filters: Vec<&Filter> = subscription.filters.iter().chain(limits).collect();
        (filters, group)
    };
    let watches = catalogue.exchange() == Some(subscription.name.owner());
    let entries: Vec<Entry<'_>> = groups.into_iter().map(with_filters).collect();
    let alternatives = entries.iter().map(|(filters, group)| Alternative {
        types: &group.types,
        filters,
        followed: subscription.follows,
        target: Target {
            inbox: subscription.inbox.clone(),
            fields: group.fields.cloned(),
            watches,
        },
    });
    if let Err(error) = changes.put(&subscription.name, alternatives) {
        // It was checked when it was made, and perhaps by another version.
        changes.rest(&subscription.name);
        tracing::error!(subscription = %subscription.name, %error, "a subscription matches nothing: its filter cannot be used");
    }
}

/// Whether a receiver of these fields may have all of these places.
pub fn allows(fields: &Fields, pointers: &[String]) -> bool {
    pointers.iter().all(|pointer| fields.set.allows(pointer))
}

/// Whether a subscription is for messages of the grant's type, as far as types go.
pub fn wants(subscription: &Subscription, grant: &Grant) -> bool {
    let types = &subscription.types;
    types.is_empty() || types.iter().any(|wanted| **wanted == *grant.event_type)
}

impl Group<'_> {
    fn is_of(&self, grant: &Grant) -> bool {
        let same_fields = match (self.fields, &grant.fields) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same_fields && self.limits == grant.filters.as_slice()
    }
}

/// One inbox is one target, by whichever subscription it is found: its owner has one grant
/// on the type of the message, so what it gets of it is the same.
impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.inbox == other.inbox
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inbox.hash(state);
    }
}
