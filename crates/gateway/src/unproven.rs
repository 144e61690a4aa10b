//! Those who could not prove who they are: counted, so that a flood of them fills no disk.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wissel_broker::{Broker, Refusal, masked};

/// Attempts that are not on record yet, by why they were refused.
#[derive(Default)]
pub(crate) struct Unproven {
    attempts: Mutex<BTreeMap<String, u64>>,
    counted: Notify,
}

/// What is counted while this lasts is put on record together.
const SUMMED_OVER: Duration = Duration::from_secs(10);
/// The most reasons that are told apart; the others are counted together.
const REASONS_MAX: usize = 16;
/// The most characters of a reason.
const REASON_LENGTH: usize = 200;

impl Unproven {
    /// Counts a call that was refused before it was known who calls.
    pub(crate) fn refused(&self, method: &str, refusal: &Refusal) {
        self.count(&format!("{method}: {}", refusal.message));
    }

    /// Counts an attempt that failed for a reason of few forms, without a word of what the
    /// other side sent.
    pub(crate) fn count(&self, reason: &str) {
        let reason: String = masked(reason).chars().take(REASON_LENGTH).collect();
        let mut attempts = self.attempts.lock();
        let known = attempts.contains_key(&reason) || attempts.len() < REASONS_MAX;
        let reason = if known { reason } else { "other".to_owned() };
        *attempts.entry(reason).or_default() += 1;
        drop(attempts);
        self.counted.notify_one();
    }

    /// Puts on record and logs what is counted: the first at once, and what follows summed
    /// up, until it is stopped.
    pub(crate) async fn report(&self, broker: &Broker, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.counted.notified() => self.write(broker).await,
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(SUMMED_OVER) => {}
            }
        }
        self.write(broker).await;
    }

    async fn write(&self, broker: &Broker) {
        let attempts = std::mem::take(&mut *self.attempts.lock());
        for (reason, count) in &attempts {
            broker.metrics().unproven(*count);
            tracing::info!(reason, count, "callers did not prove who they are");
        }
        broker.keep_unproven(attempts).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_reasons_stays_small() {
        let unproven = Unproven::default();
        for number in 0..1_000 {
            unproven.count(&format!("reason {number}"));
        }
        unproven.count(&"é".repeat(10_000));
        let attempts = unproven.attempts.lock();
        assert_eq!(attempts.len(), REASONS_MAX + 1);
        assert_eq!(attempts.values().sum::<u64>(), 1_001);
        assert_eq!(attempts["other"], 1_001 - REASONS_MAX as u64);
    }
}
