//! The record of deliveries that come to nothing. One that goes well is on record as handed out,
//! and nothing is added.

use std::time::Duration;

use wissel_audit::{Actor, Operation, Record};
use wissel_bus::{DeliveryTag, MessageId, Said, Settlement};
use wissel_identifiers::InboxName;

use crate::records::{attempt_detail, by};
use crate::road::minimise::Minimised;
use crate::{Broker, Caller, masked};

/// A delivery of which something is put on record.
pub(crate) struct Setback<'a> {
    inbox: &'a InboxName,
    message_id: MessageId,
    /// At which it was handed out; none: it was not.
    attempt: Option<u32>,
}

/// How long a delivery is held back whose record cannot be written.
const WITHOUT_RECORD: Duration = Duration::from_secs(1);

impl<'a> Setback<'a> {
    pub(crate) fn of(inbox: &'a InboxName, message_id: MessageId, attempt: Option<u32>) -> Self {
        Self { inbox, message_id, attempt }
    }

    /// The record of what becomes of it, by its receiver or by Wissel itself; none when it went
    /// well, or is given back.
    pub(crate) fn record(&self, who: Option<&Caller>, settlement: &Settlement) -> Option<Record> {
        let (operation, reason) = match settlement {
            Settlement::Acknowledge | Settlement::Release => return None,
            Settlement::Retry { reason, .. } => (Operation::Retried, reason),
            Settlement::DeadLetter { reason, .. } => (Operation::DeadLettered, reason),
        };
        let reason = masked(reason);
        let detail = match self.attempt {
            Some(attempt) => attempt_detail(attempt, Some(&reason)),
            None => reason,
        };
        let begun = match who {
            Some(caller) => by(caller, operation),
            None => Record::new(operation, Actor::Wissel),
        };
        Some(Record { detail: Some(detail), ..self.begin(begun) })
    }

    /// The record of a question that is handed to nobody any more.
    pub(crate) fn over(&self) -> Record {
        self.begin(Record::new(Operation::QuestionOver, Actor::Wissel))
    }

    fn begin(&self, record: Record) -> Record {
        let (inbox, message_id) = (Some(self.inbox.clone()), Some(self.message_id.0));
        Record { inbox, message_id, ..record }
    }
}

impl Broker {
    /// The records of a message in inboxes that have no room for it.
    pub(crate) fn burials(&self, message: &Minimised) -> Vec<Record> {
        if self.options.records.is_none() {
            return Vec::new();
        }
        let message_id = message.admitted.message_id;
        let record = |inbox| {
            let settlement = Settlement::dead_letter(Said::InboxFull);
            Setback::of(inbox, message_id, None).record(None, &settlement)
        };
        message.full_inboxes().filter_map(record).collect()
    }

    /// Puts settlements on record before they are carried out. When that fails, which is false,
    /// the deliveries are to be given back, after a while.
    pub(crate) async fn when_on_record(
        &self,
        settlements: Vec<(DeliveryTag, Settlement)>,
        records: Vec<Record>,
        inbox: &InboxName,
    ) -> (Vec<(DeliveryTag, Settlement)>, bool) {
        if records.is_empty() {
            return (settlements, true);
        }
        let Err(refusal) = self.keep(records).await else { return (settlements, true) };
        tracing::warn!(%inbox, %refusal, "what came to nothing is not on record; giving it back");
        tokio::time::sleep(WITHOUT_RECORD).await;
        let back = settlements.into_iter().map(|(tag, _)| (tag, Settlement::Release));
        (back.collect(), false)
    }
}
