//! What a receiver makes of a delivery, and what that means for the bus.

use std::time::{Duration, SystemTime};

use wissel_bus::Settlement;

use super::{Held, Session};
use crate::masked;
use crate::policy::Policy;

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

    /// What a verdict means for the bus. The last attempt is not retried, and neither is
    /// one after the delivery's deadline; a retry that would come after it comes just
    /// before.
    pub(super) fn settlement(&self, held: &Held, verdict: &Verdict) -> Settlement {
        let (after, reason) = match verdict {
            Verdict::Acknowledge => return Settlement::Acknowledge,
            Verdict::Reject { reason } => return Settlement::dead_letter(for_operators(reason)),
            Verdict::Retry { after, reason } => (*after, for_operators(reason)),
        };
        let (policy, attempt) = (self.policy(), held.attempt);
        if attempt >= policy.max_attempts {
            let reason = format!("given up after {attempt} attempts; the last: {reason}");
            return Settlement::dead_letter(reason);
        }
        let after = after.unwrap_or_else(|| policy.wait_after(attempt));
        let Some(deadline) = held.deadline else { return Settlement::Retry { after, reason } };
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        // A bus may wait a tenth longer, or 100 ms.
        let before_it = left.saturating_sub((left / 8).max(Duration::from_millis(120)));
        if before_it.is_zero() {
            let reason = format!("past its deadline, at attempt {attempt}; the last: {reason}");
            return Settlement::dead_letter(reason);
        }
        Settlement::Retry { after: after.min(before_it), reason }
    }
}

/// A receiver's reason as it is kept: what may be the number of a person is not, and the
/// end of a long one.
fn for_operators(reason: &str) -> String {
    masked(reason).chars().take(REASON_MAX).collect()
}
