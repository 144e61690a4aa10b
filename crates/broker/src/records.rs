//! What goes into the record of processing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wissel_audit::{Actor, Look, Looked, Operation, Outcome, Record, RecordLog, SubjectKey};
use wissel_bus::MessageId;
use wissel_catalogue::{Catalogue, Grant};
use wissel_identifiers::{InboxName, Oin};
use wissel_message::{EventView, Value};

use crate::questions::REPLY_TO;
use crate::road::minimise::Minimised;
use crate::{Broker, Caller, Leased, Reason, Refusal, Role, masked};

/// The attribute by which messages belong together.
const CORRELATION: &str = "correlationid";

/// How much of the record is read for one look at it.
const LOOKED_BYTES: u64 = 32 << 20;

/// Where records are kept, and how subjects are hashed in them.
#[derive(Debug, Clone)]
pub struct Records {
    /// The files.
    pub log: RecordLog,
    /// The key of subjects.
    pub subjects: SubjectKey,
}

/// Begins a record of what a caller did.
pub(crate) fn by(caller: &Caller, operation: Operation) -> Record {
    match caller {
        Caller::Party(party) => Record::new(operation, Actor::Party(*party)),
        Caller::Representative { party, principal } => {
            let on_behalf_of = Some(*principal);
            Record { on_behalf_of, ..Record::new(operation, Actor::Party(*party)) }
        }
        Caller::Operator(one) => {
            let operator = one.name.clone();
            Record { operator, ..Record::new(operation, Actor::Operator(one.oin)) }
        }
    }
}

impl Broker {
    /// Keeps records. Nothing is done without them: what they are about is refused when
    /// they cannot be written.
    pub(crate) async fn keep(&self, records: impl Into<Arc<Vec<Record>>>) -> Result<(), Refusal> {
        let Some(kept) = &self.options.records else { return Ok(()) };
        kept.log.append(records).await.map_err(|error| {
            self.metrics().unrecorded();
            let message = format!("{error}; nothing is done without it");
            let retry_after = Some(Duration::from_secs(1));
            Refusal { retry_after, ..Refusal::new(Reason::BusUnavailable, message) }
        })
    }

    /// Keeps the record of something that a caller did to what decides over messages.
    pub(crate) async fn keep_one(
        &self,
        caller: &Caller,
        operation: Operation,
        inbox: Option<&InboxName>,
        detail: String,
    ) -> Result<(), Refusal> {
        let detail = Some(detail).filter(|detail| !detail.is_empty());
        let record = Record { inbox: inbox.cloned(), detail, ..by(caller, operation) };
        self.keep(vec![record]).await
    }

    /// Keeps the record of something that a caller does with what is in an inbox; with which
    /// message, when it is about one.
    pub(crate) async fn keep_about(
        &self,
        caller: &Caller,
        operation: Operation,
        inbox: &InboxName,
        message: Option<MessageId>,
        detail: String,
    ) -> Result<(), Refusal> {
        let record = Record {
            inbox: Some(inbox.clone()),
            message_id: message.map(|message| message.0),
            detail: Some(detail),
            ..by(caller, operation)
        };
        self.keep(vec![record]).await
    }

    /// Keeps the record of an operator who signs in at the console or out of it; none: of
    /// somebody who could not prove who they are. Numbers in `detail` that may be a person's
    /// are masked.
    ///
    /// # Errors
    /// [`Reason::BusUnavailable`] when it cannot be kept; then nobody is to be let in.
    pub async fn keep_signing(
        &self,
        operation: Operation,
        operator: Option<&Caller>,
        detail: &str,
    ) -> Result<(), Refusal> {
        let record = match operator {
            Some(operator) => by(operator, operation),
            None => {
                let outcome = Outcome::Refused(Reason::Unauthenticated.as_str());
                Record { outcome, ..Record::new(operation, Actor::Unknown) }
            }
        };
        let detail = Some(masked(detail)).filter(|detail| !detail.is_empty());
        self.keep(vec![Record { detail, ..record }]).await
    }

    /// Looks at the record, the latest first, for operators; through 32 MiB of it at most, then it
    /// says from where to go on. Numbers that may be a person's are masked.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] for anybody else; when the record cannot be read.
    pub async fn look_at_records(&self, caller: &Caller, look: Look) -> Result<Looked, Refusal> {
        caller.check_operator(Role::Viewer)?;
        let Some(records) = &self.options.records else { return Ok(Looked::default()) };
        let log = records.log.clone();
        let look = Look { bytes: Some(LOOKED_BYTES), ..look };
        let read = tokio::task::spawn_blocking(move || log.look(&look)).await;
        let read = read.map_err(|error| Refusal::internal(&error))?;
        let mut looked = read.map_err(|error| Refusal::internal(&error))?;
        for line in &mut looked.lines {
            // Settings have numbers that are nobody's.
            if line.operation.parse() != Ok(Operation::InboxChanged) {
                line.detail = line.detail.take().map(|detail| masked(&detail));
            }
        }
        Ok(looked)
    }

