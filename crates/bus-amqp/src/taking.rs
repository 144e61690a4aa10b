//! Taking AMQP messages out of a queue to look at them, and giving them back in their order.
//!
//! RabbitMQ pushes as many messages to a consumer as it may have unacknowledged, and counts no
//! bytes; without a prefetch a quorum queue pushes 2,000, and no more. So each window of messages
//! has a consumer of its own, which is asked for as many as are expected to be few bytes and is
//! cancelled when they are all here. What was looked at stays unacknowledged, at the broker, and
//! takes no memory here.
//!
//! When a channel closes, the broker puts back what it had by consumer, in the order of their
//! tags, as long as they are few; so a channel has few of them, and channels close one after the
//! other. What comes back is put behind all else that came back before: so as long as there is
//! such, all of it is taken before any is given back.

use std::time::Duration;

use futures::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::time::Instant;
use wissel_bus::BusError;

use crate::link::{Link, in_time};
use crate::topology;

/// How many messages a window has at least, and at first.
pub(crate) const WINDOW_LEAST: u16 = 8;
/// How many it has at most: should they be larger than those before, it is the only bound.
pub(crate) const WINDOW_MOST: u16 = 256;
/// A window has at most so many times the messages of the one before.
const GROWTH: u16 = 4;
/// How many bytes a window is to have, should its messages be as large as those before.
const WINDOW_BYTES: u64 = 4 << 20;
/// Of so many consumers of a channel the broker keeps the order: Erlang keeps a map in order up
/// to 32.
const CONSUMERS_MAX: usize = 30;

/// What was taken out of one queue.
pub(crate) struct Taking {
    link: Link,
    patience: Duration,
    queue: ShortString,
    channels: Vec<Taken>,
    /// How many messages the next window is to have.
    size: u16,
    /// Whether the last message came back before.
    came_back: bool,
    /// A window that did not fill: others have what it was to get, and it may yet get it.
    is_short: bool,
    /// When something was settled last.
    settled: Option<Instant>,
}

/// What was taken over one channel.
struct Taken {
    channel: Channel,
    /// How many messages of each window are not settled.
    windows: Vec<u64>,
    /// Of the last window, until all of that is here: one that is dropped is cancelled, and
    /// what is under way to it loses its place.
    consumer: Option<lapin::Consumer>,
}

/// A message that was taken.
pub(crate) struct Found {
    pub(crate) delivery: Delivery,
    pub(crate) place: Place,
}

/// Where a message was taken: for [`Taking::settled`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    channel: usize,
    window: usize,
}

impl Taking {
    pub(crate) async fn begin(
        link: Link,
        patience: Duration,
        queue: ShortString,
    ) -> Result<Self, BusError> {
        let mut taking = Self {
            link,
            patience,
            queue,
            channels: Vec::new(),
            size: WINDOW_LEAST,
            came_back: false,
            is_short: false,
            settled: None,
        };
        taking.add_channel().await?;
        Ok(taking)
    }

    /// How many messages are ready in the queue. Fails when there is no such queue.
    pub(crate) async fn ready(&self) -> lapin::Result<u64> {
        Ok(self.count().await?.0)
    }

    /// How many messages are ready in the queue, and how many consumers it has. Fails when there
    /// is no such queue.
    pub(crate) async fn count(&self) -> lapin::Result<(u64, u32)> {
        let Some(last) = self.channels.last() else { return Ok((0, 0)) };
        in_time(topology::count(&last.channel, self.queue.clone())).await
    }

