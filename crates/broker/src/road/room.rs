//! Between routing and minimising: is there room in the inboxes?
//!
//! An inbox may have a limit on deliveries and on bytes. A message for which there is no
//! room in one is refused to its publisher for all of them, so that a receipt is never
//! about a part; or it becomes a dead letter of the full one, as the inbox is set. What is
//! under way to an inbox counts as if it were there, so that many publishers together do
//! not overshoot. A bus on RabbitMQ counts about every second: it knows at once what this gateway
//! publishes, and that much later what others do and what receivers settle. An inbox that nobody
//! published to for a minute it does not know until it is counted again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use wissel_bus::{Bus, Level};
use wissel_identifiers::InboxName;
use wissel_store::{InboxSettings, WhenFull};

use super::route::Routed;
use crate::{Reason, Refusal};

/// The inboxes that have a limit.
#[derive(Default)]
pub struct Limits(ArcSwap<HashMap<InboxName, Arc<Limit>>>);

/// The limit of one inbox.
struct Limit {
    /// There is no room at all.
    shut: bool,
    deliveries: u64,
    bytes: u64,
    when_full: WhenFull,
    /// What is under way to it.
    coming: Coming,
}

#[derive(Default)]
struct Coming {
    deliveries: AtomicU64,
    bytes: AtomicU64,
}

/// Room that a message has taken; given back when it is there, or refused.
pub struct Reservation {
    limit: Arc<Limit>,
    bytes: u64,
}

/// How long a publisher is to wait for room.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Limits {
    /// From now on an inbox has the limits of these settings.
    pub fn set(&self, inbox: &InboxName, settings: &InboxSettings) {
        let limit = Limit::of(settings).map(Arc::new);
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            match &limit {
                Some(limit) => all.insert(inbox.clone(), Arc::clone(limit)),
                None => all.remove(inbox),
            };
            all
        });
    }

    /// Asks how full they are, so that a bus that counts those that somebody asks for knows it
    /// before the first message comes.
    pub fn ask(&self, bus: &dyn Bus) {
        for inbox in self.0.load().keys() {
            let _ = bus.level(inbox);
        }
    }
}

impl Limit {
    fn of(settings: &InboxSettings) -> Option<Self> {
        let unlimited = settings.max_deliveries.is_none() && settings.max_bytes.is_none();
        if unlimited && !settings.draining {
            return None;
        }
        Some(Self {
            shut: settings.draining,
            deliveries: settings.max_deliveries.unwrap_or(u64::MAX),
            bytes: settings.max_bytes.unwrap_or(u64::MAX),
            when_full: settings.when_full.unwrap_or_default(),
            coming: Coming::default(),
        })
    }

    /// Takes room for a message, if there is.
    fn reserve(self: &Arc<Self>, level: Level, bytes: u64) -> Option<Reservation> {
        let reservation = Reservation::take(Arc::clone(self), bytes);
        let coming = &self.coming;
        let deliveries = level.deliveries + coming.deliveries.load(Ordering::Relaxed);
        let all_bytes = level.bytes + coming.bytes.load(Ordering::Relaxed);
        (deliveries <= self.deliveries && all_bytes <= self.bytes).then_some(reservation)
    }
}

impl Reservation {
    fn take(limit: Arc<Limit>, bytes: u64) -> Self {
        limit.coming.deliveries.fetch_add(1, Ordering::Relaxed);
        limit.coming.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { limit, bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.limit.coming.deliveries.fetch_sub(1, Ordering::Relaxed);
        self.limit.coming.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Takes room in every inbox that has a limit. The size of a message is that of its frame,
/// whatever its receiver gets of it.
///
/// # Errors
/// [`Reason::InboxFull`] when an inbox has none and is to refuse.
pub fn make_room(routed: &mut Routed, limits: &Limits, bus: &dyn Bus) -> Result<(), Refusal> {
    let limits = limits.0.load();
    if limits.is_empty() {
        return Ok(());
    }
    let bytes = routed.admitted.event.frame().len() as u64;
    let mut full = Vec::new();
    for (index, target) in routed.targets.iter().enumerate() {
        let Some(limit) = limits.get(&target.inbox) else { continue };
        // What the bus does not know yet is let pass: it knows in a moment.
        let room = if limit.shut {
            None
        } else {
            let Some(level) = bus.level(&target.inbox) else { continue };
            limit.reserve(level, bytes)
        };
        match (room, limit.when_full) {
            (Some(reservation), _) => routed.reservations.push(reservation),
            (None, WhenFull::Refuse) => return Err(inbox_full(&target.inbox, limit.shut)),
            (None, WhenFull::DeadLetter) => full.push(index),
        }
    }
    for index in full.into_iter().rev() {
        routed.full.push(routed.targets.swap_remove(index));
    }
    Ok(())
}

fn inbox_full(inbox: &InboxName, shut: bool) -> Refusal {
    let state = if shut { "takes in nothing for now" } else { "is full" };
    let message =
        format!("inbox {inbox} {state}; nothing of the message was kept, try again later");
    Refusal {
        retry_after: Some(TRY_AGAIN_AFTER),
        inbox: Some(inbox.clone()),
        ..Refusal::new(Reason::InboxFull, message)
    }
}
