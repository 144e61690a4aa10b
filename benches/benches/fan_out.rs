//! One message of 1 KiB to 100 inboxes, from a gRPC publishing stream to receipts, on both
//! buses. The peer is raw lapin that publishes to 100 quorum queues by the header `CC`. The
//! unit is deliveries: messages times inboxes.

use anyhow::Result;
use wissel_benches::{Arguments, Report, catalogue_of, publish_stream, raw_fan_out};
use wissel_testkit::RabbitMq;
use wissel_tests::Gateway;

const INBOXES: u64 = 100;
const MESSAGES: u64 = 2_000;

#[tokio::main]
#[expect(clippy::cast_precision_loss, reason = "a hundred inboxes")]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("fan_out", &arguments);
    let (mut embedded, mut amqp, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        let run = format!("f{round}");
        // Each round begins with empty inboxes.
        let rabbitmq = RabbitMq::start().await?;
        for (bus, rates) in [("embedded".to_owned(), &mut embedded), (rabbitmq.url(), &mut amqp)] {
            let mut gateway = Gateway::stopped(&bus);
            gateway.write_catalogue(&catalogue_of(INBOXES));
            gateway.start_again().await;
            let messages = publish_stream(&gateway.url(), &run, MESSAGES, 20).await?;
            rates.push(messages * INBOXES as f64);
        }
        drop(rabbitmq);
        let rabbitmq = RabbitMq::start().await?;
        raw.push(raw_fan_out(&rabbitmq.url(), INBOXES, MESSAGES).await?);
    }
    let unit = "deliveries/s";
    report.figure("embedded, 100 inboxes", unit, &embedded);
    report.ratio("RabbitMQ, 100 inboxes", unit, &amqp, "raw lapin, 100 queues by CC", &raw);
    report.finish();
    Ok(())
}
