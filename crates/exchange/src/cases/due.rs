//! What is done about cases when its moment has come.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use wissel_audit::Operation;
use wissel_broker::{Processing, Refusal};
use wissel_catalogue::Silence;
use wissel_store::{CaseChange, CaseDue, CaseFile};

use super::Status;
use crate::Exchange;
use crate::exchange::PAUSE;

/// The longest between two looks, whatever the clock says: a clock may be set.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When something is tried again that cannot be done.
const PUT_OFF: Duration = Duration::from_mins(1);

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
            let Some((id, due)) = self.store.next_case_due().await? else {
                return Ok(LOOK_EVERY);
            };
            match due.at.duration_since(SystemTime::now()) {
                Ok(left) if !left.is_zero() => return Ok(left.min(LOOK_EVERY)),
                _ => self.carry_out_or_put_off(id, due).await?,
            }
        }
    }

    /// What cannot be carried out is not to stand before what is due of other cases.
    async fn carry_out_or_put_off(&self, id: Uuid, due: CaseDue) -> Result<(), Refusal> {
        let _turn = self.cases.turn.lock().await;
        // Somebody may have been faster.
        if self.store.next_case_due().await? != Some((id, due)) {
            return Ok(());
        }
        let Some(case) = self.store.case(id).await? else { return Ok(()) };
        match self.what_is_due(case, due) {
            Ok(change) => self.carry_out(id, due, change).await,
            Err(refusal) => {
                tracing::error!(case = %id, %refusal, "what is due of a case cannot be done; it is put off");
                Ok(self.store.put_off_case_due(id, due, SystemTime::now() + PUT_OFF).await?)
            }
        }
    }

    async fn carry_out(&self, id: Uuid, due: CaseDue, change: CaseChange) -> Result<(), Refusal> {
        let processing = Processing {
            operation: Operation::CaseDue,
            caller: None,
            grant: None,
            subject: None,
            detail: format!("case {id}{}", if due.end { ", end of the term" } else { "" }),
        };
        self.broker.put_on_record(processing).await?;
        tracing::info!(case = %id, end = due.end, "a term of a case");
        self.change(vec![CaseChange { done: Some(due), ..change }]).await
    }

    /// A reminder, or what the end of the term means.
    fn what_is_due(&self, case: CaseFile, due: CaseDue) -> Result<CaseChange, Refusal> {
        let (dispatch, exchange) = (self.dispatch_of(&case)?, self.party()?);
        let (sender, holder, status) = (case.sender, case.holder, &*dispatch.status);
        match &dispatch.silence {
            _ if !due.end => self.told(case, Status::Reminded, exchange, &[(holder, status)]),
            Silence::Escalates => {
                let to = [(sender, status), (holder, status)];
                self.told(case, Status::Lapsed, exchange, &to)
            }
            Silence::Consents { decision } => {
                let to = [(sender, &**decision), (holder, status)];
                let closed = CaseFile { closed: true, ..case };
                self.told(closed, Status::Consented, exchange, &to)
            }
        }
    }
}
