//! The task that sends what was gathered, and hears what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use lapin::types::ShortString;
use tokio::time::Instant;
use uuid::Uuid;
use wissel_bus::{BusError, InboxName};

use crate::call::{self, Member};
use crate::codec;
use crate::confirm::{Outgoing, Tried};
use crate::gathering::Pack;
use crate::link::{Link, Up};
use crate::pack::{self, PackId};
use crate::publisher::Shared;
use crate::topology::NEUTRAL_KEY;

const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a declaration that is done again may take.
const DECLARE_PATIENCE: Duration = Duration::from_secs(10);

/// Sends packs, each until it is confirmed: again on a new connection when one
/// breaks, in the same order, with the same members and the same id.
pub(crate) struct Sender {
    link: Link,
    shared: Arc<Shared>,
    /// Of this bus; tells its packs from those of others.
    instance: u64,
    /// What was sent and is not done, by number.
    under_way: BTreeMap<u64, UnderWay>,
    waiting: FuturesUnordered<BoxFuture<'static, (u64, Outcome)>>,
}

struct UnderWay {
    pack: Pack<Member>,
    declared_again: bool,
}

/// What came of one try, after what it takes to try again.
enum Outcome {
    Tried(Tried),
    /// The inboxes were declared again, or could not be.
    Declared(Result<(), BusError>),
}

impl Sender {
    pub(crate) fn new(link: Link, shared: Arc<Shared>) -> Self {
        let instance = Uuid::now_v7().as_u64_pair().1;
        Self {
            link,
            shared,
            instance,
            under_way: BTreeMap::new(),
            waiting: FuturesUnordered::new(),
        }
    }

    /// Which packs are its own.
    pub(crate) fn instance(&self) -> u64 {
        self.instance
    }

    /// Sends until the bus is closed.
    pub(crate) async fn run(mut self) {
        let mut epoch = 0;
        while let Ok(up) = self.link.up_after(epoch, Instant::now() + FOREVER).await {
            epoch = up.epoch;
            self.send_again(&up);
            if !self.serve(&up).await {
                break;
            }
            self.hear_the_rest().await;
        }
        self.end();
    }

    /// Until the connection breaks; false when the bus is closed.
    async fn serve(&mut self, up: &Up) -> bool {
        loop {
            let blocked = self.link.is_blocked();
            while !blocked && let Some(pack) = self.next_pack() {
                self.send(up, UnderWay { pack, declared_again: false });
            }
            tokio::select! {
                biased;
                Some((number, outcome)) = self.waiting.next() => {
                    if !self.hear(up, number, outcome) {
                        return true;
                    }
                    while let Some(Some((number, outcome))) = self.waiting.next().now_or_never() {
                        if !self.hear(up, number, outcome) {
                            return true;
                        }
                    }
                }
                () = self.shared.gathered.notified() => {}
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

    fn send(&mut self, up: &Up, sending: UnderWay) {
        let pack = &sending.pack;
        let number = pack.number;
        if pack.members.iter().all(|member| member.call.is_given_up()) {
            self.shared.gathering.lock().done(&pack.targets);
            return;
        }
        let outgoing = self.outgoing(pack);
        let channel = up.publish.clone();
        let shared = Arc::clone(&self.shared);
        let mut publishing = async move {
            let tried = shared.returns.publish(&channel, outgoing).await;
            if tried == Tried::Nacked {
                const PAUSE: Duration = Duration::from_millis(200);
                tokio::time::sleep(PAUSE).await;
            }
            (number, Outcome::Tried(tried))
        }
        .boxed();
        self.under_way.insert(number, sending);
        // The first poll puts it in its place behind those before.
        match (&mut publishing).now_or_never() {
            None => self.waiting.push(publishing),
            Some(done) => self.waiting.push(std::future::ready(done).boxed()),
        }
    }

    fn outgoing(&self, pack: &Pack<Member>) -> Outgoing<Bytes> {
        let routing_key = match &*pack.targets {
            [only] => only.queue(),
            _ => NEUTRAL_KEY.into(),
        };
        let id = PackId { instance: self.instance, number: pack.number };
        let properties = codec::pack_properties(id, &pack.targets);
        let body = pack::write(id, pack.members.iter().map(|member| &member.kept));
        Outgoing { exchange: ShortString::default(), routing_key, properties, body }
    }

    /// False when the connection broke.
    fn hear(&mut self, up: &Up, number: u64, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Tried(Tried::Broken) => return false,
            Outcome::Tried(Tried::Confirmed) => self.finish(number, &Ok(())),
            Outcome::Tried(Tried::Unroutable) => self.declare_again(number),
            Outcome::Declared(Err(error)) => self.finish(number, &Err(error)),
            Outcome::Tried(Tried::Nacked) | Outcome::Declared(Ok(())) => {
                if let Some(again) = self.under_way.remove(&number) {
                    self.send(up, again);
                }
            }
        }
        true
    }

    /// No queue took it: its inboxes are declared again, once.
    fn declare_again(&mut self, number: u64) {
        let Some(sending) = self.under_way.get_mut(&number) else { return };
        let targets = sending.pack.targets.iter();
        let inboxes: Vec<InboxName> =
            targets.filter_map(|target| target.inbox().cloned()).collect();
        if sending.declared_again || inboxes.is_empty() {
            let error = match inboxes.into_iter().next() {
                Some(inbox) => BusError::UnknownInbox(inbox),
                None => BusError::Unavailable { reason: "the archive is not there".to_owned() },
            };
            self.finish(number, &Err(error));
            return;
        }
        sending.declared_again = true;
        let link = self.link.clone();
        let declaring = async move {
            let deadline = Instant::now() + DECLARE_PATIENCE;
            (number, Outcome::Declared(link.declare_again(&inboxes, deadline).await))
        };
        self.waiting.push(declaring.boxed());
    }

    fn finish(&mut self, number: u64, outcome: &Result<(), BusError>) {
        let Some(UnderWay { pack, .. }) = self.under_way.remove(&number) else { return };
        self.shared.gathering.lock().done(&pack.targets);
        if outcome.is_ok() {
            let bytes = pack.members.iter().map(|member| member.kept.envelope.event.len()).sum();
            let inboxes = self.shared.inboxes.read();
            let known = pack.targets.iter().filter_map(|target| inboxes.get(target.inbox()?));
            for inbox in known {
                inbox.knowledge.published(pack.members.len(), bytes);
            }
        }
        call::done(&pack.members, outcome);
    }

    /// After the connection broke: what was confirmed before that.
    async fn hear_the_rest(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(Some((number, outcome))) =
            tokio::time::timeout_at(deadline, self.waiting.next()).await
        {
            match outcome {
                Outcome::Tried(Tried::Confirmed) => self.finish(number, &Ok(())),
                Outcome::Declared(Err(error)) => self.finish(number, &Err(error)),
                _ => {}
            }
        }
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
