use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{
    Arrival, Attempt, Bus, BusError, Consumer, Delivery, DeliveryTag, Envelope, MessageId, Settle,
    Settlement,
};
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use super::WINDOW;
use super::receiver::{Receiver, ReceiverSettler};

/// One ordered inbox.
#[derive(Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Told when a retry may be due earlier than before.
    earlier: Notify,
    /// One at a time begins to consume.
    beginning: tokio::sync::Mutex<()>,
}

/// What one consumer of the bus brought, and who has it.
#[derive(Default)]
struct State {
    /// While there are receivers.
    source: Option<Source>,
    receivers: Vec<Receiver>,
    next_receiver: u64,
    /// By number: in the order of arrival.
    items: BTreeMap<u64, Item>,
    next_item: u64,
    /// The items of each subject, in their order. Only the first is handed out.
    lanes: HashMap<u64, VecDeque<u64>, foldhash::fast::RandomState>,
    /// Items that may be handed out.
    ready: BTreeSet<u64>,
    /// Items that wait for their retry.
    waiting: BTreeSet<(Instant, u64)>,
    /// Attempts that the bus did not hear of, by message.
    attempts: HashMap<MessageId, Attempts, foldhash::fast::RandomState>,
}

/// What is to become a receiver: where its deliveries go, its credit, and what is cancelled
/// when it is none any more.
type Joining = (mpsc::Sender<Arrival>, u16, CancellationToken);

/// The consumer of the bus.
struct Source {
    settler: Arc<dyn Settle>,
    stop: CancellationToken,
}

/// A delivery that is not settled.
struct Item {
    tag: DeliveryTag,
    envelope: Envelope,
    /// As the bus knows it.
    attempt: u32,
    lane: Option<u64>,
}

/// The attempts of a message, and when it may come again.
struct Attempts {
    made: Vec<Attempt>,
    not_before: Instant,
}

/// The most messages of which attempts are remembered.
const REMEMBERED_MAX: usize = 4 * WINDOW as usize;

impl Lanes {
    /// Adds a receiver; the first one begins to consume the inbox.
    pub(super) async fn consume(
        self: &Arc<Self>,
        bus: &Arc<dyn Bus>,
        inbox: &InboxName,
        credit: u16,
        tasks: &TaskTracker,
    ) -> Result<Consumer, BusError> {
        let _one_at_a_time = self.beginning.lock().await;
        // One more for the word of an interruption.
        let (sender, arrivals) = mpsc::channel(usize::from(credit.max(1)) + 1);
        let gone = CancellationToken::new();
        let joining = (sender.clone(), credit, gone.clone());
        let joined = self.state.lock().join(joining.clone());
        let receiver = match joined {
            Some(receiver) => receiver,
            None => {
                let consumer = bus.consume_alone(inbox, WINDOW).await?;
                self.state.lock().begin(Arc::clone(self), consumer, joining, tasks)
            }
        };
        let lanes = Arc::clone(self);
        tasks.spawn(async move {
            tokio::select! { () = gone.cancelled() => {}, () = sender.closed() => {} }
            lanes.leave(receiver);
        });
        let settler = ReceiverSettler { lanes: Arc::clone(self), receiver };
        Ok(Consumer { arrivals, settler: Arc::new(settler) })
    }

    /// Takes what the bus brings, and brings back what waited, until there is no receiver.
    async fn pump(self: Arc<Self>, mut arrivals: mpsc::Receiver<Arrival>, stop: CancellationToken) {
        loop {
            let due = self.state.lock().next_due();
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.earlier.notified() => {}
                () = due => self.state.lock().bring_back_due(),
                arrival = arrivals.recv() => match arrival {
                    Some(Arrival::Delivery(delivery)) => self.state.lock().arrive(delivery),
                    Some(Arrival::Interrupted) => self.state.lock().interrupted(),
                    None => {
                        // The inbox was removed, or the bus closed.
                        self.state.lock().end();
                        return;
                    }
                },
            }
        }
    }

    /// Settles what a receiver holds.
    pub(super) async fn settle(
        &self,
        receiver: u64,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>> {
        let mut answers = Vec::with_capacity(settlements.len());
        let mut to_bus = Vec::new();
        let mut numbers = Vec::new();
        let settler = {
            let mut state = self.state.lock();
            for (position, (tag, settlement)) in settlements.into_iter().enumerate() {
                let settled = state.settle(receiver, tag, settlement);
                answers.push(settled.map(|for_the_bus| {
                    if let Some(settlement) = for_the_bus {
                        to_bus.push(settlement);
                        numbers.push((position, tag.0));
                    }
                }));
            }
            state.hand_out();
            state.source.as_ref().map(|source| Arc::clone(&source.settler))
        };
        self.earlier.notify_one();
        let Some(settler) = settler.filter(|_| !to_bus.is_empty()) else { return answers };
        let told = settler.settle(to_bus).await;
        let mut state = self.state.lock();
        for ((position, number), answer) in numbers.into_iter().zip(told) {
            match answer {
                Ok(()) => state.done(number),
                Err(error) => {
                    // Taken back by the bus, it comes again after an interruption; else the
                    // receiver holds it still.
                    if !matches!(error, BusError::NotHeld(_)) {
                        state.hold_again(receiver, number);
                    }
                    answers[position] = Err(error);
                }
            }
        }
        state.hand_out();
        answers
    }

    pub(super) fn leave(&self, receiver: u64) {
        self.state.lock().remove_receiver(receiver);
    }
}

