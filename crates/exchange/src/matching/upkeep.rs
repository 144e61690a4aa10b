//! What becomes of signals by itself: they match, and they are forgotten.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wissel_audit::Operation;
use wissel_broker::{Processing, Refusal};

use crate::Exchange;
use crate::exchange::PAUSE;

/// How many signals are looked at in one transaction.
const AT_ONCE: usize = 50;
/// The longest between two looks, whatever the clock says.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Exchange {
    /// Finds matches and forgets what is over its time, until the broker stops.
    pub(crate) async fn keep_signals(self: Arc<Self>) {
        let stopping = self.broker.shutdown_token();
        let keeping = async {
            loop {
                let next = match self.look_after_signals().await {
                    Ok(next) => next,
                    Err(refusal) => {
                        tracing::warn!(%refusal, "signals are not looked after; trying again");
                        PAUSE
                    }
                };
                tokio::select! {
                    () = self.matching.to_match.notified() => {}
                    () = tokio::time::sleep(next) => {}
                }
            }
        };
        stopping.run_until_cancelled(keeping).await;
    }

    /// Says when to look again.
    async fn look_after_signals(&self) -> Result<Duration, Refusal> {
        let forgotten = self.store.expire_signals().await?;
        if forgotten > 0 {
            let expired = Processing {
                operation: Operation::SignalsExpired,
                caller: None,
                grant: None,
                subject: None,
                detail: format!("signals {forgotten}"),
            };
            self.broker.put_on_record(expired).await?;
        }
        // Without an exchange there is nobody to tell of matches: they wait.
        if self.party().is_ok() {
            while self.store.match_signals(AT_ONCE, self.notices()).await? > 0 {
                self.something_to_send();
            }
        }
        let next = self.store.next_signal_expiry().await?;
        let next = next.map(|next| next.duration_since(SystemTime::now()).unwrap_or_default());
        // A millisecond later it is over.
        Ok(next.map_or(LOOK_EVERY, |next| next + Duration::from_millis(1)).min(LOOK_EVERY))
    }
}
