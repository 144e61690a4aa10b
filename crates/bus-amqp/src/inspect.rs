//! How an inbox fares.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use lapin::Channel;
use parking_lot::{Mutex, RwLock};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wissel_bus::{BusError, InboxName, InboxState, Shown, Unsettled};

use crate::held::Held;
use crate::level::Gauge;
use crate::marks::{Marks, Settled};
use crate::pack::{MEMBERS_MAX, PackId};
use crate::topology;

/// The open inboxes.
pub(crate) type Inboxes = RwLock<HashMap<InboxName, Inbox>>;

/// An open inbox.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) knowledge: Arc<Knowledge>,
    /// Cancelled when the inbox is removed.
    pub(crate) ending: CancellationToken,
}

/// What this process knows of an inbox by itself.
#[derive(Default)]
pub(crate) struct Knowledge {
    pub(crate) delayed: Delayed,
    pub(crate) gauge: Gauge,
    marks: Mutex<Marks>,
    consumers: Mutex<Vec<Weak<Held>>>,
    /// The oldest message that was given back and may still wait. Looking at the
    /// head among messages that came back would change their order.
    given_back: Mutex<Option<(SystemTime, Instant)>>,
    /// The oldest message when somebody looked, and how many AMQP messages were ready, until
    /// somebody reads: looking takes what is looked at out of the queue for a moment.
    looked_at: Mutex<Option<(u64, SystemTime)>>,
    /// When a pack was given back last: the broker puts it back some time later, so that the
    /// queue may look empty when it is not.
    pack_given_back: Mutex<Option<Instant>>,
    /// Held by whoever consumes alone.
    pub(crate) alone: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever looks at what is in the queue; shared by consumers that begin.
    pub(crate) looking: Arc<tokio::sync::RwLock<()>>,
    /// Of whoever looks at dead letters.
    pub(crate) turn: Arc<Turn>,
    /// Dead letters that this process took out to look at.
    pub(crate) dead_taken: AtomicU64,
}

/// One looks at the dead letters of an inbox at a time: RabbitMQ shows a message to one only.
#[derive(Default)]
pub(crate) struct Turn {
    taken: Arc<tokio::sync::Mutex<()>>,
    waiting: AtomicUsize,
}

/// The retries that this process started and that are not due: RabbitMQ cannot
/// count them by inbox.
#[derive(Default)]
pub(crate) struct Delayed(Mutex<BinaryHeap<Reverse<(Instant, SystemTime)>>>);

/// What waits and what is handed out, without what is a retry.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// AMQP messages in the queue.
    ready: u64,
    waiting: u64,
    /// More may wait than that.
    is_least: bool,
    in_flight: u64,
    consumers: u32,
}

impl Knowledge {
    pub(crate) fn add_consumer(&self, held: &Arc<Held>) {
        *self.looked_at.lock() = None;
        let mut consumers = self.consumers.lock();
        consumers.retain(|consumer| consumer.strong_count() > 0);
        consumers.push(Arc::downgrade(held));
    }

    /// An AMQP message with so many messages is in the queue.
    pub(crate) fn published(&self, messages: usize, bytes: usize) {
        self.gauge.published(messages as u64, bytes as u64);
        self.marks.lock().published(messages);
    }

    /// The queue of the inbox has nothing in it.
    pub(crate) fn nothing_is_ready(&self) {
        self.marks.lock().nothing_is_ready();
    }

    /// A message that travels by itself came.
    pub(crate) fn came_alone(&self) {
        self.marks.lock().came_alone();
    }

    /// A pack came: which of its members are settled already.
    pub(crate) fn came(&self, pack: PackId, members: usize, own: bool) -> Settled {
        self.marks.lock().came(pack, members, own)
    }

    /// Whether it is remembered what was settled of this pack.
    pub(crate) fn knows(&self, pack: PackId) -> bool {
        self.marks.lock().knows(pack)
    }

    /// What is settled of a pack that is in the queue, if that is known.
    pub(crate) fn settled_of(&self, pack: PackId, members: usize) -> Option<Settled> {
        self.marks.lock().settled_of(pack, members)
    }

    /// What was ready was taken, and is given back.
    pub(crate) fn looked_at(&self, ready: u64, oldest: Option<SystemTime>) {
        *self.pack_given_back.lock() = Some(Instant::now());
        *self.looked_at.lock() = oldest.map(|oldest| (ready, oldest));
    }

    /// The oldest message, when somebody looked and nobody has read since.
    pub(crate) fn seen_oldest(&self) -> Option<SystemTime> {
        self.looked_at.lock().map(|(_, oldest)| oldest)
    }

    /// As [`Knowledge::seen_oldest`], with what is ready now: of fewer some were read.
    fn still_oldest(&self, counts: &Counts) -> Option<SystemTime> {
        let mut looked_at = self.looked_at.lock();
        looked_at.take_if(|(ready, _)| counts.consumers > 0 || counts.ready < *ready);
        looked_at.iter_mut().for_each(|(ready, _)| *ready = counts.ready);
        looked_at.map(|(_, oldest)| oldest)
    }

    /// Whether this process consumes the inbox, or did a moment ago.
    pub(crate) fn is_consumed(&self) -> bool {
        self.held().iter().any(|held| held.has_consumed())
    }

