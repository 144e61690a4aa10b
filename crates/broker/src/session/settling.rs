//! Telling the bus what becomes of deliveries.

use std::sync::Arc;
use std::time::Duration;

use wissel_bus::{BusError, DeliveryTag, Settle, Settlement};
use wissel_identifiers::InboxName;

/// How long a delivery is held back that could not be settled. What is not handed out, as it is
/// too old, comes back to its session at once, and would go round as fast as a processor can.
const UNSETTLED: Duration = Duration::from_secs(1);

/// What was not carried out, and so comes again.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The bus could not settle these.
    pub(super) given_back: Vec<DeliveryTag>,
    /// The bus took some back in the meantime.
    taken_back: bool,
}

impl Settled {
    /// Whether all was carried out.
    pub(super) fn all(&self) -> bool {
        self.given_back.is_empty() && !self.taken_back
    }
}

/// Settles; what the bus could not retry or dead-letter is given back after a while, so that it
/// comes again, and named.
pub(super) async fn settle_or_release(
    settler: Arc<dyn Settle>,
    settlements: Vec<(DeliveryTag, Settlement)>,
    inbox: InboxName,
) -> Settled {
    let tags: Vec<DeliveryTag> = settlements.iter().map(|(tag, _)| *tag).collect();
    let answers = settler.settle(settlements).await;
    let mut settled = Settled::default();
    let mut back = Vec::new();
    let mut open = false;
    for (tag, answer) in tags.into_iter().zip(answers) {
        match answer {
            Ok(()) => {}
            // It comes again by itself.
            Err(BusError::NotHeld(_)) => settled.taken_back = true,
            Err(error) => {
                tracing::warn!(%inbox, %error, "a delivery could not be settled; giving it back");
                back.push((tag, Settlement::Release));
                open |= !matches!(error, BusError::Closed | BusError::UnknownInbox(_));
            }
        }
    }
    settled.given_back = back.iter().map(|(tag, _)| *tag).collect();
    if open {
        tokio::time::sleep(UNSETTLED).await;
    }
    if !back.is_empty() {
        settler.settle(back).await;
    }
    settled
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    use super::*;

    /// Its storage failed: nothing but a release is carried out, of which it tells when, and an
    /// acknowledgement, for which it is too late.
    #[derive(Default)]
    struct Failed {
        released: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl Settle for Failed {
        async fn settle(
            &self,
            settlements: Vec<(DeliveryTag, Settlement)>,
        ) -> Vec<Result<(), BusError>> {
            let settle = |(tag, settlement)| match settlement {
                Settlement::Release => {
                    self.released.lock().push(Instant::now());
                    Ok(())
                }
                Settlement::Acknowledge => Err(BusError::NotHeld(tag)),
                _ => Err(BusError::Storage { reason: "full".to_owned() }),
            };
            settlements.into_iter().map(settle).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_settled_is_given_back_and_not_at_once() {
        let bus = Arc::new(Failed::default());
        let begun = Instant::now();
        let inbox = "00000099000000002000.inbox".parse().unwrap();
        let dead = vec![(DeliveryTag(7), Settlement::dead_letter("too old"))];
        let settled = settle_or_release(Arc::clone(&bus) as _, dead, inbox).await;
        assert_eq!(settled.given_back, [DeliveryTag(7)]);
        assert!(!settled.all());
        let released = bus.released.lock().clone();
        assert_eq!(released.len(), 1);
        assert!(released[0] >= begun + UNSETTLED);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_bus_took_back_is_not_carried_out() {
        let bus = Arc::new(Failed::default());
        for (settlement, all) in [(Settlement::Acknowledge, false), (Settlement::Release, true)] {
            let inbox = "00000099000000002000.inbox".parse().unwrap();
            let one = vec![(DeliveryTag(7), settlement)];
            let settled = settle_or_release(Arc::clone(&bus) as _, one, inbox).await;
            assert!(settled.given_back.is_empty());
            assert_eq!(settled.all(), all);
        }
    }
}
