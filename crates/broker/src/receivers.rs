//! Who has which inbox open at this gateway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;
use wissel_identifiers::InboxName;

use crate::{Broker, Caller};

/// One that has an inbox open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Who.
    pub caller: Caller,
    /// Since when.
    pub since: SystemTime,
    /// The most deliveries that it has in hand at a time.
    pub credit: u16,
    /// How many it has in hand now.
    pub in_hand: u64,
    /// When it settled something last; none: nothing yet.
    pub settled_at: Option<SystemTime>,
}

/// All of a broker.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    next: AtomicU64,
    open: Mutex<BTreeMap<(InboxName, u64), Arc<Open>>>,
}

#[derive(Debug)]
struct Open {
    caller: Caller,
    since: SystemTime,
    /// The same moment, by a clock that nobody sets.
    opened: Instant,
    credit: u16,
    in_hand: AtomicU64,
    /// Milliseconds from then on; 0: nothing was settled.
    settled_after: AtomicU64,
}

/// One that is told of for as long as this lives.
#[derive(Debug)]
pub(crate) struct Told {
    receivers: Arc<Receivers>,
    key: (InboxName, u64),
    open: Arc<Open>,
}

impl Broker {
    /// Who has the inbox open at this gateway, the first to come first.
    pub(crate) fn receivers_of(&self, inbox: &InboxName) -> Vec<Receiver> {
        let all = self.receivers.open.lock();
        let of_inbox = all.range((inbox.clone(), 0)..=(inbox.clone(), u64::MAX));
        of_inbox.map(|(_, open)| open.receiver()).collect()
    }

    /// Whether somebody who has the inbox open at this gateway settled something of late.
    pub(crate) fn was_settled_within(&self, inbox: &InboxName, time: Duration) -> bool {
        let all = self.receivers.open.lock();
        let mut of_inbox = all.range((inbox.clone(), 0)..=(inbox.clone(), u64::MAX));
        of_inbox.any(|(_, open)| {
            open.settled_after().is_some_and(|after| open.opened.elapsed() <= after + time)
        })
    }
}

impl Receivers {
    pub(crate) fn tell(self: &Arc<Self>, inbox: &InboxName, caller: &Caller, credit: u16) -> Told {
        let open = Arc::new(Open {
            caller: caller.clone(),
            since: SystemTime::now(),
            opened: Instant::now(),
            credit,
            in_hand: AtomicU64::new(0),
            settled_after: AtomicU64::new(0),
        });
        let key = (inbox.clone(), self.next.fetch_add(1, Ordering::Relaxed));
        self.open.lock().insert(key.clone(), Arc::clone(&open));
        Told { receivers: Arc::clone(self), key, open }
    }
}

impl Told {
    /// It has so many deliveries in hand.
    pub(crate) fn holds(&self, deliveries: usize) {
        self.open.in_hand.store(deliveries as u64, Ordering::Relaxed);
    }

    /// It settled something.
    pub(crate) fn settled(&self) {
        let after = self.open.opened.elapsed().as_millis();
        let after = u64::try_from(after).unwrap_or(u64::MAX).max(1);
        self.open.settled_after.store(after, Ordering::Relaxed);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.receivers.open.lock().remove(&self.key);
    }
}

impl Open {
    fn receiver(&self) -> Receiver {
        let settled_at = self.settled_after().and_then(|after| self.since.checked_add(after));
        let in_hand = self.in_hand.load(Ordering::Relaxed);
        let (caller, since, credit) = (self.caller.clone(), self.since, self.credit);
        Receiver { caller, since, credit, in_hand, settled_at }
    }

    /// How long after it was opened something was settled last.
    fn settled_after(&self) -> Option<Duration> {
        match self.settled_after.load(Ordering::Relaxed) {
            0 => None,
            after => Some(Duration::from_millis(after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_there_are_told_of_by_inbox() {
        let receivers = Arc::new(Receivers::default());
        let inbox = |name: &str| format!("00000099000000004000.{name}").parse().unwrap();
        let (a, b): (InboxName, InboxName) = (inbox("a"), inbox("b"));
        let party = |oin: &str| Caller::Party(oin.parse().unwrap());
        let first = receivers.tell(&a, &party("00000099000000004000"), 5);
        let second = receivers.tell(&a, &party("00000099000000004000"), 7);
        let other = receivers.tell(&b, &party("00000099000000004000"), 9);
        first.holds(3);
        second.settled();
        let of = |inbox: &InboxName| -> Vec<(u16, u64, bool)> {
            let all = receivers.open.lock();
            let found = all.range((inbox.clone(), 0)..=(inbox.clone(), u64::MAX));
            found
                .map(|(_, open)| open.receiver())
                .map(|one| (one.credit, one.in_hand, one.settled_at.is_some()))
                .collect()
        };
        assert_eq!(of(&a), [(5, 3, false), (7, 0, true)]);
        assert_eq!(of(&b), [(9, 0, false)]);
        drop(first);
        assert_eq!(of(&a), [(7, 0, true)]);
        drop((second, other));
        assert!(receivers.open.lock().is_empty());
    }
}
