//! Looking at what waits in an inbox.
//!
//! RabbitMQ shows a message only by handing it out. What this process has of an inbox it
//! shows itself; of an inbox that nobody reads the first AMQP messages are taken and given
//! back. A consumer of this process that begins meanwhile waits; one of another process does
//! not, as quorum queues know no exclusive consumers, and may get later messages first. Retries that wait are in queues that all inboxes share, and are not shown.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use wissel_bus::{BusError, InboxName, Stand, Unsettled};

use crate::codec::{self, Kept, Parcel, Queued};
use crate::consumer::WINDOW_ALONE;
use crate::inspect::Knowledge;
use crate::link::{Link, in_time};
use crate::marks::Settled;
use crate::pack::PackId;
use crate::{remembrance, topology};

/// A look at an inbox that nobody reads.
pub(crate) struct Look<'a> {
    pub(crate) link: &'a Link,
    pub(crate) inbox: &'a InboxName,
    pub(crate) knowledge: &'a Knowledge,
    pub(crate) limit: usize,
}

impl Look<'_> {
    /// The first messages, and how many AMQP messages there were. They are back some time
    /// after the channel has closed.
    pub(crate) async fn take(self, channel: &Channel) -> Result<(Vec<Unsettled>, u64), BusError> {
        let ready = self.until_unread(channel).await?;
        // As many as one consumer may have given back, or their order would change.
        let mut left = ready.min(WINDOW_ALONE.into());
        if left == 0 {
            return Ok((Vec::new(), ready));
        }
        let consumer = in_time(self.consume(channel)).await;
        let mut consumer = consumer.map_err(|error| unavailable(&error.to_string()))?;
        let mut found = Vec::new();
        let mut settled_before = None;
        while left > 0
            && let Some(delivery) = next(&mut consumer).await?
        {
            left -= 1;
            if found.len() < self.limit {
                self.show(delivery, &mut settled_before, &mut found).await;
            }
        }
        let oldest = found.iter().map(|one| one.envelope.admitted_at).min();
        self.knowledge.looked_at(oldest);
        Ok((found, ready))
    }

    /// How many AMQP messages are ready; waits a while for consumers to go.
    async fn until_unread(&self, channel: &Channel) -> Result<u64, BusError> {
        const PAUSE: Duration = Duration::from_millis(50);
        const TRIES: u32 = 40;
        /// One of ours that goes is gone by then.
        const OURS: u32 = 12;
        for tried in 0..TRIES {
            let queue = topology::inbox_queue(self.inbox);
            let counted = in_time(topology::count(channel, queue)).await;
            match counted.map_err(|_| BusError::UnknownInbox(self.inbox.clone()))? {
                (ready, 0) => return Ok(ready),
                // It has nothing, as what is shown of it says.
                _ if tried >= OURS && self.knowledge.is_consumed() => return Ok(0),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(unavailable(
            "the inbox is read at another gateway, and RabbitMQ shows only what nobody reads; \
             look there, or pause the inbox first",
        ))
    }

    async fn consume(&self, channel: &Channel) -> lapin::Result<lapin::Consumer> {
        channel.basic_qos(WINDOW_ALONE, BasicQosOptions::default()).await?;
        let queue = topology::inbox_queue(self.inbox);
        let options = BasicConsumeOptions::default();
        channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
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
            let until = tokio::time::Instant::now() + PATIENCE;
            let (channel, _) = self.link.channel(until).await.ok()?;
            remembrance::peek(&channel, self.inbox).await.ok()
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
