//! From a gRPC publishing stream to confirmed receipts on RabbitMQ, quorum queues,
//! 1 KiB; and the bus on RabbitMQ by itself, packed and not. The peer is raw lapin on the
//! same RabbitMQ, publishing one message at a time with 1,000 unconfirmed at most.
//! Wissel's messages go to two inboxes each, the peer's to one queue.

use anyhow::Result;
use wissel_benches::{Arguments, Receiving, Report, bus_on_rabbitmq, publish_stream, raw_lapin};
use wissel_bus_amqp::Packing;
use wissel_testkit::RabbitMq;
use wissel_tests::{Gateway, PARTIES};

const MESSAGES: u64 = 20_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("rabbitmq", &arguments);
    let rabbitmq = RabbitMq::start().await?;
    let url = rabbitmq.url();
    let gateway = Gateway::start(&url).await;
    let (mut ours, mut peers, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    let (mut packed, mut single) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        ours.push(publish_stream(&gateway.url(), &format!("a{round}"), MESSAGES, 10).await?);
        peers.push(raw_lapin(&url, &format!("peer{round}"), MESSAGES).await?);
        let inbox = format!("{}.inbox", PARTIES[2]);
        let receiving = Receiving::start(&gateway.client(PARTIES[2]), &inbox, MESSAGES);
        taken.push(receiving.rate(MESSAGES).await?);
        packed.push(bus_on_rabbitmq(&url, Packing::default(), MESSAGES, round).await?);
        single.push(bus_on_rabbitmq(&url, Packing::OFF, MESSAGES, round).await?);
    }
    let unit = "messages/s";
    let peer = "raw lapin, window 1000";
    report.ratio("gRPC stream to receipt, 10 a request", unit, &ours, peer, &peers);
    report.ratio("the bus by itself, one inbox", unit, &packed, peer, &peers);
    report.ratio("the bus by itself, one inbox, unpacked", unit, &single, peer, &peers);
    report.figure("receive and acknowledge", unit, &taken);
    report.finish();
    Ok(())
}
