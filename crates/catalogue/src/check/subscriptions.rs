use wissel_filter::Filter;

use super::{Checker, Place};
use crate::{Action, DeclaredSubscription, Grant, file};

impl<'a> Checker<'a> {
    pub(super) fn subscription(&mut self, place: Place<'a>, stated: file::Subscription) {
        let file::Subscription { name, inbox, ordered, types, filters } = stated;
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
        let declared = DeclaredSubscription { name, inbox, types, filters, ordered };
        self.catalogue.subscriptions.push(declared);
    }
}

/// Whether a message of the grant's type, within its row limits, may match the filters:
/// no two of them ask different things of one attribute. Filters that leave a choice are
/// not looked into.
fn can_match(filters: &[Filter], grant: &Grant) -> bool {
    let mut wanted = Vec::new();
    for filter in filters.iter().chain(&grant.filters) {
        collect_wanted(filter, &mut wanted);
    }
    let suits_type = |(attribute, text): &(&str, Text<'_>)| {
        *attribute != "type" || text.agrees(Text::Is(&grant.event_type))
    };
    wanted.iter().all(|one| {
        let (attribute, text) = one;
        let mut same = wanted.iter().filter(|(other, _)| other == attribute);
        suits_type(one) && same.all(|(_, other)| text.agrees(*other))
    })
}

/// What a filter asks of the text of an attribute.
#[derive(Clone, Copy)]
enum Text<'a> {
    Is(&'a str),
    Starts(&'a str),
    Ends(&'a str),
}

impl Text<'_> {
    /// Whether one text can be what both ask.
    fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Is(one), Self::Is(other)) => one == other,
            (Self::Is(text), Self::Starts(start)) | (Self::Starts(start), Self::Is(text)) => {
                text.starts_with(start)
            }
            (Self::Is(text), Self::Ends(end)) | (Self::Ends(end), Self::Is(text)) => {
                text.ends_with(end)
            }
            (Self::Starts(one), Self::Starts(other)) => {
                one.starts_with(other) || other.starts_with(one)
            }
            (Self::Ends(one), Self::Ends(other)) => one.ends_with(other) || other.ends_with(one),
            (Self::Starts(_), Self::Ends(_)) | (Self::Ends(_), Self::Starts(_)) => true,
        }
    }
}

/// What a filter asks in any case, by attribute.
fn collect_wanted<'a>(filter: &'a Filter, wanted: &mut Vec<(&'a str, Text<'a>)>) {
    let (values, text): (_, fn(&'a str) -> Text<'a>) = match filter {
        Filter::Exact(values) => (values, Text::Is),
        Filter::Prefix(values) => (values, Text::Starts),
        Filter::Suffix(values) => (values, Text::Ends),
        Filter::All(filters) => {
            filters.iter().for_each(|filter| collect_wanted(filter, wanted));
            return;
        }
        _ => return,
    };
    wanted.extend(values.iter().map(|(name, value)| (name.as_str(), text(value))));
}
