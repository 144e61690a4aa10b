//! What should be on disk, and what was at each moment to which a crash may go back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wissel_bus::{Attempt, Envelope, Outlives};

use crate::storage::keys::to_ms;

/// Where something stands in an order that only grows.
pub(super) type Order = u64;

/// Where a dead letter stands: by the moment at which it died.
pub(super) type DeadKey = (u64, Order);

/// Which dead letters are redriven or purged, of those that are left.
pub(super) enum Chosen {
    These(Vec<DeadKey>),
    /// Those that died after the one, and no later than the other.
    Range {
        after: Option<DeadKey>,
        last: Option<DeadKey>,
    },
}

/// An inbox by the index of its name, and which of those that had the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) index: usize,
    pub(super) incarnation: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) envelope: Arc<Envelope>,
    pub(super) attempt: u32,
    pub(super) history: Vec<Attempt>,
    /// It may be older than what stands before it.
    pub(super) requeued: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Dead {
    pub(super) envelope: Arc<Envelope>,
    pub(super) attempts: u32,
    pub(super) died_at: SystemTime,
    pub(super) reason: String,
    pub(super) history: Vec<Attempt>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    pub(super) incarnation: u64,
    pub(super) ready: BTreeMap<Order, Arc<Delivery>>,
    /// By the moment at which each is due.
    pub(super) delayed: BTreeMap<(u64, Order), Arc<Delivery>>,
    pub(super) dead: BTreeMap<DeadKey, Arc<Dead>>,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) until_ms: u64,
    pub(super) envelope: Arc<Envelope>,
}

/// All of it at one moment. Cheap to copy.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) inboxes: BTreeMap<usize, Arc<Inbox>>,
    /// By the moment of admission.
    pub(super) archive: Arc<BTreeMap<(u64, Order), Kept>>,
    /// Retries of inboxes that were removed, which go when they are due, in turn with others:
    /// when that is, incarnation, order.
    forsaken: Arc<BTreeSet<(u64, u64, Order)>>,
}

/// A message that is enqueued.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) envelope: Arc<Envelope>,
    pub(super) to: Vec<Which>,
    pub(super) archive_until_ms: Option<u64>,
    pub(super) outlives: Outlives,
}

/// What becomes of a delivery.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Done,
    Retry { after: Duration, reason: String },
    Dead { reason: String, unheard: Vec<Attempt>, handed_out: bool },
}