    /// Whether fewer came than were there: others have them.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short
    }

    /// The next messages, at most `most` of those that are `ready` now.
    pub(crate) async fn take(&mut self, most: u64) -> Result<Vec<Found>, BusError> {
        if self.is_short {
            return Err(unavailable("others look at the same messages"));
        }
        let size = self.size.min(u16::try_from(most).unwrap_or(u16::MAX)).max(1);
        if self.channels.last().is_none_or(|last| last.in_use() >= CONSUMERS_MAX) {
            self.add_channel().await?;
        }
        let channel = self.channels.len() - 1;
        let taken = &mut self.channels[channel];
        let opened = in_time(taken.open(self.queue.clone(), size)).await;
        let tag = opened.map_err(|error| broken(&error))?;
        let window = taken.windows.len() - 1;
        let mut found = Vec::with_capacity(usize::from(size));
        let mut bytes = 0;
        while found.len() < usize::from(size) {
            let Some(delivery) = taken.next().await? else {
                self.is_short = true;
                break;
            };
            taken.windows[window] += 1;
            bytes += delivery.data.len() as u64;
            self.came_back = delivery.redelivered;
            found.push(Found { delivery, place: Place { channel, window } });
        }
        if found.is_empty() {
            return Err(unavailable("no answer in time"));
        }
        if self.is_short {
            return Ok(found);
        }
        // All it may have is here, so nothing is under way to it.
        let cancelled = taken.channel.basic_cancel(tag, BasicCancelOptions::default());
        in_time(cancelled).await.map_err(|error| broken(&error))?;
        taken.consumer = None;
        let average = (bytes / found.len() as u64).max(1);
        let room = u16::try_from(WINDOW_BYTES / average).unwrap_or(u16::MAX);
        self.size =
            room.clamp(WINDOW_LEAST, size.saturating_mul(GROWTH).clamp(WINDOW_LEAST, WINDOW_MOST));
        Ok(found)
    }

    /// A message was acknowledged.
    pub(crate) fn settled(&mut self, place: Place) {
        let Place { channel, window } = place;
        let taken = self.channels.get_mut(channel);
        if let Some(held) = taken.and_then(|taken| taken.windows.get_mut(window)) {
            *held = held.saturating_sub(1);
        }
        self.settled = Some(Instant::now());
    }

    /// Whether what was taken is void.
    pub(crate) fn is_broken(&self) -> bool {
        self.channels.iter().any(|taken| !taken.channel.status().connected())
    }

    /// Waits, for a bounded time, until so many are ready.
    pub(crate) async fn until_back(&self, expected: u64) {
        if let Some(last) = self.channels.last() {
            topology::settle_down(&last.channel, &self.queue, expected).await;
        }
    }

    /// Gives back what is not settled, in its order, and waits, for a bounded time, until it is
    /// in its place. After an error, or over a connection that broke, it does what it can.
    pub(crate) async fn give_back(mut self) {
        /// A channel's process at the broker may still have acknowledgements to pass on, which a
        /// close would lose.
        const GRACE: Duration = Duration::from_millis(300);
        if let Err(error) = self.take_what_came_back().await {
            tracing::debug!(queue = %self.queue, %error, "what was looked at may change its order");
        }
        if let Some(settled) = self.settled {
            tokio::time::sleep_until(settled + GRACE).await;
        }
        // To see to it that all is back.
        let Ok((counting, _)) = self.link.channel(Instant::now() + self.patience).await else {
            return;
        };
        for Taken { channel, windows, consumer } in self.channels {
            let held: u64 = windows.iter().sum();
            let ready = in_time(topology::count(&counting, self.queue.clone())).await;
            let _ = in_time(channel.close(200, "done".into())).await;
            drop(consumer);
            if let Ok((ready, _)) = ready {
                topology::settle_down(&counting, &self.queue, ready + held).await;
            }
        }
        let _ = in_time(counting.close(200, "done".into())).await;
    }

    /// Takes what is left of what came back before.
    async fn take_what_came_back(&mut self) -> Result<(), BusError> {
        while self.came_back && !self.is_short {
            let ready = self.ready().await.map_err(|error| broken(&error))?;
            if ready == 0 {
                break;
            }
            self.take(ready).await?;
        }
        Ok(())
    }

    async fn add_channel(&mut self) -> Result<(), BusError> {
        let (channel, _) = self.link.channel(Instant::now() + self.patience).await?;
        self.channels.push(Taken { channel, windows: Vec::new(), consumer: None });
        Ok(())
    }
}

impl Taken {
    /// How many consumers the broker has to keep.
    fn in_use(&self) -> usize {
        self.windows.iter().filter(|held| **held > 0).count()
    }

    /// Begins a window.
    async fn open(&mut self, queue: ShortString, size: u16) -> lapin::Result<ShortString> {
        self.channel.basic_qos(size, BasicQosOptions::default()).await?;
        let tag: ShortString = format!("wissel-look-{:09}", self.windows.len()).into();
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self.channel.basic_consume(queue, tag.clone(), options, table).await?;
        self.consumer = Some(consumer);
        self.windows.push(0);
        Ok(tag)
    }

    /// The next of the last consumer; none when it does not come.
    async fn next(&mut self) -> Result<Option<Delivery>, BusError> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(consumer) = &mut self.consumer else { return Ok(None) };
        match tokio::time::timeout(PATIENCE, consumer.next()).await {
            Ok(Some(Ok(delivery))) => Ok(Some(delivery)),
            Ok(Some(Err(error))) => Err(broken(&error)),
            Ok(None) => Err(unavailable("the connection broke")),
            Err(_) => Ok(None),
        }
    }
}

pub(crate) fn broken(error: &lapin::Error) -> BusError {
    BusError::Unavailable { reason: error.to_string() }
}

pub(crate) fn unavailable(reason: &str) -> BusError {
    BusError::Unavailable { reason: reason.to_owned() }
}