impl State {
    // === receivers ===

    /// Adds a receiver to those that there are; none when there is none.
    fn join(&mut self, joining: Joining) -> Option<u64> {
        self.source.as_ref()?;
        let id = self.add_receiver(joining);
        self.hand_out();
        Some(id)
    }

    /// Begins to consume, for a first receiver.
    fn begin(
        &mut self,
        lanes: Arc<Lanes>,
        consumer: Consumer,
        joining: Joining,
        tasks: &TaskTracker,
    ) -> u64 {
        let Consumer { arrivals, settler } = consumer;
        let stop = CancellationToken::new();
        self.source = Some(Source { settler, stop: stop.clone() });
        tasks.spawn(lanes.pump(arrivals, stop));
        self.add_receiver(joining)
    }

    fn add_receiver(&mut self, (arrivals, credit, gone): Joining) -> u64 {
        let id = self.next_receiver;
        self.next_receiver += 1;
        self.receivers.push(Receiver::new(id, arrivals, credit, gone));
        id
    }

    /// What it held may be handed out to others; after the last one everything goes back to
    /// the bus.
    fn remove_receiver(&mut self, id: u64) {
        let Some(index) = self.receivers.iter().position(|receiver| receiver.id == id) else {
            return;
        };
        let gone = self.receivers.swap_remove(index);
        gone.gone.cancel();
        self.ready.extend(gone.held);
        if self.receivers.is_empty() {
            self.end();
        } else {
            self.hand_out();
        }
    }

    /// The inbox is consumed no longer. Attempts are remembered.
    fn end(&mut self) {
        self.forget_items();
        for receiver in self.receivers.drain(..) {
            receiver.gone.cancel();
        }
        if let Some(source) = self.source.take() {
            source.stop.cancel();
        }
    }

    /// The bus took everything back, and brings it again.
    fn interrupted(&mut self) {
        self.forget_items();
        self.receivers.retain_mut(Receiver::interrupt);
    }

    fn forget_items(&mut self) {
        self.items.clear();
        self.lanes.clear();
        self.ready.clear();
        self.waiting.clear();
    }

    // === deliveries ===

    fn arrive(&mut self, delivery: Delivery) {
        let Delivery { tag, envelope, attempt } = delivery;
        let number = self.next_item;
        self.next_item += 1;
        let lane = self.lane_of(&envelope);
        self.items.insert(number, Item { tag, envelope, attempt, lane });
        let first = match lane {
            Some(lane) => {
                let lane = self.lanes.entry(lane).or_default();
                lane.push_back(number);
                lane.len() == 1
            }
            None => true,
        };
        if first {
            self.may_go(number);
            self.hand_out();
        }
    }

    /// The subject, hashed; none when there is none, or the message cannot be read: that is
    /// for the session to find out.
    fn lane_of(&self, envelope: &Envelope) -> Option<u64> {
        let event = EventView::decode(envelope.event.clone()).ok()?;
        event.subject().map(|subject| self.lanes.hasher().hash_one(subject))
    }

    /// An item is the first of its lane: it is ready, unless its retry is not due.
    fn may_go(&mut self, number: u64) {
        let Some(item) = self.items.get(&number) else { return };
        let attempts = self.attempts.get(&item.envelope.message_id);
        match attempts.map(|attempts| attempts.not_before) {
            Some(due) if due > Instant::now() => {
                self.waiting.insert((due, number));
            }
            _ => {
                self.ready.insert(number);
            }
        }
    }