    /// What this process's consumers have, in their order; at most `limit`, as [`Shown`] goes.
    pub(crate) fn shown(&self, limit: usize) -> Vec<Unsettled> {
        let mut shown = Shown::new(limit);
        for held in self.held() {
            held.show(&mut shown);
        }
        shown.into_messages()
    }

    pub(crate) fn learn(&self, pack: PackId, settled: Settled) {
        self.marks.lock().learn(pack, settled);
    }

    pub(crate) fn goes_back(&self, pack: PackId, settled: &Settled) {
        *self.pack_given_back.lock() = Some(Instant::now());
        self.marks.lock().goes_back(pack, settled);
    }

    pub(crate) fn settled_late(&self, pack: PackId, member: usize) -> bool {
        self.marks.lock().settled_late(pack, member)
    }

    pub(crate) fn given_back(&self, oldest: Option<SystemTime>) {
        let Some(oldest) = oldest else { return };
        let mut given_back = self.given_back.lock();
        let oldest = given_back.map_or(oldest, |(earlier, _)| earlier.min(oldest));
        *given_back = Some((oldest, Instant::now()));
    }

    /// Messages that wait, in flight, or are delayed, now. None while somebody has some out to
    /// look at.
    pub(crate) async fn count(
        &self,
        channel: &Channel,
        inbox: &InboxName,
    ) -> lapin::Result<Option<u64>> {
        let Ok(_nobody_looks) = self.looking.try_read() else { return Ok(None) };
        let Counts { waiting, in_flight, .. } = self.counts(channel, inbox).await?;
        Ok(Some(waiting + in_flight + self.delayed.count().0))
    }

    /// How the inbox fares, and whether its oldest message would have to be looked at: nobody
    /// reads it, and what waits there is not known.
    pub(crate) async fn inspect(
        &self,
        channel: &Channel,
        inbox: &InboxName,
    ) -> Result<(InboxState, bool), BusError> {
        let unknown = |_| BusError::UnknownInbox(inbox.clone());
        // What they have out counts as with a consumer.
        let _nobody_looks = self.looking.read().await;
        let counts = self.counts(channel, inbox).await.map_err(unknown)?;
        let (dead_letters, _) =
            topology::count(channel, topology::dead_queue(inbox)).await.map_err(unknown)?;
        let dead_letters = dead_letters + self.dead_taken.load(Ordering::Relaxed);

        let (delayed, oldest_delayed) = self.delayed.count();
        let oldest_held = self.held().iter().filter_map(|held| held.oldest()).min();
        let given_back = self.may_be_back(counts.ready == 0 || oldest_held.is_some());
        let oldest_ready = [given_back, self.still_oldest(&counts)].into_iter().flatten().min();
        let is_unread = counts.ready > 0 && counts.consumers == 0;
        let is_unknown = is_unread && oldest_held.is_none() && oldest_ready.is_none();
        let oldest = [oldest_held, oldest_ready, oldest_delayed].into_iter().flatten().min();
        let Counts { waiting, is_least: depth_is_least, in_flight, consumers, .. } = counts;
        let depth = waiting + delayed;
        let state = InboxState {
            depth,
            depth_is_least,
            delayed,
            handed_over: 0,
            in_flight,
            consumers,
            oldest,
            dead_letters,
        };
        Ok((state, is_unknown))
    }

    /// The oldest message that was given back and may still wait.
    fn may_be_back(&self, nothing_waits: bool) -> Option<SystemTime> {
        /// The broker puts back what it gets back, but not at once.
        const BACK_WITHIN: Duration = Duration::from_secs(1);
        let mut given_back = self.given_back.lock();
        given_back.take_if(|(_, since)| nothing_waits && since.elapsed() > BACK_WITHIN);
        given_back.map(|(oldest, _)| oldest)
    }

    async fn counts(&self, channel: &Channel, inbox: &InboxName) -> lapin::Result<Counts> {
        let queue = topology::inbox_queue(inbox);
        let (ready, mut consumers) = topology::count(channel, queue).await?;
        let held = self.held();
        let (mut waiting, mut in_flight) = (0, 0);
        for counts in held.iter().map(|held| held.counts()) {
            waiting += counts.waiting;
            in_flight += counts.handed_out;
            consumers = consumers.saturating_sub(counts.replaced);
        }
        /// What was given back is in the queue again by then.
        const BACK_FOR_SURE: Duration = Duration::from_secs(60);
        let given_back = *self.pack_given_back.lock();
        let nothing_comes = given_back.is_none_or(|since| since.elapsed() > BACK_FOR_SURE);
        let mut marks = self.marks.lock();
        if ready == 0 && nothing_comes {
            marks.nothing_is_ready();
            if held.is_empty() {
                marks.nothing_is_left();
            }
        }
        waiting += marks.messages(ready, MEMBERS_MAX);
        let is_least = marks.is_least(ready);
        Ok(Counts { ready, waiting, is_least, in_flight, consumers })
    }

    fn held(&self) -> Vec<Arc<Held>> {
        self.consumers.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Turn {
    pub(crate) async fn take(&self) -> OwnedMutexGuard<()> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        Arc::clone(&self.taken).lock_owned().await
    }

    /// Whether somebody waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
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
