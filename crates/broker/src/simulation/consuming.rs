//! Those who receive.

use std::time::Duration;

use super::Found;
use super::ledger::Now;
use super::subscriber::{Order, Subscriber, Told};
use super::town::PLACES;
use super::world::World;
use crate::{SessionOptions, Verdict};

/// How many have an inbox open at a time, at most.
const SUBSCRIBERS: usize = 3;

impl World {
    pub(super) fn open(&mut self) {
        let place = self.random.usize(..PLACES.len());
        let others = self.subscribers.iter().filter(|one| one.place == place).count();
        if others >= SUBSCRIBERS {
            return;
        }
        let credit = self.pick(&[1, 1, 2, 5, 50]);
        let lease = Duration::from_millis(self.pick(&[1_000, 4_000, 15_000, 120_000]));
        self.subscribe(place, credit, lease);
    }

    pub(super) fn subscribe(&mut self, place: usize, credit: u16, lease: Duration) {
        let number = self.number();
        let options = SessionOptions { credit, lease };
        self.log(|| {
            let local = PLACES[place].local;
            format!("subscriber {number} opens {local}: credit {credit}, lease {lease:?}")
        });
        let one = Subscriber::begin(&self.broker(), number, place, options, &self.seen);
        self.subscribers.push(one);
    }

    pub(super) fn hear(&mut self, number: u64, told: Told, now: Now) -> Result<(), Found> {
        let one = self.subscribers.iter().position(|one| one.number == number);
        match told {
            Told::Opened => {
                if let Some(one) = one {
                    self.subscribers[one].open = true;
                }
            }
            Told::Event(event) => {
                let words = format!("{event:?}");
                if !self.handed(number, event, now)? {
                    self.log(|| format!("subscriber {number}: {words}"));
                    self.ledger.left(number, false, now);
                    self.subscribers.retain(|one| one.number != number);
                    if !now.failed {
                        return Err(Found(format!("the session of {number} ended: {words}")));
                    }
                }
            }
            Told::Left => {
                self.ledger.left(number, true, now);
                self.subscribers.retain(|one| one.number != number);
            }
            Told::Refused(refusal) => {
                self.subscribers.retain(|one| one.number != number);
                if !now.failed {
                    return Err(Found(format!("{number} may not open: {refusal:?}")));
                }
            }
        }
        Ok(())
    }

    /// A subscriber that may do something.
    fn somebody(&mut self) -> Option<usize> {
        let open: Vec<usize> =
            (0..self.subscribers.len()).filter(|at| self.subscribers[*at].open).collect();
        (!open.is_empty()).then(|| self.pick(&open))
    }

    /// Somebody settles some of what it holds.
    pub(super) fn settle(&mut self) {
        let Some(at) = self.somebody().filter(|at| !self.subscribers[*at].stalled) else { return };
        let after = match self.random.u32(..4) {
            0 => None,
            _ => Some(Duration::from_millis(self.pick(&[0, 5, 300, 3_000, 20_000]))),
        };
        let reason = "asked for".to_owned();
        let verdict = match self.random.u32(..20) {
            0..12 => Verdict::Acknowledge,
            12..18 => Verdict::Retry { after, reason },
            _ => Verdict::Reject { reason },
        };
        let most = self.pick(&[1, 1, 3, 50]);
        self.settle_some(at, most, &verdict);
    }

    pub(super) fn settle_some(&mut self, at: usize, most: usize, verdict: &Verdict) {
        let (number, now) = (self.subscribers[at].number, self.now());
        let held = self.ledger.held_by(number);
        let mut held: Vec<_> =
            held.into_iter().filter(|(which, _)| !self.ledger.is_over(*which, now)).collect();
        self.random.shuffle(&mut held);
        held.truncate(most);
        if held.is_empty() {
            return;
        }
        let ids: Vec<u64> = held.iter().map(|(_, id)| *id).collect();
        self.log(|| format!("subscriber {number} settles {ids:?}: {verdict:?}"));
        for (which, _) in held {
            self.ledger.settle(which, verdict, now);
        }
        self.subscribers[at].order(Order::Settle(ids, verdict.clone()));
    }

    pub(super) fn extend(&mut self) {
        let Some(at) = self.somebody() else { return };
        let (number, now) = (self.subscribers[at].number, self.now());
        let lease = Duration::from_millis(self.random.u64(500..20_000));
        let held = self.ledger.held_by(number);
        let held = held.into_iter().filter(|(which, _)| !self.ledger.is_over(*which, now));
        let Some((which, id)) = held.take(1).next() else { return };
        self.log(|| format!("subscriber {number} extends {id} by {lease:?}"));
        self.ledger.extend(which, lease, now);
        self.subscribers[at].order(Order::Extend(vec![id], lease));
    }

    /// Somebody goes, in time or without a word.
    pub(super) fn leave(&mut self, in_time: bool) -> Result<(), Found> {
        self.collect()?;
        let Some(at) = self.somebody() else { return Ok(()) };
        let number = self.subscribers[at].number;
        self.log(|| format!("subscriber {number} goes, in time: {in_time}"));
        if in_time {
            self.subscribers[at].open = false;
            self.ledger.leaves(number, self.now());
            self.subscribers[at].order(Order::Leave);
        } else {
            self.cut(number, self.now());
        }
        Ok(())
    }

    pub(super) fn cut(&mut self, number: u64, now: Now) {
        self.subscribers.iter().filter(|one| one.number == number).for_each(Subscriber::cut);
        self.subscribers.retain(|one| one.number != number);
        self.ledger.left(number, false, now);
    }

    /// Somebody settles nothing any more, or does again.
    pub(super) fn stall(&mut self) {
        let Some(at) = self.somebody() else { return };
        let one = &mut self.subscribers[at];
        one.stalled = !one.stalled;
        let (number, stalled) = (one.number, one.stalled);
        self.log(|| format!("subscriber {number} stalls: {stalled}"));
    }

    /// Somebody takes up nothing any more, or does again.
    pub(super) fn read(&mut self) {
        let Some(at) = self.somebody() else { return };
        let one = &mut self.subscribers[at];
        one.reading = !one.reading;
        one.order(Order::Read(one.reading));
        let (number, reading) = (one.number, one.reading);
        self.log(|| format!("subscriber {number} reads: {reading}"));
    }

    /// Whoever stalls stops nobody else: where somebody has credit, nothing waits.
    pub(super) fn nobody_waits(&self) -> Result<(), Found> {
        let now = self.now();
        for place in 0..PLACES.len() {
            let here = || self.subscribers.iter().filter(|one| one.place == place);
            // What one that does not read was handed is with it all the same.
            let all_read = here().all(|one| one.open && one.reading);
            let has_credit = here().any(|one| self.ledger.held_by(one.number).len() < one.credit);
            if all_read && has_credit && !self.paused[place] {
                self.ledger.nothing_is_held_up(place, now)?;
            }
        }
        Ok(())
    }
}
