//! The state in SQLite, on threads of its own.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::sync::Mutex;
use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin, SubscriptionName};

use crate::sqlite::Database;
use crate::{
    Backend, CaseChange, CaseDue, CaseFile, Filed, Follow, Followed, InboxRecord, MakeKey, Mark,
    NewReport, NewSignal, Opened, Outgoing, PseudonymKeys, Put, Signal, StoreError,
    SubscriptionRecord, Tell, Transfer, cases, followed, outbox, reports, signals,
};

pub(crate) struct Sqlite {
    database: Arc<Mutex<Database>>,
}

impl Sqlite {
    pub(crate) fn of(database: Database) -> Self {
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

#[async_trait]
impl Backend for Sqlite {
    async fn put_subscription(&self, record: SubscriptionRecord) -> Result<Put, StoreError> {
        self.with(move |database| database.put_subscription(&record)).await
    }

    async fn delete_subscription(&self, name: SubscriptionName) -> Result<bool, StoreError> {
        self.with(move |database| database.delete_subscription(&name)).await
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionRecord>, StoreError> {
        self.with(|database| database.subscriptions()).await
    }

    async fn add_inbox(&self, name: InboxName) -> Result<(), StoreError> {
        self.with(move |database| database.add_inbox(&name)).await
    }

    async fn set_inbox(&self, inbox: InboxRecord) -> Result<bool, StoreError> {
        self.with(move |database| database.set_inbox(&inbox)).await
    }

    async fn inboxes(&self) -> Result<Vec<InboxRecord>, StoreError> {
        self.with(|database| database.inboxes()).await
    }

    async fn follow(&self, follow: Follow) -> Result<Option<Followed>, StoreError> {
        self.with(move |database| followed::follow(&mut database.0, &follow)).await
    }

    async fn followed(&self) -> Result<Vec<(SubscriptionName, Mark)>, StoreError> {
        self.with(|database| followed::all(&database.0)).await
    }

    async fn routing_secret(&self) -> Result<[u8; 16], StoreError> {
        self.with(|database| followed::secret(&database.0)).await
    }

    async fn pseudonym_keys(&self) -> Result<Option<PseudonymKeys>, StoreError> {
        self.with(|database| signals::keys(&database.0)).await
    }

    async fn add_pseudonym_key(&self, make: MakeKey) -> Result<bool, StoreError> {
        self.with(move |database| signals::add_key(&mut database.0, make)).await
    }

    async fn file_signal(&self, signal: NewSignal) -> Result<Filed, StoreError> {
        self.with(move |database| signals::file(&mut database.0, &signal)).await
    }

    async fn signal(&self, id: Uuid) -> Result<Option<Signal>, StoreError> {
        self.with(move |database| signals::one(&database.0, id)).await
    }

    async fn signals_of(
        &self,
        party: Oin,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Signal>, StoreError> {
        self.with(move |database| signals::of_party(&database.0, party, after, limit)).await
    }

    async fn withdraw_signal(&self, id: Uuid, party: Oin, tell: Tell) -> Result<bool, StoreError> {
        self.with(move |database| signals::withdraw(&mut database.0, id, party, &tell)).await
    }

    async fn transfer_signal(&self, transfer: Transfer, tell: Tell) -> Result<bool, StoreError> {
        self.with(move |database| signals::transfer(&mut database.0, &transfer, &tell)).await
    }

    async fn match_signals(&self, limit: usize, tell: Tell) -> Result<usize, StoreError> {
        self.with(move |database| signals::examine(&mut database.0, limit, &tell)).await
    }

    async fn expire_signals(&self) -> Result<usize, StoreError> {
        self.with(|database| signals::expire(&mut database.0)).await
    }

    async fn next_signal_expiry(&self) -> Result<Option<SystemTime>, StoreError> {
        self.with(|database| signals::next_expiry(&database.0)).await
    }

    async fn outgoing(&self, now: SystemTime, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        self.with(move |database| outbox::due(&database.0, now, limit)).await
    }

    async fn sent(&self, number: i64) -> Result<(), StoreError> {
        self.with(move |database| outbox::remove(&database.0, number)).await
    }

    async fn put_off(&self, number: i64, until: SystemTime) -> Result<(), StoreError> {
        self.with(move |database| outbox::put_off(&database.0, number, until)).await
    }

    async fn open_case(&self, case: CaseFile, due: Vec<CaseDue>) -> Result<bool, StoreError> {
        self.with(move |database| cases::open(&mut database.0, &case, &due)).await
    }

    async fn case(&self, id: Uuid) -> Result<Option<CaseFile>, StoreError> {
        self.with(move |database| cases::one(&database.0, &id)).await
    }

    async fn cases(
        &self,
        party: Option<Oin>,
        open_only: bool,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<CaseFile>, StoreError> {
        self.with(move |database| {
            cases::of_party(&database.0, party.as_ref(), open_only, after.as_ref(), limit)
        })
        .await
    }

    async fn open_report(&self, report: NewReport) -> Result<Opened, StoreError> {
        self.with(move |database| reports::open(&mut database.0, &report)).await
    }

    async fn reports_of_same(&self, id: Uuid) -> Result<Vec<CaseFile>, StoreError> {
        self.with(move |database| reports::of_same(&database.0, &id)).await
    }

    async fn change_cases(&self, changes: Vec<CaseChange>) -> Result<(), StoreError> {
        self.with(move |database| cases::change(&mut database.0, &changes)).await
    }

    async fn next_case_due(&self) -> Result<Option<(Uuid, CaseDue)>, StoreError> {
        self.with(move |database| cases::next_due(&database.0)).await
    }

    async fn put_off_case_due(
        &self,
        id: Uuid,
        due: CaseDue,
        until: SystemTime,
    ) -> Result<(), StoreError> {
        self.with(move |database| cases::put_off_due(&database.0, &id, due, until)).await
    }
}
