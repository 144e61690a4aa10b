//! Putting deliveries on record before they are handed out.

use std::sync::Arc;

use wissel_bus::Settlement;

use super::{Leased, Session, SessionEvent};
use crate::Refusal;

/// Deliveries, and the keeping of their records.
pub(super) struct Recording {
    pub(super) deliveries: Vec<Leased>,
    pub(super) records: futures::future::BoxFuture<'static, Result<(), Refusal>>,
}

impl Session {
    pub(super) fn record(&self, deliveries: Vec<Leased>) -> Recording {
        let records = deliveries.iter().filter_map(|leased| {
            self.broker.delivery(self.caller, &self.inbox, &leased.envelope, leased.attempt)
        });
        let records = records.collect();
        let broker = Arc::clone(&self.broker);
        Recording { deliveries, records: Box::pin(async move { broker.keep(records).await }) }
    }

    /// What is on record is handed out; what is not is given back, and ends the session.
    pub(super) fn recorded(
        &mut self,
        recorded: Result<(), Refusal>,
        deliveries: Vec<Leased>,
    ) -> Option<SessionEvent> {
        // The bus may have taken some back meanwhile.
        let held: Vec<Leased> =
            deliveries.into_iter().filter(|one| self.held.contains_key(&one.id)).collect();
        match recorded {
            Ok(()) if held.is_empty() => None,
            Ok(()) => Some(SessionEvent::Deliveries(held)),
            Err(refusal) => {
                let released = held.iter().filter_map(|one| {
                    let held = self.held.remove(&one.id)?;
                    self.ends_of_leases.remove(&held.end_of_lease);
                    Some((held.tag, Settlement::Release))
                });
                let released = released.collect();
                self.carry_out(released);
                self.refused = Some(refusal);
                None
            }
        }
    }
}
