//! From a gRPC publishing stream to confirmed receipts on RabbitMQ, and on to a receiver's
//! acknowledgement: one inbox, a quorum queue, 1 KiB, packed and not; and the bus on RabbitMQ
//! by itself. The peer is raw lapin on the same RabbitMQ, publishing one message at a time
//! with 1,000 unconfirmed at most, and consuming with 1,000 unacknowledged.

use std::time::Duration;

use anyhow::Result;
use wissel_benches::{
    Arguments, Report, bus_on_rabbitmq, catalogue_of, publish_stream, publish_through, raw_lapin,
    raw_lapin_through, receiver, settle,
};
use wissel_bus_amqp::Packing;
use wissel_testkit::RabbitMq;
use wissel_tests::Gateway;

/// So many that a round of the fastest takes half a second; with 20,000 it took 0.2 s.
const MESSAGES: u64 = 60_000;
/// In one request of the publishing stream.
const A_REQUEST: usize = 50;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("rabbitmq", &arguments);
    let rabbitmq = RabbitMq::start().await?;
    let url = rabbitmq.url();
    let packing = start(&url, None).await;
    let single = start(&url, Some("1")).await;
    let mut published: [Vec<f64>; 3] = Default::default();
    let mut through: [Vec<f64>; 3] = Default::default();
    let mut buses: [Vec<f64>; 2] = Default::default();
    for round in 0..=arguments.rounds {
        for (index, gateway) in [&packing, &single].into_iter().enumerate() {
            let run = format!("p{index}-{round}");
            rest().await?;
            published[index].push(publish_stream(&gateway.url(), &run, MESSAGES, A_REQUEST).await?);
            empty(gateway).await?;
            let run = format!("t{index}-{round}");
            rest().await?;
            through[index].push(publish_through(gateway, &run, MESSAGES, A_REQUEST).await?);
        }
        rest().await?;
        published[2].push(raw_lapin(&url, &format!("peer{round}"), MESSAGES).await?);
        rest().await?;
        through[2].push(raw_lapin_through(&url, &format!("through{round}"), MESSAGES).await?);
        rest().await?;
        buses[0].push(bus_on_rabbitmq(&url, Packing::default(), MESSAGES, round).await?);
        rest().await?;
        buses[1].push(bus_on_rabbitmq(&url, Packing::OFF, MESSAGES, round).await?);
        if round == 0 {
            // The first finds RabbitMQ and the gateways cold, and does not count.
            (published, through, buses) = Default::default();
        }
    }
    let unit = "messages/s";
    let peer = "raw lapin, window 1000";
    let [packed, unpacked, peers] = published;
    report.ratio("gRPC stream to receipt", unit, &packed, peer, &peers);
    report.ratio("gRPC stream to receipt, unpacked", unit, &unpacked, peer, &peers);
    report.ratio("the bus by itself", unit, &buses[0], peer, &peers);
    report.ratio("the bus by itself, unpacked", unit, &buses[1], peer, &peers);
    let peer = "raw lapin, published and consumed";
    let [packed, unpacked, peers] = through;
    report.ratio("gRPC stream to acknowledgement", unit, &packed, peer, &peers);
    report.ratio("gRPC stream to acknowledgement, unpacked", unit, &unpacked, peer, &peers);
    report.finish();
    Ok(())
}

/// What one leaves behind for RabbitMQ and the disk to do is done before the next one is measured.
async fn rest() -> Result<()> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    settle().await
}

async fn start(url: &str, packing_messages: Option<&'static str>) -> Gateway {
    let mut gateway = Gateway::stopped(url);
    gateway.write_catalogue(&catalogue_of(1));
    if let Some(messages) = packing_messages {
        gateway.set("WISSEL_AMQP__PACKING_MESSAGES", messages);
    }
    gateway.start_again().await;
    gateway
}

/// Takes what was published.
async fn empty(gateway: &Gateway) -> Result<()> {
    let oin = receiver(0);
    let inbox = format!("{oin}.inbox");
    wissel_benches::Receiving::start(&gateway.client(&oin), &inbox, MESSAGES)
        .rate(MESSAGES)
        .await?;
    Ok(())
}
