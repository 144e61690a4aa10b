//! Cases: who watches them, and what they need.

use std::sync::Arc;

use toml::Spanned;
use wissel_identifiers::Oin;

use super::reports::faults_of_places;
use super::{Checker, Place};
use crate::catalogue::TypeRights;
use crate::model::length_of;
use crate::{Audience, CaseTerm, DeclaredSubscription, Dispatch, EventType, Silence, file};

/// The local name of the inbox from which the exchange watches cases.
const WATCHING: &str = "exchange";

impl<'a> Checker<'a> {
    /// What makes messages cases, of either kind.
    pub(super) fn case(
        &mut self,
        place: Place<'a>,
        of: &str,
        dispatch: Option<&Spanned<file::Dispatch>>,
        report: Option<&Spanned<file::Report>>,
    ) -> Option<Dispatch> {
        match (dispatch, report) {
            (None, None) => None,
            (Some(dispatch), None) => self.dispatch(place, of, dispatch),
            (None, Some(report)) => self.report(place, of, report),
            (Some(_), Some(report)) => {
                let message =
                    format!("{of} has both `dispatch` and `report`; expected one of them");
                self.fault(place.of(report), message);
                None
            }
        }
    }

    fn dispatch(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &Spanned<file::Dispatch>,
    ) -> Option<Dispatch> {
        let place = place.of(stated);
        let file::Dispatch { status, term, remind, silence, decision } = stated.get_ref();
        let (term, remind) = self.terms(place, of, "dispatch", term.as_ref(), remind)?;
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
        Some(Dispatch { status: status.as_str().into(), term, remind, silence, report: None })
    }

    /// How long there is, and how long before the end it is reminded.
    pub(super) fn terms(
        &mut self,
        place: Place<'a>,
        of: &str,
        table: &str,
        term: Option<&Spanned<String>>,
        remind: &[Spanned<String>],
    ) -> Option<(Option<CaseTerm>, Vec<CaseTerm>)> {
        let term = match term {
            Some(term) => Some(self.term(place, of, &format!("{table}.term"), term)?),
            None => None,
        };
        let what = format!("{table}.remind");
        let remind = remind.iter().filter_map(|before| self.term(place, of, &what, before));
        Some((term, remind.collect()))
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
        self.watch_corrections();
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
        let table = if dispatch.report.is_some() { "report" } else { "dispatch" };
        let mut named = vec![("status", &dispatch.status)];
        if let Silence::Consents { decision } = &dispatch.silence {
            named.push(("decision", decision));
        }
        if let Some(report) = &dispatch.report {
            needs(&exchange, &report.corrections, false);
            for party in rights.receivers.keys().filter(|party| **party != exchange) {
                needs(party, &report.corrections, true);
            }
            for reporter in rights.publishers.keys() {
                needs(reporter, &report.about, false);
            }
            named.extend([("corrections", &report.corrections), ("about", &report.about)]);
            faults.extend(faults_of_places(rights, report, &exchange));
        }
        for (what, name) in named {
            if !self.catalogue.types.contains_key(name) {
                faults.push(self.no_event_type(&format!("{table}.{what}"), name));
            }
        }
        faults.sort();
        faults
    }
}
