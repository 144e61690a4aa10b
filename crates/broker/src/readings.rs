//! How the files of the catalogue were read last, and asking that they be read again.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use wissel_audit::Operation;
use wissel_catalogue::{Catalogue, Change};

use crate::{Broker, Caller, Refusal, Role};

/// How the files of the catalogue were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub at: SystemTime,
    /// Why what stands in them is refused, so that what is in force stays; empty: it is not.
    pub faults: Vec<String>,
}

/// A wish that the files be read again; the reading goes back through it.
pub type ReadAgain = oneshot::Sender<Reading>;

/// What is known of the readings of a broker's catalogue.
pub(crate) struct Readings {
    last: Mutex<Option<Reading>>,
    /// What the latest catalogue to come into force says otherwise than the one before.
    pub(crate) changes: Mutex<Arc<[Change]>>,
    ask: mpsc::Sender<ReadAgain>,
    /// Until whoever reads the files takes it.
    asked: Mutex<Option<mpsc::Receiver<ReadAgain>>>,
}

impl Default for Readings {
    fn default() -> Self {
        const ASKED_MAX: usize = 8;
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        Self {
            last: Mutex::default(),
            changes: Mutex::new(Arc::new([])),
            ask,
            asked: Mutex::new(Some(asked)),
        }
    }
}

impl Broker {
    /// How the files of the catalogue were read last; none: not since the start.
    #[must_use]
    pub fn last_reading(&self) -> Option<Reading> {
        self.readings.last.lock().clone()
    }

    /// What the catalogue in force says otherwise than the one before; empty: there was none
    /// since the start.
    #[must_use]
    pub fn catalogue_changes(&self) -> Arc<[Change]> {
        Arc::clone(&self.readings.changes.lock())
    }

    /// The catalogue in force, for who wants to see the files that it was read from.
    ///
    /// # Errors
    /// [`Reason::NotGranted`](crate::Reason::NotGranted) for whoever is no operator: it tells what all parties may.
    pub fn catalogue_files(&self, caller: &Caller) -> Result<Arc<Catalogue>, Refusal> {
        let _ticket = self.ticket()?;
        caller.check_operator(Role::Viewer)?;
        Ok(self.catalogue())
    }

    /// Has the files read again. What has no fault is in force when this answers; it does not
    /// as long as nobody reads them.
    ///
    /// # Errors
    /// [`Reason::NotGranted`](crate::Reason::NotGranted) for whoever is no operator with the
    /// role [`Role::CatalogueManager`]; when whoever reads them has stopped.
    pub async fn read_catalogue_again(&self, caller: &Caller) -> Result<Reading, Refusal> {
        let outcome = self.try_read_again(caller).await;
        self.unless_refused(caller, Operation::CatalogueRead, None, outcome).await
    }

    async fn try_read_again(&self, caller: &Caller) -> Result<Reading, Refusal> {
        caller.check_operator(Role::CatalogueManager)?;
        self.keep_one(caller, Operation::CatalogueRead, None, String::new()).await?;
        let (answer, reading) = oneshot::channel();
        let stopping = Refusal::shutting_down;
        self.readings.ask.send(answer).await.map_err(|_| stopping())?;
        reading.await.map_err(|_| stopping())
    }

    /// Wishes that the files be read again, for whoever reads them; once.
    #[must_use]
    pub fn asked_to_read(&self) -> Option<mpsc::Receiver<ReadAgain>> {
        self.readings.asked.lock().take()
    }

    /// Notes how they were read, and tells those who asked.
    pub fn note_reading(&self, faults: Vec<String>, asked: impl IntoIterator<Item = ReadAgain>) {
        let reading = Reading { at: SystemTime::now(), faults };
        *self.readings.last.lock() = Some(reading.clone());
        for one in asked {
            let _ = one.send(reading.clone());
        }
    }
}
