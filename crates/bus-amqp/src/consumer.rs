//! Consuming an inbox, over as many connections as it takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use lapin::Acker;
use lapin::message::Delivery as AmqpDelivery;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer as AmqpConsumer};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{Arrival, Delivery, DeliveryTag, Envelope, InboxName};

use crate::inspect::Knowledge;
use crate::link::Link;
use crate::{codec, topology};

/// What one consumer holds.
#[derive(Default)]
pub(crate) struct Held {
    deliveries: Mutex<HashMap<DeliveryTag, HeldDelivery>>,
    next_tag: AtomicU64,
}

/// A delivery that is not settled.
pub(crate) struct HeldDelivery {
    pub(crate) envelope: Envelope,
    pub(crate) attempt: u32,
    pub(crate) acker: Acker,
}

/// Hands what is in an inbox to a consumer, until that goes away.
pub(crate) struct Consuming {
    pub(crate) link: Link,
    pub(crate) inbox: InboxName,
    pub(crate) credit: u16,
    pub(crate) held: Arc<Held>,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    /// Cancelled when the inbox is removed, or the bus closed.
    pub(crate) ending: CancellationToken,
}

/// Why a channel is no longer read.
enum End {
    /// Nobody wants more.
    Over,
    /// The channel or its connection broke.
    Broken,
}

impl Consuming {
    pub(crate) async fn run(self) {
        const PAUSE: Duration = Duration::from_millis(200);
        const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        loop {
            let opened = tokio::select! {
                () = self.ending.cancelled() => return,
                () = self.arrivals.closed() => return,
                opened = self.link.channel(Instant::now() + FOREVER) => opened,
            };
            let Ok((channel, _)) = opened else { return };
            let mut consumer = match self.consume(&channel).await {
                Ok(consumer) => consumer,
                Err(error) => {
                    tracing::warn!(inbox = %self.inbox, %error, "an inbox cannot be consumed");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let end = self.hand_over(&mut consumer).await;
            if matches!(end, End::Over) {
                self.leave(&channel).await;
                return;
            }
            if self.give_back() && self.arrivals.send(Arrival::Interrupted).await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Gives back what is held, in its order: closing the channel does that, while
    /// ending the consumer first would give back what it had not handed over first.
    /// The channel stays for a moment: its process at the broker may still have
    /// acknowledgements to pass on, which a close would lose.
    async fn leave(&self, channel: &Channel) {
        const GRACE: Duration = Duration::from_millis(300);
        tokio::time::sleep(GRACE).await;
        self.give_back();
        let _ = channel.close(200, "done".into()).await;
    }

    /// Forgets what is held; closing the channel gives it back. Says whether
    /// anything was held.
    fn give_back(&self) -> bool {
        let oldest = self.held.oldest();
        self.held.clear();
        self.knowledge.given_back(oldest);
        oldest.is_some()
    }

    async fn consume(&self, channel: &Channel) -> lapin::Result<AmqpConsumer> {
        channel.basic_qos(self.credit, BasicQosOptions::default()).await?;
        let queue = topology::inbox_queue(&self.inbox);
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
    }

    async fn hand_over(&self, consumer: &mut AmqpConsumer) -> End {
        loop {
            let next = tokio::select! {
                () = self.ending.cancelled() => return End::Over,
                () = self.arrivals.closed() => return End::Over,
                next = consumer.next() => next,
            };
            let Some(Ok(delivery)) = next else {
                return End::Broken;
            };
            let Some(arrival) = self.take(delivery).await else {
                continue;
            };
            if self.arrivals.send(arrival).await.is_err() {
                return End::Over;
            }
        }
    }

    async fn take(&self, delivery: AmqpDelivery) -> Option<Arrival> {
        let AmqpDelivery { properties, data, acker, .. } = delivery;
        match codec::read(&properties, data) {
            Ok((envelope, attempt)) => {
                let held = HeldDelivery { envelope: envelope.clone(), attempt, acker };
                let tag = self.held.add(held);
                Some(Arrival::Delivery(Delivery { tag, envelope, attempt }))
            }
            Err(foreign) => {
                // Not of our making: the queue's dead-lettering takes it aside.
                tracing::error!(inbox = %self.inbox, fault = foreign.0, "a foreign AMQP message");
                let options = BasicNackOptions { requeue: false, multiple: false };
                let _ = acker.nack(options).await;
                None
            }
        }
    }
}

// === impl Held ===

impl Held {
    pub(crate) fn take(&self, tag: DeliveryTag) -> Option<HeldDelivery> {
        self.deliveries.lock().remove(&tag)
    }

    /// After it could not be settled.
    pub(crate) fn put_back(&self, tag: DeliveryTag, delivery: HeldDelivery) {
        if delivery.acker.usable() {
            self.deliveries.lock().insert(tag, delivery);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.deliveries.lock().len()
    }

    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        self.deliveries.lock().values().map(|held| held.envelope.admitted_at).min()
    }

    fn add(&self, delivery: HeldDelivery) -> DeliveryTag {
        let tag = DeliveryTag(self.next_tag.fetch_add(1, Ordering::Relaxed));
        self.deliveries.lock().insert(tag, delivery);
        tag
    }

    fn clear(&self) {
        self.deliveries.lock().clear();
    }
}
