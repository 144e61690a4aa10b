//! What waits to be written.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::{Identity, Remembered};

/// What may wait, in units of the capacity. When it is reached, what comes is dropped: it
/// will not be known after a restart, and may then be delivered twice.
const ROOM: u64 = 32_768;

/// Unless it is asked for sooner, or much waits, the writer lets so much time pass before
/// it takes what came: a batch costs hardly more than a single receipt.
const GATHERING: Duration = Duration::from_millis(5);

/// Much waits: this part of the room.
const MUCH: u64 = ROOM / 4;

/// From many that remember to one that writes.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// There is something to do for the writer.
    arrived: Condvar,
    /// The writer has done something that others wait for.
    progressed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Identity, Remembered)>,
    units: u64,
    /// How many were put in the queue, since the beginning.
    accepted: u64,
    dropped: u64,
    /// How many of `accepted` are on disk, or could not be put there.
    settled: u64,
    /// Somebody waits for what was accepted until here.
    wanted: u64,
    /// The storage does not work.
    failing: bool,
    closed: bool,
    ended: bool,
}

/// What the writer has to do next.
pub(crate) struct Taken {
    pub(crate) entries: Vec<(Identity, Remembered)>,
    /// How many came before the end of these, since the beginning.
    pub(crate) until: u64,
    /// Somebody waits for these to be on disk.
    pub(crate) sync: bool,
    /// Nothing more comes.
    pub(crate) ended: bool,
}

impl Queue {
    /// Puts a receipt in the queue; says whether there was room.
    pub(crate) fn push(&self, identity: Identity, remembered: Remembered) -> bool {
        let units = remembered.units();
        let mut state = self.state.lock();
        if state.closed || state.units + units > ROOM && !state.waiting.is_empty() {
            state.dropped += 1;
            return false;
        }
        let wakes = state.waiting.is_empty() || state.units < MUCH && state.units + units >= MUCH;
        state.units += units;
        state.accepted += 1;
        state.waiting.push((identity, remembered));
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        true
    }

    /// What is in the queue; nothing when nothing came for so long.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let mut state = self.state.lock();
        let idle_until = Instant::now() + patience;
        while state.waiting.is_empty() && !state.is_urgent() {
            if self.arrived.wait_until(&mut state, idle_until).timed_out() {
                break;
            }
        }
        if !state.waiting.is_empty() {
            let gather_until = Instant::now() + GATHERING;
            while state.units < MUCH && !state.is_urgent() {
                if self.arrived.wait_until(&mut state, gather_until).timed_out() {
                    break;
                }
            }
        }
        state.units = 0;
        Taken {
            entries: std::mem::take(&mut state.waiting),
            until: state.accepted,
            sync: state.wanted > state.settled,
            ended: state.closed,
        }
    }

    /// Lets time pass without taking anything, unless the queue is closed.
    pub(crate) fn pause(&self, pause: Duration) {
        let mut state = self.state.lock();
        let until = Instant::now() + pause;
        while !state.closed {
            if self.arrived.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
    }

    /// What was accepted until here is on disk, or cannot be put there now.
    pub(crate) fn settled(&self, until: u64) {
        self.state.lock().settled = until;
        self.progressed.notify_all();
    }

    /// How many found no room since this was last asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.state.lock().dropped)
    }

    /// Whether the storage works. While it does not, nobody waits for it.
    pub(crate) fn set_failing(&self, failing: bool) {
        self.state.lock().failing = failing;
        self.progressed.notify_all();
    }

    /// Waits until what was accepted so far is on disk, or cannot be put there now.
    pub(crate) fn settle(&self) {
        let mut state = self.state.lock();
        let until = state.accepted;
        state.wanted = state.wanted.max(until);
        self.arrived.notify_one();
        while state.settled < until && !state.failing && !state.ended {
            self.progressed.wait(&mut state);
        }
    }

    /// Takes nothing more; what is in the queue is still to be written.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// The writer says that it has ended.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.progressed.notify_all();
    }

    /// Waits until the writer has ended; says whether it did.
    pub(crate) fn wait_for_end(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.state.lock();
        while !state.ended {
            if self.progressed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.ended
    }
}

impl State {
    fn is_urgent(&self) -> bool {
        self.closed || self.wanted > self.settled
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::SystemTime;

    use wissel_bus::MessageId;
    use wissel_identifiers::InboxName;

    use super::*;
    use crate::IdentityKey;

    fn entry(number: u64, inboxes: usize) -> (Identity, Remembered) {
        let publisher = "00000099000000001000".parse().unwrap();
        let inbox: InboxName = format!("{publisher}.inbox").parse().unwrap();
        let remembered = Remembered {
            message_id: MessageId::now(),
            admitted_at: SystemTime::now(),
            inboxes: vec![inbox; inboxes].into(),
        };
        (IdentityKey::random().hash(&publisher, "/s", &number.to_string()), remembered)
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let queue = Queue::default();
        let (identity, remembered) = entry(0, 1);
        for _ in 0..ROOM {
            assert!(queue.push(identity, remembered.clone()));
        }
        assert!(!queue.push(identity, remembered.clone()));
        assert_eq!((queue.take_dropped(), queue.take_dropped()), (1, 0));
        let taken = queue.take(Duration::ZERO);
        assert_eq!((taken.entries.len() as u64, taken.until), (ROOM, ROOM));
        assert!(!taken.sync && !taken.ended);
        assert!(queue.push(identity, remembered));
    }

    #[test]
    fn a_receipt_with_many_inboxes_takes_more_room() {
        let queue = Queue::default();
        let (identity, remembered) = entry(0, 16 * 1_000);
        let mut accepted = 0;
        while queue.push(identity, remembered.clone()) {
            accepted += 1;
        }
        assert_eq!(accepted, ROOM / 1_001);
        let (identity, larger_than_the_room) = entry(1, 17 * 32_768);
        queue.take(Duration::ZERO);
        assert!(queue.push(identity, larger_than_the_room));
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
        let queue = Queue::default();
        let (identity, remembered) = entry(0, 1);
        assert!(queue.push(identity, remembered.clone()));
        queue.close();
        assert!(!queue.push(identity, remembered));
        let taken = queue.take(Duration::from_secs(60));
        assert!(taken.ended && taken.entries.len() == 1);
        assert!(!queue.wait_for_end(Duration::from_millis(1)));
        queue.end();
        assert!(queue.wait_for_end(Duration::ZERO));
    }
}
