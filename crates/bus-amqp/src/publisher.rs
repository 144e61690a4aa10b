//! Publishing, until it is confirmed.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Confirmation};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use wissel_bus::{BusError, Enqueue, Envelope, InboxName};

use crate::codec;
use crate::link::{Link, Up};
use crate::options::AmqpOptions;
use crate::topology::{self, EXCHANGE, NEUTRAL_KEY};

/// Publishes with confirms. Waiting for a place is what slows publishers down.
pub(crate) struct Publisher {
    link: Link,
    patience: Duration,
    messages: Semaphore,
    bytes: Semaphore,
    bytes_max: u32,
    /// On which connection each retry queue was last declared.
    retries_declared: Mutex<HashMap<Duration, u64>>,
}

/// One AMQP message to publish.
struct Outgoing<'a> {
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: &'a [u8],
}

/// What came of one try.
enum Tried {
    Confirmed,
    /// No queue took it.
    Unroutable,
    /// The broker said no; it may say yes later.
    Nacked,
    /// The connection broke: it may have arrived, or not.
    Broken,
}

impl Publisher {
    pub(crate) fn new(link: Link, options: &AmqpOptions) -> Self {
        let bytes_max = options.unconfirmed_bytes_max.max(1);
        Self {
            link,
            patience: options.patience,
            messages: Semaphore::new(options.unconfirmed_max.max(1)),
            bytes: Semaphore::new(bytes_max as usize),
            bytes_max,
            retries_declared: Mutex::default(),
        }
    }

    /// Publishes each, pipelined; one answer each, in order.
    pub(crate) async fn enqueue(&self, items: Vec<Enqueue>) -> Vec<Result<(), BusError>> {
        const PIPELINED: usize = 4_096;
        let deadline = Instant::now() + self.patience;
        let publishing = stream::iter(items).map(|item| self.enqueue_one(item, deadline));
        // Without a forced pause in between, messages are sent in their order.
        tokio::task::unconstrained(publishing.buffered(PIPELINED).collect()).await
    }

    /// Puts a message at the end of one inbox.
    pub(crate) async fn put_back(
        &self,
        inbox: &InboxName,
        envelope: &Envelope,
        attempt: u32,
    ) -> Result<(), BusError> {
        let outgoing = Outgoing {
            exchange: EXCHANGE.into(),
            routing_key: inbox.as_str().into(),
            properties: codec::properties(envelope, attempt),
            body: &envelope.event,
        };
        self.publish(&outgoing, std::slice::from_ref(inbox), self.deadline()).await
    }

    /// Puts a message where it waits before it returns to its inbox.
    pub(crate) async fn put_aside(
        &self,
        inbox: &InboxName,
        envelope: &Envelope,
        attempt: u32,
        delay: Duration,
    ) -> Result<(), BusError> {
        let deadline = self.deadline();
        self.declare_retry(delay, deadline).await?;
        let outgoing = Outgoing {
            exchange: topology::retry_name(delay),
            routing_key: inbox.as_str().into(),
            properties: codec::properties(envelope, attempt),
            body: &envelope.event,
        };
        self.publish(&outgoing, &[], deadline).await
    }

