//! Queues that parties read with AMQP clients of their own.
//!
//! A message there has its attributes as headers and its data as body, as the CloudEvents
//! AMQP binding says of its binary mode. One header more has the event without its data, so
//! that whatever comes back is the event again: from the dead letters, where RabbitMQ itself
//! puts what a client rejects, and when a queue is reviewed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};

use lapin::types::{AMQPValue, ByteArray, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, ErrorKind};
use tokio::sync::Mutex;
use tokio::time::Instant;
use wissel_bus::{
    BusError, DirectMessage, DirectQueues, DirectState, DirectValue, Envelope, Handed, InboxName,
    Judgement, MessageId, Removal, Reviewed, Said,
};

use crate::confirm::{Outgoing, Returns, Tried};
use crate::link::{CALL_PATIENCE, Link, in_time};
use crate::{codec, topology};

/// The most messages that wait in a queue, and the most bytes. Then no more are handed over.
const MESSAGES_MAX: i64 = 1_000;
const BYTES_MAX: i64 = 64 << 20;
/// A message that comes back so often becomes a dead letter.
const DELIVERY_LIMIT: i32 = 20;
/// Before the names of attributes.
const PREFIX: &str = "cloudEvents:";
/// A review comes before the clients of the queue.
const PRIORITY: i32 = 1_000;
/// What waits in a queue has come to a review when nothing came for so long.
const QUIET: Duration = Duration::from_millis(200);

/// The queues that are read directly.
pub(crate) struct Direct {
    link: Link,
    patience: Duration,
    /// Publishes to all of them, with confirms; made again when it is closed.
    publishing: Mutex<Option<Channel>>,
}

/// What is published to a queue in place of a message that was taken back.
struct Instead {
    routing_key: ShortString,
    properties: BasicProperties,
    body: bytes::Bytes,
}

impl Direct {
    pub(crate) fn new(link: Link, patience: Duration) -> Self {
        Self { link, patience, publishing: Mutex::default() }
    }

    /// Removes the queue with all that is in it, if it is there.
    pub(crate) async fn delete(&self, channel: &Channel, inbox: &InboxName) -> lapin::Result<()> {
        let deleting = channel.queue_delete(queue_of(inbox), QueueDeleteOptions::default());
        deleting.await.map(drop)
    }

    async fn publishing(&self, deadline: Instant) -> Result<Channel, BusError> {
        self.link.unblocked(deadline).await?;
        let mut kept = self.publishing.lock().await;
        if let Some(channel) = kept.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.link.publishing_channel(deadline).await?;
        *kept = Some(channel.clone());
        Ok(channel)
    }

    async fn publish_all(
        &self,
        all: impl IntoIterator<Item = Instead>,
        deadline: Instant,
    ) -> Result<Vec<Result<Handed, BusError>>, BusError> {
        let channel = self.publishing(deadline).await?;
        let all = all.into_iter().map(|instead| {
            let Instead { routing_key, properties, body } = instead;
            Outgoing { exchange: ShortString::default(), routing_key, properties, body }
        });
        let returns = Returns::default();
        let publishing = returns.publish_all(&channel, all);
        match tokio::time::timeout_at(deadline, publishing).await {
            Ok(tried) => Ok(tried.into_iter().map(handed).collect()),
            Err(_) => {
                Err(BusError::Unavailable { reason: "RabbitMQ did not confirm in time".to_owned() })
            }
        }
    }