    /// Whether the record could be written the last time; nothing is taken when it cannot.
    #[must_use]
    pub fn keeps_records(&self) -> bool {
        self.options.records.as_ref().is_none_or(|records| records.log.is_healthy())
    }

    /// Keeps the record of something that a caller wanted to do and may not. The inbox is
    /// named only when there is one: a name that is made up may be anything.
    pub(crate) async fn unless_refused<T>(
        &self,
        caller: &Caller,
        operation: Operation,
        inbox: Option<&InboxName>,
        outcome: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Err(refusal) = &outcome else { return outcome };
        let inbox = inbox.filter(|inbox| self.inboxes.read().contains_key(*inbox));
        let record = Record {
            outcome: Outcome::Refused(refusal.reason.as_str()),
            inbox: inbox.cloned(),
            ..by(caller, operation)
        };
        self.keep_refusals(vec![record]).await;
        outcome
    }

    /// Keeps the record of those who did not prove who they are: why, and how often. What
    /// cannot be recorded is in the log.
    pub async fn keep_unproven(&self, attempts: BTreeMap<String, u64>) {
        let record = |(reason, count): (String, u64)| Record {
            outcome: Outcome::Refused(Reason::Unauthenticated.as_str()),
            detail: Some(format!("attempts {count}: {reason}")),
            ..Record::new(Operation::Authentication, Actor::Unknown)
        };
        let records: Vec<Record> = attempts.into_iter().map(record).collect();
        self.keep_refusals(records).await;
    }

    /// Keeps the record of a call that ended because what its caller proved itself with
    /// did.
    pub async fn keep_disproved(&self, caller: &Caller, call: &str, refusal: &Refusal) {
        let record = Record {
            outcome: Outcome::Refused(refusal.reason.as_str()),
            detail: Some(format!("{call}: {}", refusal.message)),
            ..by(caller, Operation::Authentication)
        };
        tracing::info!(call, %refusal, "what a caller proved itself with has ended");
        self.keep_refusals(vec![record]).await;
    }

    /// Keeps records of what was not done: without them it is not done either.
    pub(crate) async fn keep_refusals(&self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        if let Err(error) = self.keep(records).await {
            tracing::error!(%error, "a refusal is not on record");
        }
    }

    /// Messages that are refused together, before any was looked at.
    pub(crate) fn refusal_of_all(caller: &Caller, messages: usize, refusal: &Refusal) -> Record {
        Record {
            outcome: Outcome::Refused(refusal.reason.as_str()),
            detail: Some(format!("messages {messages}")),
            ..by(caller, Operation::Admission)
        }
    }

    /// A message that is taken, and goes to these inboxes.
    pub(crate) fn admission(
        &self,
        message: &Minimised,
        inboxes: &Arc<[InboxName]>,
    ) -> Option<Record> {
        let kept = self.options.records.as_ref()?;
        let admitted = &message.admitted;
        let mut record = by(&admitted.caller, Operation::Admission);
        record.inboxes = Some(Arc::clone(inboxes));
        record.subject_kind = admitted.subject.identifier();
        kept.tell_of(&mut record, &admitted.event, admitted.message_id, &admitted.grant);
        Some(record)
    }

    /// A message that was taken, and could not be made durable.
    pub(crate) fn failure(record: &Record, refusal: &Refusal) -> Record {
        Record { outcome: Outcome::Refused(refusal.reason.as_str()), ..record.clone() }
    }

    /// A message that is refused. What it says of itself is kept as far as the catalogue
    /// knows it.
    pub(crate) fn refusal(
        &self,
        frame: &Bytes,
        caller: &Caller,
        catalogue: &Catalogue,
        refusal: &Refusal,
    ) -> Option<Record> {
        let kept = self.options.records.as_ref()?;
        let outcome = Outcome::Refused(refusal.reason.as_str());
        let inbox = refusal.inbox.clone();
        let record = Record { outcome, inbox, ..by(caller, Operation::Admission) };
        let Ok(event) = EventView::decode(frame.clone()) else { return Some(record) };
        let Some(rights) = catalogue.rights(event.event_type()) else { return Some(record) };
        Some(Record {
            event_type: Some(Arc::clone(&rights.event_type.name)),
            subject: event.subject().map(|subject| kept.subjects.hash(subject)),
            subject_kind: rights.event_type.subject.identifier(),
            trace_id: trace_parent(&event),
            ..record
        })
    }

