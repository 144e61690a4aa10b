//! Cases: who watches them, and what they need.

use std::sync::Arc;

use toml::Spanned;
use wissel_identifiers::Oin;

use super::{Checker, Place};
use crate::catalogue::TypeRights;
use crate::model::length_of;
use crate::{Audience, CaseTerm, DeclaredSubscription, Dispatch, EventType, Silence, file};

/// The local name of the inbox from which the exchange watches cases.
const WATCHING: &str = "exchange";

impl<'a> Checker<'a> {
    pub(super) fn dispatch(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &Spanned<file::Dispatch>,
    ) -> Option<Dispatch> {
        let place = place.of(stated);
        let file::Dispatch { status, term, remind, silence, decision } = stated.get_ref();
        let term = match term {
            Some(term) => Some(self.term(place, of, "dispatch.term", term)?),
            None => None,
        };
        let remind: Vec<CaseTerm> = remind
            .iter()
            .filter_map(|before| self.term(place, of, "dispatch.remind", before))
            .collect();
        if term.is_none() && (!remind.is_empty() || *silence == file::Silence::Consents) {
            let message = "has no dispatch.term, of which something is said; expected one";
            self.fault(place, format!("{of}: {message}"));
        }
        let silence = match (silence, decision) {
            (file::Silence::Escalates, None) => Silence::Escalates,
            (file::Silence::Consents, Some(decision)) => {
                Silence::Consents { decision: decision.as_str().into() }
            }
            _ => {
                let expected = "dispatch.decision goes with `silence = \"consents\"`: expected \
                                both or neither";
                self.fault(place, format!("{of}: {expected}"));
                return None;
            }
        };
        Some(Dispatch { status: status.as_str().into(), term, remind, silence })
    }

    fn term(
        &mut self,
        place: Place<'a>,
        of: &str,
        what: &str,
        stated: &Spanned<String>,
    ) -> Option<CaseTerm> {
        if let Ok(term) = stated.get_ref().parse() {
            return Some(CaseTerm::Legal(term));
        }
        let length = self.span(place, of, what, Some(stated)).and_then(length_of)?;
        Some(CaseTerm::Exact(length))
    }

    /// The exchange gets what it may receive in an inbox of its own, without being asked.
    pub(super) fn watch_cases(&mut self) {
        for rights in self.catalogue.types.values().map(|rights| &rights.event_type) {
            if let Some(dispatch) = &rights.dispatch {
                self.statuses.insert(Arc::clone(&dispatch.status));
            }
        }
        for status in &self.statuses {
            if let Some(rights) = self.catalogue.types.get_mut(status) {
                rights.event_type.is_status = true;
            }
        }
        let Some(exchange) = self.catalogue.exchange else { return };
        if self.catalogue.grants_to_receive(&exchange).is_empty() {
            return;
        }
        let name = format!("{exchange}.{WATCHING}");
        let (Ok(subscription), Ok(inbox)) = (name.parse(), name.parse()) else { return };
        self.subscription_names.insert(subscription);
        let subscription = name.parse().expect("it was read before");
        self.catalogue.subscriptions.push(DeclaredSubscription {
            name: subscription,
            inbox,
            types: Vec::new(),
            filters: Vec::new(),
            ordered: false,
        });
    }

    /// What cases lack.
    pub(super) fn faults_of_cases(&self) -> Vec<(Arc<str>, String)> {
        let cases =
            self.catalogue.event_types().filter_map(|one| Some((one, one.dispatch.as_ref()?)));
        cases
            .flat_map(|(event_type, dispatch)| {
                let faults = self.faults_of_case(event_type, dispatch).into_iter();
                faults.map(|fault| (Arc::clone(&event_type.name), fault))
            })
            .collect()
    }

    fn faults_of_case(&self, event_type: &EventType, dispatch: &Dispatch) -> Vec<String> {
        let mut faults = Vec::new();
        if event_type.audience != Audience::ExactlyOne {
            let message = "its messages are cases, each for one party; expected `audience = \
                           \"exactly-one\"`";
            faults.push(message.to_owned());
        }
        let Some(exchange) = self.catalogue.exchange else {
            let message = "its messages are cases, and no party is the exchange that watches them; \
                           expected `exchange = true` at one party";
            faults.push(message.to_owned());
            return faults;
        };
        let Some(rights) = self.catalogue.types.get(&event_type.name) else { return faults };
        let mut needs = |party: &Oin, name: &Arc<str>, publish: bool| {
            let rights: Option<&TypeRights> = self.catalogue.types.get(name);
            let Some(rights) = rights else { return };
            let grants = if publish { &rights.publishers } else { &rights.receivers };
            if !grants.contains_key(party) {
                let what = if publish { "publish" } else { "receive" };
                faults.push(format!(
                    "party {party} takes part in cases, and has no grant to {what} {name}"
                ));
            }
        };
        needs(&exchange, &event_type.name, false);
        needs(&exchange, &dispatch.status, true);
        let competent = rights.receivers.keys().filter(|party| **party != exchange);
        for party in competent {
            needs(party, &dispatch.status, true);
        }
        for sender in rights.publishers.keys() {
            needs(sender, &dispatch.status, false);
        }
        if let Silence::Consents { decision } = &dispatch.silence {
            needs(&exchange, decision, true);
            for sender in rights.publishers.keys() {
                needs(sender, decision, false);
            }
        }
        let mut named = vec![("dispatch.status", &dispatch.status)];
        if let Silence::Consents { decision } = &dispatch.silence {
            named.push(("dispatch.decision", decision));
        }
        for (what, name) in named {
            if !self.catalogue.types.contains_key(name) {
                faults.push(format!("{what} is no event type: {name:?}"));
            }
        }
        faults.sort();
        faults
    }
}