    /// Puts a message among the dead letters of an inbox.
    pub(crate) async fn bury(
        &self,
        inbox: &InboxName,
        envelope: &Envelope,
        properties: BasicProperties,
    ) -> Result<(), BusError> {
        let outgoing = Outgoing {
            exchange: ShortString::default(),
            routing_key: topology::dead_queue(inbox),
            properties,
            body: &envelope.event,
        };
        self.publish(&outgoing, std::slice::from_ref(inbox), self.deadline()).await
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    async fn enqueue_one(&self, item: Enqueue, deadline: Instant) -> Result<(), BusError> {
        let Enqueue { envelope, inboxes, .. } = item;
        if inboxes.is_empty() {
            return Ok(());
        }
        if let Some(unknown) = inboxes.iter().find(|inbox| !self.link.knows(inbox)) {
            return Err(BusError::UnknownInbox(unknown.clone()));
        }
        let outgoing = Outgoing {
            exchange: EXCHANGE.into(),
            routing_key: NEUTRAL_KEY.into(),
            properties: codec::properties_to(&envelope, &inboxes),
            body: &envelope.event,
        };
        self.publish(&outgoing, &inboxes, deadline).await
    }

    /// Publishes, again on a new connection when one breaks, until it is confirmed.
    /// Should no queue take it, the inboxes are declared again, once.
    async fn publish(
        &self,
        outgoing: &Outgoing<'_>,
        inboxes: &[InboxName],
        deadline: Instant,
    ) -> Result<(), BusError> {
        const NACK_PAUSE: Duration = Duration::from_millis(200);
        let _place = self.place(outgoing.body.len(), deadline).await?;
        let mut epoch = 0;
        let mut declared_again = false;
        loop {
            let up = self.link.up_after(epoch, deadline).await?;
            match self.try_once(&up, outgoing, deadline).await? {
                Tried::Confirmed => return Ok(()),
                Tried::Broken => epoch = up.epoch,
                Tried::Nacked => tokio::time::sleep(NACK_PAUSE).await,
                Tried::Unroutable => match inboxes.first() {
                    Some(_) if !declared_again => {
                        declared_again = true;
                        self.declare_again(inboxes, deadline).await?;
                    }
                    Some(inbox) => return Err(BusError::UnknownInbox(inbox.clone())),
                    None => {
                        self.retries_declared.lock().await.clear();
                        let reason = "a queue for retries was deleted; try again".to_owned();
                        return Err(BusError::Unavailable { reason });
                    }
                },
            }
            if Instant::now() >= deadline {
                return Err(self.link.unavailable());
            }
        }
    }

    async fn try_once(
        &self,
        up: &Up,
        outgoing: &Outgoing<'_>,
        deadline: Instant,
    ) -> Result<Tried, BusError> {
        self.link.unblocked(deadline).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let Outgoing { exchange, routing_key, properties, body } = outgoing;
        let sent = up.publish.basic_publish(
            exchange.clone(),
            routing_key.clone(),
            options,
            body,
            properties.clone(),
        );
        let Ok(confirm) = sent.await else {
            return Ok(Tried::Broken);
        };
        let Ok(confirmed) = tokio::time::timeout_at(deadline, confirm).await else {
            let reason = "RabbitMQ did not confirm in time".to_owned();
            return Err(BusError::Unavailable { reason });
        };
        Ok(match confirmed {
            Ok(Confirmation::Ack(None)) => Tried::Confirmed,
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Tried::Unroutable,
            Ok(Confirmation::Nack(None) | Confirmation::NotRequested) => Tried::Nacked,
            Err(_) => Tried::Broken,
        })
    }

    /// Waits for a place among the unconfirmed; gives it back when dropped.
    async fn place(&self, bytes: usize, deadline: Instant) -> Result<Place<'_>, BusError> {
        // A single message larger than all the room takes all the room.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.bytes_max);
        let waiting =
            async { (self.messages.acquire().await, self.bytes.acquire_many(bytes).await) };
        match tokio::time::timeout_at(deadline, waiting).await {
            Ok((Ok(message), Ok(bytes))) => Ok(Place { _message: message, _bytes: bytes }),
            Ok(_) => Err(BusError::Closed),
            Err(_) => Err(self.link.unavailable()),
        }
    }

    /// Waits until nothing is unconfirmed, and lets nothing begin.
    pub(crate) async fn drain(&self, options: &AmqpOptions) {
        let all = u32::try_from(options.unconfirmed_max.max(1)).unwrap_or(u32::MAX);
        let _ = self.messages.acquire_many(all).await;
        self.messages.close();
        self.bytes.close();
    }

    async fn declare_again(
        &self,
        inboxes: &[InboxName],
        deadline: Instant,
    ) -> Result<(), BusError> {
        let (channel, _) = self.link.channel(deadline).await?;
        for inbox in inboxes.iter().filter(|inbox| self.link.knows(inbox)) {
            if topology::declare_inbox(&channel, inbox).await.is_err() {
                return Err(self.link.unavailable());
            }
        }
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    }

    /// Declares a retry queue on each connection anew, and once in a while.
    async fn declare_retry(&self, delay: Duration, deadline: Instant) -> Result<(), BusError> {
        let up = self.link.up(deadline).await?;
        let mut declared = self.retries_declared.lock().await;
        if declared.get(&delay).is_some_and(|epoch| *epoch == up.epoch) {
            return Ok(());
        }
        let (channel, epoch) = self.link.channel(deadline).await?;
        topology::declare_retry(&channel, delay)
            .await
            .map_err(|error| BusError::Unavailable { reason: error.to_string() })?;
        declared.insert(delay, epoch);
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    }
}

/// A place among the unconfirmed; dropping it gives it back.
struct Place<'a> {
    _message: tokio::sync::SemaphorePermit<'a>,
    _bytes: tokio::sync::SemaphorePermit<'a>,
}
