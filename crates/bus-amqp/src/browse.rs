//! Looking at what waits in an inbox.
//!
//! RabbitMQ shows a message only by handing it out. What this process has of an inbox it
//! shows itself; of an inbox that nobody reads the first AMQP messages are taken and given
//! back. A consumer of this process that begins meanwhile waits; one of another process does
//! not, as quorum queues know no exclusive consumers, and may get later messages first. Retries
//! that wait are in queues that all inboxes share, and are not shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lapin::message::Delivery;
use tokio::time::Instant;
use wissel_bus::{BusError, InboxName, Shown, Stand, Unsettled};

use crate::codec::{self, Kept, Parcel, Queued};
use crate::inspect::Knowledge;
use crate::link::Link;
use crate::marks::Settled;
use crate::pack::PackId;
use crate::taking::{Taking, unavailable};
use crate::{remembrance, topology};

/// A look at an inbox that nobody reads.
pub(crate) struct Look {
    pub(crate) link: Link,
    pub(crate) inbox: InboxName,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) limit: usize,
}

impl Look {
    /// Looks. Waits until what was taken is back in the queue.
    pub(crate) async fn run(self, patience: Duration) -> Result<Vec<Unsettled>, BusError> {
        let looking = Arc::clone(&self.knowledge.looking);
        let _nobody_begins = looking.write().await;
        self.look(patience).await
    }

    /// When the first message was admitted, unless somebody who looks, or begins to consume,
    /// keeps it from being seen.
    pub(crate) async fn oldest(self, patience: Duration) -> Option<SystemTime> {
        const WAIT: Duration = Duration::from_secs(1);
        let looking = Arc::clone(&self.knowledge.looking);
        let _nobody_begins = tokio::time::timeout(WAIT, looking.write()).await.ok()?;
        if let Some(oldest) = self.knowledge.seen_oldest() {
            return Some(oldest);
        }
        let found = self.look(patience).await.ok()?;
        found.first().map(|first| first.envelope.admitted_at)
    }

    /// Nobody begins to consume meanwhile.
    async fn look(&self, patience: Duration) -> Result<Vec<Unsettled>, BusError> {
        let queue = topology::inbox_queue(&self.inbox);
        let mut taking = Taking::begin(self.link.clone(), patience, queue).await?;
        let seen = self.take(&mut taking).await;
        // Also what was taken by a look that failed is to be back first.
        taking.give_back().await;
        seen
    }

    async fn take(&self, taking: &mut Taking) -> Result<Vec<Unsettled>, BusError> {
        let Some(ready) = self.until_unread(taking).await? else {
            return Ok(self.knowledge.shown(self.limit));
        };
        let (mut left, mut shown) = (ready, Shown::new(self.limit));
        let mut settled_before = None;
        while left > 0 && !shown.is_full() && !taking.is_short() {
            for taken in taking.take(left.min(self.limit as u64)).await? {
                left -= 1;
                if !shown.is_full() {
                    self.show(taken.delivery, &mut settled_before, &mut shown).await;
                }
            }
        }
        let oldest = shown.messages().iter().map(|one| one.envelope.admitted_at).min();
        self.knowledge.looked_at(ready, oldest);
        Ok(shown.into_messages())
    }

    /// How many AMQP messages are ready; waits a while for consumers to go. None: this process
    /// has a consumer, which shows what it has.
    async fn until_unread(&self, taking: &Taking) -> Result<Option<u64>, BusError> {
        const PAUSE: Duration = Duration::from_millis(50);
        const TRIES: u32 = 40;
        /// One of ours that goes is gone by then.
        const OURS: u32 = 12;
        for tried in 0..TRIES {
            match taking.count().await.map_err(|_| BusError::UnknownInbox(self.inbox.clone()))? {
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

    async fn show(
        &self,
        delivery: Delivery,
        settled_before: &mut Option<HashMap<PackId, Settled>>,
        shown: &mut Shown,
    ) {
        let Delivery { properties, data, redelivered, .. } = delivery;
        match codec::read(&properties, data) {
            Ok(Parcel::Single(queued)) => shown.push(queued.unsettled(Stand::Ready)),
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
                for (_, Kept { envelope, .. }) in waiting {
                    let queued = Queued { envelope, attempt: 1, history: Vec::new() };
                    shown.push(queued.unsettled(Stand::Ready));
                }
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
