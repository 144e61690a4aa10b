use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{
    ArchivePage, Archived, Burial, Bus, BusError, Consumer, DeadLetter, DeadLetterId, Enqueue,
    Health, InboxName, InboxState, Level, Page, Selection,
};

use crate::consumer::{Consuming, Held};
use crate::inspect::Knowledge;
use crate::link::Link;
use crate::options::{AmqpError, AmqpOptions};
use crate::publisher::Publisher;
use crate::settler::Settler;
use crate::{dead_letters, topology};

/// A bus on RabbitMQ. The crate's page says how.
pub struct AmqpBus {
    link: Link,
    options: AmqpOptions,
    publisher: Arc<Publisher>,
    inboxes: Mutex<HashMap<InboxName, Inbox>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// An open inbox.
#[derive(Clone)]
struct Inbox {
    knowledge: Arc<Knowledge>,
    /// Cancelled when the inbox is removed.
    ending: CancellationToken,
}

impl AmqpBus {
    /// Begins to connect, and keeps connecting until the bus is closed. Call it
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn connect(options: AmqpOptions) -> Result<Self, AmqpError> {
        let uri = options.url.parse().map_err(|reason: String| AmqpError::Url { reason })?;
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let link = Link::new(uri, closing.clone());
        tasks.spawn(link.clone().keep());
        let publisher = Arc::new(Publisher::new(link.clone(), &options));
        Ok(Self { link, options, publisher, inboxes: Mutex::default(), closing, tasks })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.options.patience
    }

    fn inbox(&self, name: &InboxName) -> Result<Inbox, BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Closed);
        }
        let found = self.inboxes.lock().get(name).cloned();
        found.ok_or_else(|| BusError::UnknownInbox(name.clone()))
    }

    async fn channel(&self) -> Result<Channel, BusError> {
        Ok(self.link.channel(self.deadline()).await?.0)
    }

    async fn settle_down(&self, inbox: &InboxName, expected: u64) -> Result<(), BusError> {
        let channel = self.channel().await?;
        dead_letters::settle_down(&channel, inbox, expected).await;
        close(channel).await;
        Ok(())
    }

    async fn declare(&self, inbox: &InboxName) -> Result<(), BusError> {
        let channel = self.channel().await?;
        let declared = topology::declare_inbox(&channel, inbox).await;
        declared.map_err(|error| BusError::Unavailable { reason: error.to_string() })?;
        close(channel).await;
        Ok(())
    }
}

#[async_trait]
impl Bus for AmqpBus {
    fn kind(&self) -> &'static str {
        "amqp"
    }

    fn health(&self) -> Health {
        let (ready, detail) = self.link.health();
        Health { ready, detail }
    }

    async fn open_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Closed);
        }
        let new = self.link.add(inbox);
        if let Err(error) = self.declare(inbox).await {
            if new {
                self.link.forget(inbox);
            }
            return Err(error);
        }
        self.inboxes.lock().entry(inbox.clone()).or_insert_with(|| Inbox {
            knowledge: Arc::default(),
            ending: self.closing.child_token(),
        });
        Ok(())
    }

    async fn remove_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Closed);
        }
        self.link.forget(inbox);
        if let Some(removed) = self.inboxes.lock().remove(inbox) {
            removed.ending.cancel();
        }
        let channel = self.channel().await?;
        let deleted = topology::delete_inbox(&channel, inbox).await;
        deleted.map_err(|error| BusError::Unavailable { reason: error.to_string() })?;
        close(channel).await;
        Ok(())
    }

    async fn enqueue(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>> {
        if self.closing.is_cancelled() {
            return items.iter().map(|_| Err(BusError::Closed)).collect();
        }
        self.publisher.enqueue(items).await
    }

    async fn consume(&self, inbox: &InboxName, credit: u16) -> Result<Consumer, BusError> {
        let Inbox { knowledge, ending } = self.inbox(inbox)?;
        // One more for the word of an interruption.
        let (sender, arrivals) = mpsc::channel(usize::from(credit.max(1)) + 1);
        let held = Arc::new(Held::default());
        knowledge.add_consumer(&held);
        let consuming = Consuming {
            link: self.link.clone(),
            inbox: inbox.clone(),
            credit: credit.max(1),
            held: Arc::clone(&held),
            knowledge: Arc::clone(&knowledge),
            arrivals: sender,
            ending,
        };
        self.tasks.spawn(consuming.run());
        let settler = Settler {
            inbox: inbox.clone(),
            held,
            publisher: Arc::clone(&self.publisher),
            delayed: Arc::clone(&knowledge.delayed),
        };
        Ok(Consumer { arrivals, settler: Arc::new(settler) })
    }

    async fn consume_alone(&self, inbox: &InboxName, credit: u16) -> Result<Consumer, BusError> {
        self.consume(inbox, credit).await
    }

    async fn inspect(&self, inbox: &InboxName) -> Result<InboxState, BusError> {
        let knowledge = self.inbox(inbox)?.knowledge;
        let channel = self.channel().await?;
        let state = knowledge.inspect(&channel, inbox).await;
        close(channel).await;
        state
    }

    async fn dead_letters(
        &self,
        inbox: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let knowledge = self.inbox(inbox)?.knowledge;
        let _one_at_a_time = knowledge.browsing.lock().await;
        let channel = self.channel().await?;
        let listed = dead_letters::list(&channel, inbox, page).await;
        close(channel).await;
        let (page, count) = listed?;
        self.settle_down(inbox, count).await?;
        Ok(page)
    }

    async fn redrive(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        to: &InboxName,
    ) -> Result<u64, BusError> {
        self.inbox(to)?;
        let knowledge = self.inbox(inbox)?.knowledge;
        let _one_at_a_time = knowledge.browsing.lock().await;
        let channel = self.channel().await?;
        let redriven = dead_letters::redrive(&channel, inbox, selection, to, &self.publisher).await;
        close(channel).await;
        let (redriven, left) = redriven?;
        self.settle_down(inbox, left).await?;
        Ok(redriven)
    }

    async fn purge_dead_letters(
        &self,
        inbox: &InboxName,
        _selection: &Selection,
    ) -> Result<u64, BusError> {
        Err(BusError::UnknownInbox(inbox.clone()))
    }

    async fn archived(&self, _page: ArchivePage) -> Result<Vec<Archived>, BusError> {
        Err(BusError::Closed)
    }

    async fn bury(&self, burials: Vec<Burial>) -> Vec<Result<(), BusError>> {
        burials.into_iter().map(|_| Err(BusError::Closed)).collect()
    }

    fn level(&self, _inbox: &InboxName) -> Option<Level> {
        None
    }

    async fn close(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        if self.closing.is_cancelled() {
            return;
        }
        // What is published is confirmed first, as far as the broker is there.
        let _ = tokio::time::timeout(PATIENCE, self.publisher.drain(&self.options)).await;
        self.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(PATIENCE, self.tasks.wait()).await;
        let _ = tokio::time::timeout(PATIENCE, self.link.close()).await;
    }
}

/// Closing a channel gives back what it holds. One that an error closed is closed.
async fn close(channel: Channel) {
    let _ = channel.close(200, "done".into()).await;
}
