use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wissel_audit::{Actor, Operation, Record};
use wissel_bus::Bus;
use wissel_catalogue::Catalogue;
use wissel_identifiers::{InboxName, SubscriptionName};
use wissel_message::Limits as MessageLimits;
use wissel_metrics::Metrics;
use wissel_receipts::Receipts;
use wissel_routing::Router;
use wissel_store::{InboxSettings, Store, StoreError};

use crate::counting;
use crate::direct::Forwarders;
use crate::direction::Direction;
use crate::dossier::SEARCHES_AT_ONCE;
use crate::entitlement::Target;
use crate::ordered::Ordered;
use crate::policy::DeliveryDefaults;
use crate::publish_limits::PublishLimits;
use crate::questions::Questions;
use crate::replay::REPLAY_PER_SECOND;
use crate::road::deduplicate::{Known, UnderWay, Window, deduplicate};
use crate::road::room::Limits;
use crate::road::validate::Admitted;
use crate::road::{authorise, decode, enqueue, identify, minimise, room, route, validate};
use crate::survey::Surveys;
use crate::{Caller, Receipt, Records, Refusal, Subscription};

/// The application: takes messages, keeps subscriptions, hands out deliveries.
pub struct Broker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Store,
    pub(crate) catalogue: ArcSwap<Catalogue>,
    /// Counts the catalogues that were in force, so that sessions hear of a new one.
    pub(crate) catalogue_version: watch::Sender<u64>,
    pub(crate) catalogue_since: Mutex<SystemTime>,
    pub(crate) router: Router<Target>,
    pub(crate) subscriptions: RwLock<BTreeMap<SubscriptionName, Subscription>>,
    pub(crate) inboxes: RwLock<BTreeMap<InboxName, InboxSettings>>,
    /// Held while a subscription is created or deleted, so that store, bus and
    /// router change in the same order.
    pub(crate) control: tokio::sync::Mutex<()>,
    /// The limits of inboxes.
    pub(crate) room: Limits,
    /// The inboxes whose deliveries come one after the other for each subject.
    pub(crate) ordered: Ordered,
    /// What brings messages to the queues that parties read themselves.
    pub(crate) forwarders: Forwarders,
    publish_limits: PublishLimits,
    /// Which questions are waited for here.
    pub(crate) questions: Questions,
    /// Looks at all inboxes together.
    pub(crate) surveys: Surveys,
    /// How many may look through the record of processing at a time.
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) options: BrokerOptions,
    pub(crate) started_at: Instant,
    window: Arc<Window>,
    stopping: CancellationToken,
    pub(crate) work: TaskTracker,
    prepared: watch::Sender<bool>,
    preparation_failure: Mutex<Option<String>>,
}

/// How a broker behaves.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Limits of a message.
    pub limits: MessageLimits,
    /// How far back a repeated (source, id) is recognised.
    pub deduplication_age: Duration,
    /// How much is remembered for that in memory, at most: a message is one unit, and one
    /// more for each eight inboxes; a unit is about 200 bytes.
    pub deduplication_capacity: usize,
    /// What is remembered for that on disk, closed when the broker stops; none: a restart
    /// forgets.
    pub receipts: Option<Arc<Receipts>>,
    /// How deliveries are retried where their inbox does not say.
    pub delivery: DeliveryDefaults,
    /// The most messages that a party may publish in a second, where the catalogue does not
    /// say; none: no limit.
    pub publish_per_second: Option<NonZeroU32>,
    /// The most subscriptions of a party, declared ones counted in.
    pub subscriptions_per_party: usize,
    /// The most messages that one replay brings in a second.
    pub replay_per_second: NonZeroU32,
    /// The record of processing; none for tests of something else.
    pub records: Option<Records>,
    /// What is counted of all this.
    pub metrics: Arc<Metrics>,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The control-plane state cannot be read.
    #[error("the control-plane store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The record of processing cannot be written.
    #[error("{0}")]
    Records(Refusal),
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            limits: MessageLimits::default(),
            deduplication_age: Duration::from_hours(24),
            deduplication_capacity: 500_000,
            receipts: None,
            delivery: DeliveryDefaults::default(),
            publish_per_second: None,
            subscriptions_per_party: 10_000,
            replay_per_second: REPLAY_PER_SECOND,
            records: None,
            metrics: Arc::new(Metrics::new()),
        }
    }
}

