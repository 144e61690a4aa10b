//! Reasons for which something may be twice: faults that were close enough.

use std::time::{Duration, Instant};

use super::{InboxBooks, Ledgers};
use crate::rounds::plan::Fault;
use crate::rounds::subscriber::{Came, Settled, Verdict};

/// How long before a fault something may have been under way that it stopped, and how long
/// after it somebody may not have noticed. Acknowledgements are on disk within a second. This, and
/// what follows, is of the time in which the machine held nobody up.
pub(super) const GRACE: Duration = Duration::from_millis(1_500);
/// The same after RabbitMQ was away: a call to a bus that does not answer may take 5 s more.
pub(super) const GRACE_OF_BUS: Duration = Duration::from_millis(6_500);
/// How long a receipt is not yet on disk, by far: a crash may take those of the last moment.
const LAST_MOMENT: Duration = Duration::from_millis(250);

impl Ledgers<'_> {
    /// Whether the gateway may not know of a receipt that it gave then: it was killed a moment
    /// later, or could not write it down.
    pub(super) fn may_be_forgotten(&self, receipt_at: Instant, repeated_at: Instant) -> bool {
        self.happened.iter().filter(|one| one.begun <= repeated_at).any(|one| {
            let held_up = self.stalls.between(receipt_at, one.begun);
            let is_soon = one.begun <= receipt_at + LAST_MOMENT + held_up;
            match one.fault {
                Fault::KillGateway { .. } => is_soon && receipt_at <= one.ended,
                Fault::FillDisk { .. } => is_soon,
                _ => false,
            }
        })
    }

    /// Whether a settlement may have come to nothing: a fault that loses some took place close to
    /// it.
    pub(super) fn may_be_lost(&self, settled: &Settled, inbox: &InboxBooks) -> bool {
        let loses = |fault: &Fault| fault.may_lose_a_settlement(inbox.number);
        let moment = (settled.at, settled.at);
        // What has to be published waits for the end of an alarm. An acknowledgement does not: the
        // gateway has it, and only what befalls that or RabbitMQ can take it, which is when it is
        // one of a pack of which the rest waits.
        let is_published = settled.verdict != Verdict::Acknowledged;
        self.is_explained(moment, true, |fault| {
            loses(fault) && (is_published || !fault.is_of_receivers())
        }) || self.is_explained(moment, false, loses)
    }

    /// Whether a message that comes more often than it was listed as dead may be there twice: any
    /// of its settlements was late or may have been lost, or the fault was close to where nobody
    /// settled it, or to its coming again.
    pub(super) fn may_be_dead_twice(&self, redriven: &Came, inbox: &InboxBooks) -> bool {
        let loses = |fault: &Fault| fault.may_lose_a_settlement(inbox.number);
        let mut same = inbox.came.iter().filter(|came| came.message_id == redriven.message_id);
        same.any(|came| match &came.settled {
            Some(settled) => settled.late || self.may_be_lost(settled, inbox),
            None => self.is_explained((came.at, came.at + self.plan.lease), true, loses),
        }) || self.is_explained((redriven.at, redriven.at), true, loses)
    }

    /// Whether such a fault took place between these moments, or close to them. Of what waits for
    /// the end of an alarm of RabbitMQ, its time is left out.
    pub(super) fn is_explained(
        &self,
        (from, to): (Instant, Instant),
        waits_for_alarms: bool,
        by: impl Fn(&Fault) -> bool,
    ) -> bool {
        self.happened.iter().filter(|one| by(&one.fault)).any(|one| {
            let after = match one.fault {
                Fault::CutBus(_)
                | Fault::SilenceBus
                | Fault::KillRabbitMq
                | Fault::StopRabbitMq => GRACE_OF_BUS,
                _ => GRACE,
            };
            let alarms =
                if waits_for_alarms { self.alarms_between(to, one.begun) } else { Duration::ZERO };
            let held_up =
                (self.stalls.between(to, one.begun) + alarms, self.stalls.between(one.ended, from));
            one.begun <= to + GRACE + held_up.0 && from <= one.ended + after + held_up.1
        })
    }

    /// For how long of the time between these moments RabbitMQ had an alarm: what has to be
    /// published, such as a retry, is under way until that is over.
    fn alarms_between(&self, from: Instant, to: Instant) -> Duration {
        let alarms =
            self.happened.iter().filter(|one| matches!(one.fault, Fault::AlarmRabbitMq { .. }));
        alarms.map(|one| one.ended.min(to).saturating_duration_since(one.begun.max(from))).sum()
    }
}
