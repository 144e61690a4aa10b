use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use wissel_filter::{Condition, Dialect};
use wissel_identifiers::SubscriptionName;
use wissel_message::EventView;

/// A subscription, as it is evaluated. There may be millions: most have one type and
/// one condition, which stand in place.
pub(crate) struct Subscription<T> {
    pub(crate) name: SubscriptionName,
    /// No two are alike; later ones have a higher one.
    pub(crate) number: u64,
    pub(crate) types: SmallVec<[Arc<str>; 1]>,
    /// All must hold.
    pub(crate) conditions: SmallVec<[Condition; 1]>,
    pub(crate) target: T,
}

/// Where a subscription is filed: under each of these (attribute, value).
pub(crate) type Places<'a> = SmallVec<[(&'a str, &'a Arc<str>); 1]>;

impl<T> Subscription<T> {
    pub(crate) fn matches(&self, event: &EventView) -> bool {
        let event_type = event.event_type();
        let type_wanted =
            self.types.is_empty() || self.types.iter().any(|wanted| **wanted == *event_type);
        type_wanted && self.conditions.iter().all(|one| one.matches(event))
    }

    /// The exact `subject`, else another exact attribute, else each event type.
    pub(crate) fn places(&self) -> Places<'_> {
        let exact = self.conditions.iter();
        let exact = exact.filter(|condition| condition.dialect == Dialect::Exact);
        let best = exact.min_by_key(|condition| match &*condition.attribute {
            "subject" => 0,
            "source" | "type" | "specversion" => 2,
            _ => 1,
        });
        match best {
            Some(condition) => smallvec![(&*condition.attribute, &condition.value)],
            None => {
                let types = self.types.iter();
                types.map(|event_type| ("type", event_type)).collect()
            }
        }
    }
}
