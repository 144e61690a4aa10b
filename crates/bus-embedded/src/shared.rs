use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use wissel_bus::BusError;
use wissel_identifiers::InboxName;

use crate::EmbeddedBusError;
use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::queue::{CommandQueue, FeedQueue};

/// What the bus, its threads and its consumers all know.
pub(crate) struct Shared {
    pub(crate) commands: CommandQueue,
    pub(crate) feeds: FeedQueue,
    pub(crate) clock: Clock,
    inboxes: RwLock<HashMap<InboxName, Arc<Inbox>>>,
    failure: OnceLock<String>,
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(inboxes: HashMap<InboxName, Arc<Inbox>>, clock: Clock) -> Self {
        Self {
            commands: CommandQueue::new(),
            feeds: FeedQueue::default(),
            clock,
            inboxes: RwLock::new(inboxes),
            failure: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn find(&self, name: &InboxName) -> Option<Arc<Inbox>> {
        self.inboxes.read().get(name).cloned()
    }

    pub(crate) fn insert(&self, inbox: &Arc<Inbox>) {
        let name = inbox.name.clone();
        self.inboxes.write().insert(name, Arc::clone(inbox));
    }

    pub(crate) fn forget(&self, name: &InboxName) {
        self.inboxes.write().remove(name);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Inbox>> {
        self.inboxes.read().values().cloned().collect()
    }

    /// Nothing more is taken: the storage cannot be trusted until it is opened
    /// again.
    pub(crate) fn fail(&self, error: &EmbeddedBusError) {
        if self.failure.set(error.to_string()).is_ok() {
            tracing::error!(%error, "the storage of the bus failed; nothing more is taken");
        }
    }

    /// What made the storage fail.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// An error when the bus takes nothing more.
    pub(crate) fn check(&self) -> Result<(), BusError> {
        self.check_open()?;
        self.check_storage()
    }

    /// An error when the storage failed.
    pub(crate) fn check_storage(&self) -> Result<(), BusError> {
        match self.failure() {
            None => Ok(()),
            Some(reason) => Err(BusError::Storage { reason: reason.to_owned() }),
        }
    }

    /// An error when the bus was closed.
    pub(crate) fn check_open(&self) -> Result<(), BusError> {
        if self.is_closed() {
            return Err(BusError::Closed);
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Ends consumers and queues. What was enqueued is still written.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for inbox in self.all() {
            inbox.detach_all();
        }
        self.feeds.close();
        self.commands.close();
    }
}
