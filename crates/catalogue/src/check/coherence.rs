use super::Checker;
use crate::Audience;

impl Checker<'_> {
    /// What is no fault of a single entry: a type that nobody publishes or receives.
    pub(super) fn coherence(&mut self) {
        let mut found = Vec::new();
        for (name, place) in &self.types {
            let Some(rights) = self.catalogue.types.get(name) else { continue };
            if rights.publishers.is_empty() {
                found.push((*place, format!("nobody has a grant to publish event type {name}")));
            }
            if rights.receivers.is_empty() {
                found.push((*place, format!("nobody has a grant to receive event type {name}")));
            }
            let audience = rights.event_type.audience;
            if audience != Audience::Any && !self.is_subscribed_to(name) {
                let message = format!(
                    "event type {name} needs {audience} recipient, and no subscription here is to it"
                );
                found.push((*place, message));
            }
        }
        for (place, message) in found {
            self.warn(place, message);
        }
    }

    fn is_subscribed_to(&self, event_type: &str) -> bool {
        self.catalogue.subscriptions.iter().any(|subscription| {
            let named = subscription.types.iter().any(|one| one == event_type);
            let owner = subscription.name.owner();
            if self.catalogue.exchange == Some(owner) {
                return false;
            }
            let granted = self.catalogue.grants_to_receive(&owner);
            named
                || (subscription.types.is_empty()
                    && granted.iter().any(|grant| *grant.event_type == *event_type))
        })
    }
}
