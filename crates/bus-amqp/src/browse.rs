//! Looking at what waits in an inbox.
//!
//! RabbitMQ shows a message only by handing it out. What this process has of an inbox it
//! shows itself; of an inbox that nobody reads the first AMQP messages are taken and given
//! back. A consumer of this process that begins meanwhile waits; one of another process does
//! not, as quorum queues know no exclusive consumers, and may get later messages first. Retries
//! that wait are in queues that all inboxes share, and are not shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::time::Instant;
use wissel_bus::{BusError, InboxName, Stand, Unsettled};

use crate::codec::{self, Kept, Parcel, Queued};
use crate::consumer::WINDOW_ALONE;
use crate::inspect::Knowledge;
use crate::link::{Link, in_time};
use crate::marks::Settled;
use crate::pack::PackId;
use crate::{remembrance, topology};

/// A look at an inbox that nobody reads.
pub(crate) struct Look {
    pub(crate) link: Link,
    pub(crate) inbox: InboxName,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) limit: usize,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    found: Vec<Unsettled>,
    /// AMQP messages that were ready.
    ready: u64,
    /// They stay until the channel has closed: one that is dropped is cancelled, and what is
    /// under way to it loses its place.
    consumers: Vec<lapin::Consumer>,
}

impl Look {
    /// Looks. Waits until what was taken is back in the queue.
    pub(crate) async fn run(self, patience: Duration) -> Result<Vec<Unsettled>, BusError> {
        let looking = Arc::clone(&self.knowledge.looking);
        let _nobody_begins = looking.write().await;
        let (channel, _) = self.link.channel(Instant::now() + patience).await?;
        let mut seen = Seen::default();
        let taken = self.take(&channel, &mut seen).await;
        let _ = in_time(channel.close(200, "done".into())).await;
        // Also what was taken by a look that failed is to be back first.
        let (channel, _) = self.link.channel(Instant::now() + patience).await?;
        topology::settle_down(&channel, &topology::inbox_queue(&self.inbox), seen.ready).await;
        let _ = in_time(channel.close(200, "done".into())).await;
        taken.map(|()| seen.found)
    }

    async fn take(&self, channel: &Channel, seen: &mut Seen) -> Result<(), BusError> {
        /// As many as a consumer may have.
        const MOST: u64 = 10_000;
        let Some(ready) = self.until_unread(channel).await? else {
            seen.found = self.knowledge.shown(self.limit);
            return Ok(());
        };
        seen.ready = ready;
        let mut left = ready.min(MOST);
        let mut settled_before = None;
        // As many as one consumer has that is alone, and more while they came back before: what
        // is taken comes back behind what is left of those, and their order would change.
        let mut came_back = true;
        while left > 0 && came_back {
            let size = u16::try_from(left).unwrap_or(u16::MAX).min(WINDOW_ALONE);
            let number = seen.consumers.len();
            let consumer = in_time(self.consume(channel, size, number)).await;
            let consumer = consumer.map_err(|error| unavailable(&error.to_string()))?;
            seen.consumers.push(consumer);
            for _ in 0..size {
                let Some(delivery) = next(&mut seen.consumers[number]).await? else {
                    left = 0;
                    break;
                };
                left -= 1;
                came_back = delivery.redelivered;
                if seen.found.len() < self.limit {
                    self.show(delivery, &mut settled_before, &mut seen.found).await;
                }
            }
        }
        self.knowledge.looked_at(seen.found.iter().map(|one| one.envelope.admitted_at).min());
        Ok(())
    }

