//! Consuming an inbox, over as many connections as it takes.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery as AmqpDelivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer as AmqpConsumer};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{Arrival, Credit, InboxName};

use crate::codec::{self, Kept, Parcel, Queued};
use crate::held::{Held, Load};
use crate::inspect::Knowledge;
use crate::link::{Link, in_time};
use crate::{remembrance, topology};

/// How many AMQP messages a consumer has at first, if its credit is not less. Each may
/// be a pack, so the broker is asked for few. When they turn out to be few messages,
/// and the consumer has credit for more, it asks for [`GROWTH`] times as many.
const WINDOW_LEAST: u16 = 8;
const GROWTH: u16 = 4;
/// How many AMQP messages a consumer has that is alone, from the beginning. RabbitMQ puts
/// what comes back behind all else that came back before: so a consumer that begins must
/// take all of that at once, or what it took would come behind what it left. It is never
/// more than what one consumer had.
const WINDOW_ALONE: u16 = 1_024;
/// A consumer with more messages waiting than these, and than its credit, asks for few
/// AMQP messages again.
const WAITING_MAX: usize = 512;
/// How long a consumer that takes no more at least waits before it goes on. What was under way
/// to it goes back to the queue meanwhile, so that it comes first and in its order.
const HALT: Duration = Duration::from_millis(300);

/// Hands what is in an inbox to a consumer, until that goes away.
pub(crate) struct Consuming {
    pub(crate) link: Link,
    pub(crate) inbox: InboxName,
    pub(crate) credit: Credit,
    pub(crate) company: Company,
    pub(crate) held: Arc<Held>,
    pub(crate) knowledge: Arc<Knowledge>,
    /// Whose packs are of this bus.
    pub(crate) instance: u64,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    /// Whether it has consumed.
    pub(crate) consuming: watch::Sender<bool>,
    /// Cancelled when the inbox is removed, or the bus closed.
    pub(crate) ending: CancellationToken,
}

/// Who else may consume the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    Any,
    Nobody,
}

/// Why a channel is no longer read.
enum End {
    /// Nobody wants more.
    Over,
    /// The channel or its connection broke.
    Broken,
}

/// One AMQP consumer, and how many AMQP messages it may have.
struct Window {
    consumer: AmqpConsumer,
    tag: ShortString,
    size: u16,
    opened: Instant,
    /// Since when it takes no more, as too many bytes are here.
    halted: Option<Instant>,
}

