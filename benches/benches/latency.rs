//! From the moment at which a message was to be sent to its delivery, at 1,000
//! messages a second. The peer on RabbitMQ is raw lapin at the same rate; that of
//! the embedded bus is a bare write with fdatasync.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use hdrhistogram::Histogram;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::time::{Instant, sleep_until};
use wissel_benches::{Arguments, Report, big_event, group_commit_log};
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, PARTIES, REGISTRY};

const MESSAGES: u32 = 5_000;
const PERIOD: Duration = Duration::from_millis(1);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("latency", &arguments);
    let rabbitmq = RabbitMq::start().await?;
    let embedded = Gateway::start("embedded").await;
    let on_rabbitmq = Gateway::start(&rabbitmq.url()).await;
    let mut medians: [Vec<f64>; 3] = Default::default();
    let mut tails: [Vec<f64>; 3] = Default::default();
    let mut syncs = Vec::new();
    for round in 0..arguments.rounds {
        let run = format!("l{round}");
        let measured = [
            wissel(&embedded, &run).await?,
            wissel(&on_rabbitmq, &run).await?,
            raw_lapin(&rabbitmq.url(), &run).await?,
        ];
        for (index, (median, tail)) in measured.into_iter().enumerate() {
            medians[index].push(median);
            tails[index].push(tail);
        }
        let directory = tempfile::tempdir()?;
        syncs.push(1_000.0 / group_commit_log(directory.path(), 2_000, 1)?);
    }
    report.ratio("embedded, median", "ms", &medians[0], "one fdatasync of a message, mean", &syncs);
    report.figure("embedded, p99", "ms", &tails[0]);
    report.ratio("RabbitMQ, median", "ms", &medians[1], "raw lapin, median", &medians[2]);
    report.ratio("RabbitMQ, p99", "ms", &tails[1], "raw lapin, p99", &tails[2]);
    report.finish();
    Ok(())
}

/// Median and p99, in milliseconds.
async fn wissel(gateway: &Gateway, run: &str) -> Result<(f64, f64)> {
    let client = gateway.client(PARTIES[2]);
    let mut inbox = client.subscribe(format!("{}.inbox", PARTIES[2])).credit(5_000).open().await?;
    let publisher = gateway.client(REGISTRY).publisher();
    let begun = Instant::now() + Duration::from_millis(200);
    let named = run.to_owned();
    let publishing = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let event = big_event(&named, number.into())?;
            sleep_until(begun + PERIOD * number).await;
            drop(publisher.send(&event).await?);
        }
        publisher.close().await.context("closing the publisher")
    });
    let mut latencies = histogram()?;
    for _ in 0..MESSAGES {
        let delivery = inbox.next().await?.context("the inbox ended")?;
        let id = delivery.event().id();
        let number: u32 = id.rsplit('-').next().unwrap_or_default().parse()?;
        record(&mut latencies, begun + PERIOD * number);
        delivery.acknowledge().await?;
    }
    publishing.await??;
    inbox.close().await?;
    Ok(quantiles(&latencies))
}

async fn raw_lapin(url: &str, run: &str) -> Result<(f64, f64)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let queue = format!("latency-{run}");
    let publish = connection.create_channel().await?;
    publish.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    publish.queue_declare(queue.as_str().into(), options, arguments).await?;
    let consume = connection.create_channel().await?;
    let options = BasicConsumeOptions::default();
    let consumer =
        consume.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await?;
    let bytes = big_event(run, 0)?.encode().len();

    let begun = Instant::now() + Duration::from_millis(200);
    let publishing = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let mut body = vec![b'x'; bytes];
            body[..4].copy_from_slice(&number.to_be_bytes());
            sleep_until(begun + PERIOD * number).await;
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let key = queue.as_str().into();
            drop(publish.basic_publish("".into(), key, options, &body, properties).await?);
        }
        publish.wait_for_confirms().await?;
        // Dropped here, it would be closing when the connection is to be closed.
        Ok::<_, lapin::Error>(publish)
    });
    let mut latencies = histogram()?;
    for _ in 0..MESSAGES {
        let delivery = consumer.next().await.context("the consumer ended")??;
        let number = u32::from_be_bytes(delivery.data[..4].try_into()?);
        record(&mut latencies, begun + PERIOD * number);
        delivery.ack(BasicAckOptions::default()).await?;
    }
    let _open = publishing.await??;
    connection.close(200, "done".into()).await?;
    Ok(quantiles(&latencies))
}

/// In microseconds, to three digits.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

fn record(latencies: &mut Histogram<u64>, scheduled: Instant) {
    let took = scheduled.elapsed().as_micros();
    latencies.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
}

#[expect(clippy::cast_precision_loss, reason = "three digits count")]
fn quantiles(latencies: &Histogram<u64>) -> (f64, f64) {
    let milliseconds = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    (milliseconds(0.5), milliseconds(0.99))
}
