//! Cases are opened as their messages come to the exchange's inbox.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wissel_broker::direction::RECIPIENTS;
use wissel_broker::{Caller, Leased, Refusal, SessionEvent, SessionOptions, Verdict};
use wissel_bus::{Envelope, Said};
use wissel_catalogue::Dispatch;
use wissel_identifiers::{InboxName, Oin};
use wissel_message::{EventView, Timestamp, Value};
use wissel_store::{CaseDue, CaseFile};

use super::Status;
use crate::Exchange;
use crate::exchange::PAUSE;

/// The local name of the inbox.
const INBOX: &str = "exchange";
/// The attribute of a message that wants a decision earlier than its type says.
const DEADLINE: &str = "deadline";
const CREDIT: u16 = 100;
const LEASE: Duration = Duration::from_secs(60);

impl Exchange {
    /// Opens cases, until the broker stops.
    pub(crate) async fn watch_cases(self: Arc<Self>) {
        let stopping = self.broker.shutdown_token();
        let watching = async {
            self.broker.prepared().await;
            loop {
                // Opening what is not there would be refused, and on record, each time.
                if self.may_watch()
                    && let Err(refusal) = self.watch().await
                {
                    tracing::warn!(%refusal, "cases are not watched; trying again");
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        stopping.run_until_cancelled(watching).await;
    }

    /// Whether the exchange may receive anything, for which it then has an inbox.
    fn may_watch(&self) -> bool {
        let catalogue = self.broker.catalogue();
        catalogue.exchange().is_some_and(|party| !catalogue.grants_to_receive(&party).is_empty())
    }

    async fn watch(&self) -> Result<(), Refusal> {
        let party = self.party()?;
        let inbox = InboxName::new(party, INBOX).map_err(|error| Refusal::internal(&error))?;
        let options = SessionOptions { credit: CREDIT, lease: LEASE };
        let caller = Caller::Party(party);
        let mut session = self.broker.open_session(&caller, &inbox, options).await?;
        loop {
            match session.next().await {
                SessionEvent::Deliveries(deliveries) => {
                    for leased in deliveries {
                        let verdict = match self.take_note(&leased).await {
                            Ok(()) => Verdict::Acknowledge,
                            Err(refusal) => {
                                tracing::warn!(%refusal, "a message about cases is not done with; trying again");
                                let reason = Said::Refused(refusal.reason.as_str()).to_string();
                                Verdict::Retry { after: Some(PAUSE), reason }
                            }
                        };
                        session.settle(&[leased.id], &verdict);
                    }
                }
                SessionEvent::LeaseLost(_) => {}
                SessionEvent::Ended(end) => return Err(end.into()),
            }
        }
    }

    /// What is neither a case nor ends one is not looked at further: the exchange may receive
    /// more than that.
    async fn take_note(&self, leased: &Leased) -> Result<(), Refusal> {
        let envelope = &leased.envelope;
        let Ok(event) = EventView::decode(envelope.event.clone()) else { return Ok(()) };
        let catalogue = self.broker.catalogue();
        let Some(event_type) = catalogue.event_type(event.event_type()) else { return Ok(()) };
        if !event_type.corrects.is_empty() {
            self.end_reports(envelope, &event, &event_type.corrects).await?;
        }
        match &event_type.dispatch {
            Some(dispatch) => self.open_case(envelope, &event, dispatch).await,
            None => Ok(()),
        }
    }

    async fn open_case(
        &self,
        envelope: &Envelope,
        event: &EventView,
        dispatch: &Dispatch,
    ) -> Result<(), Refusal> {
        let Some(holder) = recipient(event) else {
            tracing::error!(message = %envelope.message_id, "a case that went to nobody");
            return Ok(());
        };
        let ends_at = ends_at(event, dispatch, envelope.admitted_at);
        let case = CaseFile {
            id: envelope.message_id.0,
            event_type: event.event_type().to_owned(),
            sender: envelope.publisher,
            holder,
            opened_at: envelope.admitted_at,
            ends_at,
            suspended_at: None,
            closed: false,
            statuses: Vec::new(),
        };
        let due = due(dispatch, ends_at, envelope.admitted_at);
        let is_new = match &dispatch.report {
            Some(report) => self.open_report(report, event, case, due).await?,
            None => self.store.open_case(case, due).await?,
        };
        if is_new {
            tracing::info!(case = %envelope.message_id, "a case was opened");
        }
        self.cases.opened.notify_waiters();
        self.cases.due.notify_one();
        Ok(())
    }
}

/// The one party that got it.
fn recipient(event: &EventView) -> Option<Oin> {
    match event.attribute(RECIPIENTS) {
        Some(Value::String(text)) => text.split(' ').next()?.parse().ok(),
        _ => None,
    }
}

/// The end of the term, or what the message says when that is earlier.
fn ends_at(event: &EventView, dispatch: &Dispatch, from: SystemTime) -> Option<SystemTime> {
    let stated = match event.attribute(DEADLINE) {
        Some(Value::Timestamp(deadline)) => deadline.to_system_time(),
        Some(Value::String(text)) => {
            text.parse().ok().and_then(|one: Timestamp| one.to_system_time())
        }
        _ => None,
    };
    let of_type = dispatch.term.map(|term| term.ends(from));
    [of_type, stated].into_iter().flatten().min()
}

/// What is due about a case whose term ends then: reminders that are still to come, and the
/// end.
pub(super) fn due(
    dispatch: &Dispatch,
    ends_at: Option<SystemTime>,
    now: SystemTime,
) -> Vec<CaseDue> {
    let Some(end) = ends_at else { return Vec::new() };
    let reminders = dispatch.remind.iter().map(|before| before.before(end));
    let reminders = reminders.filter(|at| *at > now).map(|at| CaseDue { at, end: false });
    reminders.chain([CaseDue { at: end, end: true }]).collect()
}

/// What is due from now on of a case that stands so since now; none: what was.
pub(super) fn due_after(
    status: Status,
    dispatch: &Dispatch,
    next: &CaseFile,
    now: SystemTime,
) -> Option<Vec<CaseDue>> {
    match status {
        Status::Suspended => Some(Vec::new()),
        Status::Resumed | Status::Extended => Some(due(dispatch, next.ends_at, now)),
        _ if next.closed => Some(Vec::new()),
        _ => None,
    }
}