impl Consuming {
    pub(crate) async fn run(self) {
        const PAUSE: Duration = Duration::from_millis(200);
        const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        // Two that wait to be alone must not both begin.
        let _alone = match self.company {
            Company::Any => None,
            Company::Nobody => tokio::select! {
                alone = Arc::clone(&self.knowledge.alone).lock_owned() => Some(alone),
                () = self.ending.cancelled() => return,
                () = self.arrivals.closed() => return,
            },
        };
        loop {
            let opened = tokio::select! {
                () = self.ending.cancelled() => return,
                () = self.arrivals.closed() => return,
                opened = self.link.channel(Instant::now() + FOREVER) => opened,
            };
            let Ok((channel, epoch)) = opened else { return };
            if !self.until_alone(&channel).await {
                let _ = in_time(channel.close(200, "waiting".into())).await;
                continue;
            }
            let nobody_looks = self.knowledge.looking.read().await;
            // Whoever looked may have counted for nobody before.
            if self.company == Company::Nobody && !self.is_alone(&channel).await {
                drop(nobody_looks);
                let _ = in_time(channel.close(200, "waiting".into())).await;
                continue;
            }
            let opened = in_time(self.open(&channel, self.least())).await;
            drop(nobody_looks);
            let mut window = match opened {
                Ok(window) => window,
                Err(error) => {
                    tracing::warn!(inbox = %self.inbox, %error, "an inbox cannot be consumed");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Of what an earlier channel had, which is back.
            let _ = self.held.doubtful.notified().now_or_never();
            self.consuming.send_replace(true);
            let end = tokio::select! {
                end = self.hand_over(&channel, &mut window) => end,
                // However quiet the old connection is.
                () = self.link.replaced(epoch) => End::Broken,
            };
            if matches!(end, End::Over) {
                self.leave(&channel).await;
                return;
            }
            if self.held.give_back() && self.arrivals.send(Arrival::Interrupted).await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where nobody else may consume, waits a while until nobody does. The broker counts
    /// a consumer until everything that it held is back in its place. Says whether it is
    /// time to begin.
    async fn until_alone(&self, channel: &Channel) -> bool {
        const PAUSE: Duration = Duration::from_millis(50);
        const TRIES: u32 = 100;
        if self.company == Company::Any {
            return true;
        }
        for _ in 0..TRIES {
            if self.is_alone(channel).await {
                return true;
            }
            tokio::select! {
                () = self.ending.cancelled() => return false,
                () = self.arrivals.closed() => return false,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        false
    }

    /// Whether nobody consumes now.
    async fn is_alone(&self, channel: &Channel) -> bool {
        let queue = topology::inbox_queue(&self.inbox);
        matches!(in_time(topology::count(channel, queue)).await, Ok((_, 0)))
    }

    /// Gives back what is held, in its order: closing the channel does that, while
    /// ending the consumer first would give back what it had not handed over first.
    /// The channel stays for a moment: its process at the broker may still have
    /// acknowledgements to pass on, which a close would lose.
    async fn leave(&self, channel: &Channel) {
        const GRACE: Duration = Duration::from_millis(300);
        tokio::time::sleep(GRACE).await;
        let half_settled = self.held.half_settled();
        if let Err(error) = remembrance::leave(&self.link, &self.inbox, &half_settled).await {
            tracing::warn!(inbox = %self.inbox, %error, "what was settled of packs comes again");
        }
        self.held.give_back();
        let _ = in_time(channel.close(200, "done".into())).await;
    }

    fn least(&self) -> u16 {
        match self.company {
            Company::Any => self.credit.deliveries.min(WINDOW_LEAST),
            Company::Nobody => self.credit.deliveries.min(WINDOW_ALONE),
        }
    }

    async fn open(&self, channel: &Channel, size: u16) -> lapin::Result<Window> {
        let generation = self.held.begin_generation();
        // The broker gives back in the order of the tags.
        let tag: ShortString = format!("wissel-{generation:020}").into();
        channel.basic_qos(size, BasicQosOptions::default()).await?;
        let queue = topology::inbox_queue(&self.inbox);
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue, tag.clone(), options, FieldTable::default()).await?;
        Ok(Window { consumer, tag, size, opened: Instant::now(), halted: None })
    }

    /// The window stays: dropped, its AMQP consumer would be cancelled.
    async fn hand_over(&self, channel: &Channel, window: &mut Window) -> End {
        const LOOK: Duration = Duration::from_millis(50);
        loop {
            if self.hand_out().is_err() {
                return End::Over;
            }
            if let Some(since) = window.halted {
                if !channel.status().connected() {
                    return End::Broken;
                }
                if since.elapsed() >= HALT && self.has_room_again() {
                    match in_time(self.open(channel, self.least())).await {
                        Ok(opened) => *window = opened,
                        Err(_) => return End::Broken,
                    }
                    continue;
                }
            } else if self.is_too_much(window.size) {
                if in_time(self.halt(channel, window)).await.is_err() {
                    return End::Broken;
                }
                continue;
            } else if self.is_time_for_another(window) {
                // Without acknowledgements under way the broker sends nothing now.
                let _quiet = self.held.acknowledging.write().await;
                if let Some(size) = self.other_size(window.size)
                    && in_time(self.replace(channel, window, size)).await.is_err()
                {
                    return End::Broken;
                }
                continue;
            }
            let look = window.halted.is_some() || self.other_size(window.size).is_some();
            let next = tokio::select! {
                () = self.ending.cancelled() => return End::Over,
                () = self.arrivals.closed() => return End::Over,
                () = self.held.changed.notified() => continue,
                () = self.held.doubtful.notified() => return End::Broken,
                // After an interruption the receiver may have to read on first.
                room = self.arrivals.reserve(), if self.held.can_hand_out() => {
                    let Ok(room) = room else { return End::Over };
                    if let Some(delivery) = self.held.hand_out() {
                        room.send(Arrival::Delivery(delivery));
                    }
                    continue;
                }
                () = tokio::time::sleep(LOOK), if look => continue,
                next = window.consumer.next(), if window.halted.is_none() => next,
            };
            let Some(Ok(delivery)) = next else {
                return End::Broken;
            };
            self.take(delivery).await;
        }
    }

    /// Hands out what there is credit for; an error when nobody receives any more.
    fn hand_out(&self) -> Result<(), ()> {
        loop {
            let room = match self.arrivals.try_reserve() {
                Ok(room) => room,
                Err(TrySendError::Full(())) => return Ok(()),
                Err(TrySendError::Closed(())) => return Err(()),
            };
            let Some(delivery) = self.held.hand_out() else { return Ok(()) };
            room.send(Arrival::Delivery(delivery));
        }
    }

    /// How many AMQP messages to ask for instead, if so. Only when all that were asked for
    /// are here: what is under way to an AMQP consumer that is cancelled loses its place.
    fn other_size(&self, size: u16) -> Option<u16> {
        if self.company == Company::Nobody {
            return None;
        }
        let Load { waiting, messages, parcels, all_parcels, bytes } = self.held.load();
        if parcels < usize::from(size) {
            return None;
        }
        let most = self.credit.deliveries;
        let credit = usize::from(most);
        if messages < credit && size < most {
            // No more than there is room for beside these, should the next be as large.
            let average = (bytes / all_parcels.max(1) as u64).max(1);
            let room = self.credit.bytes.saturating_sub(bytes).div_ceil(average);
            let room = u16::try_from(room).unwrap_or(u16::MAX);
            return (room > 0).then_some(size.saturating_mul(GROWTH).min(most).min(room));
        }
        let too_many = waiting > WAITING_MAX.max(credit) && size > self.least();
        too_many.then_some(self.least())
    }

    /// Whether another size is to be asked for now. What is left of the room for bytes is filled
    /// now and then only, or each settlement of a large message would do it.
    fn is_time_for_another(&self, window: &Window) -> bool {
        const SLOWLY: Duration = Duration::from_millis(100);
        self.other_size(window.size).is_some_and(|other| {
            let doubled = window.size.saturating_mul(2).min(self.credit.deliveries);
            let much = other >= doubled || other == self.least();
            much || window.opened.elapsed() >= SLOWLY
        })
    }

    /// Whether more bytes are here than there is credit for, and more may come: the window grew
    /// while messages were small. The least window stays, whatever is in it. One that consumes
    /// alone has to keep what it has: see [`WINDOW_ALONE`].
    fn is_too_much(&self, size: u16) -> bool {
        let Load { parcels, bytes, .. } = self.held.load();
        let may_come = size > self.least() && parcels < usize::from(size);
        self.company == Company::Any && may_come && bytes > self.credit.bytes
    }

    fn has_room_again(&self) -> bool {
        self.held.load().bytes <= self.credit.bytes / 2
    }

    /// Takes no more for now, and keeps what there is.
    async fn halt(&self, channel: &Channel, window: &mut Window) -> lapin::Result<()> {
        tracing::debug!(inbox = %self.inbox, "what is here is too large; no more is taken");
        // Without acknowledgements under way the broker sends nothing now.
        let _quiet = self.held.acknowledging.write().await;
        self.cancel(channel, window).await?;
        window.halted = Some(Instant::now());
        Ok(())
    }

    /// Another AMQP consumer in place of this one, which keeps what it has.
    async fn replace(
        &self,
        channel: &Channel,
        window: &mut Window,
        size: u16,
    ) -> lapin::Result<()> {
        self.cancel(channel, window).await?;
        *window = self.open(channel, size).await?;
        Ok(())
    }

    async fn cancel(&self, channel: &Channel, window: &mut Window) -> lapin::Result<()> {
        channel.basic_cancel(window.tag.clone(), BasicCancelOptions::default()).await?;
        while let Some(delivery) = window.consumer.next().await {
            self.take(delivery?).await;
        }
        Ok(())
    }

    /// What others, or this process before, left to be known of packs.
    async fn learn(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let reading = async {
            let (channel, _) = self.link.channel(Instant::now() + PATIENCE).await.ok()?;
            remembrance::read(&channel, &self.inbox).await.ok()
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        for (pack, settled) in read.ok().flatten().unwrap_or_default() {
            self.knowledge.learn(pack, settled);
        }
    }

    async fn take(&self, delivery: AmqpDelivery) {
        let AmqpDelivery { properties, data, acker, redelivered, .. } = delivery;
        match codec::read(&properties, data) {
            Ok(Parcel::Single(queued)) => {
                self.knowledge.gauge.came(queued.envelope.event.len() as u64);
                self.knowledge.came_alone();
                self.held.add_single(queued, acker);
            }
            Ok(Parcel::Pack(pack, members)) => {
                let own = pack.instance == self.instance;
                if redelivered && !self.knowledge.knows(pack) {
                    self.learn().await;
                }
                let settled = self.knowledge.came(pack, members.len(), own);
                let first_time = |member: Kept| {
                    self.knowledge.gauge.came(member.envelope.event.len() as u64);
                    Queued::from(member)
                };
                let members = members.into_iter().map(first_time).collect();
                if let Some(acker) = self.held.add_pack(pack, &settled, members, acker) {
                    let _ = in_time(acker.ack(BasicAckOptions::default())).await;
                }
            }
            Err(foreign) => {
                // Not of our making: the queue's dead-lettering takes it aside.
                tracing::error!(inbox = %self.inbox, fault = foreign.0, "a foreign AMQP message");
                let options = BasicNackOptions { requeue: false, multiple: false };
                let _ = in_time(acker.nack(options)).await;
            }
        }
    }
}
