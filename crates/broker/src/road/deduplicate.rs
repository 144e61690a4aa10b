//! Fifth room: the same (source, id) of the same publisher is taken once.
//!
//! What was published lately, and what is under way, is known in memory, bounded by age
//! and by size. With [`Receipts`] the rest of the window is on disk, and known after a
//! restart; without, a restart forgets all. When either is full it forgets the
//! oldest: a duplicate may then pass. It never swallows: only a message whose first
//! publication became durable is answered with an earlier receipt.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::watch;
use wissel_receipts::{Identity, IdentityKey, Receipts, Remembered};

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
    outcome: watch::Receiver<Option<Remembered>>,
}

/// The right to publish one (source, id). Dropped without
/// being completed, the next one to come may have it.
#[derive(Debug)]
pub struct Claim {
    identity: Identity,
    window: Arc<Window>,
    completed: bool,
}

/// The memory of what was published.
#[derive(Debug)]
pub struct Window {
    /// Makes a key of 128 bits, which nobody outside can steer to a collision.
    identity_key: IdentityKey,
    age: Duration,
    capacity: usize,
    seen: Mutex<Seen>,
    /// What is remembered beyond what is in memory.
    receipts: Option<Arc<Receipts>>,
}

#[derive(Debug, Default)]
struct Seen {
    entries: HashMap<Identity, Entry, RandomState>,
    /// Completed entries, oldest first.
    order: VecDeque<Completed>,
    /// Of the completed entries together.
    units: usize,
}

#[derive(Debug)]
enum Entry {
    /// With a channel to those who wait for it, once somebody does, which is rare.
    UnderWay(Option<watch::Sender<Option<Remembered>>>),
    Durable(Remembered),
}

#[derive(Debug)]
struct Completed {
    since: Instant,
    identity: Identity,
    units: usize,
}

/// How many inboxes of a receipt are one unit of the capacity, after a first unit for the
/// receipt itself.
const INBOXES_PER_UNIT: usize = 8;

/// Looks the message up, and claims it when it is new.
pub fn deduplicate(admitted: Admitted, window: &Arc<Window>) -> Known {
    let event = &admitted.event;
    let identity = window.identity_key.hash(&admitted.publisher, event.source(), event.id());
    let claim = {
        let mut seen = window.seen.lock();
        seen.forget_older_than(window.age);
        match seen.entries.entry(identity) {
            MapEntry::Vacant(place) => {
                place.insert(Entry::UnderWay(None));
                Claim { identity, window: Arc::clone(window), completed: false }
            }
            MapEntry::Occupied(mut known) => match known.get_mut() {
                Entry::Durable(first) => return Known::Repeat(receipt_again(first, &admitted)),
                Entry::UnderWay(waited_for) => {
                    let sender = waited_for.get_or_insert_with(|| watch::Sender::new(None));
                    let outcome = sender.subscribe();
                    return Known::UnderWay(UnderWay { admitted, outcome });
                }
            },
        }
    };
    // It is claimed, so that others wait while the disk is asked; all but them go on.
    match window.receipts.as_ref().and_then(|receipts| receipts.find(identity)) {
        None => Known::Fresh(Fresh { admitted, claim }),
        Some(first) => {
            let receipt = receipt_again(&first, &admitted);
            claim.give_up_for(first);
            Known::Repeat(receipt)
        }
    }
}

impl UnderWay {
    /// Waits for the first publication. When that failed, the message is given
    /// back to be looked up again.
    pub async fn wait(mut self) -> Result<Receipt, Admitted> {
        match self.outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(first)) => Ok(receipt_again(first, &self.admitted)),
            _ => Err(self.admitted),
        }
    }
}

impl Claim {
    /// The message is durable: from now on a repeat gets this receipt.
    pub(super) fn complete(mut self, receipt: &Receipt) {
        let remembered = Remembered {
            message_id: receipt.message_id,
            admitted_at: receipt.admitted_at,
            inboxes: Arc::clone(&receipt.inboxes),
        };
        self.completed = true;
        let window = &self.window;
        let claimed =
            window.seen.lock().remember(self.identity, remembered.clone(), window.capacity);
        if let Some(receipts) = &window.receipts {
            // When there is no room, the message is known as long as it is in memory.
            receipts.remember(self.identity, remembered.clone());
        }
        tell(claimed, remembered);
    }

    /// The message was published before. It stays on disk, where its age is known.
    fn give_up_for(mut self, first: Remembered) {
        self.completed = true;
        let claimed = self.window.seen.lock().entries.remove(&self.identity);
        tell(claimed, first);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.completed {
            // Those who wait for it hear that nothing comes.
            self.window.seen.lock().entries.remove(&self.identity);
        }
    }
}

impl Window {
    /// A window in memory, that goes back `age` and is bounded by `capacity`: a message is
    /// one unit, and one more for each eight inboxes. A unit is about 200 bytes.
    #[must_use]
    pub fn new(age: Duration, capacity: usize) -> Arc<Self> {
        Arc::new(Self::of(IdentityKey::random(), age, capacity, None))
    }

    /// A window in memory before one on disk.
    #[must_use]
    pub fn before(receipts: Arc<Receipts>, age: Duration, capacity: usize) -> Arc<Self> {
        Arc::new(Self::of(receipts.identity_key().clone(), age, capacity, Some(receipts)))
    }

    fn of(
        identity_key: IdentityKey,
        age: Duration,
        capacity: usize,
        receipts: Option<Arc<Receipts>>,
    ) -> Self {
        Self { identity_key, age, capacity, seen: Mutex::default(), receipts }
    }
}

impl Seen {
    /// Gives back what stood for the message until now.
    fn remember(
        &mut self,
        identity: Identity,
        remembered: Remembered,
        capacity: usize,
    ) -> Option<Entry> {
        let units = 1 + remembered.inboxes.len() / INBOXES_PER_UNIT;
        while !self.order.is_empty() && self.units + units > capacity {
            self.forget_oldest();
        }
        self.units += units;
        self.order.push_back(Completed { since: Instant::now(), identity, units });
        self.entries.insert(identity, Entry::Durable(remembered))
    }

    fn forget_older_than(&mut self, age: Duration) {
        while self.order.front().is_some_and(|oldest| oldest.since.elapsed() > age) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.units -= oldest.units;
            self.entries.remove(&oldest.identity);
        }
    }
}

/// Tells those who wait for a message that was claimed, if any do.
fn tell(claimed: Option<Entry>, outcome: Remembered) {
    if let Some(Entry::UnderWay(Some(waiting))) = claimed {
        waiting.send_replace(Some(outcome));
    }
}

fn receipt_again(first: &Remembered, repeat: &Admitted) -> Receipt {
    Receipt {
        message_id: first.message_id,
        source: repeat.event.source().to_owned(),
        id: repeat.event.id().to_owned(),
        admitted_at: first.admitted_at,
        inboxes: Arc::clone(&first.inboxes),
        repeated: true,
        warnings: repeat.warnings.clone(),
    }
}
