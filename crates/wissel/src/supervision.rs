//! What systemd is told: that the gateway is ready, lives, and stops.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use wissel_broker::Broker;

/// How often it is looked whether the gateway is ready.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Tells systemd, when it asks for that, that the gateway is ready as soon as it is, that it
/// lives as often as its watchdog wants to hear, and that it stops.
///
/// It is told from a task of the runtime that does the work: a runtime that is stuck does
/// not tell.
pub(crate) async fn tell(broker: Arc<Broker>) {
    let stopping = broker.shutdown_token();
    let watchdog = sd_notify::watchdog_enabled();
    // Twice as often as it wants to hear, if it does.
    let every = watchdog.unwrap_or_default() / 2;
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut told_ready = false;
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            _ = ticks.tick(), if watchdog.is_some() => notify(&[NotifyState::Watchdog]),
            _ = looks.tick(), if !told_ready => {
                told_ready = broker.status().ready;
                if told_ready {
                    notify(&[NotifyState::Ready, NotifyState::Status("takes messages")]);
                }
            }
        }
    }
    notify(&[NotifyState::Stopping, NotifyState::Status("takes no new work")]);
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
