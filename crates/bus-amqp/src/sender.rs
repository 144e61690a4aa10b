//! The task that sends what was gathered, and hears what becomes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use lapin::types::ShortString;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;
use wissel_bus::{BusError, InboxName};

use crate::call::{self, Call, Member};
use crate::codec;
use crate::confirm::{Outgoing, Tried, Unwritten};
use crate::gathering::{Pack, Target};
use crate::late::Returned;
use crate::link::{Link, Up};
use crate::options::Packing;
use crate::pack::{self, PackId};
use crate::publisher::Shared;
use crate::topology::NEUTRAL_KEY;
use crate::under_way::UnderWay;
use crate::waiting::{Outcome, Waiting};

const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a declaration that is done again may take.
const DECLARE_PATIENCE: Duration = Duration::from_secs(10);

/// How often what nobody waits for any more is looked for.
const LOOK: Duration = Duration::from_millis(250);

/// How many packs that were confirmed may still be told of as returned: more than are under way.
const CONFIRMED_MAX: usize = 4_096;

/// Sends packs, each until it is confirmed: again on a new connection when one
/// breaks, in the same order, with the same members and the same id.
pub(crate) struct Sender {
    link: Link,
    shared: Arc<Shared>,
    /// Whether messages travel together. If so, all go by one channel, in their order; if not,
    /// each by that of its lane.
    packs: bool,
    /// Of this bus; tells its packs from those of others.
    instance: u64,
    /// What was sent and is not done, by number.
    under_way: BTreeMap<u64, UnderWay>,
    waiting: Waiting,
    /// Queues that are being declared again, and the packs that wait for that.
    declaring: HashMap<Arc<[Target]>, BTreeSet<u64>>,
    /// The last packs to several queues that were confirmed, for those that are returned late.
    confirmed: VecDeque<(u64, Arc<[Target]>)>,
}

impl Sender {
    pub(crate) fn new(link: Link, shared: Arc<Shared>, packing: Packing) -> Self {
        let instance = Uuid::now_v7().as_u64_pair().1;
        Self {
            link,
            shared,
            packs: packing.is_on(),
            instance,
            under_way: BTreeMap::new(),
            waiting: Waiting::default(),
            declaring: HashMap::new(),
            confirmed: VecDeque::new(),
        }
    }

    /// Which packs are its own.
    pub(crate) fn instance(&self) -> u64 {
        self.instance
    }

    /// Sends until the bus is closed.
    pub(crate) async fn run(mut self) {
        let mut epoch = 0;
        while let Some(up) = self.up_after(epoch).await {
            epoch = up.epoch;
            self.send_again(&up);
            if !self.serve(&up).await {
                break;
            }
            self.hear_the_rest().await;
        }
        self.end();
    }

    /// The next connections; none when the bus is closed.
    async fn up_after(&mut self, epoch: u64) -> Option<Up> {
        loop {
            match self.link.up_after(epoch, Instant::now() + LOOK).await {
                Ok(up) => return Some(up),
                Err(BusError::Closed) => return None,
                Err(_) => self.forget_given_up(),
            }
        }
    }

