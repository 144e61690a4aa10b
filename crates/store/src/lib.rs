//! Control-plane state: the subscriptions that the API created, the inboxes with their
//! settings, and the signals that wait for a match.
//!
//! In SQLite by default; a [`Backend`] is where another database goes. What is not here:
//! messages (the bus has them) and what stands in the catalogue's files.

mod backend;
mod cases;
mod error;
mod followed;
mod matching;
mod outbox;
mod reports;
mod signals;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use uuid::Uuid;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, Oin, SubscriptionName};

use crate::backend::Sqlite;
pub use crate::cases::{CaseChange, CaseDue, CaseFile, CaseStatus};
pub use crate::error::StoreError;
pub use crate::outbox::Outgoing;
pub use crate::reports::{NewReport, Opened};
use crate::sqlite::Database;

pub use crate::matching::{
    Filed, MakeKey, NewKey, NewSignal, NoticeOf, Pseudonym, PseudonymKeys, Signal, SignalMatch,
    SignalNotice, Tell, Transfer,
};

/// The control-plane state. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

/// A database that keeps the state. Each call is carried out whole or not at all, and
/// what was answered survives a crash.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Keeps a subscription and its inbox, both or neither.
    async fn put_subscription(&self, record: SubscriptionRecord) -> Result<Put, StoreError>;

    /// Forgets a subscription; its inbox stays. Says whether it was there.
    async fn delete_subscription(&self, name: SubscriptionName) -> Result<bool, StoreError>;

    /// Every subscription, by name.
    async fn subscriptions(&self) -> Result<Vec<SubscriptionRecord>, StoreError>;

    /// Keeps an inbox. Doing it again changes nothing.
    async fn add_inbox(&self, name: InboxName) -> Result<(), StoreError>;

    /// Changes the settings of an inbox. Says whether it was there.
    async fn set_inbox(&self, inbox: InboxRecord) -> Result<bool, StoreError>;

    /// Every inbox, by name.
    async fn inboxes(&self) -> Result<Vec<InboxRecord>, StoreError>;

    /// Adds to the subjects that a subscription follows, or takes from them. Says what
    /// changed; none when there is no such subscription.
    async fn follow(&self, follow: Follow) -> Result<Option<Followed>, StoreError>;

    /// Every subject that is followed, with the subscription that follows it.
    async fn followed(&self) -> Result<Vec<(SubscriptionName, Mark)>, StoreError>;

    /// The secret on which the marks of subjects depend: made once, the same for every
    /// gateway on this state.
    async fn routing_secret(&self) -> Result<[u8; 16], StoreError>;

    /// See [`Store::pseudonym_keys`].
    async fn pseudonym_keys(&self) -> Result<Option<PseudonymKeys>, StoreError>;

    /// See [`Store::add_pseudonym_key`].
    async fn add_pseudonym_key(&self, make: MakeKey) -> Result<bool, StoreError>;

    /// See [`Store::file_signal`].
    async fn file_signal(&self, signal: NewSignal) -> Result<Filed, StoreError>;

    /// See [`Store::signal`].
    async fn signal(&self, id: Uuid) -> Result<Option<Signal>, StoreError>;

    /// See [`Store::signals_of`].
    async fn signals_of(
        &self,
        party: Oin,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError>;

    /// See [`Store::withdraw_signal`].
    async fn withdraw_signal(&self, id: Uuid, party: Oin, tell: Tell) -> Result<bool, StoreError>;

    /// See [`Store::transfer_signal`].
    async fn transfer_signal(&self, transfer: Transfer, tell: Tell) -> Result<bool, StoreError>;

    /// See [`Store::match_signals`].
    async fn match_signals(&self, limit: usize, tell: Tell) -> Result<usize, StoreError>;

    /// See [`Store::expire_signals`].
    async fn expire_signals(&self) -> Result<usize, StoreError>;

    /// See [`Store::next_signal_expiry`].
    async fn next_signal_expiry(&self) -> Result<Option<SystemTime>, StoreError>;

    /// Messages of the exchange that are to be published by now, oldest first.
    async fn outgoing(&self, now: SystemTime, limit: usize) -> Result<Vec<Outgoing>, StoreError>;

    /// Forgets a message that was published.
    async fn sent(&self, number: i64) -> Result<(), StoreError>;

    /// Puts off a message that could not be published.
    async fn put_off(&self, number: i64, until: SystemTime) -> Result<(), StoreError>;

    /// Opens a case, with what is due about it. Says whether it was not there.
    async fn open_case(&self, case: CaseFile, due: Vec<CaseDue>) -> Result<bool, StoreError>;

    /// One case.
    async fn case(&self, id: Uuid) -> Result<Option<CaseFile>, StoreError>;

    /// The cases that a party sent or has, or everybody's, in the order of their ids.
    async fn cases(
        &self,
        party: Option<Oin>,
        open_only: bool,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<CaseFile>, StoreError>;

    /// See [`Store::open_report`].
    async fn open_report(&self, report: NewReport) -> Result<Opened, StoreError>;

    /// See [`Store::reports_of_same`].
    async fn reports_of_same(&self, id: Uuid) -> Result<Vec<CaseFile>, StoreError>;

    /// Changes cases, with the messages that tell of them: all or none.
    async fn change_cases(&self, changes: Vec<CaseChange>) -> Result<(), StoreError>;

    /// What is due next, of all cases.
    async fn next_case_due(&self) -> Result<Option<(Uuid, CaseDue)>, StoreError>;

    /// Puts off what is due of a case.
    async fn put_off_case_due(
        &self,
        id: Uuid,
        due: CaseDue,
        until: SystemTime,
    ) -> Result<(), StoreError>;
}

/// What stands for a subject that is followed.
pub type Mark = [u8; 16];

/// Which subjects a subscription is to follow, and which no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// The subscription.
    pub subscription: SubscriptionName,
    /// To be followed from now on.
    pub add: Vec<Mark>,
    /// To be followed no longer.
    pub remove: Vec<Mark>,
    /// The most that it may follow; more is refused, and changes nothing.
    pub max: u64,
}

