//! What the exchange itself has to say, published until it is durable.
//!
//! A message of the exchange is kept with the state that it tells of, in one transaction, and
//! published afterwards: after a crash again, with the same (source, id), which the road
//! knows. It goes to one party, which must have an inbox for it: until there is one it waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wissel_broker::{Direction, Reason, Refusal};
use wissel_store::Outgoing;

use crate::Exchange;
use crate::exchange::PAUSE;

/// How many messages are taken up at a time.
const AT_ONCE: usize = 100;
/// When a message that was refused is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Exchange {
    /// Says that there is something in the outbox.
    pub(crate) fn something_to_send(&self) {
        self.to_send.notify_one();
    }

    /// Publishes what is in the outbox, until the broker stops.
    pub(crate) async fn send_what_is_kept(self: Arc<Self>) {
        let stopping = self.broker.shutdown_token();
        let sending = async {
            self.broker.prepared().await;
            loop {
                if let Err(refusal) = self.send_due().await {
                    tracing::debug!(%refusal, "messages of the exchange wait");
                }
                tokio::select! {
                    () = self.to_send.notified() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        };
        stopping.run_until_cancelled(sending).await;
    }

    async fn send_due(&self) -> Result<(), Refusal> {
        loop {
            let due = self.store.outgoing(SystemTime::now(), AT_ONCE).await?;
            if due.is_empty() {
                return Ok(());
            }
            for message in due {
                self.send(message).await?;
            }
        }
    }

    /// Publishes one; put off when it is refused, so that it does not stand before others.
    async fn send(&self, message: Outgoing) -> Result<(), Refusal> {
        let Outgoing { number, recipient, event } = message;
        let direction = Direction::One(Some(recipient));
        let published =
            self.broker.publish_directed(&self.caller()?, event.into(), &direction).await;
        match published {
            Ok(_) => self.store.sent(number).await?,
            // Nothing can be published now. One full inbox is no reason to keep the others.
            Err(refusal)
                if refusal.retry_after.is_some() && refusal.reason != Reason::InboxFull =>
            {
                return Err(refusal);
            }
            Err(refusal) => {
                tracing::warn!(to = %recipient, %refusal, "a message of the exchange is refused; it waits");
                self.store.put_off(number, SystemTime::now() + AGAIN_AFTER).await?;
            }
        }
        Ok(())
    }
}
