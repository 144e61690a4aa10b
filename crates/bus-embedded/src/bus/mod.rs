mod opening;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{
    ArchivePage, Archived, Burial, Bus, BusError, Consumer, Credit, DeadLetter, DeadLetterId,
    DeadLetterWalk, Enqueue, Health, InboxState, Level, Page, Selection, Unsettled,
};
use wissel_identifiers::InboxName;

#[cfg(any(test, feature = "simulation"))]
pub(crate) use opening::Assembled;
pub use opening::EmbeddedOptions;
use opening::Running;

use crate::EmbeddedBusError;
use crate::inbox::{ConsumerState, Inbox};
use crate::settler::Settler;
use crate::shared::Shared;
use crate::storage::Storage;
use crate::storage::keys::{from_ms, to_ms};
use crate::walk::Walk;
use crate::writer::{Buried, Command, Fate, Incoming};

/// A [`Bus`] in one directory on this machine. See the crate's page.
///
/// Close it with [`Bus::close`]. Dropping it closes it as well, and blocks until
/// what was enqueued is written.
pub struct EmbeddedBus {
    pub(crate) shared: Arc<Shared>,
    /// Taken when the bus is closed.
    running: Mutex<Option<Running>>,
    /// Held by the one who closes, so that others wait for it.
    closing: tokio::sync::Mutex<()>,
    /// Consumers' tasks and reads that are under way.
    tasks: TaskTracker,
    next_consumer: AtomicU64,
}

/// How long one that is to consume alone waits for others to go.
const CONSUMERS_PATIENCE: Duration = Duration::from_secs(10);

impl EmbeddedBus {
    pub(crate) fn inbox(&self, name: &InboxName) -> Result<Arc<Inbox>, BusError> {
        self.shared.check_open()?;
        self.shared.find(name).ok_or_else(|| BusError::UnknownInbox(name.clone()))
    }

