//! From a gRPC publishing stream to durable receipts on the embedded bus, 1 KiB, to one inbox (as
//! the peers keep one copy) and to two, and how long a message keeps the processors busy. Peers
//! on the same disk: a bare log with an fdatasync for each 500 records, by itself; a bare log that
//! gets the same gRPC stream; fjall with a sync for each batch of 500; NATS JetStream.

use std::time::{Duration, Instant};

use anyhow::Result;
use wissel_benches::{
    Arguments, BareLog, Nats, Receiving, Report, catalogue_of, group_commit_log, messages,
    publish_stream, receiver, settle,
};
use wissel_tests::{Gateway, PARTIES};

const MESSAGES: u64 = 60_000;
const GROUP: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("embedded", &arguments);
    let gateway = Gateway::start("embedded").await;
    let to_one = Gateway::with_catalogue(&catalogue_of(1)).await;
    let (mut to_one_inbox, mut taken_of_one) = (Vec::new(), Vec::new());
    let (mut one, mut many, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    let (mut busy_publishing, mut busy_receiving) = (Vec::new(), Vec::new());
    let (mut logs, mut trees) = (Vec::new(), Vec::new());
    let behind_grpc = BareLog::start()?;
    let mut bare = Vec::new();
    let nats = Nats::start().await?;
    let (mut published, mut received) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        one.push(publish(&gateway, &format!("a{round}"), 1).await?);
        logs.push(log().await?);
        settle().await?;
        let before = gateway.processor_time();
        many.push(publish(&gateway, &format!("b{round}"), 50).await?);
        busy_publishing.push(microseconds_each(gateway.processor_time() - before, MESSAGES));
        to_one_inbox.push(publish(&to_one, &format!("d{round}"), 50).await?);
        settle().await?;
        bare.push(publish_stream(behind_grpc.url(), &format!("e{round}"), MESSAGES, 50).await?);
        trees.push(tree().await?);
        // Everything that was published waits in the last party's inbox.
        settle().await?;
        let inbox = format!("{}.inbox", PARTIES[2]);
        let before = gateway.processor_time();
        let receiving = Receiving::start(&gateway.client(PARTIES[2]), &inbox, 2 * MESSAGES);
        taken.push(receiving.rate(2 * MESSAGES).await?);
        busy_receiving.push(microseconds_each(gateway.processor_time() - before, 2 * MESSAGES));
        settle().await?;
        let oin = receiver(0);
        let receiving = Receiving::start(&to_one.client(&oin), &format!("{oin}.inbox"), MESSAGES);
        taken_of_one.push(receiving.rate(MESSAGES).await?);
        if let Some(nats) = &nats {
            settle().await?;
            published.push(nats.publish(MESSAGES).await?);
            settle().await?;
            received.push(nats.receive(&format!("c{round}"), MESSAGES).await?);
        }
    }
    let unit = "messages/s";
    report.ratio(
        "gRPC stream to receipt, two inboxes, one a request",
        unit,
        &one,
        "a bare log, 500 a sync",
        &logs,
    );
    report.ratio(
        "gRPC stream to receipt, two inboxes, 50 a request",
        unit,
        &many,
        "fjall, batches of 500",
        &trees,
    );
    let mut peers = vec![
        ("a bare log, 500 a sync".to_owned(), &*logs),
        ("the same stream to a bare log, group commit".to_owned(), &*bare),
    ];
    let peer = "NATS JetStream, file storage, no fsync";
    if nats.is_some() {
        peers.push((peer.to_owned(), &*published));
    }
    report.beside("gRPC stream to receipt, one inbox, 50 a request", unit, &to_one_inbox, &peers);
    if nats.is_some() {
        report.ratio("gRPC stream to receipt, two inboxes", unit, &many, peer, &published);
        report.ratio("receive and acknowledge, one inbox", unit, &taken_of_one, peer, &received);
        report.ratio("receive and acknowledge, one of two", unit, &taken, peer, &received);
    } else {
        report.figure("receive and acknowledge, one inbox", unit, &taken_of_one);
        report.figure("receive and acknowledge, one of two", unit, &taken);
        report.note("nats-server is not installed, so NATS was not measured");
    }
    let unit = "µs of the gateway's processors a message";
    report.figure("gRPC stream to receipt, two inboxes", unit, &busy_publishing);
    report.figure("receive and acknowledge", unit, &busy_receiving);
    report.finish();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn microseconds_each(busy: Duration, count: u64) -> f64 {
    busy.as_secs_f64() * 1e6 / count as f64
}

async fn publish(gateway: &Gateway, run: &str, a_request: usize) -> Result<f64> {
    settle().await?;
    publish_stream(&gateway.url(), run, MESSAGES, a_request).await
}

async fn log() -> Result<f64> {
    let directory = tempfile::tempdir()?;
    settle().await?;
    group_commit_log(directory.path(), MESSAGES, GROUP)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn tree() -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let database = fjall::Database::builder(directory.path()).open()?;
    let keyspace = database.keyspace("bench", fjall::KeyspaceCreateOptions::default)?;
    settle().await?;
    let messages = messages("tree", MESSAGES)?;
    let mut numbers = 0_u64..;
    let begun = Instant::now();
    for group in messages.chunks(GROUP) {
        let mut batch = database.batch();
        for (message, number) in group.iter().zip(numbers.by_ref()) {
            batch.insert(&keyspace, number.to_be_bytes(), &**message);
        }
        batch.commit()?;
        database.persist(fjall::PersistMode::SyncData)?;
    }
    Ok(MESSAGES as f64 / begun.elapsed().as_secs_f64())
}
