use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use lapin::Channel;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{
    ArchivePage, Archived, Burial, Bus, BusError, Consumer, Credit, DeadLetter, DeadLetterId,
    DeadLetterWalk, DirectQueues, Enqueue, Health, InboxName, InboxState, Level, Page, Selection,
    Unsettled,
};

use crate::browse::Look;
use crate::codec::Queued;
use crate::consumer::{Company, Consuming};
use crate::dead_letters::Desk;
use crate::direct::Direct;
use crate::held::Held;
use crate::inspect::{Inbox, Inboxes};
use crate::link::{CALL_PATIENCE, Link, in_time};
use crate::options::{AmqpError, AmqpOptions};
use crate::publisher::Publisher;
use crate::settler::Settler;
use crate::walk::Walker;
use crate::{archive, late, level, topology};

/// How long a new consumer is waited for.
const BEGIN_PATIENCE: Duration = Duration::from_secs(1);

/// A bus on RabbitMQ. The crate's page says how.
pub struct AmqpBus {
    link: Link,
    patience: Duration,
    publisher: Arc<Publisher>,
    /// Of this bus; tells its packs from those of others.
    instance: u64,
    inboxes: Arc<Inboxes>,
    direct: Direct,
    desk: Desk,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl AmqpBus {
    /// Begins to connect, and keeps connecting until the bus is closed. Call it
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the URL is none, or the packing or the heartbeat cannot be.
    #[expect(clippy::needless_pass_by_value, reason = "whoever connects is done with them")]
    pub fn connect(options: AmqpOptions) -> Result<Self, AmqpError> {
        let uri = options.uri()?;
        options.packing.check()?;
        let patience = options.patience;
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let link = Link::new(uri, options.archive_retention, closing.clone());
        tasks.spawn(link.clone().keep());
        let inboxes: Arc<Inboxes> = Arc::default();
        let (publisher, sender) = Publisher::new(link.clone(), &options, Arc::clone(&inboxes));
        let publisher = Arc::new(publisher);
        let instance = sender.instance();
        tasks.spawn(sender.run());
        tasks.spawn(late::publish_all(link.clone(), Arc::clone(&publisher.shared)));
        let counting = level::keep_counting(link.clone(), Arc::clone(&inboxes), closing.clone());
        tasks.spawn(counting);
        let direct = Direct::new(link.clone(), patience);
        let desk = Desk {
            link: link.clone(),
            patience,
            publisher: Arc::clone(&publisher),
            inboxes: Arc::clone(&inboxes),
            closing: closing.clone(),
            tasks: tasks.clone(),
        };
        Ok(Self { link, patience, publisher, instance, inboxes, direct, desk, closing, tasks })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    fn inbox(&self, name: &InboxName) -> Result<Inbox, BusError> {
        self.desk.inbox(name)
    }

    async fn channel(&self) -> Result<Channel, BusError> {
        Ok(self.link.channel(Instant::now() + CALL_PATIENCE).await?.0)
    }

    async fn begin_consuming(
        &self,
        inbox: &InboxName,
        credit: Credit,
        company: Company,
    ) -> Result<Consumer, BusError> {
        let Inbox { knowledge, ending } = self.inbox(inbox)?;
        let credit = Credit { deliveries: credit.deliveries.max(1), ..credit };
        // One more for the word of an interruption.
        let (sender, arrivals) = mpsc::channel(usize::from(credit.deliveries) + 1);
        let held = Arc::new(Held::new(Arc::clone(&knowledge), credit));
        knowledge.add_consumer(&held);
        let consuming = Consuming {
            link: self.link.clone(),
            inbox: inbox.clone(),
            credit,
            company,
            held: Arc::clone(&held),
            knowledge: Arc::clone(&knowledge),
            instance: self.instance,
            arrivals: sender,
            consuming: watch::Sender::new(false),
            ending,
        };
        let mut begun = consuming.consuming.subscribe();
        self.tasks.spawn(consuming.run());
        // So that it gets its share from now on, unless the broker is not there.
        let begun = begun.wait_for(|begun| *begun);
        let _ = tokio::time::timeout(BEGIN_PATIENCE, begun).await;
        let settler = Settler {
            inbox: inbox.clone(),
            held,
            publisher: Arc::clone(&self.publisher),
            knowledge,
        };
        Ok(Consumer { arrivals, settler: Arc::new(settler) })
    }

    /// Says how many AMQP messages are ready in it.
    async fn declare(&self, inbox: &InboxName) -> Result<u64, BusError> {
        let channel = self.channel().await?;
        let declaring = async {
            topology::declare_inbox(&channel, inbox).await?;
            Ok(topology::count(&channel, topology::inbox_queue(inbox)).await?.0)
        };
        let ready = in_time(declaring).await;
        let ready = ready.map_err(|error| BusError::Unavailable { reason: error.to_string() })?;
        close(channel).await;
        Ok(ready)
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
        let ready = match self.declare(inbox).await {
            Ok(ready) => ready,
            Err(error) => {
                if new {
                    self.link.forget(inbox);
                }
                return Err(error);
            }
        };
        let mut inboxes = self.inboxes.write();
        let opened = inboxes.entry(inbox.clone()).or_insert_with(|| Inbox {
            knowledge: Arc::default(),
            ending: self.closing.child_token(),
        });
        if ready == 0 {
            opened.knowledge.nothing_is_ready();
        }
        Ok(())
    }

    async fn remove_inbox(&self, inbox: &InboxName) -> Result<(), BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Closed);
        }
        self.link.forget(inbox);
        if let Some(removed) = self.inboxes.write().remove(inbox) {
            removed.ending.cancel();
        }
        let channel = self.channel().await?;
        let deleted = in_time(topology::delete_inbox(&channel, inbox)).await;
        let deleted = deleted.and(self.direct.delete(&channel, inbox).await);
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

