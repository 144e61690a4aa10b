//! Fifth room: the same (source, id) of the same publisher is taken once.
//!
//! The window is kept in memory and bounded by age and by count. It forgets at a
//! restart, and the oldest when it is full: a duplicate may then pass. It never
//! swallows: only a message whose first publication became durable is answered
//! with an earlier receipt.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;
use wissel_bus::MessageId;
use wissel_identifiers::InboxName;

use super::validate::Admitted;
use crate::Receipt;

/// A message that was not published before, as far as the window goes back.
#[derive(Debug)]
pub struct Fresh {
    pub(super) admitted: Admitted,
    pub(super) claim: Claim,
}

/// What the window knows of a message.
#[derive(Debug)]
pub enum Known {
    /// Nothing: it goes on.
    Fresh(Fresh),
    /// It is durable; here is the first receipt.
    Repeat(Receipt),
    /// Its first publication is under way.
    UnderWay(UnderWay),
}

/// A message whose first publication is under way.
#[derive(Debug)]
pub struct UnderWay {
    admitted: Admitted,
    outcome: watch::Receiver<Option<Durable>>,
}

/// The right to publish one (source, id). Dropped without
/// being completed, the next one to come may have it.
#[derive(Debug)]
pub struct Claim {
    key: Key,
    window: Arc<Window>,
    outcome: watch::Sender<Option<Durable>>,
    completed: bool,
}

/// The memory of what was published.
#[derive(Debug)]
pub struct Window {
    /// Two hashers with keys of their own make a key of 128 bits, which nobody
    /// outside can steer to a collision.
    hashers: [RandomState; 2],
    age: Duration,
    capacity: usize,
    seen: Mutex<Seen>,
}

type Key = (u64, u64);

#[derive(Debug, Default)]
struct Seen {
    entries: HashMap<Key, Entry>,
    /// Completed entries, oldest first.
    order: VecDeque<(Instant, Key)>,
}

#[derive(Debug)]
enum Entry {
    UnderWay(watch::Receiver<Option<Durable>>),
    Durable(Durable),
}

/// What a receipt says beyond the message's own source and id.
#[derive(Debug, Clone)]
struct Durable {
    message_id: MessageId,
    admitted_at: SystemTime,
    inboxes: Arc<[InboxName]>,
}

/// Looks the message up, and claims it when it is new.
pub fn deduplicate(admitted: Admitted, window: &Arc<Window>) -> Known {
    let key = window.key(&admitted);
    let mut seen = window.seen.lock();
    seen.forget_older_than(window.age);
    match seen.entries.get(&key) {
        Some(Entry::Durable(durable)) => Known::Repeat(durable.receipt_again(&admitted)),
        Some(Entry::UnderWay(outcome)) => {
            Known::UnderWay(UnderWay { admitted, outcome: outcome.clone() })
        }
        None => {
            let (sender, receiver) = watch::channel(None);
            seen.entries.insert(key, Entry::UnderWay(receiver));
            let claim =
                Claim { key, window: Arc::clone(window), outcome: sender, completed: false };
            Known::Fresh(Fresh { admitted, claim })
        }
    }
}

impl UnderWay {
    /// Waits for the first publication. When that failed, the message is given
    /// back to be looked up again.
    pub async fn wait(mut self) -> Result<Receipt, Admitted> {
        match self.outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(durable)) => Ok(durable.receipt_again(&self.admitted)),
            _ => Err(self.admitted),
        }
    }
}

impl Claim {
    /// The message is durable: from now on a repeat gets this receipt.
    pub(super) fn complete(mut self, receipt: &Receipt) {
        let durable = Durable {
            message_id: receipt.message_id,
            admitted_at: receipt.admitted_at,
            inboxes: Arc::clone(&receipt.inboxes),
        };
        let mut seen = self.window.seen.lock();
        seen.remember(self.key, durable.clone(), self.window.capacity);
        drop(seen);
        self.completed = true;
        self.outcome.send_replace(Some(durable));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.completed {
            self.window.seen.lock().entries.remove(&self.key);
        }
    }
}

impl Window {
    /// A window that goes back `age`, and holds at most `capacity` messages.
    #[must_use]
    pub fn new(age: Duration, capacity: usize) -> Arc<Self> {
        let hashers = [RandomState::new(), RandomState::new()];
        Arc::new(Self { hashers, age, capacity, seen: Mutex::default() })
    }

    fn key(&self, admitted: &Admitted) -> Key {
        let identity = (admitted.publisher, admitted.event.source(), admitted.event.id());
        (self.hashers[0].hash_one(identity), self.hashers[1].hash_one(identity))
    }
}

impl Seen {
    fn remember(&mut self, key: Key, durable: Durable, capacity: usize) {
        while self.order.len() >= capacity.max(1) {
            self.forget_oldest();
        }
        self.entries.insert(key, Entry::Durable(durable));
        self.order.push_back((Instant::now(), key));
    }

    fn forget_older_than(&mut self, age: Duration) {
        while self.order.front().is_some_and(|(since, _)| since.elapsed() > age) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.entries.remove(&key);
        }
    }
}

impl Durable {
    fn receipt_again(&self, repeat: &Admitted) -> Receipt {
        Receipt {
            message_id: self.message_id,
            source: repeat.event.source().to_owned(),
            id: repeat.event.id().to_owned(),
            admitted_at: self.admitted_at,
            inboxes: Arc::clone(&self.inboxes),
            repeated: true,
            warnings: repeat.warnings.clone(),
        }
    }
}
