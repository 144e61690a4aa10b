//! Reports of doubt about registered data: those about the same, and corrections that end
//! them.
//!
//! What a report doubts is kept as a pseudonym, under the keys of signals: those are there on
//! every gateway, and can be changed under what was made with them. The key of the record of
//! processing is not for this: who keeps records need not run the exchange, and who finds a
//! subject in the records must not find reports by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use uuid::Uuid;
use wissel_audit::Operation;
use wissel_broker::reports::reports_of;
use wissel_broker::{Caller, Processing, Refusal};
use wissel_bus::Envelope;
use wissel_catalogue::{Datum, Report};
use wissel_message::EventView;
use wissel_store::{CaseChange, CaseDue, CaseFile, NewReport, Opened};

use super::acting::{PATIENCE, was_made_at};
use super::state::follow;
use super::{Status, unknown, watch};
use crate::Exchange;

/// How often a pseudonym is made again when keys are added meanwhile.
const TIMES: usize = 3;

impl Exchange {
    /// Opens a report. Says whether it was not there.
    pub(super) async fn open_report(
        &self,
        report: &Report,
        event: &EventView,
        case: CaseFile,
        due: Vec<CaseDue>,
    ) -> Result<bool, Refusal> {
        let Ok(datum) = report.datum(event) else {
            // The catalogue was another when it was published. It is a case nevertheless.
            tracing::error!(case = %case.id, "a report that does not say what it doubts");
            return Ok(self.store.open_case(case, due).await?);
        };
        let (label, doubted) = (format!("report of {}", report.about), text_of(&datum));
        for _ in 0..TIMES {
            let keys = self.pseudonym_keys().await.map_err(|error| Refusal::internal(&error))?;
            let datum = keys.pseudonym(&label, &doubted);
            let (case, due) = (case.clone(), due.clone());
            let new = NewReport { case, due, datum, keys: keys.count() };
            match self.store.open_report(new).await? {
                Opened::New => return Ok(true),
                Opened::Same => return Ok(false),
                Opened::OtherKeys => self.matching.read_keys_again(),
            }
        }
        Err(Refusal::internal(&"the keys of pseudonyms change too often"))
    }

    /// What its holder says of a report, for the others of the same that the holder has: each
    /// reporter is told of his own.
    pub(super) async fn said_of_same(
        &self,
        case: &CaseFile,
        status: Status,
        ends_at: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<Vec<CaseChange>, Refusal> {
        let mut changes = Vec::new();
        for other in self.store.reports_of_same(case.id).await? {
            if other.holder != case.holder || stands_so(&other, status) {
                continue;
            }
            // One that it cannot be said of stays as it is: it has no term, or a later end.
            let Ok(dispatch) = self.dispatch_of(&other) else { continue };
            let Ok(next) = follow(&other, true, status, ends_at, now) else { continue };
            let due = watch::due_after(status, &dispatch, &next, now);
            let sender = next.sender;
            let told = self.told(next, status, case.holder, &[(sender, &dispatch.status)])?;
            changes.push(CaseChange { due, ..told });
        }
        Ok(changes)
    }

    /// Ends the reports that a correction names, and those of the same, that its publisher
    /// has. It learns nothing of others: what it names and does not have is left alone.
    pub(super) async fn end_reports(
        &self,
        correction: &Envelope,
        event: &EventView,
        types: &[Arc<str>],
    ) -> Result<(), Refusal> {
        let (publisher, message_id) = (correction.publisher, correction.message_id.0);
        let ends = |case: &CaseFile| {
            let of_type = types.iter().any(|one| **one == *case.event_type);
            !case.closed && case.holder == publisher && of_type
        };
        let _turn = self.cases.turn.lock().await;
        let (mut ended, mut is_awaited) = (BTreeMap::new(), false);
        for id in reports_of(event) {
            match self.store.case(id).await? {
                Some(case) if ends(&case) => {
                    let same = self.store.reports_of_same(id).await?;
                    let all = same.into_iter().filter(ends).chain([case]);
                    ended.extend(all.map(|case| (case.id, case)));
                }
                Some(_) => {}
                None => is_awaited |= may_still_come(id),
            }
        }
        let mut changes = Vec::new();
        for (id, case) in ended {
            let processing = Processing {
                operation: Operation::ReportCorrected,
                caller: Some(&Caller::Party(publisher)),
                grant: None,
                subject: None,
                detail: format!("case {id}, by message {message_id}"),
            };
            self.broker.put_on_record(processing).await?;
            let dispatch = self.dispatch_of(&case)?;
            let to = [(case.sender, &*dispatch.status)];
            let next = CaseFile { closed: true, ..case };
            let (status, correction) = (Status::Corrected, Some(message_id));
            let told = self.told_with(next, status, correction, publisher, &to)?;
            changes.push(CaseChange { due: Some(Vec::new()), ..told });
        }
        if !changes.is_empty() {
            tracing::info!(correction = %message_id, reports = changes.len(), "reports were ended");
            self.change(changes).await?;
        }
        // What was ended is closed, so that the next time only what was awaited is.
        if is_awaited { Err(unknown()) } else { Ok(()) }
    }
}

/// Whether there is nothing new in it. That a report came in is said of each once.
fn stands_so(case: &CaseFile, status: Status) -> bool {
    let of_holder = || case.statuses.iter().any(|one| one.party == case.holder);
    match status {
        Status::Extended => false,
        Status::Received => of_holder(),
        _ => case.statuses.last().is_some_and(|last| last.status == status.as_str()),
    }
}

/// Whether a report was made so recently that it may come after its correction.
fn may_still_come(id: Uuid) -> bool {
    let age = was_made_at(id).and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age < PATIENCE)
}

/// Another one for every other object and field.
fn text_of(Datum { object, field }: &Datum) -> String {
    format!("{}:{object}{field}", object.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_object_or_field_is_another_text() {
        let text = |object: &str, field: &str| {
            text_of(&Datum { object: object.to_owned(), field: field.to_owned() })
        };
        assert_eq!(text("1", "/a"), text("1", "/a"));
        assert_ne!(text("1", "/a/b"), text("1/a", "/b"));
        assert_ne!(text("1", "/a"), text("2", "/a"));
    }
}