    /// Puts a command in the queue and waits for its answer.
    async fn ask<T>(
        &self,
        cost: u32,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, BusError> {
        let room = self.shared.commands.reserve(cost).await;
        let (reply, answer) = oneshot::channel();
        room.and_then(|room| room.fill(command(reply))).map_err(|_| BusError::Closed)?;
        answer.await.map_err(|_| self.why_unanswered())
    }

    fn why_unanswered(&self) -> BusError {
        self.shared.check().err().unwrap_or(BusError::Closed)
    }

    /// Reads from disk where that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> Result<T, EmbeddedBusError> + Send + 'static,
    ) -> Result<T, BusError> {
        let reading = {
            let running = self.running.lock();
            let Some(running) = running.as_ref() else {
                return Err(BusError::Closed);
            };
            let storage = Arc::clone(&running.storage);
            // Whoever drives the bus by hand wants no threads beside it.
            #[cfg(any(test, feature = "simulation"))]
            if running.threads.is_empty() {
                return Ok(read(&storage)?);
            }
            self.tasks.spawn_blocking(move || read(&storage))
        };
        match reading.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(BusError::Closed),
        }
    }

    /// Makes ready what the writer needs; answers what cannot be enqueued.
    fn prepare(&self, items: Vec<Enqueue>) -> (Vec<Incoming>, Vec<Result<(), BusError>>) {
        let mut incoming = Vec::with_capacity(items.len());
        let mut answers = Vec::with_capacity(items.len());
        for (position, item) in items.into_iter().enumerate() {
            let found = self.find_each(item.inboxes);
            answers.push(found.map(|inboxes| {
                let archive_until_ms = item.archive_until.map(to_ms);
                if !inboxes.is_empty() || archive_until_ms.is_some() {
                    incoming.push(Incoming {
                        position,
                        envelope: item.envelope,
                        inboxes,
                        archive_until_ms,
                        outlives: item.outlives,
                    });
                }
            }));
        }
        (incoming, answers)
    }

    fn find_each(&self, names: Vec<InboxName>) -> Result<Vec<Arc<Inbox>>, BusError> {
        let mut inboxes: Vec<Arc<Inbox>> = Vec::with_capacity(names.len());
        for name in names {
            let inbox = self.shared.find(&name).ok_or(BusError::UnknownInbox(name))?;
            if !inboxes.iter().any(|other| other.number == inbox.number) {
                inboxes.push(inbox);
            }
        }
        Ok(inboxes)
    }

    async fn end_dead_letters(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        fate: Fate,
    ) -> Result<u64, BusError> {
        let inbox = self.inbox(inbox)?;
        self.shared.check()?;
        let selection = selection.clone();
        self.ask(1, |reply| Command::EndDeadLetters { inbox, selection, fate, reply }).await?
    }

    /// Ends the consumer when its deliveries are no longer received.
    fn watch(
        &self,
        inbox: Arc<Inbox>,
        consumer: u64,
        arrivals: mpsc::Sender<wissel_bus::Arrival>,
        gone: CancellationToken,
    ) {
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = gone.cancelled() => return,
                () = arrivals.closed() => {}
            }
            if inbox.detach(consumer) {
                shared.feeds.push(&inbox);
            }
        });
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn health(&self) -> Health {
        let (ready, detail) = match (self.shared.is_closed(), self.shared.failure()) {
            (true, _) => (false, "the bus is closed".to_owned()),
            (false, Some(reason)) => (false, format!("the storage failed: {reason}")),
            (false, None) => (true, "messages are written to local disk".to_owned()),
        };
        Health { ready, detail }
    }

    async fn open_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        self.shared.check_open()?;
        if self.shared.find(inbox).is_some() {
            return Ok(());
        }
        self.shared.check()?;
        let name = inbox.clone();
        self.ask(1, |reply| Command::OpenInbox { name, reply }).await?
    }

    async fn remove_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        self.shared.check()?;
        let name = inbox.clone();
        self.ask(1, |reply| Command::RemoveInbox { name, reply }).await?
    }

    async fn enqueue(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>> {
        let asked = items.len();
        if let Err(error) = self.shared.check() {
            return vec![Err(error); asked];
        }
        let (items, answers) = self.prepare(items);
        if items.is_empty() {
            return answers;
        }
        let cost = items.iter().map(cost_of).fold(0, u32::saturating_add);
        let answered = self.ask(cost, |reply| Command::Enqueue { items, answers, reply }).await;
        answered.unwrap_or_else(|error| vec![Err(error); asked])
    }

    async fn bury(&self, burials: Vec<Burial>) -> Vec<Result<(), BusError>> {
        let mut buried = Vec::with_capacity(burials.len());
        let mut answers = Vec::with_capacity(burials.len());
        for Burial { envelope, inbox, reason } in burials {
            let found = self.shared.check().and_then(|()| self.inbox(&inbox));
            answers.push(found.map(|inbox| {
                buried.push(Buried { inbox, envelope, reason });
            }));
        }
        if buried.is_empty() {
            return answers;
        }
        let bytes: usize = buried.iter().map(|one| one.envelope.event.len()).sum();
        let cost = u32::try_from(bytes / 1024).map_or(u32::MAX, |units| units.saturating_add(1));
        let written = self.ask(cost, |reply| Command::Bury { buried, reply }).await;
        if let Err(error) = written.and_then(|outcome| outcome) {
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(error.clone());
            }
        }
        answers
    }

    fn level(&self, inbox: &InboxName) -> Option<Level> {
        self.shared.find(inbox)?.level()
    }

    async fn consume(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError> {
        let inbox = self.inbox(inbox)?;
        let (sender, arrivals) = mpsc::channel(usize::from(credit.deliveries.max(1)));
        let gone = CancellationToken::new();
        let id = self.next_consumer.fetch_add(1, Ordering::Relaxed);
        let state = ConsumerState::new(id, credit, sender.clone(), gone.clone());
        if inbox.attach(state, || self.shared.is_closed())? {
            self.shared.feeds.push(&inbox);
        }
        self.watch(Arc::clone(&inbox), id, sender, gone);
        let settler = Arc::new(Settler { shared: Arc::clone(&self.shared), inbox, consumer: id });
        Ok(Consumer { arrivals, settler })
    }

    async fn consume_alone(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError> {
        const PAUSE: Duration = Duration::from_millis(10);
        let patience = Instant::now() + CONSUMERS_PATIENCE;
        while self.inbox(inbox)?.has_consumers() {
            if Instant::now() >= patience {
                let reason = format!("inbox {inbox} has other consumers");
                return Err(BusError::Unavailable { reason });
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.consume(inbox, credit).await
    }

    async fn inspect(&self, inbox: &InboxName) -> Result<InboxState, BusError> {
        let inbox = self.inbox(inbox)?;
        let (mut state, first_on_disk) = inbox.inspect()?;
        if let Some(cursor) = first_on_disk {
            let number = inbox.number;
            let first = self.read(move |storage| storage.ready_slots(number, cursor, 1)).await?;
            let first = first.first().map(|slot| from_ms(slot.admitted_ms));
            state.oldest = [state.oldest, first].into_iter().flatten().min();
        }
        Ok(state)
    }

    fn shows_retries(&self) -> bool {
        true
    }

    async fn browse(&self, inbox: &InboxName, limit: usize) -> Result<Vec<Unsettled>, BusError> {
        let inbox = self.inbox(inbox)?;
        let (number, sight) = (inbox.number, inbox.sight()?);
        self.read(move |storage| storage.browse(number, &sight, limit)).await
    }

    async fn dead_letters(
        &self,
        inbox: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let number = self.inbox(inbox)?.number;
        self.read(move |storage| storage.dead_letters(number, &page)).await
    }

    async fn dead_letter(
        &self,
        inbox: &InboxName,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, BusError> {
        let number = self.inbox(inbox)?.number;
        let id = id.clone();
        self.read(move |storage| storage.dead_letter(number, &id)).await
    }

    async fn redrive(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        to: &InboxName,
    ) -> Result<u64, BusError> {
        let to = self.inbox(to)?;
        self.end_dead_letters(inbox, selection, Fate::Redriven(to)).await
    }

    async fn purge_dead_letters(
        &self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<u64, BusError> {
        self.end_dead_letters(inbox, selection, Fate::Purged).await
    }

    async fn walk_dead_letters<'a>(
        &'a self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<Box<dyn DeadLetterWalk + 'a>, BusError> {
        Ok(Box::new(Walk::begin(self, inbox, selection).await?))
    }

    async fn archived(&self, page: ArchivePage) -> Result<Vec<Archived>, BusError> {
        self.shared.check_open()?;
        let now_ms = self.shared.clock.wall_ms();
        self.read(move |storage| storage.archived(&page, now_ms)).await
    }

    async fn close(&self) {
        let _closing = self.closing.lock().await;
        self.shared.close();
        let Some(running) = self.running.lock().take() else {
            return;
        };
        // Blocks while what was enqueued is written.
        let ended = tokio::task::spawn_blocking(move || running.end());
        self.tasks.close();
        self.tasks.wait().await;
        if ended.await.is_err() {
            tracing::error!("a thread of the embedded bus panicked");
        }
        tracing::info!("embedded bus closed");
    }
}

impl Drop for EmbeddedBus {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(running) = self.running.lock().take() {
            running.end();
        }
    }
}

/// What an item takes of the queue's room.
fn cost_of(item: &Incoming) -> u32 {
    let bytes = item.envelope.event.len() + 64 * item.inboxes.len();
    u32::try_from(bytes / 1024).map_or(u32::MAX, |units| units.saturating_add(1))
}