    /// A message that is handed to a receiver, by its grant.
    pub(crate) fn delivery(
        &self,
        caller: &Caller,
        receiver: Oin,
        inbox: &InboxName,
        leased: &Leased,
        catalogue: &Catalogue,
    ) -> Option<Record> {
        let Leased { envelope, attempt, .. } = leased;
        let kept = self.options.records.as_ref()?;
        let mut record = Record {
            inbox: Some(inbox.clone()),
            message_id: Some(envelope.message_id.0),
            detail: Some(attempt_detail(*attempt, None)),
            ..by(caller, Operation::Delivery)
        };
        let Ok(event) = EventView::decode(envelope.event.clone()) else { return Some(record) };
        let rights = catalogue.rights(event.event_type());
        let grant = rights.and_then(|rights| rights.receive_grant(&receiver));
        let (Some(rights), Some(grant)) = (rights, grant) else { return Some(record) };
        kept.tell_of(&mut record, &event, envelope.message_id, grant);
        record.subject_kind = rights.event_type.subject.identifier();
        Some(record)
    }
}

impl Records {
    /// Tells in a record which message it is about. The record is filled in where it stands, as
    /// it is large, and there is one for each message.
    fn tell_of(
        &self,
        record: &mut Record,
        event: &EventView,
        message_id: MessageId,
        grant: &Grant,
    ) {
        record.event_type = Some(Arc::clone(&grant.event_type));
        record.message_id = Some(message_id.0);
        record.purpose = Some(Arc::clone(&grant.purpose));
        record.legal_basis = Some(Arc::clone(&grant.legal_basis));
        record.trace_id = Some(trace_parent(event).unwrap_or_else(|| message_id.0.into_bytes()));
        record.subject = event.subject().map(|subject| self.subjects.hash(subject));
        record.correlation = correlation_of(event).map(|text| self.subjects.correlation(text));
    }
}

/// What a message says it belongs to. A question without that belongs to what its own id names,
/// which is what its answer says.
fn correlation_of(event: &EventView) -> Option<&str> {
    match event.attribute(CORRELATION) {
        Some(Value::String(text)) => Some(text),
        _ => event.attribute(REPLY_TO).map(|_| event.id()),
    }
}

/// What a record says of an attempt.
pub(crate) fn attempt_detail(attempt: u32, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("attempt {attempt}: {reason}"),
        None => format!("attempt {attempt}"),
    }
}

/// What [`attempt_detail`] wrote: the attempt and the reason. Anything else is a reason.
pub(crate) fn read_attempt(detail: &str) -> (Option<u32>, Option<&str>) {
    let Some(rest) = detail.strip_prefix("attempt ") else { return (None, Some(detail)) };
    let (number, reason) =
        rest.split_once(": ").map_or((rest, None), |(number, reason)| (number, Some(reason)));
    match number.parse() {
        Ok(number) => (Some(number), reason),
        Err(_) => (None, Some(detail)),
    }
}

/// The trace that a message says it belongs to, by the CloudEvents extension for
/// distributed tracing (W3C Trace Context).
fn trace_parent(event: &EventView) -> Option<[u8; 16]> {
    let Some(Value::String(text)) = event.attribute("traceparent") else { return None };
    let trace_id = text.split('-').nth(1).filter(|trace_id| trace_id.len() == 32)?;
    let trace_id = u128::from_str_radix(trace_id, 16).ok()?;
    (trace_id != 0).then(|| trace_id.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use wissel_message::Event;

    use super::*;

    #[test]
    fn an_attempt_is_read_as_it_is_written() {
        for reason in [None, Some("broken: twice"), Some("")] {
            assert_eq!(read_attempt(&attempt_detail(12, reason)), (Some(12), reason));
        }
        for other in ["expired", "attempt to read", "attempt x: y"] {
            assert_eq!(read_attempt(other), (None, Some(other)));
        }
    }

    #[test]
    fn a_question_belongs_to_what_its_answer_names() {
        let correlation = |name: &str, value: &str| {
            let event = Event::builder("q-1", "/s", "nl.t.x").extension(name, value);
            let view = EventView::decode(event.build().unwrap().encode()).unwrap();
            correlation_of(&view).map(str::to_owned)
        };
        assert_eq!(correlation(CORRELATION, "c-1").as_deref(), Some("c-1"));
        assert_eq!(correlation(REPLY_TO, "x").as_deref(), Some("q-1"));
        assert_eq!(correlation("other", "c-1"), None);
    }

    #[test]
    fn the_trace_is_that_of_the_message() {
        let trace = |text: &str| {
            let event = Event::builder("1", "/s", "nl.t.x").extension("traceparent", text);
            trace_parent(&EventView::decode(event.build().unwrap().encode()).unwrap())
        };
        let found = trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(found[..4], [0x0a, 0xf7, 0x65, 0x19]);
        for none in [
            "",
            "00-1-2-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-999990019999990019999990019zzzzz-1-1",
        ] {
            assert_eq!(trace(none), None, "{none}");
        }
    }
}