    /// Takes back all that waits, publishes for each what is to be there instead, and only
    /// then lets go of it.
    async fn exchange(
        &self,
        channel: &Channel,
        inbox: &InboxName,
        mut instead_of: impl FnMut(&Delivery) -> Option<Instead>,
    ) -> Result<(), BusError> {
        let deadline = Instant::now() + self.patience;
        let taken = take_all(channel, &queue_of(inbox), deadline).await?;
        let mut published = Vec::with_capacity(taken.len());
        let mut all = Vec::with_capacity(taken.len());
        for delivery in taken {
            match instead_of(&delivery) {
                Some(instead) => {
                    all.push(instead);
                    published.push(delivery);
                }
                // Not one of ours: it goes where RabbitMQ puts what is rejected.
                None => delivery
                    .reject(lapin::options::BasicRejectOptions::default())
                    .await
                    .map_err(|error| unavailable(&error))
                    .map(drop)?,
            }
        }
        let answers = self.publish_all(all, deadline).await?;
        let durable = answers.iter().take_while(|answer| matches!(answer, Ok(Handed::Durable)));
        if let Some(last) = durable.count().checked_sub(1).and_then(|last| published.get(last)) {
            // All up to this one, at once: of many by themselves, a queue forgets most when the
            // channel closes (rabbitmq-server, issue 10327).
            let taking = last.ack(BasicAckOptions { multiple: true });
            taking.await.map_err(|error| unavailable(&error))?;
        }
        for answer in answers {
            if answer? == Handed::Full {
                let reason = format!("there is no room in {}", queue_of(inbox));
                return Err(BusError::Unavailable { reason });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DirectQueues for Direct {
    async fn inspect(&self, inbox: &InboxName) -> Result<DirectState, BusError> {
        let (channel, _) = self.link.channel(Instant::now() + CALL_PATIENCE).await?;
        let counted = in_time(topology::count(&channel, queue_of(inbox))).await;
        let _ = in_time(channel.close(200, "counted".into())).await;
        match counted {
            Ok((waiting, clients)) => Ok(DirectState { waiting, clients }),
            // There is no such queue, or not yet.
            Err(error) if matches!(error.kind(), ErrorKind::ProtocolError(_)) => {
                Ok(DirectState::default())
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn open(&self, inbox: &InboxName) -> Result<(), BusError> {
        let (channel, _) = self.link.channel(Instant::now() + CALL_PATIENCE).await?;
        let declared = in_time(declare(&channel, inbox)).await;
        let _ = in_time(channel.close(200, "declared".into())).await;
        declared.map_err(|error| unavailable(&error))
    }

    async fn hand_over(
        &self,
        inbox: &InboxName,
        messages: &[DirectMessage],
    ) -> Vec<Result<Handed, BusError>> {
        let deadline = Instant::now() + self.patience;
        let all = messages.iter().map(|message| handed_over(inbox, message));
        match self.publish_all(all.collect::<Vec<_>>(), deadline).await {
            Ok(answers) => answers,
            Err(error) => messages.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn review(
        &self,
        inbox: &InboxName,
        judge: &(dyn for<'e> Fn(&'e Envelope) -> Judgement + Send + Sync),
    ) -> Result<Reviewed, BusError> {
        let (channel, _) = self.link.channel(Instant::now() + CALL_PATIENCE).await?;
        let mut reviewed = Reviewed::default();
        let exchanged = self.exchange(&channel, inbox, |delivery| {
            let queued = codec::read_single(&delivery.properties, delivery.data.clone()).ok()?;
            Some(match judge(&queued.envelope) {
                Judgement::Keep(message) => {
                    reviewed.kept += 1;
                    handed_over(inbox, &message)
                }
                Judgement::Bury(reason) => {
                    reviewed.buried += 1;
                    buried(inbox, queued.envelope.message_id, delivery, &reason)
                }
            })
        });
        let exchanged = exchanged.await;
        // What was not let go of is back in its place then.
        let _ = in_time(channel.close(200, "reviewed".into())).await;
        exchanged.map(|()| reviewed)
    }

    async fn remove(&self, inbox: &InboxName) -> Result<Removal, BusError> {
        let (channel, _) = self.link.channel(Instant::now() + CALL_PATIENCE).await?;
        let removal = self.try_remove(&channel, inbox).await;
        let _ = in_time(channel.close(200, "removed".into())).await;
        removal
    }
}

impl Direct {
    async fn try_remove(&self, channel: &Channel, inbox: &InboxName) -> Result<Removal, BusError> {
        let queue = queue_of(inbox);
        in_time(declare(channel, inbox)).await.map_err(|error| unavailable(&error))?;
        let counted = in_time(topology::count(channel, queue.clone())).await;
        let (_, clients) = counted.map_err(|error| unavailable(&error))?;
        if clients > 0 {
            return Ok(Removal::InUse);
        }
        self.exchange(channel, inbox, |delivery| {
            let queued = codec::read_single(&delivery.properties, delivery.data.clone()).ok()?;
            Some(Instead {
                routing_key: topology::inbox_queue(inbox),
                properties: codec::again_properties(&queued),
                body: queued.envelope.event,
            })
        })
        .await?;
        in_time(self.delete(channel, inbox)).await.map_err(|error| unavailable(&error))?;
        Ok(Removal::Removed)
    }
}

/// What stands in the headers of a dead letter that RabbitMQ itself made: why, for
/// operators.
pub(crate) fn reason(headers: &FieldTable) -> String {
    let said = match death(headers).as_deref() {
        Some("rejected") => Said::RejectedByClient,
        // The limit is how often it may.
        Some("delivery_limit") => Said::CameBack(DELIVERY_LIMIT.unsigned_abs() + 1),
        Some("expired") => Said::TooOldForClient,
        _ => Said::GivenUpByRabbit,
    };
    said.to_string()
}

/// Of what it died in the queue of a client; none: elsewhere.
fn death(headers: &FieldTable) -> Option<String> {
    let queue = codec::text(headers, "x-first-death-queue")?;
    let is_direct = queue.starts_with(&format!("{}.", topology::DIRECT));
    codec::text(headers, "x-first-death-reason").filter(|_| is_direct)
}

/// Whether RabbitMQ made a dead letter of it while it waited for a client. Whether one had it
/// before and gave it back is not known any more: the header that counts that is of the queue in
/// which it is now.
pub(crate) fn only_waited(headers: &FieldTable) -> bool {
    death(headers).as_deref() == Some("expired")
}

/// Whether a client had it that waits in the queue of one, and gave it back; or a look at the queue
/// that broke off did so.
fn came_back(headers: &FieldTable) -> bool {
    codec::integer(headers, "x-delivery-count").is_some_and(|times| times > 0)
}

/// When RabbitMQ itself made a dead letter of it, to a second.
pub(crate) fn died_at(headers: &FieldTable) -> Option<SystemTime> {
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else { return None };
    let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else { return None };
    match last.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => {
            UNIX_EPOCH.checked_add(Duration::from_secs(*seconds))
        }
        _ => None,
    }
}

fn queue_of(inbox: &InboxName) -> ShortString {
    format!("{}.{inbox}", topology::DIRECT).into()
}

async fn declare(channel: &Channel, inbox: &InboxName) -> lapin::Result<()> {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MESSAGES_MAX));
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(BYTES_MAX));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    let dead = topology::dead_queue(inbox);
    arguments.insert("x-dead-letter-routing-key".into(), text(dead.as_str()));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue_of(inbox), options, arguments).await.map(drop)
}

/// Everything that waits in the queue, before any client of it gets more.
async fn take_all(
    channel: &Channel,
    queue: &ShortString,
    deadline: Instant,
) -> Result<Vec<Delivery>, BusError> {
    let waiting = async |channel: &Channel| {
        let counted = in_time(topology::count(channel, queue.clone())).await;
        counted.map(|(ready, _)| ready).map_err(|error| unavailable(&error))
    };
    let mut taken = Vec::new();
    if waiting(channel).await? == 0 {
        return Ok(taken);
    }
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongInt(PRIORITY));
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue.clone(), "".into(), options, arguments);
    let mut consumer = consuming.await.map_err(|error| unavailable(&error))?;
    while Instant::now() < deadline {
        match tokio::time::timeout(QUIET, consumer.next()).await {
            Ok(Some(Ok(delivery))) => taken.push(delivery),
            Ok(Some(Err(error))) => return Err(unavailable(&error)),
            Ok(None) => {
                return Err(BusError::Unavailable { reason: "the connection broke".to_owned() });
            }
            Err(_) if waiting(channel).await? == 0 => {
                // What is put back is not for this consumer, which keeps what it has.
                let tag = consumer.tag();
                let cancelling = channel.basic_cancel(tag, BasicCancelOptions::default());
                cancelling.await.map_err(|error| unavailable(&error))?;
                while let Ok(Some(Ok(late))) = tokio::time::timeout(QUIET, consumer.next()).await {
                    taken.push(late);
                }
                return Ok(taken);
            }
            Err(_) => {}
        }
    }
    Err(BusError::Unavailable { reason: "no answer in time".to_owned() })
}

fn handed_over(inbox: &InboxName, message: &DirectMessage) -> Instead {
    let DirectMessage { envelope, content_type, attributes, expires_at, .. } = message;
    let mut headers = codec::headers(envelope, 1);
    for (name, value) in attributes {
        headers.insert(format!("{PREFIX}{name}").into(), amqp(value));
    }
    let head = ByteArray::from(message.head().as_ref());
    headers.insert(codec::HEAD.into(), AMQPValue::ByteArray(head));
    let mut properties = properties_of(envelope.message_id.to_string(), headers);
    if let Some(content_type) = content_type {
        properties = properties.with_content_type(content_type.as_str().into());
    }
    if let Some(expires_at) = expires_at {
        let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        properties = properties.with_expiration(left.as_millis().to_string().into());
    }
    Instead { routing_key: queue_of(inbox), properties, body: message.data() }
}

/// Durable, and of no content type.
fn properties_of(message_id: String, headers: FieldTable) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(codec::PERSISTENT)
        .with_message_id(message_id.into())
        .with_headers(headers)
}

