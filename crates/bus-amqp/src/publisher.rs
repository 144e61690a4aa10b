//! Publishing, until it is confirmed: what was enqueued through the [`Sender`], which
//! packs it, and what is settled or redriven by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use lapin::types::ShortString;
use parking_lot::Mutex as SyncMutex;
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::time::Instant;
use wissel_bus::{BusError, Enqueue, Envelope, InboxName};

use crate::call::{Call, Member};
use crate::codec::{self, Kept, Queued};
use crate::confirm::{Outgoing, Returns, Tried};
use crate::gathering::{Gathering, PARTED_MAX, Target};
use crate::inspect::Inboxes;
use crate::late::Late;
use crate::link::{Link, Up, in_time};
use crate::options::AmqpOptions;
use crate::sender::Sender;
use crate::topology;

/// Publishes with confirms. Waiting for room is what slows publishers down.
pub(crate) struct Publisher {
    link: Link,
    patience: Duration,
    pub(crate) shared: Arc<Shared>,
    /// Of the room, what a message takes at least: so the room for bytes bounds the
    /// number of messages as well, and callers wait in one row, in their order.
    weight_least: usize,
    /// All the room.
    weight_all: usize,
    /// On which connection each retry queue was last declared.
    retries_declared: Mutex<HashMap<Duration, u64>>,
}

/// What callers and the sender share.
pub(crate) struct Shared {
    pub(crate) gathering: SyncMutex<Gathering<Member>>,
    /// Something was gathered.
    pub(crate) gathered: Notify,
    pub(crate) returns: Returns,
    pub(crate) late: Late,
    pub(crate) inboxes: Arc<Inboxes>,
    room: Arc<Semaphore>,
}

impl Publisher {
    /// The publisher, and the sender that must run.
    pub(crate) fn new(link: Link, options: &AmqpOptions, inboxes: Arc<Inboxes>) -> (Self, Sender) {
        let &AmqpOptions { patience, unconfirmed_max, unconfirmed_bytes_max, packing, .. } =
            options;
        let weight_all = unconfirmed_bytes_max.max(1) as usize;
        let shared = Arc::new(Shared {
            gathering: SyncMutex::new(Gathering::new(packing)),
            gathered: Notify::new(),
            returns: Returns::default(),
            late: Late::default(),
            inboxes,
            room: Arc::new(Semaphore::new(weight_all)),
        });
        let publisher = Self {
            link: link.clone(),
            patience,
            shared: Arc::clone(&shared),
            weight_least: (weight_all / unconfirmed_max.max(1)).max(1),
            weight_all,
            retries_declared: Mutex::default(),
        };
        (publisher, Sender::new(link, shared, packing))
    }

