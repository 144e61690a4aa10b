//! The embedded bus, with queues that parties read themselves: as those of RabbitMQ, and as slow
//! as a test wants them to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};
use wissel_bus::{
    ArchivePage, Archived, Burial, Bus, BusError, Consumer, Credit, DeadLetter, DeadLetterId,
    DeadLetterWalk, DirectMessage, DirectQueues, DirectState, Enqueue, Envelope, Handed, Health,
    InboxState, Judgement, Level, Page, Removal, Reviewed, Selection, Unsettled,
};
use wissel_bus_embedded::EmbeddedBus;
use wissel_identifiers::InboxName;

pub(crate) struct DirectBus {
    bus: Arc<EmbeddedBus>,
    pub(crate) queues: Queues,
    /// How often somebody asked how full an inbox is.
    pub(crate) levels: AtomicUsize,
}

/// What was done with the queues; all inboxes count together.
pub(crate) struct Queues {
    /// A call that hands over takes one of these, and waits until there is one.
    pub(crate) may_hand_over: Semaphore,
    /// Tells of each call that begins to hand over.
    begun: mpsc::UnboundedSender<()>,
    pub(crate) is_in_use: AtomicBool,
    pub(crate) opened: AtomicUsize,
    pub(crate) handed_over: AtomicUsize,
    pub(crate) removed: AtomicUsize,
    /// Calls that hand over or review at this moment, and whether they were ever two.
    now: AtomicUsize,
    pub(crate) were_two: AtomicBool,
}

impl DirectBus {
    pub(crate) fn new(bus: Arc<EmbeddedBus>) -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (begun, begins) = mpsc::unbounded_channel();
        let queues = Queues {
            may_hand_over: Semaphore::new(0),
            begun,
            is_in_use: AtomicBool::default(),
            opened: AtomicUsize::default(),
            handed_over: AtomicUsize::default(),
            removed: AtomicUsize::default(),
            now: AtomicUsize::default(),
            were_two: AtomicBool::default(),
        };
        (Arc::new(Self { bus, queues, levels: AtomicUsize::default() }), begins)
    }
}

impl Queues {
    fn enter(&self) {
        if self.now.fetch_add(1, Ordering::SeqCst) > 0 {
            self.were_two.store(true, Ordering::SeqCst);
        }
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl DirectQueues for Queues {
    async fn open(&self, _: &InboxName) -> Result<(), BusError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn hand_over(
        &self,
        _: &InboxName,
        messages: &[DirectMessage],
    ) -> Vec<Result<Handed, BusError>> {
        self.enter();
        self.begun.send(()).ok();
        self.may_hand_over.acquire().await.unwrap().forget();
        self.handed_over.fetch_add(messages.len(), Ordering::SeqCst);
        self.leave();
        messages.iter().map(|_| Ok(Handed::Durable)).collect()
    }

    async fn review(
        &self,
        _: &InboxName,
        _: &(dyn for<'e> Fn(&'e Envelope) -> Judgement + Send + Sync),
    ) -> Result<Reviewed, BusError> {
        self.enter();
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.leave();
        Ok(Reviewed::default())
    }

    async fn inspect(&self, _: &InboxName) -> Result<DirectState, BusError> {
        Ok(DirectState::default())
    }

    async fn remove(&self, _: &InboxName) -> Result<Removal, BusError> {
        if self.is_in_use.load(Ordering::SeqCst) {
            return Ok(Removal::InUse);
        }
        self.removed.fetch_add(1, Ordering::SeqCst);
        Ok(Removal::Removed)
    }
}

#[async_trait]
impl Bus for DirectBus {
    fn kind(&self) -> &'static str {
        self.bus.kind()
    }

    fn health(&self) -> Health {
        self.bus.health()
    }

    async fn open_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        self.bus.open_inbox(inbox).await
    }

    async fn remove_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        self.bus.remove_inbox(inbox).await
    }

    async fn enqueue(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>> {
        self.bus.enqueue(items).await
    }

    async fn bury(&self, burials: Vec<Burial>) -> Vec<Result<(), BusError>> {
        self.bus.bury(burials).await
    }

    async fn consume(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError> {
        self.bus.consume(inbox, credit).await
    }

    async fn consume_alone(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError> {
        self.bus.consume_alone(inbox, credit).await
    }

    fn level(&self, inbox: &InboxName) -> Option<Level> {
        self.levels.fetch_add(1, Ordering::SeqCst);
        self.bus.level(inbox)
    }

    async fn inspect(&self, inbox: &InboxName) -> Result<InboxState, BusError> {
        self.bus.inspect(inbox).await
    }

    fn shows_retries(&self) -> bool {
        self.bus.shows_retries()
    }

    async fn browse(&self, inbox: &InboxName, limit: usize) -> Result<Vec<Unsettled>, BusError> {
        self.bus.browse(inbox, limit).await
    }

    async fn dead_letters(
        &self,
        inbox: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, BusError> {
        self.bus.dead_letters(inbox, page).await
    }

    async fn dead_letter(
        &self,
        inbox: &InboxName,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, BusError> {
        self.bus.dead_letter(inbox, id).await
    }

    async fn redrive(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        to: &InboxName,
    ) -> Result<u64, BusError> {
        self.bus.redrive(inbox, selection, to).await
    }

    async fn purge_dead_letters(
        &self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<u64, BusError> {
        self.bus.purge_dead_letters(inbox, selection).await
    }

    async fn walk_dead_letters<'a>(
        &'a self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<Box<dyn DeadLetterWalk + 'a>, BusError> {
        self.bus.walk_dead_letters(inbox, selection).await
    }

    async fn archived(&self, page: ArchivePage) -> Result<Vec<Archived>, BusError> {
        self.bus.archived(page).await
    }

    fn direct(&self) -> Option<&dyn DirectQueues> {
        Some(&self.queues)
    }

    async fn close(&self) {
        self.bus.close().await;
    }
}