/// The state, how it came about, and what of it nothing may take away.
pub(super) struct Model {
    pub(super) state: State,
    next: Order,
    /// The latest moment that a clock showed.
    pub(super) latest_ms: u64,
    /// The states since the one that is promised, and when each was; the last is the present.
    moments: Vec<(u64, State)>,
    /// The number of the first of the moments.
    first: usize,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            state: State::default(),
            next: 1,
            latest_ms: 0,
            moments: vec![(0, State::default())],
            first: 0,
        }
    }

    fn order(&mut self) -> Order {
        self.next += 1;
        self.next
    }

    // === moments ===

    /// The state is one to which a crash may go back. Gives its number.
    pub(super) fn moment(&mut self, now_ms: u64) -> usize {
        self.moments.push((now_ms, self.state.clone()));
        self.first + self.moments.len() - 1
    }

    pub(super) fn latest(&self) -> usize {
        self.first + self.moments.len() - 1
    }

    /// Nothing takes away what was at this moment.
    pub(super) fn promise(&mut self, moment: usize) {
        let gone = moment.saturating_sub(self.first);
        self.moments.drain(..gone);
        self.first += gone;
    }

    /// Nothing takes away what was so long ago.
    pub(super) fn promise_until(&mut self, then_ms: u64) {
        if let Some(at) = self.moments.iter().rposition(|(at_ms, _)| *at_ms <= then_ms) {
            self.promise(self.first + at);
        }
    }

    /// The states that a crash may leave, the latest first.
    pub(super) fn possible(&self) -> impl Iterator<Item = &State> {
        self.moments.iter().rev().map(|(_, state)| state)
    }

    /// This is what it left, and it stays.
    pub(super) fn settle_on(&mut self, state: State, now_ms: u64) {
        self.first += self.moments.len();
        self.moments = vec![(now_ms, state.clone())];
        self.state = state;
    }

    // === what happens ===

    pub(super) fn find(&self, index: usize) -> Option<Which> {
        let inbox = self.state.inboxes.get(&index)?;
        Some(Which { index, incarnation: inbox.incarnation })
    }

    pub(super) fn exists(&self, which: Which) -> bool {
        self.find(which.index) == Some(which)
    }

    fn inbox(&mut self, which: Which) -> &mut Inbox {
        Arc::make_mut(self.state.inboxes.get_mut(&which.index).expect("it exists"))
    }

    pub(super) fn open(&mut self, index: usize) {
        if !self.state.inboxes.contains_key(&index) {
            let inbox = Inbox { incarnation: self.order(), ..Inbox::default() };
            self.state.inboxes.insert(index, Arc::new(inbox));
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        let Some(inbox) = self.state.inboxes.remove(&index) else { return };
        let forsaken = Arc::make_mut(&mut self.state.forsaken);
        let left = inbox.delayed.keys().map(|(due_ms, order)| (*due_ms, inbox.incarnation, *order));
        forsaken.extend(left);
    }

    /// The first retries that are due go to the end. True when there are any.
    pub(super) fn bring_back(&mut self, now_ms: u64, at_most: usize) -> bool {
        let mut due: Vec<(u64, u64, Order, Option<usize>)> = Vec::new();
        for (index, inbox) in &self.state.inboxes {
            let its = inbox.delayed.keys();
            due.extend(its.map(|(due_ms, at)| (*due_ms, inbox.incarnation, *at, Some(*index))));
        }
        let forsaken = self.state.forsaken.iter();
        due.extend(forsaken.map(|(due_ms, incarnation, at)| (*due_ms, *incarnation, *at, None)));
        due.retain(|(due_ms, ..)| *due_ms <= now_ms);
        due.sort_unstable();
        due.truncate(at_most);
        for (due_ms, incarnation, order, index) in &due {
            let Some(index) = *index else {
                let forsaken = Arc::make_mut(&mut self.state.forsaken);
                forsaken.remove(&(*due_ms, *incarnation, *order));
                continue;
            };
            let back = self.order();
            let inbox = self.inbox(Which { index, incarnation: *incarnation });
            let delivery = inbox.delayed.remove(&(*due_ms, *order)).expect("it is there");
            inbox.ready.insert(back, delivery);
        }
        !due.is_empty()
    }

    pub(super) fn enqueue(&mut self, item: &Item) {
        let envelope = &item.envelope;
        for which in &item.to {
            let delivery = Delivery {
                envelope: Arc::clone(envelope),
                attempt: 1,
                history: Vec::new(),
                requeued: false,
            };
            let order = self.order();
            self.inbox(*which).ready.insert(order, Arc::new(delivery));
        }
        if let Some(until_ms) = item.archive_until_ms {
            let kept = Kept { until_ms, envelope: Arc::clone(envelope) };
            let key = (to_ms(envelope.admitted_at), self.order());
            Arc::make_mut(&mut self.state.archive).insert(key, kept);
        }
    }

    pub(super) fn settle(&mut self, which: Which, order: Order, way: &Way, now: SystemTime) {
        let number = self.order();
        let inbox = self.inbox(which);
        let Some(delivery) = inbox.ready.remove(&order) else {
            panic!("delivery {order} of {which:?} is settled and not there");
        };
        let Delivery { envelope, attempt, mut history, .. } = Arc::unwrap_or_clone(delivery);
        match way {
            Way::Done => {}
            Way::Retry { after, reason } => {
                history.push(Attempt::new(attempt, now, reason.clone()));
                keep_latest(&mut history);
                let after_ms = u64::try_from(after.as_micros().div_ceil(1000)).unwrap();
                let again = Delivery { envelope, attempt: attempt + 1, history, requeued: true };
                inbox.delayed.insert((to_ms(now) + after_ms + 1, order), Arc::new(again));
            }
            Way::Dead { reason, unheard, handed_out } => {
                history.extend_from_slice(unheard);
                keep_latest(&mut history);
                let made = unheard.last().map_or(attempt, |last| attempt.max(last.number + 1));
                let attempts = if *handed_out { made } else { made - 1 };
                let reason = reason.clone();
                let dead = Dead { envelope, attempts, died_at: now, reason, history };
                inbox.dead.insert((to_ms(now), number), Arc::new(dead));
            }
        }
    }

    pub(super) fn bury(
        &mut self,
        which: Which,
        envelope: Arc<Envelope>,
        reason: &str,
        now: SystemTime,
    ) {
        let (number, reason) = (self.order(), reason.to_owned());
        let dead = Dead { envelope, attempts: 0, died_at: now, reason, history: Vec::new() };
        self.inbox(which).dead.insert((to_ms(now), number), Arc::new(dead));
    }

    /// Redrives the next of these dead letters, or purges them. Gives how many there were.
    pub(super) fn end_dead(
        &mut self,
        which: Which,
        chosen: &mut Chosen,
        to: Option<Which>,
        at_most: usize,
    ) -> usize {
        let keys: Vec<DeadKey> = match chosen {
            Chosen::These(keys) => keys.drain(..at_most.min(keys.len())).collect(),
            Chosen::Range { after, last } => {
                let keys = self.dead_keys(which).into_iter();
                let keys = keys.filter(|key| Some(*key) > *after && Some(*key) <= *last);
                let keys: Vec<DeadKey> = keys.take(at_most).collect();
                *after = keys.last().copied().or(*after);
                keys
            }
        };
        for key in &keys {
            let dead = self.inbox(which).dead.remove(key).expect("a dead letter that was chosen");
            if let Some(to) = to {
                let order = self.order();
                let Dead { envelope, attempts, died_at, reason, history } =
                    Arc::unwrap_or_clone(dead);
                let last = Attempt::new(attempts, died_at, reason);
                let history = Attempt::before_redrive(history, last);
                let again = Delivery { envelope, attempt: 1, history, requeued: true };
                self.inbox(to).ready.insert(order, Arc::new(again));
            }
        }
        keys.len()
    }

    /// The keys of dead letters, in their order.
    pub(super) fn dead_keys(&self, which: Which) -> Vec<DeadKey> {
        self.state.inboxes[&which.index].dead.keys().copied().collect()
    }

    /// None when there is none, or no such inbox.
    pub(super) fn youngest_dead(&self, which: Which) -> Option<DeadKey> {
        self.exists(which).then(|| self.dead_keys(which).last().copied()).flatten()
    }
}

fn keep_latest(history: &mut Vec<Attempt>) {
    let many = history.len().saturating_sub(Attempt::KEPT);
    history.drain(..many);
}