    async fn bury(&self, burials: Vec<Burial>) -> Vec<Result<(), BusError>> {
        const AT_ONCE: usize = 1_024;
        let burying = stream::iter(burials).map(|burial| async move {
            let Burial { envelope, inbox, reason } = burial;
            self.inbox(&inbox)?;
            let dead = Queued { envelope, attempt: 0, history: Vec::new() };
            self.publisher.bury(&inbox, &dead, &reason).await
        });
        burying.buffered(AT_ONCE).collect().await
    }

    async fn consume(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError> {
        self.begin_consuming(inbox, credit, Company::Any).await
    }

    async fn consume_alone(&self, inbox: &InboxName, credit: Credit) -> Result<Consumer, BusError> {
        self.begin_consuming(inbox, credit, Company::Nobody).await
    }

    async fn inspect(&self, inbox: &InboxName) -> Result<InboxState, BusError> {
        let knowledge = self.inbox(inbox)?.knowledge;
        let channel = self.channel().await?;
        let inspecting = knowledge.inspect(&channel, inbox);
        let inspected = tokio::time::timeout_at(self.deadline(), inspecting).await;
        close(channel).await;
        let inspected = inspected.unwrap_or_else(|_| Err(self.link.unavailable()));
        let (mut state, oldest_is_unknown) = inspected?;
        if oldest_is_unknown {
            let (link, inbox) = (self.link.clone(), inbox.clone());
            let look = Look { link, inbox, knowledge, limit: 1 };
            // To its end, as in `browse`.
            let oldest = self.tasks.spawn(look.oldest(CALL_PATIENCE)).await.ok().flatten();
            state.oldest = [state.oldest, oldest].into_iter().flatten().min();
        }
        Ok(state)
    }

    fn shows_retries(&self) -> bool {
        false
    }

    async fn browse(&self, inbox: &InboxName, limit: usize) -> Result<Vec<Unsettled>, BusError> {
        let knowledge = self.inbox(inbox)?.knowledge;
        let shown = knowledge.shown(limit);
        if !shown.is_empty() {
            return Ok(shown);
        }
        let (link, inbox) = (self.link.clone(), inbox.clone());
        let look = Look { link, inbox, knowledge, limit };
        // To its end, also when the caller goes away: what was taken is to be back first.
        let looking = self.tasks.spawn(look.run(CALL_PATIENCE));
        looking.await.unwrap_or(Err(BusError::Closed))
    }

    async fn dead_letters(
        &self,
        inbox: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, BusError> {
        self.desk.list(inbox, page).await
    }

    async fn dead_letter(
        &self,
        inbox: &InboxName,
        id: &DeadLetterId,
    ) -> Result<Option<DeadLetter>, BusError> {
        self.desk.find(inbox, id).await
    }

    async fn redrive(
        &self,
        inbox: &InboxName,
        selection: &Selection,
        to: &InboxName,
    ) -> Result<u64, BusError> {
        self.desk.redrive(inbox, selection, to).await
    }

    async fn purge_dead_letters(
        &self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<u64, BusError> {
        self.desk.purge(inbox, selection).await
    }

    async fn walk_dead_letters<'a>(
        &'a self,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<Box<dyn DeadLetterWalk + 'a>, BusError> {
        Ok(Box::new(Walker::begin(self.desk.clone(), inbox, selection, true).await?))
    }

    async fn archived(&self, page: ArchivePage) -> Result<Vec<Archived>, BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Closed);
        }
        let channel = self.channel().await?;
        if !self.link.has_archive() {
            close(channel).await;
            return Err(self.link.without_archive());
        }
        let publishing = self.link.publishing_channel(Instant::now() + CALL_PATIENCE).await?;
        let archived = archive::read(&channel, &publishing, page).await;
        close(channel).await;
        close(publishing).await;
        archived
    }

    fn level(&self, inbox: &InboxName) -> Option<Level> {
        self.inboxes.read().get(inbox)?.knowledge.gauge.level()
    }

    fn direct(&self) -> Option<&dyn DirectQueues> {
        Some(&self.direct)
    }

    async fn close(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        if self.closing.is_cancelled() {
            return;
        }
        // What is published is confirmed first, as far as the broker is there.
        let _ = tokio::time::timeout(PATIENCE, self.publisher.drain()).await;
        self.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(PATIENCE, self.tasks.wait()).await;
        let _ = tokio::time::timeout(PATIENCE, self.link.close()).await;
        let left = self.publisher.shared.late.left();
        if left > 0 {
            tracing::error!(left, "messages that RabbitMQ returned were not published again");
        }
    }
}

/// Closing a channel gives back what it holds. One that an error closed is closed.
async fn close(channel: Channel) {
    let _ = in_time(channel.close(200, "done".into())).await;
}
