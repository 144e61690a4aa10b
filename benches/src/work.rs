//! The same work, done by Wissel and by its peers.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinHandle;
use wissel_bus::{Bus as _, Enqueue, Envelope, InboxName, MessageId};
use wissel_bus_amqp::{AmqpBus, AmqpOptions, Packing};
use wissel_client::Client;
use wissel_message::Event;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publishing_client::PublishingClient;
use wissel_tests::{Gateway, REGISTRY, gemeente_of};

/// An event with data of 1 KiB, of letters in no order: what compresses would be cheaper
/// to write than what agencies send. It is of one of a thousand persons. Encoded it has some
/// 1,200 bytes.
///
/// # Errors
/// When the event breaks a rule.
pub fn big_event(run: &str, number: u64) -> Result<Event> {
    let id = format!("{run}-{number}");
    let source = format!("urn:nld:oin:{REGISTRY}:systeem:BRP");
    let mut letters = SmallRng::seed_from_u64(number);
    let text: String = (0..1_011).map(|_| char::from(letters.random_range(b'a'..=b'z'))).collect();
    let event = Event::builder(id, source, "nl.brp.geboorte")
        .subject(format!("{}", 999_990_000 + number % 1_000))
        .extension("gemeente", gemeente_of(number))
        .data_text("application/json", format!(r#"{{"inhoud":"{text}"}}"#));
    Ok(event.build()?)
}

/// The messages of a run, encoded: what Wissel is given, and what each peer carries as well.
///
/// # Errors
/// When an event breaks a rule.
pub fn messages(run: &str, count: u64) -> Result<Vec<Bytes>> {
    (0..count).map(|number| Ok(big_event(run, number)?.encode())).collect()
}

/// Publishes `count` messages by one gRPC stream, `a_request` messages in each
/// request, and waits for their receipts. Messages a second.
///
/// # Errors
/// When a message is refused.
pub async fn publish_stream(url: &str, run: &str, count: u64, a_request: usize) -> Result<f64> {
    let took = publish_all(url, &messages(run, count)?, a_request).await?;
    Ok(per_second(count, took))
}

/// How long it takes from the first message to the last receipt.
async fn publish_all(url: &str, messages: &[Bytes], a_request: usize) -> Result<Duration> {
    let requests: Vec<pb::PublishStreamRequest> = messages
        .chunks(a_request)
        .map(|events| pb::PublishStreamRequest { events: events.to_vec() })
        .collect();
    let mut client = PublishingClient::connect(url.to_owned()).await?;
    let mut request = tonic::Request::new(stream::iter(requests));
    request.metadata_mut().insert("authorization", format!("Bearer dev.{REGISTRY}").parse()?);

    let begun = Instant::now();
    let mut answers = client.publish_stream(request).await?.into_inner();
    let mut receipts = 0;
    while let Some(answer) = answers.message().await? {
        for outcome in answer.outcomes {
            let durable = matches!(outcome.result, Some(pb::publish_outcome::Result::Receipt(_)));
            ensure!(durable, "a message was refused: {:?}", outcome.result);
            receipts += 1;
        }
    }
    let took = begun.elapsed();
    ensure!(receipts == messages.len(), "{receipts} receipts for {} messages", messages.len());
    Ok(took)
}

/// A receiver that takes and acknowledges.
pub struct Receiving(JoinHandle<Result<Duration>>);

impl Receiving {
    /// Takes `count` messages from this inbox.
    #[must_use]
    pub fn start(client: &Client, inbox: &str, count: u64) -> Self {
        let opening = client.subscribe(inbox).credit(5_000);
        Self(tokio::spawn(async move {
            let mut inbox = opening.open().await?;
            let mut begun = None;
            for _ in 0..count {
                let delivery = inbox.next().await?.context("the inbox ended")?;
                begun.get_or_insert_with(Instant::now);
                delivery.acknowledge().await?;
            }
            let took = begun.map(|begun| begun.elapsed()).unwrap_or_default();
            inbox.close().await?;
            Ok(took)
        }))
    }

    /// Waits for the last one; messages a second since the first.
    ///
    /// # Errors
    /// When receiving failed.
    pub async fn rate(self, count: u64) -> Result<f64> {
        Ok(per_second(count, self.0.await??))
    }
}

/// A catalogue in which this many parties have an inbox each for every birth.
#[must_use]
pub fn catalogue_of(inboxes: u64) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "[[party]]\noin = \"{REGISTRY}\"\nname = \"Registry\"\n\
         [[event_type]]\nname = \"nl.brp.geboorte\"\nowner = \"{REGISTRY}\"\n\
         description = \"A birth was registered.\"\n\
         [[grant]]\nparty = \"{REGISTRY}\"\ntype = \"nl.brp.geboorte\"\naction = \"publish\"\n\
         purpose = \"test\"\nlegal_basis = \"test\"\n"
    );
    for number in 0..inboxes {
        let oin = receiver(number);
        let _ = write!(
            text,
            "[[party]]\noin = \"{oin}\"\nname = \"Receiver {number}\"\n\
             [[grant]]\nparty = \"{oin}\"\ntype = \"nl.brp.geboorte\"\naction = \"receive\"\n\
             purpose = \"test\"\nlegal_basis = \"test\"\n\
             [[subscription]]\nname = \"{oin}.inbox\"\n"
        );
    }
    text
}

