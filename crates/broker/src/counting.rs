//! What is counted of messages.

use std::sync::Arc;
use std::time::Instant;

use wissel_metrics::{DeadCause, Metrics};

use crate::road::minimise::Minimised;
use crate::{Broker, Receipt, Refusal};

/// What is known of messages before they are enqueued.
pub(crate) struct Counted(Vec<Of>);

struct Of {
    event_type: Arc<str>,
    inboxes: u64,
    full: u64,
}

impl Counted {
    pub(crate) fn of(messages: &[Minimised]) -> Self {
        let of = |message: &Minimised| Of {
            event_type: Arc::clone(&message.admitted.grant.event_type),
            inboxes: message.inbox_count() as u64,
            full: message.full_inboxes().count() as u64,
        };
        Self(messages.iter().map(of).collect())
    }

    /// Counts those that have a receipt; those of one type that stand together, together.
    pub(crate) fn tell(self, outcomes: &[Result<Receipt, Refusal>], metrics: &Metrics) {
        let admitted = self.0.into_iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
        let mut run: Option<(Arc<str>, u64)> = None;
        let (mut inboxes, mut full) = (0, 0);
        for (of, _) in admitted {
            inboxes += of.inboxes;
            full += of.full;
            match &mut run {
                Some((event_type, count)) if *event_type == of.event_type => *count += 1,
                _ => {
                    if let Some((event_type, count)) = run.replace((of.event_type, 1)) {
                        metrics.admitted(&event_type, count);
                    }
                }
            }
        }
        if let Some((event_type, count)) = run {
            metrics.admitted(&event_type, count);
            metrics.enqueued(inboxes);
        }
        if full > 0 {
            metrics.dead(DeadCause::Full, full);
        }
    }
}

impl Broker {
    /// What is counted in this broker.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.options.metrics
    }

    /// Counts what messages that came together became.
    pub(crate) fn count_outcomes(&self, outcomes: &[Result<Receipt, Refusal>], came: Instant) {
        let metrics = &self.options.metrics;
        metrics.receipts_after(came.elapsed(), outcomes.len() as u64);
        for outcome in outcomes {
            match outcome {
                Ok(receipt) if receipt.repeated => metrics.repeated(),
                Ok(_) => {}
                Err(refusal) => metrics.refused(refusal.reason.as_str(), 1),
            }
        }
    }
}
