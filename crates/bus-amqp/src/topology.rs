//! Exchanges and queues: names, arguments, declarations.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};
use parking_lot::Mutex;
use wissel_bus::InboxName;

use crate::link::in_time;

/// By which retries return to their inboxes. All else goes to its queues by the default exchange,
/// which costs the broker less than a binding.
pub(crate) const EXCHANGE: &str = "wissel.inboxes";
/// The routing key of a publish to several queues: no queue has this name, `BCC` has theirs.
pub(crate) const NEUTRAL_KEY: &str = "";
/// The stream that is the archive. No inbox has this name.
pub(crate) const ARCHIVE: &str = "wissel.archive";
/// What the names of queues begin with that parties read themselves.
pub(crate) const DIRECT: &str = "wissel.direct";
/// RabbitMQ drops or dead-letters a delivery that comes back too often, after 20
/// times by default since version 4. Wissel counts attempts itself.
const DELIVERY_LIMIT: i32 = 1_000_000_000;
/// The longest delay of a retry.
const DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn inbox_queue(inbox: &InboxName) -> ShortString {
    format!("wissel.inbox.{inbox}").into()
}

pub(crate) fn dead_queue(inbox: &InboxName) -> ShortString {
    format!("wissel.dead.{inbox}").into()
}

pub(crate) fn marks_queue(inbox: &InboxName) -> ShortString {
    format!("wissel.marks.{inbox}").into()
}

/// The inbox to which a queue belongs; also of the key by which a retry returns, which is the
/// inbox itself.
pub(crate) fn inbox_of(queue: &ShortString) -> Option<InboxName> {
    let queue = queue.as_str();
    let kinds = ["wissel.inbox.", "wissel.dead.", "wissel.marks."];
    let inbox = kinds.iter().find_map(|kind| queue.strip_prefix(kind)).unwrap_or(queue);
    inbox.parse().ok()
}

/// The exchange, and the queue, of retries with this delay.
pub(crate) fn retry_name(delay: Duration) -> ShortString {
    format!("wissel.retry.{}", delay.as_millis()).into()
}

/// A delay of a bounded number of delays: up to a second in steps of 100 ms, then
/// in steps of 10 %. At most about 140 queues up to 24 hours.
pub(crate) fn round_up(delay: Duration) -> Duration {
    const STEP: u64 = 100;
    let wanted = u64::try_from(delay.min(DELAY_MAX).as_millis()).unwrap_or(u64::MAX);
    let mut rounded = STEP;
    while rounded < wanted {
        let step = if rounded < 1_000 { STEP } else { (rounded / 10) / STEP * STEP };
        rounded += step.max(STEP);
    }
    Duration::from_millis(rounded)
}

/// Waits, for a bounded time, until what was looked at and left is back in the
/// queue: the broker puts it back some time after the channel has closed.
pub(crate) async fn settle_down(channel: &Channel, queue: &ShortString, expected: u64) {
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..400 {
        match count(channel, queue.clone()).await {
            Ok((ready, _)) if ready < expected => tokio::time::sleep(PAUSE).await,
            _ => return,
        }
    }
}

pub(crate) async fn declare_exchange(channel: &Channel) -> lapin::Result<()> {
    exchange(channel, EXCHANGE.into(), ExchangeKind::Direct).await
}

/// Declares inboxes, some at a time, however many they are. One that cannot be declared keeps
/// nobody from the others; an error is that of the connection.
pub(crate) async fn declare_inboxes(
    connection: &Connection,
    inboxes: Vec<InboxName>,
) -> lapin::Result<()> {
    const AT_ONCE: usize = 8;
    let rest = Mutex::new(inboxes.into_iter());
    let declare_some = async || {
        let mut channel = in_time(connection.create_channel()).await?;
        loop {
            let next = rest.lock().next();
            let Some(inbox) = next else { break };
            let Err(error) = in_time(declare_inbox(&channel, &inbox)).await else { continue };
            tracing::error!(%inbox, %error, "an inbox cannot be declared");
            // Its channel is gone, or still waits for the answer.
            channel = in_time(connection.create_channel()).await?;
        }
        let _ = in_time(channel.close(200, "declared".into())).await;
        Ok(())
    };
    try_join_all((0..AT_ONCE).map(|_| declare_some())).await.map(drop)
}

