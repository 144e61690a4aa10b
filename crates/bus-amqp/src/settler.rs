//! Settling: acknowledge, release, retry, dead-letter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicNackOptions};
use wissel_bus::{BusError, DeliveryTag, InboxName, Settle, Settlement};

use crate::consumer::{Held, HeldDelivery};
use crate::inspect::Delayed;
use crate::publisher::Publisher;
use crate::{codec, topology};

/// Settles what one consumer holds. A retry or a dead letter is published and
/// confirmed before the delivery is acknowledged: a crash between doubles it.
pub(crate) struct Settler {
    pub(crate) inbox: InboxName,
    pub(crate) held: Arc<Held>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) delayed: Arc<Delayed>,
}

/// How many settlements are under way together.
const AT_ONCE: usize = 1_024;

#[async_trait]
impl Settle for Settler {
    async fn settle(
        &self,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>> {
        let settling =
            stream::iter(settlements).map(|(tag, settlement)| self.settle_one(tag, settlement));
        settling.buffered(AT_ONCE).collect().await
    }
}

impl Settler {
    async fn settle_one(&self, tag: DeliveryTag, settlement: Settlement) -> Result<(), BusError> {
        let held = self.held.take(tag).ok_or(BusError::NotHeld(tag))?;
        let moved = match &settlement {
            Settlement::Acknowledge => Ok(()),
            Settlement::Release => return self.release(tag, &held).await,
            Settlement::Retry { after, .. } => self.retry(&held, *after).await,
            Settlement::DeadLetter { reason, .. } => {
                let HeldDelivery { envelope, attempt, .. } = &held;
                let now = SystemTime::now();
                let properties = codec::dead_properties(envelope, *attempt, reason, now);
                self.publisher.bury(&self.inbox, envelope, properties).await
            }
        };
        if let Err(error) = moved {
            self.held.put_back(tag, held);
            return Err(error);
        }
        match held.acker.ack(BasicAckOptions::default()).await {
            Ok(true) => Ok(()),
            // The connection broke: it comes again.
            Ok(false) | Err(_) => Err(BusError::NotHeld(tag)),
        }
    }

    async fn release(&self, tag: DeliveryTag, held: &HeldDelivery) -> Result<(), BusError> {
        let options = BasicNackOptions { requeue: true, multiple: false };
        match held.acker.nack(options).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(BusError::NotHeld(tag)),
        }
    }

    async fn retry(&self, held: &HeldDelivery, after: Duration) -> Result<(), BusError> {
        let HeldDelivery { envelope, attempt, .. } = held;
        let next = attempt.saturating_add(1);
        if after.is_zero() {
            return self.publisher.put_back(&self.inbox, envelope, next).await;
        }
        let delay = topology::round_up(after);
        self.publisher.put_aside(&self.inbox, envelope, next, delay).await?;
        self.delayed.add(delay, envelope.admitted_at);
        Ok(())
    }
}