impl Broker {
    /// Reads the state and begins to open every inbox on the bus. Does not wait
    /// for the bus: until all inboxes are open, publishing and subscribing are
    /// refused with [`Reason::BusUnavailable`](crate::Reason::BusUnavailable).
    ///
    /// # Errors
    /// When the control-plane state cannot be read.
    pub async fn start(
        bus: Arc<dyn Bus>,
        store: Store,
        catalogue: Catalogue,
        options: BrokerOptions,
    ) -> Result<Arc<Self>, StartError> {
        let (age, capacity) = (options.deduplication_age, options.deduplication_capacity);
        let window = match &options.receipts {
            Some(receipts) => Window::before(Arc::clone(receipts), age, capacity),
            None => Window::new(age, capacity),
        };
        let router = Router::with_secret(store.routing_secret().await?);
        let broker = Arc::new(Self {
            bus,
            store,
            catalogue: ArcSwap::from_pointee(catalogue),
            catalogue_version: watch::Sender::new(0),
            catalogue_since: Mutex::new(SystemTime::now()),
            router,
            subscriptions: RwLock::default(),
            inboxes: RwLock::default(),
            control: tokio::sync::Mutex::default(),
            room: Limits::default(),
            ordered: Ordered::default(),
            forwarders: Forwarders::default(),
            publish_limits: PublishLimits::new(options.publish_per_second),
            questions: Questions::default(),
            surveys: Surveys::default(),
            searches: Arc::new(Semaphore::new(SEARCHES_AT_ONCE)),
            options,
            started_at: Instant::now(),
            window,
            stopping: CancellationToken::new(),
            work: TaskTracker::new(),
            prepared: watch::Sender::new(false),
            preparation_failure: Mutex::default(),
        });
        broker.load_subscriptions().await?;
        let started = Record::new(Operation::Started, Actor::Wissel);
        broker.keep(vec![started]).await.map_err(StartError::Records)?;
        let preparing = Arc::clone(&broker);
        broker.work.spawn(async move {
            preparing.prepare_bus().await;
            preparing.forward_as_set();
        });
        let expiring = Arc::clone(&broker);
        broker.work.spawn(async move { expiring.expire_what_nobody_reads().await });
        broker.work.spawn(Arc::clone(&broker).survey_now_and_then());
        Ok(broker)
    }

    /// Takes messages; one outcome each, in order. The road up to the bus is gone
    /// in this call itself, so messages keep the order of the calls; the future
    /// ends when each message is durable or refused.
    pub fn publish(
        self: &Arc<Self>,
        caller: Caller,
        frames: Vec<Bytes>,
    ) -> impl Future<Output = Vec<Result<Receipt, Refusal>>> + Send + use<> {
        self.publish_to(caller, frames, &Direction::Subscribed)
    }

    /// As [`Broker::publish`], for one message that goes where the exchange says, within
    /// everybody's grants.
    ///
    /// # Errors
    /// Whatever the road refuses.
    pub fn publish_directed(
        self: &Arc<Self>,
        caller: Caller,
        frame: Bytes,
        direction: &Direction,
    ) -> impl Future<Output = Result<Receipt, Refusal>> + Send + use<> {
        let publishing = self.publish_to(caller, vec![frame], direction);
        async move { publishing.await.pop().expect("one answer for one message") }
    }

    fn publish_to(
        self: &Arc<Self>,
        caller: Caller,
        frames: Vec<Bytes>,
        direction: &Direction,
    ) -> impl Future<Output = Vec<Result<Receipt, Refusal>>> + Send + use<> {
        let came = Instant::now();
        self.options.metrics.received(frames.iter().map(Bytes::len).sum());
        let (ticket, steps, refusals) = self.take_in(caller, frames, direction);
        let broker = Arc::clone(self);
        async move {
            let outcomes = broker.carry_out(steps, refusals).await;
            drop(ticket);
            broker.count_outcomes(&outcomes, came);
            outcomes
        }
    }

    /// Waits until every inbox is open on the bus.
    pub async fn prepared(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.prepared.subscribe().wait_for(|done| *done).await;
    }

