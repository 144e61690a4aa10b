//! What a subscription comes down to, given the grants of its owner.

use wissel_catalogue::{Catalogue, Grant};
use wissel_filter::Filter;
use wissel_identifiers::InboxName;
use wissel_routing::{Alternative, Changes};

use crate::Subscription;

/// Event types with the same row limits.
struct Group<'a> {
    limits: &'a [Filter],
    types: Vec<&'a str>,
}

/// Puts a subscription in the routing table, with the row limits of each grant as part of
/// it. What its owner has no grant for, it does not match.
pub fn put(
    subscription: &Subscription,
    catalogue: &Catalogue,
    changes: &mut Changes<'_, InboxName>,
) {
    let grants = catalogue.grants_to_receive(&subscription.name.owner());
    let mut groups: Vec<Group<'_>> = Vec::new();
    for grant in grants.iter().filter(|grant| wants(subscription, grant)) {
        match groups.iter_mut().find(|group| group.limits == grant.filters.as_slice()) {
            Some(group) => group.types.push(&grant.event_type),
            None => {
                groups.push(Group { limits: &grant.filters, types: vec![&*grant.event_type] });
            }
        }
    }
    let filters: Vec<Vec<&Filter>> = groups
        .iter()
        .map(|group| subscription.filters.iter().chain(group.limits).collect())
        .collect();
    let alternatives: Vec<Alternative<'_>> = groups
        .iter()
        .zip(&filters)
        .map(|(group, filters)| Alternative { types: &group.types, filters })
        .collect();
    changes.put(&subscription.name, &alternatives, &subscription.inbox);
}

fn wants(subscription: &Subscription, grant: &Grant) -> bool {
    let types = &subscription.types;
    types.is_empty() || types.iter().any(|wanted| **wanted == *grant.event_type)
}
