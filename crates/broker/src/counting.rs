//! What is counted of messages.

use std::sync::Arc;
use std::time::Instant;

use wissel_metrics::{DeadCause, Metrics};

use crate::road::minimise::Minimised;
use crate::{Broker, Receipt, Refusal};

/// What is known of messages before they are enqueued.
pub(crate) struct Counted {
    messages: Vec<Of>,
    /// Messages of one type that stand together: the type, and where the next one begins.
    runs: Vec<(Arc<str>, usize)>,
}

struct Of {
    inboxes: u64,
    full: u64,
}

impl Counted {
    pub(crate) fn of(messages: &[Minimised]) -> Self {
        let mut runs: Vec<(Arc<str>, usize)> = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            let event_type = &message.admitted.grant.event_type;
            match runs.last_mut() {
                Some((last, end)) if last == event_type => *end = place + 1,
                _ => runs.push((Arc::clone(event_type), place + 1)),
            }
        }
        let of = |message: &Minimised| Of {
            inboxes: message.inbox_count() as u64,
            full: message.full_inboxes().count() as u64,
        };
        Self { messages: messages.iter().map(of).collect(), runs }
    }

    /// Counts those that have a receipt; those of one type that stand together, together.
    pub(crate) fn tell(self, outcomes: &[Result<Receipt, Refusal>], metrics: &Metrics) {
        let (mut admitted, mut inboxes, mut full) = (0, 0, 0);
        let mut begin = 0;
        for (event_type, end) in self.runs {
            let run = self.messages[begin..end].iter().zip(&outcomes[begin..end]);
            let mut count = 0;
            for (of, _) in run.filter(|(_, outcome)| outcome.is_ok()) {
                count += 1;
                inboxes += of.inboxes;
                full += of.full;
            }
            if count > 0 {
                metrics.admitted(&event_type, count);
            }
            admitted += count;
            begin = end;
        }
        if admitted > 0 {
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