/// The OIN of a receiver of [`catalogue_of`].
#[must_use]
pub fn receiver(number: u64) -> String {
    format!("00000099{:09}000", 500 + number)
}

/// Appends `count` messages to a file, `group` at a time, with an fdatasync after each
/// group: about the least that durability costs. Messages a second.
///
/// # Errors
/// When the disk fails.
pub fn group_commit_log(directory: &Path, count: u64, group: usize) -> Result<f64> {
    let mut file = File::create(directory.join("log"))?;
    let messages = messages("log", count)?;
    let begun = Instant::now();
    for group in messages.chunks(group) {
        file.write_all(&group.concat())?;
        file.sync_data()?;
    }
    Ok(per_second(count, begun.elapsed()))
}

/// Publishes `count` messages to a quorum queue, one at a time, with at most 1,000
/// unconfirmed. Messages a second.
///
/// # Errors
/// When RabbitMQ fails.
pub async fn raw_lapin(url: &str, queue: &str, count: u64) -> Result<f64> {
    let took = raw_publish(url, queue, messages(queue, count)?).await?;
    Ok(per_second(count, took))
}

/// How long it takes from the first message to the last confirm.
async fn raw_publish(url: &str, queue: &str, messages: Vec<Bytes>) -> Result<Duration> {
    const WINDOW: usize = 1_000;
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, arguments).await?;

    let channel = &channel;
    let begun = Instant::now();
    let mut unconfirmed = stream::iter(messages)
        .map(|body| async move {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish("".into(), queue.into(), options, &body, properties);
            sent.await?.await
        })
        .buffered(WINDOW);
    while let Some(confirmed) = unconfirmed.next().await {
        ensure!(confirmed?.is_ack(), "RabbitMQ refused a message");
    }
    let took = begun.elapsed();
    drop(unconfirmed);
    connection.close(200, "done".into()).await?;
    Ok(took)
}

/// As [`raw_lapin`], with a consumer that has at most 1,000 unacknowledged, on a connection
/// of its own: until the last message is taken and acknowledged. Messages a second.
///
/// # Errors
/// When RabbitMQ fails.
pub async fn raw_lapin_through(url: &str, queue: &str, count: u64) -> Result<f64> {
    const PREFETCH: u16 = 1_000;
    // Declares the queue.
    raw_publish(url, queue, Vec::new()).await?;
    let messages = messages(queue, count)?;
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    let taking = tokio::spawn(async move {
        for _ in 0..count {
            let delivery = consumer.next().await.context("the consumer ended")??;
            delivery.ack(BasicAckOptions::default()).await?;
        }
        anyhow::Ok(())
    });
    let begun = Instant::now();
    raw_publish(url, queue, messages).await?;
    taking.await??;
    let rate = per_second(count, begun.elapsed());
    connection.close(200, "done".into()).await?;
    Ok(rate)
}