    /// Whether every inbox is open on the bus.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        *self.prepared.borrow()
    }

    /// Runs something beside calls. [`Broker::shut_down`] waits for it, so it is to end when
    /// [`Broker::shutdown_token`] is cancelled.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn(work);
    }

    /// Cancelled when [`Broker::shut_down`] begins.
    #[must_use]
    pub fn shutdown_token(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Stops: nothing new is taken, what was taken gets its receipt, leases are
    /// given back, the bus is closed. What takes longer than `patience` is left.
    pub async fn shut_down(&self, patience: Duration) {
        self.stopping.cancel();
        self.work.close();
        if tokio::time::timeout(patience, self.work.wait()).await.is_err() {
            tracing::warn!(?patience, "work was still under way when patience ended");
        }
        if let Some(records) = &self.options.records {
            let stopped = Record::new(Operation::Stopped, Actor::Wissel);
            if let Err(error) = records.log.append(vec![stopped]).await {
                tracing::warn!(%error, "that the gateway stopped is not on record");
            }
            records.log.close().await;
        }
        if tokio::time::timeout(patience, self.bus.close()).await.is_err() {
            tracing::warn!(?patience, "the bus did not close in time");
        }
        if let Some(receipts) = &self.options.receipts {
            let receipts = Arc::clone(receipts);
            let closing = tokio::task::spawn_blocking(move || receipts.close(patience));
            if !closing.await.unwrap_or(false) {
                tracing::warn!(?patience, "the receipts were not all kept in time");
            }
        }
    }

    /// A ticket keeps [`Broker::shut_down`] waiting until it is dropped.
    pub(crate) fn ticket(&self) -> Result<TaskTrackerToken, Refusal> {
        if self.stopping.is_cancelled() {
            return Err(Refusal::shutting_down());
        }
        if !self.is_prepared() {
            let failure = self.preparation_failure.lock().clone();
            let detail = failure.unwrap_or_else(|| "its inboxes are being opened".to_owned());
            let error = wissel_bus::BusError::Unavailable { reason: detail };
            return Err(error.into());
        }
        Ok(self.work.token())
    }

    /// What is to be awaited for each message, and the records of those refused already.
    fn take_in(
        &self,
        caller: Caller,
        frames: Vec<Bytes>,
        direction: &Direction,
    ) -> (Option<TaskTrackerToken>, Vec<Step>, Vec<Record>) {
        let mut records = Vec::new();
        let ticket = match self.ticket() {
            Ok(ticket) => ticket,
            Err(refusal) => {
                // One for all, as whoever waits for the bus tries again and again.
                records.push(Self::refusal_of_all(caller, frames.len(), &refusal));
                let refused = |_| Step::Done(Err(refusal.clone()));
                return (None, frames.iter().map(refused).collect(), records);
            }
        };
        let catalogue = self.catalogue.load();
        let mut steps = Vec::with_capacity(frames.len());
        let (allowed, over) = match caller.party() {
            Ok(party) => self.publish_limits.take(party, frames.len(), &catalogue),
            // It is refused in a room of its own.
            Err(_) => (frames.len(), None),
        };
        let rest = frames.len() - allowed;
        for frame in frames.into_iter().take(allowed) {
            let step = match self.admit(frame.clone(), caller, direction, &catalogue) {
                Ok(admitted) => self.direct(admitted),
                Err(refusal) => Step::Done(Err(refusal)),
            };
            if let Step::Done(Err(refusal)) = &step {
                records.extend(self.refusal(&frame, caller, &catalogue, refusal));
            }
            steps.push(step);
        }
        if let Some(refusal) = over {
            // One for all, as a flood is not to flood the record.
            records.push(Self::refusal_of_all(caller, rest, &refusal));
            steps.extend((0..rest).map(|_| Step::Done(Err(refusal.clone()))));
        }
        (Some(ticket), steps, records)
    }

    /// The road from the frame to the admitted message.
    fn admit(
        &self,
        frame: Bytes,
        caller: Caller,
        direction: &Direction,
        catalogue: &Catalogue,
    ) -> Result<Admitted, Refusal> {
        let limits = &self.options.limits;
        let received = decode::decode(frame, limits)?;
        let identified = identify::identify(received, caller)?;
        let authorised = authorise::authorise(identified, direction, catalogue, limits)?;
        validate::validate(authorised, limits)
    }

    /// The road from the admitted message to the bus's door.
    fn direct(&self, admitted: Admitted) -> Step {
        match deduplicate(admitted, &self.window) {
            Known::Repeat(receipt) => Step::Done(Ok(receipt)),
            Known::UnderWay(first) => Step::Wait(Box::new(first)),
            Known::Fresh(fresh) => {
                let routed = route::route(fresh, &self.router.snapshot());
                let routed = routed.and_then(|mut routed| {
                    room::make_room(&mut routed, &self.room, &*self.bus)?;
                    Ok(routed)
                });
                match routed.and_then(minimise::minimise) {
                    Ok(minimised) => Step::Enqueue(Box::new(minimised)),
                    Err(refusal) => Step::Done(Err(refusal)),
                }
            }
        }
    }

    async fn carry_out(
        &self,
        steps: Vec<Step>,
        refusals: Vec<Record>,
    ) -> Vec<Result<Receipt, Refusal>> {
        let mut ready = Vec::with_capacity(steps.len());
        let places: Vec<Place> = steps
            .into_iter()
            .map(|step| match step {
                Step::Done(outcome) => Place::Done(outcome),
                Step::Wait(first) => Place::Wait(first),
                Step::Enqueue(message) => {
                    ready.push(*message);
                    Place::Enqueued
                }
            })
            .collect();
        let mut enqueued = self.enqueue(ready, refusals).await.into_iter();

        let mut outcomes = Vec::with_capacity(places.len());
        for place in places {
            outcomes.push(match place {
                Place::Done(outcome) => outcome,
                Place::Wait(first) => self.follow(*first).await,
                Place::Enqueued => enqueued.next().expect("one answer for each message"),
            });
        }
        outcomes
    }

    /// Makes messages durable, and puts them and the refusals on record.
    async fn enqueue(
        &self,
        messages: Vec<minimise::Minimised>,
        refusals: Vec<Record>,
    ) -> Vec<Result<Receipt, Refusal>> {
        let admissions: Vec<Record> =
            messages.iter().filter_map(|message| self.admission(message)).collect();
        let burials: Vec<Record> =
            messages.iter().flat_map(|message| self.burials(message)).collect();
        let records =
            refusals.into_iter().chain(admissions.iter().cloned()).chain(burials).collect();
        let counted = counting::Counted::of(&messages);
        let outcomes = enqueue::enqueue(messages, &*self.bus, self.keep(records)).await;
        counted.tell(&outcomes, &self.options.metrics);
        let failed = outcomes.iter().zip(&admissions);
        let failed = failed
            .filter_map(|(outcome, record)| Some(Self::failure(record, outcome.as_ref().err()?)));
        if let Err(refusal) = self.keep(failed.collect()).await {
            tracing::error!(%refusal, "messages that failed are on record as admitted");
        }
        outcomes
    }

    /// Waits for the first publication of the same message; when that fails, this
    /// one takes its place.
    async fn follow(&self, first: UnderWay) -> Result<Receipt, Refusal> {
        let mut first = first;
        loop {
            let admitted = match first.wait().await {
                Ok(receipt) => return Ok(receipt),
                Err(admitted) => admitted,
            };
            let (frame, caller) = (admitted.event.frame().clone(), admitted.caller);
            match self.direct(admitted) {
                Step::Done(outcome) => {
                    if let Err(refusal) = &outcome {
                        let catalogue = self.catalogue.load();
                        let record = self.refusal(&frame, caller, &catalogue, refusal);
                        self.keep_refusals(record.into_iter().collect()).await;
                    }
                    return outcome;
                }
                Step::Wait(again) => first = *again,
                Step::Enqueue(message) => {
                    let mut outcome = self.enqueue(vec![*message], Vec::new()).await;
                    return outcome.pop().expect("one answer for one message");
                }
            }
        }
    }

    /// Opens every inbox on the bus, however long the bus takes to be there; also those
    /// that come with another catalogue meanwhile.
    async fn prepare_bus(&self) {
        let mut opened = BTreeSet::new();
        loop {
            let inboxes: Vec<InboxName> = self.inboxes.read().keys().cloned().collect();
            for inbox in inboxes {
                if !opened.contains(&inbox) {
                    if !self.open_patiently(&inbox).await {
                        return;
                    }
                    opened.insert(inbox);
                }
            }
            // From here on whoever brings an inbox opens it.
            let _one_at_a_time = self.control.lock().await;
            if self.inboxes.read().keys().all(|inbox| opened.contains(inbox)) {
                *self.preparation_failure.lock() = None;
                self.prepared.send_replace(true);
                return;
            }
        }
    }

    /// Opens an inbox on the bus. Says whether it did: not when the broker stops.
    async fn open_patiently(&self, inbox: &InboxName) -> bool {
        const PAUSE: Duration = Duration::from_millis(500);
        loop {
            let opened = tokio::select! {
                () = self.stopping.cancelled() => return false,
                opened = self.bus.open_inbox(inbox) => opened,
            };
            match opened {
                Ok(()) => return true,
                Err(error) => {
                    tracing::warn!(%inbox, %error, "an inbox cannot be opened yet; trying again");
                    *self.preparation_failure.lock() = Some(error.to_string());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// How far a message came before something has to be awaited.
enum Step {
    Done(Result<Receipt, Refusal>),
    Wait(Box<UnderWay>),
    Enqueue(Box<minimise::Minimised>),
}

/// Where the outcome of a message comes from.
enum Place {
    Done(Result<Receipt, Refusal>),
    Wait(Box<UnderWay>),
    Enqueued,
}
