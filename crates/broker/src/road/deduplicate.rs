//! Fifth room: the same (source, id) of the same publisher is taken once.
//!
//! What was published lately, and what is under way, is known in memory, bounded by age
//! and by size. With [`Receipts`] the rest of the window is on disk, and known after a
//! restart; without, a restart forgets all. When either is full it forgets the
//! oldest: a duplicate may then pass. It never swallows: only a message whose first
//! publication became durable is answered with an earlier receipt.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::watch;
use wissel_receipts::{Identity, IdentityKey, Receipts, Remembered};

use super::recent::Recent;
use super::validate::Admitted;
use crate::{Receipt, clock};

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
    seen: Mutex<Seen>,
    /// What is remembered beyond what is in memory.
    receipts: Option<Arc<Receipts>>,
}

/// What is under way stands apart from what is durable: those are few, and stay in the
/// processor's cache.
#[derive(Debug)]
struct Seen {
    under_way: HashMap<Identity, Waiting, RandomState>,
    durable: Recent,
}

/// Those who wait for a message under way have a channel once somebody does, which is rare.
type Waiting = Option<watch::Sender<Option<Remembered>>>;

/// Looks the message up, and claims it when it is new.
pub fn deduplicate(admitted: Admitted, window: &Arc<Window>) -> Known {
    let event = &admitted.event;
    let identity = window.identity_key.hash(&admitted.publisher, event.source(), event.id());
    let claim = {
        let mut seen = window.seen.lock();
        let seen = &mut *seen;
        if let Some(first) = seen.durable.find(identity, clock::instant) {
            return Known::Repeat(receipt_again(first, &admitted));
        }
        match seen.under_way.entry(identity) {
            Entry::Vacant(place) => {
                place.insert(None);
                Claim { identity, window: Arc::clone(window), completed: false }
            }
            Entry::Occupied(mut waiting) => {
                let sender = waiting.get_mut().get_or_insert_with(|| watch::Sender::new(None));
                let outcome = sender.subscribe();
                return Known::UnderWay(UnderWay { admitted, outcome });
            }
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
    pub(super) fn complete(mut self, receipt: &Receipt, now: Instant) {
        let remembered = Remembered {
            message_id: receipt.message_id,
            admitted_at: receipt.admitted_at,
            inboxes: Arc::clone(&receipt.inboxes),
        };
        self.completed = true;
        let window = &self.window;
        let waiting = {
            let mut seen = window.seen.lock();
            seen.durable.remember(self.identity, remembered.clone(), now);
            seen.under_way.remove(&self.identity)
        };
        if let Some(receipts) = &window.receipts {
            // When there is no room, the message is known as long as it is in memory.
            receipts.remember(self.identity, remembered.clone());
        }
        tell(waiting, remembered);
    }

    /// The message was published before. It stays on disk, where its age is known.
    fn give_up_for(mut self, first: Remembered) {
        self.completed = true;
        let waiting = self.window.seen.lock().under_way.remove(&self.identity);
        tell(waiting, first);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.completed {
            // Those who wait for it hear that nothing comes.
            self.window.seen.lock().under_way.remove(&self.identity);
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
        let seen = Seen { under_way: HashMap::default(), durable: Recent::new(age, capacity) };
        Self { identity_key, seen: Mutex::new(seen), receipts }
    }
}

/// Tells those who wait for a message that was claimed, if any do.
fn tell(waiting: Option<Waiting>, outcome: Remembered) {
    if let Some(Some(waiting)) = waiting {
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
