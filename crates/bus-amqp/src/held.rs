//! What one consumer has: AMQP messages from the broker, and of their messages those
//! that wait here and those that were handed out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use lapin::Acker;
use parking_lot::Mutex;
use tokio::sync::{Notify, RwLock};
use wissel_bus::{Credit, Delivery, DeliveryTag, Shown, Stand};

use crate::codec::Queued;
use crate::inspect::Knowledge;
use crate::marks::Settled;
use crate::pack::PackId;

/// What one consumer has.
pub(crate) struct Held {
    knowledge: Arc<Knowledge>,
    credit: Credit,
    state: Mutex<State>,
    /// Something changed of what the consumer waits for.
    pub(crate) changed: Notify,
    /// The broker may not have heard of an acknowledgement: only when it gives back everything
    /// is it known what is settled.
    pub(crate) doubtful: Notify,
    /// Shared by those who acknowledge; held by the consumer when none may be under way.
    pub(crate) acknowledging: RwLock<()>,
}

#[derive(Default)]
struct State {
    handed_out: HashMap<DeliveryTag, HeldDelivery>,
    /// How many are being settled: no longer handed out, and not free yet.
    settling: usize,
    /// What was not handed out, in its order.
    waiting: BTreeMap<u64, HeldDelivery>,
    /// AMQP messages that are not settled.
    parcels: HashMap<u64, Arc<HeldParcel>>,
    /// Of the bodies of those that are not settled: a body stays until all that was in it is.
    bytes: u64,
    /// Of the events of what was handed out or is being settled.
    bytes_out: u64,
    /// Which AMQP consumer of this one's channel it is, and how many parcels of it are
    /// not acknowledged, nor are about to be.
    generation: u64,
    of_this_generation: usize,
    next_tag: u64,
    next_order: u64,
}

/// An AMQP message that is not settled.
pub(crate) struct HeldParcel {
    number: u64,
    generation: u64,
    /// How long its body is.
    bytes: u64,
    pack: Option<PackId>,
    acker: Acker,
    progress: Mutex<Progress>,
}

struct Progress {
    settled: Settled,
    given_back: bool,
}

/// A delivery that is not settled.
pub(crate) struct HeldDelivery {
    pub(crate) queued: Queued,
    pub(crate) parcel: Arc<HeldParcel>,
    /// Which member of a pack.
    member: usize,
    order: u64,
}

/// What a consumer has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Messages that wait to be handed out.
    pub(crate) waiting: usize,
    /// Messages in all.
    pub(crate) messages: usize,
    /// AMQP messages of the latest AMQP consumer.
    pub(crate) parcels: usize,
    /// AMQP messages in all, and of their bodies.
    pub(crate) all_parcels: usize,
    pub(crate) bytes: u64,
}

/// How much a consumer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) waiting: u64,
    pub(crate) handed_out: u64,
    /// AMQP consumers that were replaced, and that the broker counts as long as
    /// something of theirs is not settled.
    pub(crate) replaced: u32,
}

impl Held {
    pub(crate) fn new(knowledge: Arc<Knowledge>, credit: Credit) -> Self {
        Self {
            knowledge,
            credit,
            state: Mutex::default(),
            changed: Notify::new(),
            doubtful: Notify::new(),
            acknowledging: RwLock::default(),
        }
    }

    /// An AMQP message with one message.
    pub(crate) fn add_single(&self, queued: Queued, acker: Acker) {
        let mut state = self.state.lock();
        let bytes = queued.envelope.event.len() as u64;
        let parcel = state.new_parcel(None, acker, Settled::none_of(1), bytes);
        state.wait(queued, parcel, 0);
    }

    /// A pack. Its members that are settled already do not come again. Gives back the
    /// acker when that is so of all.
    pub(crate) fn add_pack(
        &self,
        pack: PackId,
        settled: &Settled,
        members: Vec<Queued>,
        acker: Acker,
    ) -> Option<Acker> {
        if settled.all() {
            return Some(acker);
        }
        let mut state = self.state.lock();
        let bytes = members.iter().map(|queued| queued.envelope.event.len() as u64).sum();
        let parcel = state.new_parcel(Some(pack), acker, settled.clone(), bytes);
        for (member, queued) in members.into_iter().enumerate() {
            if !settled.is_settled(member) {
                state.wait(queued, Arc::clone(&parcel), member);
            }
        }
        None
    }

