//! The archive: a stream, read from any place without taking anything out.
//!
//! Positions are offsets of the stream, with the number of the member of a pack in the
//! lowest 16 bits. The order is that in which messages were kept, which differs from
//! that of their admission by as much as publishes that ran side by side overtook each
//! other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use wissel_bus::{ArchivePage, ArchivePosition, Archived, BusError, MessageId, PAGE_BYTES};

use crate::codec;
use crate::link::in_time;
use crate::topology::ARCHIVE;

/// How long the next message may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many AMQP messages the broker sends ahead.
const PREFETCH: u16 = 32;
/// How much later than it was admitted a message is kept, at most, and how far the
/// clocks of gateways and broker differ.
const SLACK: Duration = Duration::from_secs(120);
/// How many bits of a position number the members of a pack.
const MEMBER_BITS: u32 = 16;
/// What marks how far the archive reached when a reading began.
const MARK_TYPE: &str = "application/vnd.wissel.mark";

/// Reads a page by `channel`, and publishes by the other one, which confirms. They are used for
/// nothing else.
pub(crate) async fn read(
    channel: &Channel,
    publishing: &Channel,
    page: ArchivePage,
) -> Result<Vec<Archived>, BusError> {
    if page.limit == 0 || page.from >= page.until {
        return Ok(Vec::new());
    }
    let mark = in_time(mark(publishing)).await.map_err(|error| broken(&error))?;
    let mut consumer = in_time(consume(channel, &page)).await.map_err(|error| broken(&error))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    loop {
        let delivery = match tokio::time::timeout(PATIENCE, consumer.next()).await {
            Ok(Some(Ok(delivery))) => delivery,
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(None) => return Err(unavailable("the connection broke")),
            Err(_) => return Err(unavailable("the archive does not answer")),
        };
        in_time(delivery.acker.ack(BasicAckOptions::default()))
            .await
            .map_err(|error| broken(&error))?;
        if is_mark(&delivery) {
            if delivery.properties.message_id().as_ref().is_some_and(|id| id.as_str() == mark) {
                return Ok(found);
            }
            continue;
        }
        if !collect(delivery, &page, &mut found, &mut bytes) {
            return Ok(found);
        }
    }
}

/// Puts a mark behind everything that is kept, and says which. Where the archive ends
/// cannot be asked: the broker counts a stream's messages only now and then.
async fn mark(channel: &Channel) -> lapin::Result<String> {
    let mark = MessageId::now().to_string();
    let properties = BasicProperties::default()
        .with_content_type(MARK_TYPE.into())
        .with_message_id(mark.as_str().into());
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), ARCHIVE.into(), options, b"", properties).await?.await?;
    Ok(mark)
}

fn is_mark(delivery: &Delivery) -> bool {
    let content_type = delivery.properties.content_type().as_ref();
    content_type.is_some_and(|content_type| content_type.as_str() == MARK_TYPE)
}

async fn consume(channel: &Channel, page: &ArchivePage) -> lapin::Result<lapin::Consumer> {
    let begin = match page.after {
        Some(ArchivePosition(after)) => {
            AMQPValue::LongLongInt(i64::try_from(after >> MEMBER_BITS).unwrap_or(i64::MAX))
        }
        None => {
            let from = page.from.duration_since(UNIX_EPOCH).unwrap_or_default();
            AMQPValue::Timestamp(from.saturating_sub(SLACK).as_secs())
        }
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), begin);
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    channel
        .basic_consume(ARCHIVE.into(), "".into(), BasicConsumeOptions::default(), arguments)
        .await
}

/// Adds what the page asks for; false when nothing more is to come.
fn collect(
    delivery: Delivery,
    page: &ArchivePage,
    found: &mut Vec<Archived>,
    bytes: &mut usize,
) -> bool {
    let Some(offset) = offset(&delivery) else { return true };
    let kept = match codec::read_kept(&delivery.properties, delivery.data) {
        Ok(kept) => kept,
        Err(foreign) => {
            tracing::error!(offset, fault = foreign.0, "a foreign AMQP message in the archive");
            return true;
        }
    };
    let now = SystemTime::now();
    for (member, kept) in (0_u128..).zip(kept) {
        let envelope = kept.envelope;
        if envelope.admitted_at >= page.until + SLACK {
            return false;
        }
        let position = ArchivePosition(u128::from(offset) << MEMBER_BITS | member);
        let wanted = page.after.is_none_or(|after| position > after)
            && (page.from..page.until).contains(&envelope.admitted_at)
            && kept.archive_until.is_none_or(|until| until > now);
        if wanted {
            *bytes += envelope.event.len();
            found.push(Archived { position, envelope });
            if found.len() == page.limit || *bytes >= PAGE_BYTES {
                return false;
            }
        }
    }
    true
}

fn offset(delivery: &Delivery) -> Option<u64> {
    match delivery.properties.headers().as_ref()?.inner().get("x-stream-offset")? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}

fn broken(error: &lapin::Error) -> BusError {
    BusError::Unavailable { reason: error.to_string() }
}

fn unavailable(reason: &str) -> BusError {
    BusError::Unavailable { reason: reason.to_owned() }
}