    /// Until the connection breaks; false when the bus is closed.
    async fn serve(&mut self, up: &Up) -> bool {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.publish_late();
            let blocked = self.link.is_blocked();
            while !blocked && let Some(pack) = self.next_pack() {
                self.send(up, UnderWay::new(pack));
            }
            tokio::select! {
                biased;
                _ = looks.tick() => self.forget_given_up(),
                Some(outcome) = self.waiting.next() => {
                    if !self.hear(up, outcome) {
                        return true;
                    }
                    while let Some(Some(outcome)) = self.waiting.next().now_or_never() {
                        if !self.hear(up, outcome) {
                            return true;
                        }
                    }
                }
                () = self.shared.gathered.notified() => {}
                () = self.shared.returns.noticed.notified() => {}
                _ = self.link.unblocked(Instant::now() + FOREVER), if blocked => {}
                // Whatever the old connection still owes, it owes for ever.
                () = self.link.replaced(up.epoch) => return true,
                () = self.link.closed() => return false,
            }
        }
    }

    fn next_pack(&self) -> Option<Pack<Member>> {
        let mut gathering = self.shared.gathering.lock();
        gathering.take()
    }

    /// What was not confirmed, on a new connection, in its order.
    fn send_again(&mut self, up: &Up) {
        for unconfirmed in std::mem::take(&mut self.under_way).into_values() {
            self.send(up, unconfirmed);
        }
    }

    /// Lets go of what nobody waits for any more, which gives back its room once it is written: it
    /// is not sent again. What becomes of what was sent is still heard.
    fn forget_given_up(&mut self) {
        self.shared.gathering.lock().retain(|member| !member.call.is_given_up());
        for sent in self.under_way.values_mut().filter(|sent| sent.is_given_up()) {
            sent.pack.members = Vec::new();
        }
    }

    fn send(&mut self, up: &Up, sending: UnderWay) {
        let pack = &sending.pack;
        let number = pack.number;
        if sending.is_given_up() {
            self.shared.gathering.lock().done(&pack.targets);
            return;
        }
        let outgoing = self.outgoing(pack);
        let targets = Arc::clone(&pack.targets);
        let lane = match &pack.members[..] {
            [alone] if !self.packs => alone.lane,
            _ => 0,
        };
        let channel = Arc::clone(up.channel_of_lane(lane));
        let channel_id = channel.id();
        let shared = Arc::clone(&self.shared);
        let mut publishing =
            async move { shared.returns.publish(&channel, outgoing).await }.boxed();
        // The first poll puts it in its place behind those before.
        let done = (&mut publishing).now_or_never();
        let publishing = match done {
            None => publishing,
            Some(tried) => std::future::ready(tried).boxed(),
        };
        self.under_way.insert(number, sending);
        self.waiting.published((targets, channel_id), number, publishing);
    }

    fn outgoing(&self, pack: &Pack<Member>) -> Outgoing<Unwritten<Bytes, Vec<Arc<Call>>>> {
        let routing_key = match &*pack.targets {
            [only] => only.queue(),
            _ => NEUTRAL_KEY.into(),
        };
        let id = PackId { instance: self.instance, number: pack.number };
        let properties = codec::pack_properties(id, &pack.targets);
        let body = pack::write(id, pack.members.iter().map(|member| &member.kept));
        let outgoing = Outgoing { exchange: ShortString::default(), routing_key, properties, body };
        // Their room stays taken.
        outgoing.keeping(call::calls_of(&pack.members))
    }

    /// False when the connection broke.
    fn hear(&mut self, up: &Up, outcome: Outcome) -> bool {
        const NACK_PAUSE: Duration = Duration::from_millis(200);
        match outcome {
            Outcome::Tried(_, Tried::Broken) => return false,
            Outcome::Tried(number, Tried::Confirmed) => self.finish(number, &Ok(())),
            Outcome::Tried(number, Tried::Unroutable) => self.declare_again(number),
            Outcome::Tried(number, Tried::Nacked) => {
                let pause = tokio::time::sleep(NACK_PAUSE);
                self.waiting.add(pause.map(move |()| Outcome::Rested(number)));
            }
            Outcome::Rested(number) => self.try_again(up, number),
            Outcome::Declared(targets, declared) => {
                for number in self.declaring.remove(&targets).unwrap_or_default() {
                    match &declared {
                        Ok(()) => self.try_again(up, number),
                        Err(error) => self.finish(number, &Err(error.clone())),
                    }
                }
            }
        }
        true
    }

    fn try_again(&mut self, up: &Up, number: u64) {
        if let Some(again) = self.under_way.remove(&number) {
            self.send(up, again);
        }
    }

    /// No queue took it: its inboxes are declared again, once for it, and once for all of the
    /// same inboxes that are returned meanwhile.
    fn declare_again(&mut self, number: u64) {
        let Some(sending) = self.under_way.get_mut(&number) else { return };
        let targets = Arc::clone(&sending.pack.targets);
        let inboxes: Vec<InboxName> =
            targets.iter().filter_map(|target| target.inbox().cloned()).collect();
        if sending.declared_again || inboxes.is_empty() {
            let error = match inboxes.into_iter().next() {
                Some(inbox) => BusError::UnknownInbox(inbox),
                None => BusError::Unavailable { reason: "the archive is not there".to_owned() },
            };
            self.finish(number, &Err(error));
            return;
        }
        sending.declared_again = true;
        if let Some(waiting) = self.declaring.get_mut(&targets) {
            waiting.insert(number);
            return;
        }
        self.declaring.insert(Arc::clone(&targets), BTreeSet::from([number]));
        let link = self.link.clone();
        self.waiting.add(async move {
            let deadline = Instant::now() + DECLARE_PATIENCE;
            let declared = link.declare_again(&inboxes, deadline).await;
            Outcome::Declared(targets, declared)
        });
    }

    /// What was returned and passed for confirmed.
    fn publish_late(&self) {
        let number_of = |id: &ShortString| {
            let id = PackId::parse(id.as_str()).filter(|id| id.instance == self.instance);
            id.map(|id| id.number)
        };
        let is_under_way =
            |id: &ShortString| number_of(id).is_some_and(|one| self.under_way.contains_key(&one));
        for message in self.shared.returns.take_late(is_under_way) {
            let number = message.delivery.properties.message_id().as_ref().and_then(number_of);
            let mut confirmed = self.confirmed.iter();
            let to_several = confirmed.find(|(one, _)| Some(*one) == number);
            let targets = to_several.map(|(_, targets)| Arc::clone(targets));
            // To several, and not confirmed: whoever published it was told so.
            if targets.is_some() || message.delivery.routing_key.as_str() != NEUTRAL_KEY {
                self.shared.late.add(Returned { message, targets });
            }
        }
    }

    fn finish(&mut self, number: u64, outcome: &Result<(), BusError>) {
        // Before it gives back its room, for which an orderly end waits.
        self.publish_late();
        let Some(sent) = self.under_way.remove(&number) else { return };
        let UnderWay { pack, members, bytes, .. } = sent;
        self.shared.gathering.lock().done(&pack.targets);
        if outcome.is_ok() {
            if pack.targets.len() > 1 {
                // A stream to the same inboxes names them once.
                let last = self.confirmed.back().map(|(_, targets)| targets);
                let targets = last.filter(|last| **last == pack.targets).unwrap_or(&pack.targets);
                let targets = Arc::clone(targets);
                self.confirmed.push_back((number, targets));
                let over = self.confirmed.len().saturating_sub(CONFIRMED_MAX);
                self.confirmed.drain(..over);
            }
            let inboxes = self.shared.inboxes.read();
            let known = pack.targets.iter().filter_map(|target| inboxes.get(target.inbox()?));
            for inbox in known {
                inbox.knowledge.published(members, bytes);
            }
        }
        call::done(&pack.members, outcome);
    }

    /// After the connection broke: what was confirmed before that.
    async fn hear_the_rest(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(Some(outcome)) = tokio::time::timeout_at(deadline, self.waiting.next()).await {
            if let Outcome::Tried(number, Tried::Confirmed) = outcome {
                self.finish(number, &Ok(()));
            }
        }
        self.declaring.clear();
        self.waiting.clear();
    }

    /// Nobody gets an answer any more but this.
    fn end(&mut self) {
        let closed = Err(BusError::Closed);
        for (_, UnderWay { pack, .. }) in std::mem::take(&mut self.under_way) {
            call::done(&pack.members, &closed);
        }
        let mut gathering = self.shared.gathering.lock();
        while let Some(pack) = gathering.take() {
            gathering.done(&pack.targets);
            call::done(&pack.members, &closed);
        }
    }
}
