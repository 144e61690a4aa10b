//! The record of what is done with data other than by messages.

use std::sync::Arc;

use wissel_audit::{Actor, Operation, Outcome, Record};
use wissel_bus::MessageId;
use wissel_catalogue::Grant;
use wissel_identifiers::Oin;

use crate::records::by;
use crate::{Broker, Caller, Refusal};

/// What a caller had done, or Wissel did by itself.
#[derive(Debug)]
pub struct Processing<'a> {
    /// What.
    pub operation: Operation,
    /// Who had it done; none: nobody did.
    pub caller: Option<&'a Caller>,
    /// By which right; none when there is none.
    pub grant: Option<&'a Grant>,
    /// Whom or what it is about, and which kind of identifier that is. Only its hash is kept.
    pub subject: Option<(&'a str, &'static str)>,
    /// More, without anything personal.
    pub detail: String,
}

impl Broker {
    /// Puts on record what is about to be done. It is not done when this fails.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn put_on_record(&self, processing: Processing<'_>) -> Result<(), Refusal> {
        self.keep(vec![self.record_of(processing, Outcome::Done)]).await
    }

    /// Puts on record what was refused. What cannot be recorded is in the log.
    pub async fn put_refusal_on_record(&self, processing: Processing<'_>, refusal: &Refusal) {
        let outcome = Outcome::Refused(refusal.reason.as_str());
        self.keep_refusals(vec![self.record_of(processing, outcome)]).await;
    }

    /// Puts on record that a question came to no answer, and why. What cannot be recorded is in
    /// the log.
    pub async fn put_unanswered_on_record(
        &self,
        caller: &Caller,
        question: MessageId,
        reason: &'static str,
        by_whom: Option<Oin>,
    ) {
        let detail = by_whom.map_or_else(|| reason.to_owned(), |by| format!("{reason}, by {by}"));
        let record = Record {
            outcome: Outcome::Refused(reason),
            message_id: Some(question.0),
            detail: Some(detail),
            ..by(caller, Operation::Unanswered)
        };
        self.keep_refusals(vec![record]).await;
    }

    fn record_of(&self, processing: Processing<'_>, outcome: Outcome) -> Record {
        let Processing { operation, caller, grant, subject, detail } = processing;
        let begun = match caller {
            Some(caller) => by(caller, operation),
            None => Record::new(operation, Actor::Wissel),
        };
        let kept = self.options.records.as_ref();
        Record {
            outcome,
            event_type: grant.map(|grant| Arc::clone(&grant.event_type)),
            purpose: grant.map(|grant| Arc::clone(&grant.purpose)),
            legal_basis: grant.map(|grant| Arc::clone(&grant.legal_basis)),
            subject: kept.zip(subject).map(|(kept, (subject, _))| kept.subjects.hash(subject)),
            subject_kind: subject.map(|(_, kind)| kind),
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            ..begun
        }
    }
}
