//! The two queues inside the bus: commands for the writer, inboxes for the feeder.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{MutexGuard, Semaphore};

use crate::inbox::Inbox;
use crate::writer::Command;

/// What waits for the writer costs at most this much; callers wait for room.
/// A unit is up to 1 KiB; a message of 1 KiB and its attributes takes two.
const ROOM: u32 = 64 << 10;

/// The writer takes about this much at a time, and one command at least: of messages of 1 KiB half
/// of what a stream may have under way, so that others read and answer while it writes. Still less
/// in tests, which so meet several turns.
const TAKE: u32 = if cfg!(test) { 64 } else { 4 << 10 };

/// Commands on their way to the writer, in the order of the calls.
pub(crate) struct CommandQueue {
    /// Callers that wait for room wait in line, so that calls keep their order.
    turn: tokio::sync::Mutex<()>,
    room: Semaphore,
    commands: Mutex<Commands>,
    arrived: Condvar,
}

#[derive(Default)]
struct Commands {
    waiting: VecDeque<(Command, u32)>,
    closed: bool,
}

/// What the writer has to do next.
pub(crate) struct Taken {
    pub(crate) commands: Vec<Command>,
    /// The room that they take until [`CommandQueue::done`].
    pub(crate) cost: u32,
    /// Nothing more comes.
    pub(crate) ended: bool,
}

/// Room for one command, and the next place in line.
pub(crate) struct Room<'a> {
    queue: &'a CommandQueue,
    permit: tokio::sync::SemaphorePermit<'a>,
    cost: u32,
    _turn: MutexGuard<'a, ()>,
}

/// The queue was closed.
#[derive(Debug)]
pub(crate) struct QueueClosed;

impl CommandQueue {
    pub(crate) fn new() -> Self {
        Self {
            turn: tokio::sync::Mutex::new(()),
            room: Semaphore::new(ROOM as usize),
            commands: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Waits for room. What is larger than the queue has room when it is alone.
    pub(crate) async fn reserve(&self, cost: u32) -> Result<Room<'_>, QueueClosed> {
        let cost = cost.clamp(1, ROOM);
        let turn = self.turn.lock().await;
        let permit = self.room.acquire_many(cost).await.map_err(|_| QueueClosed)?;
        Ok(Room { queue: self, permit, cost, _turn: turn })
    }

    /// Takes nothing more; what is in the queue is still to be done.
    pub(crate) fn close(&self) {
        self.room.close();
        self.commands.lock().closed = true;
        self.arrived.notify_one();
    }

    /// What to do next; nothing when `until` has passed.
    pub(crate) fn take(&self, until: Option<Instant>) -> Taken {
        let mut queue = self.commands.lock();
        while queue.waiting.is_empty() && !queue.closed {
            match until {
                None => self.arrived.wait(&mut queue),
                Some(until) => {
                    if self.arrived.wait_until(&mut queue, until).timed_out() {
                        break;
                    }
                }
            }
        }
        queue.take()
    }

    /// The same without waiting.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn take_now(&self) -> Taken {
        self.commands.lock().take()
    }

    /// Whether there is something to do, or nothing more comes.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn has_any(&self) -> bool {
        let commands = self.commands.lock();
        commands.closed || !commands.waiting.is_empty()
    }

    /// Makes the room free that what was taken needed.
    pub(crate) fn done(&self, cost: u32) {
        self.room.add_permits(cost as usize);
    }
}

impl Commands {
    fn take(&mut self) -> Taken {
        let mut taken = Taken { commands: Vec::new(), cost: 0, ended: false };
        while taken.cost < TAKE
            && let Some((command, cost)) = self.waiting.pop_front()
        {
            taken.commands.push(command);
            taken.cost += cost;
        }
        taken.ended = self.closed && self.waiting.is_empty();
        taken
    }
}

impl Room<'_> {
    /// Puts the command in the queue.
    pub(crate) fn fill(self, command: Command) -> Result<(), QueueClosed> {
        let mut commands = self.queue.commands.lock();
        if commands.closed {
            return Err(QueueClosed);
        }
        commands.waiting.push_back((command, self.cost));
        drop(commands);
        // The writer gives it back.
        self.permit.forget();
        self.queue.arrived.notify_one();
        Ok(())
    }
}

/// Inboxes that have something to hand out. Each is in it at most once.
#[derive(Default)]
pub(crate) struct FeedQueue {
    inboxes: Mutex<Feeds>,
    arrived: Condvar,
}

#[derive(Default)]
struct Feeds {
    waiting: VecDeque<Arc<Inbox>>,
    closed: bool,
}

impl FeedQueue {
    pub(crate) fn push(&self, inbox: &Arc<Inbox>) {
        let mut feeds = self.inboxes.lock();
        if !feeds.closed {
            feeds.waiting.push_back(Arc::clone(inbox));
            drop(feeds);
            self.arrived.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        let mut feeds = self.inboxes.lock();
        feeds.closed = true;
        feeds.waiting.clear();
        drop(feeds);
        self.arrived.notify_one();
    }

    /// The next; none when the queue was closed.
    pub(crate) fn take(&self) -> Option<Arc<Inbox>> {
        let mut feeds = self.inboxes.lock();
        loop {
            if let Some(inbox) = feeds.waiting.pop_front() {
                return Some(inbox);
            }
            if feeds.closed {
                return None;
            }
            self.arrived.wait(&mut feeds);
        }
    }

    /// The next, without waiting for one.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn take_now(&self) -> Option<Arc<Inbox>> {
        self.inboxes.lock().waiting.pop_front()
    }

    /// Whether there is one.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn has_any(&self) -> bool {
        !self.inboxes.lock().waiting.is_empty()
    }
}
