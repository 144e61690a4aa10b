//! What a receiver makes of a delivery, and what that means for the bus.

use std::time::Duration;

use wissel_bus::{Said, Settlement};
use wissel_metrics::{DeadCause, Settled};

use super::{Held, Session};
use crate::policy::Policy;
use crate::{clock, masked};

/// What a receiver makes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Processed.
    Acknowledge,
    /// It is to come again.
    Retry {
        /// The least time to wait; none: as the inbox is set, longer after each attempt.
        after: Option<Duration>,
        /// Why, for operators.
        reason: String,
    },
    /// It is given up on, and becomes a dead letter.
    Reject {
        /// Why, for operators.
        reason: String,
    },
}

/// The most characters of a receiver's reason that are kept.
const REASON_MAX: usize = 500;

impl Session {
    /// How the deliveries of this inbox are retried.
    pub(super) fn policy(&self) -> Policy {
        self.broker.policy(&self.inbox)
    }

    /// What a verdict means for the bus, which is counted. The last attempt is not retried,
    /// and neither is one after the delivery's deadline; a retry that would come after it
    /// comes just before.
    pub(super) fn settlement(&self, held: &Held, verdict: &Verdict) -> Settlement {
        let (settlement, cause) = self.judge(held, verdict);
        let metrics = self.broker.metrics();
        match (&settlement, cause) {
            (_, Some(cause)) => {
                metrics.settled(Settled::Dead, 1);
                metrics.dead(cause, 1);
            }
            (Settlement::Acknowledge, None) => {
                metrics.settled(Settled::Acknowledged, 1);
                self.traffic.settled(1);
            }
            (_, None) => metrics.settled(Settled::Retried, 1),
        }
        settlement
    }

    fn judge(&self, held: &Held, verdict: &Verdict) -> (Settlement, Option<DeadCause>) {
        let dead = |reason: String, cause| (Settlement::dead_letter(reason), Some(cause));
        let (after, reason) = match verdict {
            Verdict::Acknowledge => return (Settlement::Acknowledge, None),
            Verdict::Reject { reason } => return dead(for_operators(reason), DeadCause::Rejected),
            Verdict::Retry { after, reason } => (*after, for_operators(reason)),
        };
        let (policy, attempt) = (self.policy(), held.attempt);
        if attempt >= policy.max_attempts {
            let said = Said::Attempts { attempts: attempt, last: &reason };
            return dead(said.to_string(), DeadCause::Attempts);
        }
        let after = after.unwrap_or_else(|| policy.wait_after(attempt));
        let retry = |after| (Settlement::Retry { after, reason: reason.clone() }, None);
        let Some(deadline) = held.deadline else { return retry(after) };
        let left = deadline.duration_since(clock::wall()).unwrap_or_default();
        // A bus may wait a tenth longer, or 100 ms.
        let before_it = left.saturating_sub((left / 8).max(Duration::from_millis(120)));
        if before_it.is_zero() {
            let said = Said::Deadline { attempt, last: &reason };
            return dead(said.to_string(), DeadCause::Deadline);
        }
        retry(after.min(before_it))
    }
}

/// A receiver's reason as it is kept: what may be the number of a person is not, and the
/// end of a long one.
fn for_operators(reason: &str) -> String {
    masked(reason).chars().take(REASON_MAX).collect()
}
