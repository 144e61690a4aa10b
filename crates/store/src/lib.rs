//! Control-plane state: the subscriptions that the API created, and the inboxes.
//!
//! In SQLite by default. What is not here: messages (the bus has them) and what
//! stands in the catalogue's files.

mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Mutex;
use wissel_filter::Filter;
use wissel_identifiers::{InboxName, SubscriptionName};

use crate::sqlite::Database;

/// The control-plane state. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Store {
    database: Arc<Mutex<Database>>,
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

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite says no.
    #[error("the control-plane database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file was written by a later version.
    #[error(
        "{}: written by a later version of Wissel (schema {found}), expected schema {expected} or \
         earlier; start that version",
        path.display()
    )]
    LaterVersion {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The latest schema that is known here.
        expected: i64,
    },
    /// The file does not say which schema it has, so it may not be ours.
    #[error(
        "{}: has schema {found}, expected 0 (a new file) to {expected}; it is damaged, or not a \
         database of Wissel",
        path.display()
    )]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The latest schema that is known here.
        expected: i64,
    },
    /// A row that this version cannot read.
    #[error("the control-plane database holds a {what} that cannot be read: {reason}")]
    Row {
        /// What it is.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The work was cut off, at shutdown.
    #[error("the work on the control-plane database was cut off")]
    CutOff,
}

impl Store {
    /// Opens the state in this file; creates it, or brings it up to date, when
    /// needed.
    ///
    /// # Errors
    /// When the file cannot be opened, is of a later version, or not one of Wissel.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::of(Database::open(path)?))
    }

    /// State that ends with the process, for tests.
    ///
    /// # Errors
    /// When SQLite cannot be started.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self::of(Database::in_memory()?))
    }

    /// Keeps a subscription and its inbox, both or neither.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn put_subscription(&self, record: SubscriptionRecord) -> Result<Put, StoreError> {
        self.with(move |database| database.put_subscription(&record)).await
    }

    /// Forgets a subscription; its inbox stays. Says whether it was there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn delete_subscription(&self, name: SubscriptionName) -> Result<bool, StoreError> {
        self.with(move |database| database.delete_subscription(&name)).await
    }

    /// Every subscription, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionRecord>, StoreError> {
        self.with(|database| database.subscriptions()).await
    }

    /// Keeps an inbox. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn add_inbox(&self, name: InboxName) -> Result<(), StoreError> {
        self.with(move |database| database.add_inbox(&name)).await
    }

    /// Every inbox, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn inboxes(&self) -> Result<Vec<InboxName>, StoreError> {
        self.with(|database| database.inboxes()).await
    }

    fn of(database: Database) -> Self {
        Self { database: Arc::new(Mutex::new(database)) }
    }

    /// SQLite blocks, so it works on a thread for blocking work: one at a time, as
    /// who waits for the database must not hold such a thread. Once begun, the work is
    /// finished, also when nobody waits for it any more.
    async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let mut database = Arc::clone(&self.database).lock_owned().await;
        let working = tokio::task::spawn_blocking(move || work(&mut database));
        working.await.map_err(|_| StoreError::CutOff)?
    }
}