    /// When to look next: when a retry is due, or soon when a receiver has yet to take up
    /// what is void.
    fn next_due(&self) -> Option<Instant> {
        const SOON: Duration = Duration::from_millis(20);
        let starved = !self.ready.is_empty() && self.receivers.iter().any(Receiver::is_behind);
        let soon = starved.then(|| Instant::now() + SOON);
        let due = self.waiting.first().map(|(due, _)| *due);
        [soon, due].into_iter().flatten().min()
    }

    fn bring_back_due(&mut self) {
        let now = Instant::now();
        while let Some((due, number)) = self.waiting.first().copied()
            && due <= now
        {
            self.waiting.pop_first();
            self.ready.insert(number);
        }
        self.hand_out();
    }

    /// Hands what is ready, in its order, to receivers that have credit, in turn.
    fn hand_out(&mut self) {
        while let Some(&number) = self.ready.first() {
            let next = self.receivers.iter_mut().filter(|receiver| receiver.has_credit());
            // The one with the most credit, so that everyone gets a share.
            let Some(receiver) = next.max_by_key(|receiver| receiver.free_credit()) else { return };
            self.ready.pop_first();
            let Some(item) = self.items.get(&number) else { continue };
            let made = self.attempts.get(&item.envelope.message_id);
            let unheard = made.map_or(0, |attempts| attempts.made.len());
            let delivery = Delivery {
                tag: DeliveryTag(number),
                envelope: item.envelope.clone(),
                attempt: item.attempt.saturating_add(u32::try_from(unheard).unwrap_or(u32::MAX)),
            };
            if !receiver.take(number, delivery) {
                // It is leaving; whoever watches it takes it out.
                self.ready.insert(number);
                return;
            }
        }
    }

    /// What has to be settled on the bus.
    fn settle(
        &mut self,
        receiver: u64,
        tag: DeliveryTag,
        settlement: Settlement,
    ) -> Result<Option<(DeliveryTag, Settlement)>, BusError> {
        let number = tag.0;
        let holder = self.receivers.iter_mut().find(|one| one.id == receiver);
        let held = holder.is_some_and(|holder| holder.held.remove(&number));
        let Some(item) = self.items.get(&number).filter(|_| held) else {
            return Err(BusError::NotHeld(tag));
        };
        let message_id = item.envelope.message_id;
        match settlement {
            Settlement::Acknowledge => Ok(Some((item.tag, Settlement::Acknowledge))),
            Settlement::DeadLetter { reason, mut unheard } => {
                if let Some(attempts) = self.attempts.get(&message_id) {
                    unheard.splice(0..0, attempts.made.iter().cloned());
                }
                Ok(Some((item.tag, Settlement::DeadLetter { reason, unheard })))
            }
            Settlement::Release => {
                self.ready.insert(number);
                Ok(None)
            }
            Settlement::Retry { after, reason } => {
                let heard = item.attempt;
                self.remember(message_id, heard, reason, Instant::now() + after);
                self.may_go(number);
                Ok(None)
            }
        }
    }

    fn remember(&mut self, message: MessageId, heard: u32, reason: String, not_before: Instant) {
        if self.attempts.len() >= REMEMBERED_MAX {
            let items = &self.items;
            let here: BTreeSet<MessageId> =
                items.values().map(|item| item.envelope.message_id).collect();
            self.attempts.retain(|message, _| here.contains(message));
        }
        let empty = || Attempts { made: Vec::new(), not_before };
        let attempts = self.attempts.entry(message).or_insert_with(empty);
        let before = u32::try_from(attempts.made.len()).unwrap_or(u32::MAX);
        let number = heard.saturating_add(before);
        attempts.made.push(Attempt { number, at: SystemTime::now(), reason });
        attempts.not_before = not_before;
    }

    /// The bus is done with it: the next one of its lane may go.
    fn done(&mut self, number: u64) {
        let Some(item) = self.items.remove(&number) else { return };
        self.attempts.remove(&item.envelope.message_id);
        let Some(lane_key) = item.lane else { return };
        let Some(lane) = self.lanes.get_mut(&lane_key) else { return };
        debug_assert_eq!(lane.front(), Some(&number));
        lane.pop_front();
        match lane.front().copied() {
            Some(next) => self.may_go(next),
            None => {
                self.lanes.remove(&lane_key);
            }
        }
    }

    /// It could not be settled: the receiver has it as before, or it is ready again.
    fn hold_again(&mut self, receiver: u64, number: u64) {
        if !self.items.contains_key(&number) {
            return;
        }
        match self.receivers.iter_mut().find(|one| one.id == receiver) {
            Some(holder) => {
                holder.held.insert(number);
            }
            None => {
                self.ready.insert(number);
            }
        }
    }
}
