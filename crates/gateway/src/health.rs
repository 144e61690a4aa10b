use std::sync::Arc;
use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use wissel_broker::Broker;

const SERVICES: [&str; 5] = [
    "",
    "wissel.v1.Publishing",
    "wissel.v1.Subscribing",
    "wissel.v1.Subscriptions",
    "wissel.v1.Operations",
];
/// How often the broker is asked.
const PAUSE: Duration = Duration::from_millis(250);
/// How long those who watch have to see that the gateway stops.
const TELLING: Duration = Duration::from_millis(50);

/// Keeps the standard health service true, until the shutdown.
pub(crate) async fn report(mut reporter: HealthReporter, broker: Arc<Broker>) {
    let stopping = broker.shutdown_token();
    let mut told = None;
    while !stopping.is_cancelled() {
        let status = broker.status();
        if told != Some(status.ready) {
            tell(&reporter, status.ready).await;
            tracing::info!(ready = status.ready, detail = status.health.detail, "health changed");
            told = Some(status.ready);
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    tell(&reporter, false).await;
    tokio::time::sleep(TELLING).await;
    // Ends the streams of those who watch; they would keep their connections open.
    for service in SERVICES {
        reporter.clear_service_status(service).await;
    }
}

pub(crate) async fn tell(reporter: &HealthReporter, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
