//! A million messages of 1 KiB wait in one inbox while another runs, on the embedded bus: how
//! fast it runs beside one that does not, and how much memory the gateway takes.

use anyhow::Result;
use wissel_benches::{Arguments, Receiving, Report, catalogue_of, publish_stream, receiver};
use wissel_tests::Gateway;

/// What waits.
const WAITING: u64 = 1_000_000;
/// What runs beside it.
const RUNNING: u64 = 60_000;
const MIB: f64 = (1 << 20) as f64;
/// As docs/performance.md states it: the storage engine's caches and write buffers, calls
/// that wait, and what streams hold.
const BOUND_MIB: f64 = 1_024.0;

#[tokio::main]
#[expect(clippy::cast_precision_loss, reason = "some hundreds of MiB")]
async fn main() -> Result<()> {
    let arguments = Arguments::read();
    let mut report = Report::new("backlog", &arguments);
    let mut gateway = Gateway::stopped("embedded");
    gateway.write_catalogue(&catalogue_of(2));
    gateway.start_again().await;

    // Both inboxes get every message; the second is emptied as it goes.
    let mut peak: f64 = gateway.memory() as f64;
    let (before, after) = {
        let before = run(&gateway, "before", &arguments, &mut peak).await?;
        for part in 0..WAITING / 100_000 {
            publish_stream(&gateway.url(), &format!("fill{part}"), 100_000, 100).await?;
            peak = peak.max(gateway.memory() as f64);
            drain(&gateway, 100_000).await?;
            peak = peak.max(gateway.memory() as f64);
        }
        (before, run(&gateway, "after", &arguments, &mut peak).await?)
    };
    let unit = "messages/s";
    report.ratio("published beside a million", unit, &after.0, "with none waiting", &before.0);
    report.ratio("taken beside a million", unit, &after.1, "with none waiting", &before.1);
    report.ratio("memory at most", "MiB", &[peak / MIB], "the stated bound", &[BOUND_MIB]);
    report.finish();
    Ok(())
}

/// The rates of publishing, and of taking from the second inbox.
#[expect(clippy::cast_precision_loss, reason = "some hundreds of MiB")]
async fn run(
    gateway: &Gateway,
    name: &str,
    arguments: &Arguments,
    peak: &mut f64,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut published, mut taken) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        let run = format!("{name}{round}");
        published.push(publish_stream(&gateway.url(), &run, RUNNING, 50).await?);
        taken.push(drain(gateway, RUNNING).await?);
        *peak = peak.max(gateway.memory() as f64);
    }
    Ok((published, taken))
}

async fn drain(gateway: &Gateway, count: u64) -> Result<f64> {
    let oin = receiver(1);
    let receiving = Receiving::start(&gateway.client(&oin), &format!("{oin}.inbox"), count);
    receiving.rate(count).await
}