pub(crate) async fn declare_inbox(channel: &Channel, inbox: &InboxName) -> lapin::Result<()> {
    let dead = dead_queue(inbox);
    queue(channel, dead.clone(), FieldTable::default()).await?;

    // Should the broker itself give up on a delivery, it becomes a dead letter.
    let mut arguments = dead_lettering("");
    arguments.insert("x-dead-letter-routing-key".into(), text(dead.as_str()));
    queue(channel, inbox_queue(inbox), arguments).await?;
    bind(channel, inbox_queue(inbox), EXCHANGE.into(), inbox.as_str().into()).await
}

/// Messages keep their routing key through a fanout exchange, and so return to
/// their inbox when their time is over.
pub(crate) async fn declare_retry(channel: &Channel, delay: Duration) -> lapin::Result<()> {
    let name = retry_name(delay);
    exchange(channel, name.clone(), ExchangeKind::Fanout).await?;
    let mut arguments = dead_lettering(EXCHANGE);
    let milliseconds = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
    queue(channel, name.clone(), arguments).await?;
    bind(channel, name.clone(), name, ShortString::default()).await
}

/// What was settled of packs that were given back. It goes when nobody asked for it for
/// a week, as does what is in it.
pub(crate) async fn declare_marks(channel: &Channel, inbox: &InboxName) -> lapin::Result<()> {
    const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
    const MESSAGES_MAX: i64 = 1_000;
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(WEEK_MS));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(WEEK_MS));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MESSAGES_MAX));
    queue(channel, marks_queue(inbox), arguments).await
}

/// The archive: a stream, which forgets in whole segments what is older than `retention`.
/// A stream that is there already stays as it is.
pub(crate) async fn declare_archive(
    connection: &Connection,
    retention: Duration,
) -> lapin::Result<()> {
    /// Small enough that what is over its time goes soon, large enough to be few.
    const SEGMENT_BYTES: i64 = 100_000_000;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments.insert("x-max-age".into(), text(&format!("{}s", retention.as_secs().max(1))));
    arguments
        .insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongLongInt(SEGMENT_BYTES));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..options };
    let channel = match channel.queue_declare(ARCHIVE.into(), passive, FieldTable::default()).await
    {
        Ok(_) => channel,
        // Which closed the channel.
        Err(_) => {
            let channel = connection.create_channel().await?;
            channel.queue_declare(ARCHIVE.into(), options, arguments).await?;
            channel
        }
    };
    channel.close(200, "declared".into()).await
}

pub(crate) async fn delete_inbox(channel: &Channel, inbox: &InboxName) -> lapin::Result<()> {
    channel.queue_delete(inbox_queue(inbox), QueueDeleteOptions::default()).await?;
    channel.queue_delete(dead_queue(inbox), QueueDeleteOptions::default()).await?;
    channel.queue_delete(marks_queue(inbox), QueueDeleteOptions::default()).await?;
    Ok(())
}

/// How many messages are ready in a queue, and how many consumers it has.
///
/// RabbitMQ waits 250 ms for a quorum queue to say, and then answers that there is nothing and
/// nobody (`rabbit_quorum_queue:stat/2`). So that answer is asked for again when it was late.
pub(crate) async fn count(channel: &Channel, queue: ShortString) -> lapin::Result<(u64, u32)> {
    const LATE: Duration = Duration::from_millis(200);
    /// Where every answer is late, the broker is far away.
    const TRIES: u32 = 5;
    let mut tried = 1;
    loop {
        let asked = Instant::now();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(queue.clone(), options, FieldTable::default()).await?;
        let counted = (found.message_count().into(), found.consumer_count());
        if counted != (0, 0) || asked.elapsed() < LATE || tried == TRIES {
            return Ok(counted);
        }
        tried += 1;
    }
}

async fn exchange(channel: &Channel, name: ShortString, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name, kind, options, FieldTable::default()).await
}

async fn queue(channel: &Channel, name: ShortString, more: FieldTable) -> lapin::Result<()> {
    let mut arguments = more;
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name, options, arguments).await?;
    Ok(())
}

async fn bind(
    channel: &Channel,
    queue: ShortString,
    exchange: ShortString,
    key: ShortString,
) -> lapin::Result<()> {
    channel
        .queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default())
        .await
}

/// Dead-lettering that loses nothing on the way.
fn dead_lettering(exchange: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn delays_are_few_and_never_shorter_than_asked() {
        let mut delays = BTreeSet::new();
        for wanted in (0..86_400_000_u64).step_by(777).map(Duration::from_millis) {
            let rounded = round_up(wanted);
            let slack = (wanted / 10).max(Duration::from_millis(100));
            assert!(rounded >= wanted && rounded <= wanted + slack, "{wanted:?} {rounded:?}");
            delays.insert(rounded);
        }
        assert!(delays.len() < 150, "{}", delays.len());
    }
}
