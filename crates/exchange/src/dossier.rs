//! What happened to a message, with how the cases among them stood.

use uuid::Uuid;
use wissel_broker::{Caller, Dossier, Reason, Refusal, Sought};
use wissel_store::CaseFile;

use crate::Exchange;

/// A dossier, and the cases in it that the one who asked may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DossierOfCases {
    /// What is on record.
    pub happened: Dossier,
    /// Oldest first.
    pub cases: Vec<CaseFile>,
}

/// How many cases one dossier has at most.
const CASES_MAX: usize = 100;

impl Exchange {
    /// What happened to a message, or in a correlation. Whoever has a case sees it, also when
    /// its message is not in an inbox of its own yet.
    ///
    /// # Errors
    /// As [`wissel_broker::Broker::dossier`].
    pub async fn dossier(
        &self,
        caller: &Caller,
        sought: &Sought,
    ) -> Result<DossierOfCases, Refusal> {
        let named = match sought {
            Sought::Message(id) => Some(*id),
            Sought::Correlation { id, .. } => id.parse().ok(),
        };
        let case = match named {
            Some(id) => self.case_for(caller, id).await?,
            None => None,
        };
        let concerned = case.as_ref().map(|case| case.id);
        let happened = match self.broker.dossier(caller, sought, concerned).await {
            // Its records were removed, and the case is still there.
            Err(refusal) if refusal.reason == Reason::UnknownMessage && concerned.is_some() => {
                Dossier::default()
            }
            outcome => outcome?,
        };
        let mut ids: Vec<Uuid> = happened.messages.iter().map(|message| message.id).collect();
        ids.extend(concerned);
        ids.sort_unstable();
        ids.dedup();
        let mut cases = Vec::new();
        for id in ids {
            cases.extend(self.case_for(caller, id).await?);
            if cases.len() == CASES_MAX {
                break;
            }
        }
        Ok(DossierOfCases { happened, cases })
    }

    /// The case of this message, when there is one that the caller may see.
    async fn case_for(&self, caller: &Caller, id: Uuid) -> Result<Option<CaseFile>, Refusal> {
        let Some(case) = self.store.case(id).await? else { return Ok(None) };
        Ok(crate::cases::is_concerned(caller, &case)?.then_some(case))
    }
}
