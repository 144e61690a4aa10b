//! How an inbox fares.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use lapin::Channel;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use parking_lot::Mutex;
use tokio::time::Instant;
use wissel_bus::{BusError, InboxName, InboxState};

use crate::consumer::Held;
use crate::{codec, topology};

/// What this process knows of an inbox by itself.
#[derive(Default)]
pub(crate) struct Knowledge {
    pub(crate) delayed: Arc<Delayed>,
    consumers: Mutex<Vec<Weak<Held>>>,
    /// The oldest message, by how many were ready when it was looked at: looking
    /// takes it out of the queue for a moment.
    head: Mutex<Option<(u64, SystemTime)>>,
    /// The oldest message that was given back and may still wait. Looking at the
    /// head among messages that came back would change their order.
    given_back: Mutex<Option<SystemTime>>,
    /// One browse or redrive at a time.
    pub(crate) browsing: tokio::sync::Mutex<()>,
}

/// The retries that this process started and that are not due: RabbitMQ cannot
/// count them by inbox.
#[derive(Default)]
pub(crate) struct Delayed(Mutex<BinaryHeap<Reverse<(Instant, SystemTime)>>>);

impl Knowledge {
    pub(crate) fn add_consumer(&self, held: &Arc<Held>) {
        let mut consumers = self.consumers.lock();
        consumers.retain(|consumer| consumer.strong_count() > 0);
        consumers.push(Arc::downgrade(held));
    }

    pub(crate) fn given_back(&self, oldest: Option<SystemTime>) {
        let mut given_back = self.given_back.lock();
        *given_back = [*given_back, oldest].into_iter().flatten().min();
    }

    pub(crate) async fn inspect(
        &self,
        channel: &Channel,
        inbox: &InboxName,
    ) -> Result<InboxState, BusError> {
        let unknown = |_| BusError::UnknownInbox(inbox.clone());
        let (ready, consumers) =
            topology::count(channel, topology::inbox_queue(inbox)).await.map_err(unknown)?;
        let (dead_letters, _) =
            topology::count(channel, topology::dead_queue(inbox)).await.map_err(unknown)?;

        let held: Vec<Arc<Held>> = self.consumers.lock().iter().filter_map(Weak::upgrade).collect();
        let in_flight = held.iter().map(|held| held.len() as u64).sum();
        let (delayed, oldest_delayed) = self.delayed.count();
        let oldest_held = held.iter().filter_map(|held| held.oldest()).min();
        if ready == 0 || oldest_held.is_some() {
            *self.given_back.lock() = None;
        }
        let given_back = *self.given_back.lock();
        let oldest_ready = match (oldest_held, given_back) {
            (None, None) if ready > 0 => self.head(channel, inbox, ready).await,
            _ => given_back,
        };
        let oldest = [oldest_held, oldest_ready, oldest_delayed].into_iter().flatten().min();
        let depth = ready + delayed;
        Ok(InboxState { depth, delayed, in_flight, consumers, oldest, dead_letters })
    }

    /// When the first ready message was admitted.
    async fn head(&self, channel: &Channel, inbox: &InboxName, ready: u64) -> Option<SystemTime> {
        if let Some((then_ready, oldest)) = *self.head.lock()
            && then_ready == ready
        {
            return Some(oldest);
        }
        let queue = topology::inbox_queue(inbox);
        let got = channel.basic_get(queue, BasicGetOptions::default()).await.ok()??;
        let oldest = codec::read(&got.delivery.properties, Vec::new()).ok();
        let oldest = oldest.map(|(envelope, _)| envelope.admitted_at);
        let back = BasicNackOptions { requeue: true, multiple: false };
        let _ = got.delivery.acker.nack(back).await;
        *self.head.lock() = oldest.map(|oldest| (ready, oldest));
        oldest
    }
}

impl Delayed {
    pub(crate) fn add(&self, delay: Duration, admitted_at: SystemTime) {
        self.0.lock().push(Reverse((Instant::now() + delay, admitted_at)));
    }

    /// How many are not due, and the oldest of them.
    fn count(&self) -> (u64, Option<SystemTime>) {
        let mut heap = self.0.lock();
        let now = Instant::now();
        while heap.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            heap.pop();
        }
        let oldest = heap.iter().map(|Reverse((_, admitted_at))| *admitted_at).min();
        (heap.len() as u64, oldest)
    }
}