/// What a [`Follow`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// How many were not yet followed.
    pub added: u64,
    /// How many were followed.
    pub removed: u64,
    /// How many are followed now.
    pub total: u64,
    /// Whether it was refused, as there would have been too many: nothing changed.
    pub too_many: bool,
}

/// An inbox, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    /// Its name; the owner is in it.
    pub name: InboxName,
    /// How it behaves.
    pub settings: InboxSettings,
}

/// How an inbox behaves, where that is not as everywhere. None: as the gateway is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxSettings {
    /// How many times a delivery is handed out before it becomes a dead letter; at least 1.
    pub max_attempts: Option<u32>,
    /// How long a delivery waits after its first attempt, when the receiver does not say;
    /// twice as long after each further one. Milliseconds are kept.
    pub retry_initial: Option<Duration>,
    /// The longest that it waits so. Milliseconds are kept.
    pub retry_max: Option<Duration>,
    /// How old a message may be when it is handed out; older ones become dead letters.
    /// Milliseconds are kept.
    pub max_age: Option<Duration>,
    /// The most deliveries that wait or are in flight.
    pub max_deliveries: Option<u64>,
    /// The most bytes of their events.
    pub max_bytes: Option<u64>,
    /// What becomes of a message for which there is no room.
    pub when_full: Option<WhenFull>,
    /// Whether its owner takes its messages with an AMQP client of its own.
    pub direct_amqp: bool,
    /// Whether nothing is handed out of it.
    pub paused: bool,
    /// Whether nothing comes into it, as if it were full.
    pub draining: bool,
}

/// What becomes of a message that comes to an inbox without room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is refused to its publisher, for every inbox; nothing of it is kept.
    #[default]
    Refuse,
    /// It becomes a dead letter of the inbox.
    DeadLetter,
}

/// A subscription, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// Its name; the owner is in it.
    pub name: SubscriptionName,
    /// The inbox it feeds.
    pub inbox: InboxName,
    /// The event types wanted; none: every type.
    pub types: Vec<String>,
    /// All must match.
    pub filters: Vec<Filter>,
    /// Whether only messages match of which it follows the subject.
    pub follows: bool,
    /// Whether deliveries of one subject come one after the other.
    pub ordered: bool,
    /// When it was created; milliseconds are kept.
    pub created_at: SystemTime,
}

/// What became of a subscription that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Created,
    /// It was there with the same content.
    Same,
    /// There is one of that name with other content, which stays.
    Conflict,
}

impl Store {
    /// Opens the state in this file, of SQLite; creates it, or brings it up to date, when
    /// needed.
    ///
    /// # Errors
    /// When the file cannot be opened, is of a later version, or not one of Wissel.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::on(Sqlite::of(Database::open(path)?)))
    }

    /// State that ends with the process, for tests.
    ///
    /// # Errors
    /// When SQLite cannot be started.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self::on(Sqlite::of(Database::in_memory()?)))
    }

    /// The state in another database.
    pub fn on(backend: impl Backend) -> Self {
        Self { backend: Arc::new(backend) }
    }

    /// Keeps a subscription and its inbox, both or neither.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn put_subscription(&self, record: SubscriptionRecord) -> Result<Put, StoreError> {
        self.backend.put_subscription(record).await
    }

    /// Forgets a subscription; its inbox stays. Says whether it was there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn delete_subscription(&self, name: SubscriptionName) -> Result<bool, StoreError> {
        self.backend.delete_subscription(name).await
    }

    /// Every subscription, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionRecord>, StoreError> {
        self.backend.subscriptions().await
    }

    /// Keeps an inbox. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn add_inbox(&self, name: InboxName) -> Result<(), StoreError> {
        self.backend.add_inbox(name).await
    }

    /// Changes the settings of an inbox. Says whether it was there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn set_inbox(&self, inbox: InboxRecord) -> Result<bool, StoreError> {
        self.backend.set_inbox(inbox).await
    }

    /// Every inbox, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn inboxes(&self) -> Result<Vec<InboxRecord>, StoreError> {
        self.backend.inboxes().await
    }

    /// Adds to the subjects that a subscription follows, or takes from them. Says what
    /// changed; none when there is no such subscription.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn follow(&self, follow: Follow) -> Result<Option<Followed>, StoreError> {
        self.backend.follow(follow).await
    }

    /// Every subject that is followed, with the subscription that follows it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn followed(&self) -> Result<Vec<(SubscriptionName, Mark)>, StoreError> {
        self.backend.followed().await
    }

    /// The secret on which the marks of subjects depend: made once, the same for every
    /// gateway on this state.
    ///
    /// # Errors
    /// When the state cannot be read, or the secret not be kept.
    pub async fn routing_secret(&self) -> Result<[u8; 16], StoreError> {
        self.backend.routing_secret().await
    }
}