    /// Publishes each, pipelined; one answer each, in order.
    pub(crate) async fn enqueue(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>> {
        // Without a forced pause, calls come to their place in their order.
        tokio::task::unconstrained(self.enqueue_in_order(items)).await
    }

    async fn enqueue_in_order(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>> {
        let deadline = self.deadline();
        let weights: Vec<Result<usize, BusError>> =
            items.iter().map(|item| self.weight(item)).collect();
        let weight: usize = weights.iter().flatten().sum();
        // A call larger than all the room takes all the room.
        let weight = weight.min(self.weight_all);
        if let Err(error) = self.take_room(weight, deadline).await {
            return items.iter().map(|_| Err(error.clone())).collect();
        }
        let call = Arc::new(Call::new(Arc::clone(&self.shared.room), weight, deadline));
        call.add(weights.iter().cloned());
        self.gather(&call, items, |item| matches!(weights[item], Ok(1..)));
        match tokio::time::timeout_at(deadline, call.answers()).await {
            Ok(answers) => answers,
            // The sender forgets it soon, which gives back its room.
            Err(_) => call.answers_by_now(&self.not_in_time()),
        }
    }

    /// Puts a message at the end of one inbox.
    pub(crate) async fn put_back(
        &self,
        inbox: &InboxName,
        queued: &Queued,
    ) -> Result<(), BusError> {
        let outgoing = || Outgoing {
            exchange: ShortString::default(),
            routing_key: topology::inbox_queue(inbox),
            properties: codec::again_properties(queued),
            body: queued.envelope.event.clone(),
        };
        self.publish(outgoing, &queued.envelope, Some(inbox), self.deadline()).await?;
        if let Some(inbox) = self.shared.inboxes.read().get(inbox) {
            inbox.knowledge.published(1, queued.envelope.event.len());
        }
        Ok(())
    }

    /// Puts a message where it waits before it returns to its inbox.
    pub(crate) async fn put_aside(
        &self,
        inbox: &InboxName,
        queued: &Queued,
        delay: Duration,
    ) -> Result<(), BusError> {
        let deadline = self.deadline();
        self.declare_retry(delay, deadline).await?;
        let outgoing = || Outgoing {
            exchange: topology::retry_name(delay),
            routing_key: inbox.as_str().into(),
            properties: codec::again_properties(queued),
            body: queued.envelope.event.clone(),
        };
        self.publish(outgoing, &queued.envelope, None, deadline).await
    }

    /// Puts a message among the dead letters of an inbox.
    pub(crate) async fn bury(
        &self,
        inbox: &InboxName,
        dead: &Queued,
        reason: &str,
    ) -> Result<(), BusError> {
        let properties = codec::dead_properties(dead, reason, SystemTime::now());
        let envelope = &dead.envelope;
        let outgoing = || Outgoing {
            exchange: ShortString::default(),
            routing_key: topology::dead_queue(inbox),
            properties: properties.clone(),
            body: envelope.event.clone(),
        };
        self.publish(outgoing, envelope, Some(inbox), self.deadline()).await
    }

    /// Waits until nothing is unconfirmed, and lets nothing begin.
    pub(crate) async fn drain(&self) {
        let all = u32::try_from(self.weight_all).unwrap_or(u32::MAX);
        let _ = self.shared.room.acquire_many(all).await;
        self.shared.late.is_done().await;
        self.shared.room.close();
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    fn not_in_time(&self) -> BusError {
        let (ready, detail) = self.link.health();
        let reason = if ready { "RabbitMQ did not confirm in time".to_owned() } else { detail };
        BusError::Unavailable { reason }
    }

    /// What an item takes of the room, 0 if it goes nowhere. A message that is parted is
    /// sent several times.
    fn weight(&self, item: &Enqueue) -> Result<usize, BusError> {
        if let Some(unknown) = item.inboxes.iter().find(|inbox| !self.link.knows(inbox)) {
            return Err(BusError::UnknownInbox(unknown.clone()));
        }
        if item.archive_until.is_some() && !self.link.has_archive() {
            return Err(self.link.without_archive());
        }
        let parts = item.inboxes.len() + usize::from(item.archive_until.is_some());
        let parts = if parts > PARTED_MAX { 1 } else { parts };
        Ok((item.envelope.event.len() * parts).max(self.weight_least * parts.min(1)))
    }

    fn gather(&self, call: &Arc<Call>, items: Vec<Enqueue>, goes: impl Fn(usize) -> bool) {
        let mut gathering = self.shared.gathering.lock();
        for (item, enqueue) in items.into_iter().enumerate() {
            if !goes(item) {
                continue;
            }
            // A quorum queue keeps everything as safely as it can.
            let Enqueue { envelope, inboxes, archive_until, outlives: _, lane } = enqueue;
            let bytes = envelope.event.len();
            let targets = targets_of(inboxes, archive_until.is_some());
            let kept = Kept { envelope, archive_until };
            let member = Member { call: Arc::clone(call), item, lane, kept };
            let parts = gathering.add(&targets, bytes, &member);
            if parts != 1 {
                call.travels_in(item, parts);
            }
        }
        drop(gathering);
        self.shared.gathered.notify_one();
    }

    /// Waits for so much room.
    async fn take_room(&self, weight: usize, deadline: Instant) -> Result<(), BusError> {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let acquiring = self.shared.room.acquire_many(weight);
        match tokio::time::timeout_at(deadline, acquiring).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(())
            }
            Ok(Err(_)) => Err(BusError::Closed),
            Err(_) => Err(self.link.unavailable()),
        }
    }

    /// Publishes by itself, again on a new connection when one breaks, until it is
    /// confirmed. Should no queue take it, the inbox is declared again, once.
    async fn publish<B: AsRef<[u8]> + Send + Sync + 'static>(
        &self,
        outgoing: impl Fn() -> Outgoing<B>,
        envelope: &Envelope,
        inbox: Option<&InboxName>,
        deadline: Instant,
    ) -> Result<(), BusError> {
        const NACK_PAUSE: Duration = Duration::from_millis(200);
        let publishing = async {
            let weight = envelope.event.len().clamp(self.weight_least, self.weight_all);
            self.take_room(weight, deadline).await?;
            let room = Arc::new(Room { room: Arc::clone(&self.shared.room), weight });
            let mut epoch = 0;
            let mut declared_again = false;
            loop {
                let up = self.link.up_after(epoch, deadline).await?;
                self.link.unblocked(deadline).await?;
                let outgoing = outgoing().keeping(Arc::clone(&room));
                let tried = self.try_once(&up, outgoing, deadline).await?;
                match (tried, inbox) {
                    (Tried::Confirmed, _) => return Ok(()),
                    (Tried::Broken, _) => epoch = up.epoch,
                    (Tried::Nacked, _) => tokio::time::sleep(NACK_PAUSE).await,
                    (Tried::Unroutable, Some(inbox)) if !declared_again => {
                        declared_again = true;
                        self.link.declare_again(std::slice::from_ref(inbox), deadline).await?;
                    }
                    (Tried::Unroutable, Some(inbox)) => {
                        return Err(BusError::UnknownInbox(inbox.clone()));
                    }
                    (Tried::Unroutable, None) => {
                        self.retries_declared.lock().await.clear();
                        let reason = "a queue for retries was deleted; try again".to_owned();
                        return Err(BusError::Unavailable { reason });
                    }
                }
                if Instant::now() >= deadline {
                    return Err(self.link.unavailable());
                }
            }
        };
        // Without a forced pause, those that are begun together come to their place in their order.
        tokio::task::unconstrained(publishing).await
    }

