//! Every queue that rounds use, made before RabbitMQ is killed for the first time.
//!
//! A queue that is younger than some seconds when RabbitMQ 3.10 is killed may be gone
//! afterwards, or take nothing any more (docs/operations/rabbitmq.md). That is known, and not
//! what rounds are to find, so no queue is that young when it happens.

use std::time::{Duration, Instant};

use super::messages::inbox_name;
use super::plan::{BusKind, Fault, Habits, Plan, Timed};
use super::rig::Rig;
use super::round::Failure;
use crate::PARTIES;

/// For longer than any queue is young.
const YOUNG: Duration = Duration::from_secs(5);
/// Of retries by their delays, which are rounded up.
pub(super) const RETRIES: [&str; 2] = ["wissel.retry.100", "wissel.retry.200"];
/// The seed of the first of these rounds, far from others. Not longer, as it is a part of
/// identifiers that are shown only when nothing in them may be a personal number.
const SEED: u64 = 9_000_000;
/// What does not come up in so many rounds never does.
const ROUNDS_MAX: u64 = 10;

impl Rig {
    /// On a new RabbitMQ, plays rounds of a busy kind until every queue is there.
    pub(super) async fn make_queues(&mut self) -> Result<(), Failure> {
        let expected: Vec<String> =
            (0..PARTIES.len()).map(marks_of).chain(RETRIES.map(str::to_owned)).collect();
        for number in 0..ROUNDS_MAX {
            let outcome = self.play(Plan::that_makes_queues(number)).await;
            outcome.failure.map_or(Ok(()), Err)?;
            let Some(queues) = self.queues().await else { return Ok(()) };
            if expected.iter().all(|queue| queues.contains(queue)) {
                self.queues_grown_at = Some(Instant::now() + YOUNG);
                return Ok(());
            }
        }
        let queues = self.queues().await;
        panic!("rounds no longer make {expected:?}, but {queues:?}");
    }

    /// Waits where RabbitMQ is killed, until no queue is young.
    pub(super) async fn let_queues_grow(&self, plan: &Plan) {
        let is_killed = |timed: &Timed| timed.fault == Fault::KillRabbitMq;
        if let Some(at) = self.queues_grown_at.filter(|_| plan.faults.iter().any(is_killed)) {
            tokio::time::sleep_until(at.into()).await;
        }
    }
}

/// That of what was settled of packs that were given back.
fn marks_of(inbox: usize) -> String {
    format!("wissel.marks.{}", inbox_name(inbox))
}

impl Plan {
    /// Much is asked for again, and packs of which a part is settled are given back. That is by
    /// subscribers who die with what they have forgotten in hand.
    fn that_makes_queues(number: u64) -> Self {
        let mut plan = Self::of(SEED + number, BusKind::Embedded);
        let habits =
            Habits { subscribers: 1, credit: 200, retried: 300, rejected: 20, forgotten: 300 };
        let deaths = (0..PARTIES.len()).map(|inbox| Timed {
            at: Duration::from_millis(400 + 100 * inbox as u64),
            fault: Fault::SubscribersDie { inbox },
        });
        plan.bus = BusKind::RabbitMq;
        plan.warm_up = Some(number);
        plan.habits = [habits; PARTIES.len()];
        plan.lease = super::plan::SHORT_LEASE;
        plan.faults = deaths.collect();
        plan
    }
}
