use wissel_filter::{Dialect, Filter};

use super::{Checker, Place};
use crate::{Action, DeclaredSubscription, Grant, file};

impl<'a> Checker<'a> {
    pub(super) fn subscription(&mut self, place: Place<'a>, stated: file::Subscription) {
        let file::Subscription { name, inbox, types, filters } = stated;
        let owner = name.owner();
        self.known_party(place, owner, &format!("the owner of subscription {name}"));
        let own_name = || name.as_str().parse().expect("both names are made alike");
        let inbox = inbox.unwrap_or_else(own_name);
        if inbox.owner() != owner {
            let message = format!("subscription {name} feeds an inbox of another party");
            self.fault(place, message);
        }
        for event_type in &types {
            if self.catalogue.grant(&owner, Action::Receive, event_type).is_none() {
                let message = format!(
                    "subscription {name}: party {owner} has no grant to receive {event_type:?}"
                );
                self.dangling(place, message);
            }
        }
        for filter in &filters {
            if let Err(error) = filter.check() {
                self.fault(place, format!("subscription {name}: {error}"));
            }
        }
        let grants = self.catalogue.grants_to_receive(&owner);
        let reaches = |grant: &Grant| {
            let wanted = types.is_empty() || types.iter().any(|one| **one == *grant.event_type);
            wanted && can_match(&filters, grant)
        };
        if self.is_complete() && !grants.iter().any(|grant| reaches(grant)) {
            let message = format!(
                "subscription {name} lies outside the grants of its owner: it can match nothing"
            );
            self.warn(place, message);
        }
        if !self.subscription_names.insert(name.clone()) {
            self.fault(place, format!("subscription {name} is there twice"));
        }
        let declared = DeclaredSubscription { name, inbox, types, filters };
        self.catalogue.subscriptions.push(declared);
    }
}

/// Whether a message of the grant's type, within its row limits, may match the filters:
/// no two of them ask different things of one attribute.
fn can_match(filters: &[Filter], grant: &Grant) -> bool {
    let all = || filters.iter().chain(&grant.filters).map(Filter::parts);
    all().all(|(dialect, wanted)| {
        wanted.iter().all(|(attribute, value)| {
            let suits_type = attribute != "type" || fits(dialect, value, &grant.event_type);
            let same_attribute =
                || all().filter_map(|(other, values)| Some((other, values.get(attribute)?)));
            suits_type && same_attribute().all(|(other, found)| agree(dialect, value, other, found))
        })
    })
}

fn fits(dialect: Dialect, wanted: &str, value: &str) -> bool {
    match dialect {
        Dialect::Exact => value == wanted,
        Dialect::Prefix => value.starts_with(wanted),
        _ => true,
    }
}

/// Whether one value can be what both ask.
fn agree(one: Dialect, wanted: &str, other: Dialect, also_wanted: &str) -> bool {
    match (one, other) {
        (Dialect::Exact, other) => fits(other, also_wanted, wanted),
        (one, Dialect::Exact) => fits(one, wanted, also_wanted),
        (Dialect::Prefix, Dialect::Prefix) => {
            wanted.starts_with(also_wanted) || also_wanted.starts_with(wanted)
        }
        _ => true,
    }
}
