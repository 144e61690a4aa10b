//! The exchange patterns that event types take part in.

use std::sync::Arc;

use toml::Spanned;

use super::{Checker, Place};
use crate::model::length_of;
use crate::{Ask, EventType, file};

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

    /// What the patterns need besides the entries that use them.
    pub(super) fn patterns(&mut self) {
        let asked = self.catalogue.event_types().filter_map(|one| Some((one, one.ask.as_ref()?)));
        let faults: Vec<(Arc<str>, String)> = asked
            .flat_map(|(question, ask)| {
                self.faults_of_question(question, ask)
                    .into_iter()
                    .map(|fault| (Arc::clone(&question.name), fault))
            })
            .collect();
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
            faults.push(format!("ask.answer is no event type: {answer:?}"));
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
}
