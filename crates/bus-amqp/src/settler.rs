//! Settling: acknowledge, release, retry, dead-letter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicNackOptions};
use wissel_bus::{BusError, DeliveryTag, InboxName, Settle, Settlement};

use crate::held::{AfterSettling, Held, HeldDelivery};
use crate::inspect::Knowledge;
use crate::link::in_time;
use crate::publisher::Publisher;
use crate::topology;

/// Settles what one consumer holds. A retry or a dead letter is published and
/// confirmed before the delivery is acknowledged: a crash between doubles it. A pack
/// is acknowledged with its last member.
pub(crate) struct Settler {
    pub(crate) inbox: InboxName,
    pub(crate) held: Arc<Held>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) knowledge: Arc<Knowledge>,
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
            Settlement::Release => return self.release(tag, held).await,
            Settlement::Retry { after, reason } => self.retry(&held, *after, reason).await,
            Settlement::DeadLetter { reason, unheard, handed_out } => {
                let dead = held.queued.given_up(unheard, *handed_out);
                self.publisher.bury(&self.inbox, &dead, reason).await
            }
        };
        if let Err(error) = moved {
            self.held.put_back(tag, held);
            return Err(error);
        }
        let _acknowledging = self.held.acknowledging.read().await;
        let AfterSettling::Acknowledge(acker) = self.settled(tag, &held)? else {
            return Ok(());
        };
        match in_time(acker.ack(BasicAckOptions::default())).await {
            Ok(true) => self.held.acknowledged(&held),
            // The connection broke. That a whole pack is settled is remembered.
            Ok(false) | Err(_) if held.parcel.is_pack() => {}
            Ok(false) | Err(_) => return Err(self.doubt(tag)),
        }
        Ok(())
    }

    /// It comes again, unless the broker heard of it after all.
    fn doubt(&self, tag: DeliveryTag) -> BusError {
        self.held.doubtful.notify_one();
        BusError::NotHeld(tag)
    }

    fn settled(&self, tag: DeliveryTag, held: &HeldDelivery) -> Result<AfterSettling, BusError> {
        match self.held.settled(held) {
            AfterSettling::ComesAgain => Err(BusError::NotHeld(tag)),
            after => Ok(after),
        }
    }

    /// A member of a pack waits here, at its place; a message by itself in its queue.
    async fn release(&self, tag: DeliveryTag, held: HeldDelivery) -> Result<(), BusError> {
        if held.parcel.is_pack() {
            return if self.held.released(held) { Ok(()) } else { Err(BusError::NotHeld(tag)) };
        }
        let _acknowledging = self.held.acknowledging.read().await;
        let AfterSettling::Acknowledge(acker) = self.settled(tag, &held)? else {
            return Err(BusError::NotHeld(tag));
        };
        let options = BasicNackOptions { requeue: true, multiple: false };
        match in_time(acker.nack(options)).await {
            Ok(true) => {
                self.held.acknowledged(&held);
                Ok(())
            }
            Ok(false) | Err(_) => Err(self.doubt(tag)),
        }
    }

    async fn retry(
        &self,
        held: &HeldDelivery,
        after: Duration,
        reason: &str,
    ) -> Result<(), BusError> {
        let again = held.queued.after_failure(SystemTime::now(), reason);
        if after.is_zero() {
            return self.publisher.put_back(&self.inbox, &again).await;
        }
        let delay = topology::round_up(after);
        self.publisher.put_aside(&self.inbox, &again, delay).await?;
        self.knowledge.delayed.add(delay, again.envelope.admitted_at);
        Ok(())
    }
}