/// As [`publish_stream`], with a receiver of the first inbox of [`catalogue_of`]: until the
/// last message is taken and acknowledged. Messages a second.
///
/// # Errors
/// When a message is refused.
pub async fn publish_through(
    gateway: &Gateway,
    run: &str,
    count: u64,
    a_request: usize,
) -> Result<f64> {
    let oin = receiver(0);
    let messages = messages(run, count)?;
    let receiving = Receiving::start(&gateway.client(&oin), &format!("{oin}.inbox"), count);
    let begun = Instant::now();
    publish_all(&gateway.url(), &messages, a_request).await?;
    receiving.rate(count).await?;
    Ok(per_second(count, begun.elapsed()))
}

/// Enqueues `count` messages in one inbox of the bus on RabbitMQ, 100 in each
/// call and 10 calls at a time. Messages a second.
///
/// # Errors
/// When RabbitMQ fails.
pub async fn bus_on_rabbitmq(url: &str, packing: Packing, count: u64, round: u32) -> Result<f64> {
    const CALL: usize = 100;
    const CALLS_AT_ONCE: usize = 10;
    let bus = AmqpBus::connect(AmqpOptions { packing, ..AmqpOptions::new(url) })?;
    let label = if packing == Packing::OFF { "single" } else { "packed" };
    let inbox: InboxName = format!("{REGISTRY}.{label}-{round}").parse()?;
    while !bus.health().ready {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bus.open_inbox(&inbox).await?;
    let item = |number: u64| {
        let envelope = Envelope {
            message_id: MessageId::now(),
            publisher: REGISTRY.parse()?,
            admitted_at: SystemTime::now(),
            fields: None,
            replayed: false,
            event: big_event("bus", number)?.encode(),
        };
        Ok(Enqueue::new(envelope, vec![inbox.clone()]))
    };
    let items: Vec<Enqueue> = (0..count).map(item).collect::<Result<_>>()?;
    let calls: Vec<Vec<Enqueue>> = items.chunks(CALL).map(<[Enqueue]>::to_vec).collect();
    let begun = Instant::now();
    let mut answers = stream::iter(calls).map(|call| bus.enqueue(call)).buffered(CALLS_AT_ONCE);
    while let Some(answers) = answers.next().await {
        for answer in answers {
            answer?;
        }
    }
    let rate = per_second(count, begun.elapsed());
    drop(answers);
    bus.close().await;
    Ok(rate)
}

/// Publishes `count` messages to `queues` quorum queues each, by the header `CC`, one
/// publish a message, with at most 1,000 unconfirmed. Deliveries a second: messages times
/// queues.
///
/// # Errors
/// When RabbitMQ fails.
pub async fn raw_fan_out(url: &str, queues: u64, count: u64) -> Result<f64> {
    const WINDOW: usize = 1_000;
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut names = Vec::new();
    for number in 0..queues {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let name = format!("fan-out-{number}");
        channel.queue_declare(name.as_str().into(), options, arguments).await?;
        names.push(AMQPValue::LongString(name.into()));
    }
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(names)));
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    let messages = messages("fan-out", count)?;
    let (channel, properties) = (&channel, &properties);
    let begun = Instant::now();
    let mut unconfirmed = stream::iter(messages)
        .map(|body| async move {
            let options = BasicPublishOptions::default();
            let key = "none-of-them".into();
            let sent = channel.basic_publish("".into(), key, options, &body, properties.clone());
            sent.await?.await
        })
        .buffered(WINDOW);
    while let Some(confirmed) = unconfirmed.next().await {
        ensure!(confirmed?.is_ack(), "RabbitMQ refused a message");
    }
    let rate = per_second(count * queues, begun.elapsed());
    drop(unconfirmed);
    for number in 0..queues {
        let name = format!("fan-out-{number}");
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(rate)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