    /// The next to hand out, if there is one and credit for it.
    pub(crate) fn hand_out(&self) -> Option<Delivery> {
        let mut state = self.state.lock();
        if !state.has_credit(self.credit) {
            return None;
        }
        let (_, held) = state.waiting.pop_first()?;
        let tag = DeliveryTag(state.next_tag);
        state.next_tag += 1;
        let Queued { envelope, attempt, .. } = &held.queued;
        let delivery = Delivery { tag, envelope: envelope.clone(), attempt: *attempt };
        state.bytes_out += held.length();
        state.handed_out.insert(tag, held);
        Some(delivery)
    }

    /// Whether [`Held::hand_out`] would give something.
    pub(crate) fn can_hand_out(&self) -> bool {
        let state = self.state.lock();
        !state.waiting.is_empty() && state.has_credit(self.credit)
    }

    /// A new AMQP consumer takes over.
    pub(crate) fn begin_generation(&self) -> u64 {
        let mut state = self.state.lock();
        state.generation += 1;
        state.of_this_generation = 0;
        state.generation
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.state.lock();
        let waiting = state.waiting.len();
        let messages = waiting + state.handed_out.len() + state.settling;
        let (all_parcels, bytes) = (state.parcels.len(), state.bytes);
        Load { waiting, messages, parcels: state.of_this_generation, all_parcels, bytes }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state.lock();
        let generations = state.parcels.values().map(|parcel| parcel.generation);
        let earlier: BTreeSet<u64> = generations.filter(|one| *one != state.generation).collect();
        Counts {
            waiting: state.waiting.len() as u64,
            handed_out: state.handed_out.len() as u64,
            replaced: u32::try_from(earlier.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether it consumes, or has.
    pub(crate) fn has_consumed(&self) -> bool {
        self.state.lock().generation > 0
    }

    /// Shows what is handed out and what waits, in their order.
    pub(crate) fn show(&self, shown: &mut Shown) {
        let state = self.state.lock();
        let mut handed_out: Vec<&HeldDelivery> = state.handed_out.values().collect();
        handed_out.sort_unstable_by_key(|held| held.order);
        let handed_out = handed_out.into_iter().map(|held| (held, Stand::InFlight));
        let waiting = state.waiting.values().map(|held| (held, Stand::Ready));
        let mut all = handed_out.chain(waiting);
        while !shown.is_full()
            && let Some((held, stand)) = all.next()
        {
            shown.push(held.queued.clone().unsettled(stand));
        }
    }

    /// The oldest of what waits or is handed out.
    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        let state = self.state.lock();
        let all = state.handed_out.values().chain(state.waiting.values());
        all.map(|held| held.queued.envelope.admitted_at).min()
    }

    /// Takes out what is to be settled; [`Held::settled`], [`Held::put_back`] or
    /// [`Held::released`] must follow.
    pub(crate) fn take(&self, tag: DeliveryTag) -> Option<HeldDelivery> {
        let mut state = self.state.lock();
        let held = state.handed_out.remove(&tag)?;
        state.settling += 1;
        Some(held)
    }

    /// After it could not be settled.
    pub(crate) fn put_back(&self, tag: DeliveryTag, held: HeldDelivery) {
        let mut state = self.state.lock();
        state.settling -= 1;
        if held.parcel.usable() {
            state.handed_out.insert(tag, held);
        } else {
            state.bytes_out -= held.length();
        }
    }

    /// Hands out a member of a pack again, at its place. Says whether it could: not
    /// when everything was given back.
    pub(crate) fn released(&self, held: HeldDelivery) -> bool {
        let mut state = self.state.lock();
        state.settling -= 1;
        state.bytes_out -= held.length();
        let usable = held.parcel.usable();
        if usable {
            state.waiting.insert(held.order, held);
            self.changed.notify_one();
        }
        usable
    }

    /// It is settled.
    pub(crate) fn settled(&self, held: &HeldDelivery) -> AfterSettling {
        let HeldDelivery { parcel, member, .. } = held;
        let mut state = self.state.lock();
        state.settling -= 1;
        state.bytes_out -= held.length();
        let state = &mut *state;
        if !state.waiting.is_empty() {
            self.changed.notify_one();
        }
        let mut progress = parcel.progress.lock();
        progress.settled.settle(*member);
        match parcel.pack {
            Some(pack) if progress.given_back => {
                let known = self.knowledge.settled_late(pack, *member);
                if known { AfterSettling::Nothing } else { AfterSettling::ComesAgain }
            }
            None if progress.given_back => AfterSettling::ComesAgain,
            _ if progress.settled.all() => {
                let of_this = parcel.generation == state.generation;
                state.of_this_generation -= usize::from(of_this);
                // Its body goes now, whenever the broker takes the acknowledgement.
                state.bytes -= parcel.bytes;
                AfterSettling::Acknowledge(parcel.acker.clone())
            }
            // Should the connection break, what is settled of a pack is remembered.
            _ => AfterSettling::Nothing,
        }
    }

    /// The broker has taken the acknowledgement of its AMQP message.
    pub(crate) fn acknowledged(&self, held: &HeldDelivery) {
        self.state.lock().parcels.remove(&held.parcel.number);
        self.changed.notify_one();
    }

    /// What is settled of packs of which something is.
    pub(crate) fn half_settled(&self) -> Vec<(PackId, Settled)> {
        let state = self.state.lock();
        let half_settled = |parcel: &Arc<HeldParcel>| {
            let progress = parcel.progress.lock();
            let pack = parcel.pack.filter(|_| !progress.settled.is_none())?;
            Some((pack, progress.settled.clone()))
        };
        state.parcels.values().filter_map(half_settled).collect()
    }

    /// Forgets everything: the broker takes it back. What was settled of packs is
    /// remembered. Says whether anything had been handed out.
    pub(crate) fn give_back(&self) -> bool {
        self.knowledge.given_back(self.oldest());
        let mut state = self.state.lock();
        for parcel in std::mem::take(&mut state.parcels).into_values() {
            let mut progress = parcel.progress.lock();
            progress.given_back = true;
            if let Some(pack) = parcel.pack {
                self.knowledge.goes_back(pack, &progress.settled);
            }
        }
        state.waiting.clear();
        state.of_this_generation = 0;
        // What is being settled comes again as well.
        let was_handed_out = !state.handed_out.is_empty() || state.settling > 0;
        state.bytes = 0;
        for held in std::mem::take(&mut state.handed_out).into_values() {
            state.bytes_out -= held.length();
        }
        was_handed_out
    }
}

/// What is to be done when a delivery is settled.
#[derive(Debug)]
pub(crate) enum AfterSettling {
    /// Others of its AMQP message are left.
    Nothing,
    /// It was the last of its AMQP message; [`Held::acknowledged`] is to follow.
    Acknowledge(Acker),
    /// The broker took it back, and it comes again.
    ComesAgain,
}

// === impl State ===

impl State {
    /// Of bytes there is some as long as they are not all used: so a message of any size has
    /// room when it is alone, and what is handed out is over it by one message at most.
    fn has_credit(&self, credit: Credit) -> bool {
        let deliveries = usize::from(credit.deliveries.max(1));
        self.handed_out.len() + self.settling < deliveries && self.bytes_out < credit.bytes.max(1)
    }

    fn new_parcel(
        &mut self,
        pack: Option<PackId>,
        acker: Acker,
        settled: Settled,
        bytes: u64,
    ) -> Arc<HeldParcel> {
        let progress = Mutex::new(Progress { settled, given_back: false });
        let number = self.next_order;
        let generation = self.generation;
        let parcel = Arc::new(HeldParcel { number, generation, bytes, pack, acker, progress });
        self.bytes += bytes;
        self.parcels.insert(number, Arc::clone(&parcel));
        self.of_this_generation += 1;
        parcel
    }

    fn wait(&mut self, queued: Queued, parcel: Arc<HeldParcel>, member: usize) {
        let order = self.next_order;
        self.next_order += 1;
        self.waiting.insert(order, HeldDelivery { queued, parcel, member, order });
    }
}

// === impl HeldDelivery ===

impl HeldDelivery {
    fn length(&self) -> u64 {
        self.queued.envelope.event.len() as u64
    }
}

// === impl HeldParcel ===

impl HeldParcel {
    pub(crate) fn is_pack(&self) -> bool {
        self.pack.is_some()
    }

    fn usable(&self) -> bool {
        !self.progress.lock().given_back && self.acker.usable()
    }
}