    /// Its confirm is looked at also when nobody waits for it any more: it may tell of another
    /// message that was returned.
    async fn try_once<B: AsRef<[u8]> + Send + Sync + 'static>(
        &self,
        up: &Up,
        outgoing: Outgoing<B>,
        deadline: Instant,
    ) -> Result<Tried, BusError> {
        let (shared, channel) = (Arc::clone(&self.shared), Arc::clone(up.channel_of_lane(0)));
        let mut publishing =
            async move { shared.returns.publish_single(&channel, outgoing).await }.boxed();
        // The first poll puts it in its place.
        if let Some(tried) = (&mut publishing).now_or_never() {
            return Ok(tried);
        }
        match tokio::time::timeout_at(deadline, tokio::spawn(publishing)).await {
            Ok(tried) => Ok(tried.unwrap_or(Tried::Broken)),
            Err(_) => Err(self.not_in_time()),
        }
    }

    /// Declares a retry queue on each connection anew, and once in a while.
    async fn declare_retry(&self, delay: Duration, deadline: Instant) -> Result<(), BusError> {
        let up = self.link.up(deadline).await?;
        let mut declared = self.retries_declared.lock().await;
        if declared.get(&delay).is_some_and(|epoch| *epoch == up.epoch) {
            return Ok(());
        }
        let (channel, epoch) = self.link.channel(deadline).await?;
        in_time(topology::declare_retry(&channel, delay))
            .await
            .map_err(|error| BusError::Unavailable { reason: error.to_string() })?;
        declared.insert(delay, epoch);
        let _ = in_time(channel.close(200, "declared".into())).await;
        Ok(())
    }
}

fn targets_of(inboxes: Vec<InboxName>, archived: bool) -> Vec<Target> {
    let inboxes = inboxes.into_iter().map(Target::Inbox);
    inboxes.chain(archived.then_some(Target::Archive)).collect()
}

/// Room that was taken; dropping it gives it back.
struct Room {
    room: Arc<Semaphore>,
    weight: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.room.add_permits(self.weight);
    }
}