    /// How many AMQP messages are ready; waits a while for consumers to go. None: this process
    /// has a consumer, which shows what it has.
    async fn until_unread(&self, channel: &Channel) -> Result<Option<u64>, BusError> {
        const PAUSE: Duration = Duration::from_millis(50);
        const TRIES: u32 = 40;
        /// One of ours that goes is gone by then.
        const OURS: u32 = 12;
        for tried in 0..TRIES {
            let queue = topology::inbox_queue(&self.inbox);
            let counted = in_time(topology::count(channel, queue)).await;
            match counted.map_err(|_| BusError::UnknownInbox(self.inbox.clone()))? {
                (ready, 0) => return Ok(Some(ready)),
                _ if tried >= OURS && self.knowledge.is_consumed() => return Ok(None),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(unavailable(
            "the inbox is read at another gateway, and RabbitMQ shows only what nobody reads; \
             look there, or pause the inbox first",
        ))
    }

    async fn consume(
        &self,
        channel: &Channel,
        size: u16,
        number: usize,
    ) -> lapin::Result<lapin::Consumer> {
        channel.basic_qos(size, BasicQosOptions::default()).await?;
        let queue = topology::inbox_queue(&self.inbox);
        // The broker gives back in the order of the tags.
        let tag = format!("wissel-look-{number:03}").into();
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue, tag, options, FieldTable::default()).await
    }

    async fn show(
        &self,
        delivery: Delivery,
        settled_before: &mut Option<HashMap<PackId, Settled>>,
        found: &mut Vec<Unsettled>,
    ) {
        let Delivery { properties, data, redelivered, .. } = delivery;
        match codec::read(&properties, data) {
            Ok(Parcel::Single(queued)) => found.push(queued.unsettled(Stand::Ready)),
            Ok(Parcel::Pack(pack, members)) => {
                let mut settled = self.knowledge.settled_of(pack, members.len());
                if redelivered && settled.is_none() {
                    if settled_before.is_none() {
                        *settled_before = Some(self.left_by_others().await);
                    }
                    let left = settled_before.as_ref().and_then(|left| left.get(&pack));
                    settled = left.filter(|left| left.members() == members.len()).cloned();
                }
                // A consumer of this process need not find it out again.
                let known = settled.clone().unwrap_or_else(|| Settled::none_of(members.len()));
                self.knowledge.learn(pack, known);
                let waits = |member: &usize| {
                    settled.as_ref().is_none_or(|settled| !settled.is_settled(*member))
                };
                let waiting = members.into_iter().enumerate();
                let waiting = waiting.filter(|(member, _)| waits(member));
                let room = self.limit - found.len();
                found.extend(waiting.take(room).map(|(_, Kept { envelope, .. })| {
                    let queued = Queued { envelope, attempt: 1, history: Vec::new() };
                    queued.unsettled(Stand::Ready)
                }));
            }
            // A consumer takes it aside.
            Err(_) => {}
        }
    }

    /// What others left to be known of packs; it stays there.
    async fn left_by_others(&self) -> HashMap<PackId, Settled> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let reading = async {
            let until = Instant::now() + PATIENCE;
            let (channel, _) = self.link.channel(until).await.ok()?;
            remembrance::peek(&channel, &self.inbox).await.ok()
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        let mut all: HashMap<PackId, Settled> = HashMap::new();
        for (pack, settled) in read.ok().flatten().unwrap_or_default() {
            match all.get_mut(&pack) {
                Some(known) => known.merge(&settled),
                None => drop(all.insert(pack, settled)),
            }
        }
        all
    }
}

/// None when there are fewer than there were.
async fn next(consumer: &mut lapin::Consumer) -> Result<Option<Delivery>, BusError> {
    const PATIENCE: Duration = Duration::from_secs(2);
    match tokio::time::timeout(PATIENCE, consumer.next()).await {
        Ok(Some(Ok(delivery))) => Ok(Some(delivery)),
        Ok(Some(Err(error))) => Err(unavailable(&error.to_string())),
        Ok(None) => Err(unavailable("the connection broke")),
        Err(_) => Ok(None),
    }
}

fn unavailable(reason: &str) -> BusError {
    BusError::Unavailable { reason: reason.to_owned() }
}
