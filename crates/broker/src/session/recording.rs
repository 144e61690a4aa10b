//! Putting deliveries on record before they are handed out.

use std::sync::Arc;

use wissel_bus::Settlement;
use wissel_catalogue::Catalogue;

use super::{Leased, Session, SessionEvent};
use crate::{Refusal, clock, followed};

/// Deliveries, and the keeping of their records.
pub(super) struct Recording {
    /// What the receiver's right to them was held against.
    catalogue: Arc<Catalogue>,
    deliveries: Vec<Leased>,
    pub(super) records: futures::future::BoxFuture<'static, Result<(), Refusal>>,
}

impl Session {
    pub(super) fn record(&self, deliveries: Vec<Leased>, catalogue: Arc<Catalogue>) -> Recording {
        let records = deliveries.iter().filter_map(|leased| {
            self.broker.delivery(&self.caller, self.inbox.owner(), &self.inbox, leased, &catalogue)
        });
        let records: Vec<_> = records.collect();
        let broker = Arc::clone(&self.broker);
        Recording {
            catalogue,
            deliveries,
            records: Box::pin(async move { broker.keep(records).await }),
        }
    }

    /// What is on record is handed out. What is not is given back, and ends the session; so
    /// is what was found right by a catalogue that is no longer in force, to be looked at
    /// again.
    pub(super) fn recorded(
        &mut self,
        outcome: Result<(), Refusal>,
        recording: Recording,
    ) -> Option<SessionEvent> {
        let Recording { catalogue, deliveries, .. } = recording;
        // The bus may have taken some back meanwhile.
        let held: Vec<Leased> =
            deliveries.into_iter().filter(|one| self.held.contains_key(&one.id)).collect();
        if let Err(refusal) = outcome {
            self.refused = Some(refusal);
            self.give_back(&held);
        } else if !Arc::ptr_eq(&catalogue, &self.broker.catalogue()) {
            self.give_back(&held);
        } else if !held.is_empty() {
            self.count_handed_out(&held);
            return Some(SessionEvent::Deliveries(held));
        }
        None
    }

    fn count_handed_out(&self, deliveries: &[Leased]) {
        let metrics = self.broker.metrics();
        metrics.handed_out(deliveries.len() as u64);
        let now = clock::wall();
        for Leased { envelope, attempt, .. } in deliveries {
            if *attempt == 1 && !envelope.replayed {
                metrics
                    .delivered_after(now.duration_since(envelope.admitted_at).unwrap_or_default());
            }
        }
    }

    fn give_back(&mut self, deliveries: &[Leased]) {
        let released = deliveries.iter().filter_map(|one| {
            let held = self.held.remove(&one.id)?;
            self.ends_of_leases.remove(&held.end_of_lease);
            let _ = followed::settle(held.span, held.tag, &Settlement::Release);
            Some((held.tag, Settlement::Release))
        });
        let released = released.collect();
        self.carry_out(released, Vec::new(), Vec::new());
    }
}
