use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wissel_audit::{Actor, Operation, Record};
use wissel_bus::{Bus, Credit};
use wissel_catalogue::Catalogue;
use wissel_identifiers::{InboxName, SubscriptionName};
use wissel_message::Limits as MessageLimits;
use wissel_metrics::Metrics;
use wissel_receipts::Receipts;
use wissel_routing::Router;
use wissel_store::{InboxSettings, Store, StoreError};
use wissel_traces::Tracer;

use crate::direct::Forwarders;
use crate::dossier::SEARCHES_AT_ONCE;
use crate::entitlement::Target;
use crate::ordered::Ordered;
use crate::policy::DeliveryDefaults;
use crate::publish_limits::PublishLimits;
use crate::questions::Questions;
use crate::readings::Readings;
use crate::receivers::Receivers;
use crate::replay::REPLAY_PER_SECOND;
use crate::replays::Replays;
use crate::road::deduplicate::Window;
use crate::road::room::Limits;
use crate::survey::Surveys;
use crate::turns::Turns;
use crate::{Disk, Records, Refusal, Subscription};

/// The application: takes messages, keeps subscriptions, hands out deliveries.
pub struct Broker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Store,
    pub(crate) catalogue: ArcSwap<Catalogue>,
    /// Counts the catalogues that were in force, so that sessions hear of a new one.
    pub(crate) catalogue_version: watch::Sender<u64>,
    /// Counts the changes of inboxes, so that sessions hear of a pause and of its end, and of an
    /// order that comes or goes.
    pub(crate) pauses: watch::Sender<u64>,
    pub(crate) catalogue_since: Mutex<SystemTime>,
    pub(crate) readings: Readings,
    pub(crate) router: Router<Target>,
    pub(crate) subscriptions: RwLock<BTreeMap<SubscriptionName, Subscription>>,
    pub(crate) inboxes: RwLock<BTreeMap<InboxName, InboxSettings>>,
    /// Held while a subscription is created or deleted, so that store, bus and
    /// router change in the same order.
    pub(crate) control: tokio::sync::Mutex<()>,
    /// Who changes the settings of which inbox.
    pub(crate) turns: Turns,
    /// Who has which inbox open.
    pub(crate) receivers: Arc<Receivers>,
    /// The limits of inboxes.
    pub(crate) room: Limits,
    /// The inboxes whose deliveries come one after the other for each subject.
    pub(crate) ordered: Ordered,
    /// What brings messages to the queues that parties read themselves.
    pub(crate) forwarders: Forwarders,
    pub(crate) publish_limits: PublishLimits,
    /// Which questions are waited for here.
    pub(crate) questions: Questions,
    /// Looks at all inboxes together.
    pub(crate) surveys: Surveys,
    /// Which replays are under way.
    pub(crate) replays: Replays,
    /// How many may look through the record of processing at a time.
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) options: BrokerOptions,
    pub(crate) started_at: Instant,
    pub(crate) window: Arc<Window>,
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
    /// How many bytes of messages one session may hold unsettled, from 1, and all those of an
    /// inbox with order together. Its last delivery may go over it.
    pub delivery_bytes: u64,
    /// The most messages that a party may publish in a second, where the catalogue does not
    /// say; none: no limit.
    pub publish_per_second: Option<NonZeroU32>,
    /// The most subscriptions of a party, declared ones counted in.
    pub subscriptions_per_party: usize,
    /// The most messages that one replay brings in a second.
    pub replay_per_second: NonZeroU32,
    /// The record of processing; none for tests of something else.
    pub records: Option<Records>,
    /// The disk that state is kept on; none: it is not looked at.
    pub disk: Option<Disk>,
    /// What is counted of all this.
    pub metrics: Arc<Metrics>,
    /// Which messages are followed, and where their spans go.
    pub tracer: Tracer,
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
            delivery_bytes: Credit::BYTES,
            publish_per_second: None,
            subscriptions_per_party: 10_000,
            replay_per_second: REPLAY_PER_SECOND,
            records: None,
            disk: None,
            metrics: Arc::new(Metrics::new()),
            tracer: Tracer::off(),
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
            pauses: watch::Sender::new(0),
            catalogue_since: Mutex::new(SystemTime::now()),
            readings: Readings::default(),
            router,
            subscriptions: RwLock::default(),
            inboxes: RwLock::default(),
            control: tokio::sync::Mutex::default(),
            turns: Turns::default(),
            receivers: Arc::default(),
            room: Limits::default(),
            ordered: Ordered::default(),
            forwarders: Forwarders::default(),
            publish_limits: PublishLimits::new(options.publish_per_second),
            questions: Questions::default(),
            surveys: Surveys::default(),
            replays: Replays::default(),
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
                self.room.ask(&*self.bus);
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
                biased;
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
