//! The exchange patterns that event types take part in.

use std::sync::Arc;

use toml::Spanned;

use super::event_types::kinds;
use super::{Checker, Place};
use crate::model::length_of;
use crate::{Ask, EventType, Matching, SubjectKind, file};

impl<'a> Checker<'a> {
    pub(super) fn ask(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &Spanned<file::Ask>,
    ) -> Option<Ask> {
        let place = place.of(stated);
        let file::Ask { answer, within } = stated.get_ref();
        let within = self.span(place, of, "ask.within", Some(within)).and_then(length_of)?;
        Some(Ask { answer: answer.as_str().into(), within })
    }

    pub(super) fn matching(
        &mut self,
        place: Place<'a>,
        of: &str,
        stated: &Spanned<file::Matching>,
    ) -> Option<Matching> {
        let place = place.of(stated);
        let file::Matching { subject, keep, signals_per_hour } = stated.get_ref();
        let keep = self.span(place, of, "match.keep", Some(keep)).and_then(length_of);
        let kind = subject.get_ref().parse();
        if kind.is_err() {
            let expected = format!("expected one of {}", kinds());
            let message = format!("{of}: match.subject {:?}; {expected}", subject.get_ref());
            self.fault(place.of(subject), message);
        }
        Some(Matching {
            subject: kind.ok()?,
            keep: keep?,
            signals_per_hour: signals_per_hour.unwrap_or(Matching::SIGNALS_PER_HOUR),
        })
    }

    /// What the patterns need besides the entries that use them.
    pub(super) fn patterns(&mut self) {
        let asked = self.catalogue.event_types().filter_map(|one| Some((one, one.ask.as_ref()?)));
        let mut faults: Vec<(Arc<str>, String)> = asked
            .flat_map(|(question, ask)| {
                self.faults_of_question(question, ask)
                    .into_iter()
                    .map(|fault| (Arc::clone(&question.name), fault))
            })
            .collect();
        for notice in self.catalogue.event_types().filter(|one| one.matching.is_some()) {
            let found = self.faults_of_notice(notice).into_iter();
            faults.extend(found.map(|fault| (Arc::clone(&notice.name), fault)));
        }
        faults.extend(self.faults_of_cases());
        for (name, fault) in faults {
            if let Some(place) = self.types.get(&name).copied() {
                self.fault(place, format!("event type {name}: {fault}"));
            }
        }
    }

    /// Whoever asks must be able to get an answer, and whoever is asked to give one.
    fn faults_of_question(&self, question: &EventType, ask: &Ask) -> Vec<String> {
        let mut faults = Vec::new();
        if self.catalogue.exchange.is_none() {
            let message = "is a question, and no party is the exchange that relays answers; \
                           expected `exchange = true` at one party";
            faults.push(message.to_owned());
        }
        let answer = &ask.answer;
        let Some(answers) = self.catalogue.types.get(answer) else {
            faults.push(self.no_event_type("ask.answer", answer));
            return faults;
        };
        let Some(questions) = self.catalogue.types.get(&question.name) else { return faults };
        for asker in questions.publishers.keys() {
            if !answers.receivers.contains_key(asker) {
                faults.push(format!(
                    "party {asker} may ask, and has no grant to receive the answers, {answer}"
                ));
            }
        }
        for asked in questions.receivers.keys() {
            if !answers.publishers.contains_key(asked) {
                faults.push(format!(
                    "party {asked} may be asked, and has no grant to publish the answers, {answer}"
                ));
            }
        }
        faults.sort();
        faults
    }

    /// The exchange must be able to tell of matches, and nobody else may.
    fn faults_of_notice(&self, notice: &EventType) -> Vec<String> {
        let mut faults = Vec::new();
        if notice.ask.is_some() {
            faults.push("has both `ask` and `match`; expected one of them".to_owned());
        }
        if matches!(notice.subject, SubjectKind::Identifier(_) | SubjectKind::Other) {
            let message = "notices of matches have no subject; expected `subject = \"none\"`, and \
                           what signals are about as `match.subject`";
            faults.push(message.to_owned());
        }
        let Some(exchange) = self.catalogue.exchange else {
            let message = "tells of matches, and no party is the exchange that finds them; \
                           expected `exchange = true` at one party";
            faults.push(message.to_owned());
            return faults;
        };
        let Some(rights) = self.catalogue.types.get(&notice.name) else { return faults };
        if !rights.publishers.contains_key(&exchange) {
            faults.push(format!(
                "tells of matches, and the exchange, party {exchange}, has no grant to publish it"
            ));
        }
        let mut others: Vec<_> =
            rights.publishers.keys().filter(|party| **party != exchange).collect();
        others.sort();
        faults.extend(others.into_iter().map(|party| {
            format!("party {party} may publish it, and only the exchange is to tell of matches")
        }));
        faults
    }
}