/// The same message as a dead letter.
fn buried(inbox: &InboxName, message_id: MessageId, delivery: &Delivery, reason: &str) -> Instead {
    let mut headers = delivery.properties.headers().clone().unwrap_or_default();
    if !came_back(&headers) {
        headers = codec::not_handed_out(headers);
    }
    let headers = codec::with_death(headers, reason, SystemTime::now());
    Instead {
        routing_key: topology::dead_queue(inbox),
        properties: properties_of(message_id.to_string(), headers),
        body: delivery.data.clone().into(),
    }
}

fn amqp(value: &DirectValue) -> AMQPValue {
    match value {
        DirectValue::Boolean(truth) => AMQPValue::Boolean(*truth),
        DirectValue::Integer(integer) => AMQPValue::LongLongInt(*integer),
        DirectValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
        DirectValue::Bytes(bytes) => AMQPValue::ByteArray(ByteArray::from(bytes.as_ref())),
    }
}

/// What came of handing over one message.
fn handed(tried: Tried) -> Result<Handed, BusError> {
    let because = |reason: &str| Err(BusError::Unavailable { reason: reason.to_owned() });
    match tried {
        Tried::Confirmed => Ok(Handed::Durable),
        // The queue is full, or the broker cannot now.
        Tried::Nacked => Ok(Handed::Full),
        Tried::Unroutable => because("a queue was deleted by somebody else"),
        Tried::Broken => because("the connection broke"),
    }
}

fn unavailable(error: &lapin::Error) -> BusError {
    BusError::Unavailable { reason: error.to_string() }
}
