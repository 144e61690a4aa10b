//! What is done about cases when its moment has come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_audit::Operation;
use wissel_broker::{Processing, Refusal};
use wissel_catalogue::Silence;
use wissel_store::{CaseChange, CaseDue, CaseFile, CaseStatus};

use super::{Status, messages};
use crate::Exchange;
use crate::exchange::PAUSE;

/// The longest between two looks, whatever the clock says: a clock may be set.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Exchange {
    /// Reminds, and ends terms, until the broker stops. What fell due meanwhile is done at
    /// the start.
    pub(crate) async fn keep_terms(self: Arc<Self>) {
        let stopping = self.broker.shutdown_token();
        let keeping = async {
            self.broker.prepared().await;
            loop {
                let next = match self.do_what_is_due().await {
                    Ok(next) => next,
                    Err(refusal) => {
                        tracing::warn!(%refusal, "terms of cases are not kept; trying again");
                        PAUSE
                    }
                };
                tokio::select! {
                    () = self.cases.due.notified() => {}
                    () = tokio::time::sleep(next) => {}
                }
            }
        };
        stopping.run_until_cancelled(keeping).await;
    }

    /// Says when to look again.
    async fn do_what_is_due(&self) -> Result<Duration, Refusal> {
        loop {
            let next = self.store.next_case_due().await;
            let Some((id, due)) = next.map_err(|error| Refusal::internal(&error))? else {
                return Ok(LOOK_EVERY);
            };
            match due.at.duration_since(SystemTime::now()) {
                Ok(left) if !left.is_zero() => return Ok(left.min(LOOK_EVERY)),
                _ => self.carry_out(id, due).await?,
            }
        }
    }

    async fn carry_out(&self, id: Uuid, due: CaseDue) -> Result<(), Refusal> {
        let _turn = self.cases.turn.lock().await;
        let failed = |error| Refusal::internal(&error);
        // Somebody may have been faster.
        if self.store.next_case_due().await.map_err(failed)? != Some((id, due)) {
            return Ok(());
        }
        let Some(case) = self.store.case(id).await.map_err(failed)? else { return Ok(()) };
        let change = if due.end { self.end_of_term(case, due)? } else { self.reminder(case, due)? };
        let processing = Processing {
            operation: Operation::CaseDue,
            caller: None,
            grant: None,
            subject: None,
            detail: format!("case {id}{}", if due.end { ", end of the term" } else { "" }),
        };
        self.broker.put_on_record(processing).await?;
        tracing::info!(case = %id, end = due.end, "a term of a case");
        self.store.change_case(change).await.map_err(failed)?;
        self.something_to_send();
        Ok(())
    }

    fn reminder(&self, case: CaseFile, due: CaseDue) -> Result<CaseChange, Refusal> {
        let dispatch = self.dispatch_of(&case)?;
        let holder = case.holder;
        self.told(case, due, Status::Reminded, &[(holder, &dispatch.status)])
    }

    fn end_of_term(&self, case: CaseFile, due: CaseDue) -> Result<CaseChange, Refusal> {
        let dispatch = self.dispatch_of(&case)?;
        let (sender, holder) = (case.sender, case.holder);
        match &dispatch.silence {
            Silence::Escalates => {
                let to = [(sender, &dispatch.status), (holder, &dispatch.status)];
                self.told(case, due, Status::Lapsed, &to)
            }
            Silence::Consents { decision } => {
                let closed = CaseFile { closed: true, ..case };
                let to = [(sender, decision), (holder, &dispatch.status)];
                self.told(closed, due, Status::Consented, &to)
            }
        }
    }

    fn told(
        &self,
        case: CaseFile,
        due: CaseDue,
        status: Status,
        to: &[(wissel_identifiers::Oin, &Arc<str>)],
    ) -> Result<CaseChange, Refusal> {
        let (exchange, now) = (self.party()?, SystemTime::now());
        let mut all = Vec::new();
        let mut event_id = String::new();
        for (to, event_type) in to {
            let (id, event) = messages::write(exchange, event_type, &case, status, now, *to)?;
            event_id = id;
            all.push((*to, event));
        }
        let stated =
            CaseStatus { status: status.as_str().to_owned(), party: exchange, at: now, event_id };
        Ok(CaseChange { case, status: Some(stated), due: None, done: Some(due), messages: all })
    }
}
