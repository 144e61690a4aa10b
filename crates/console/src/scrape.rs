//! Metrics, as Prometheus asks for them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use wissel_broker::{Broker, Disk, Order, Surveyed, Totals};
use wissel_metrics::{CONTENT_TYPE as OPEN_METRICS, InboxGauges, State};

use crate::Vitals;
use crate::console::Seen;

/// How old what is told of inboxes may be.
const SURVEY_AGE: Duration = Duration::from_secs(10);
/// How many inboxes are told by name.
const WORST: usize = 20;

pub(crate) async fn metrics(extract::State(seen): extract::State<Arc<Seen>>) -> impl IntoResponse {
    let broker = seen.exchange.broker();
    let state = state(broker, &seen.vitals).await;
    ([(CONTENT_TYPE, OPEN_METRICS)], broker.metrics().encode(&state))
}

async fn state(broker: &Broker, vitals: &Vitals) -> State {
    let survey = broker.survey(SURVEY_AGE).await;
    let now = SystemTime::now();
    let totals = Totals::of(survey.inboxes.iter(), now);
    let age = |oldest: Option<SystemTime>| {
        oldest.map(|oldest| now.duration_since(oldest).unwrap_or_default()).unwrap_or_default()
    };
    let of_inbox = |one: &Surveyed| {
        let state = &one.state;
        let gauges = InboxGauges {
            waiting: state.depth.saturating_sub(state.delayed),
            delayed: state.delayed,
            in_flight: state.in_flight,
            dead: state.dead_letters,
            consumers: state.consumers.into(),
            oldest_age: age(state.oldest),
        };
        (one.name.to_string(), gauges)
    };
    let status = broker.status();
    let worst = Order::Concern.first(survey.inboxes.iter(), 0, WORST);
    State {
        ready: broker.readiness().ready,
        bus_ready: status.health.ready,
        started_at: now.checked_sub(status.uptime),
        catalogue_since: Some(broker.catalogue_since()),
        subscriptions: status.subscriptions as u64,
        inboxes: status.inboxes as u64,
        inboxes_unread: totals.unread,
        total: InboxGauges {
            waiting: totals.waiting,
            delayed: totals.delayed,
            in_flight: totals.in_flight,
            dead: totals.dead_letters,
            consumers: totals.consumers,
            oldest_age: age(totals.oldest),
        },
        survey_age: survey.age(),
        worst: worst.into_iter().map(of_inbox).collect(),
        disk_free: broker.disk().and_then(Disk::free),
        disk_mark: broker.disk().map_or(0, |disk| disk.mark),
        certificates: vitals.certificates(),
        revocation_lists: vitals.revocation_lists(),
        process: Vitals::process(),
    }
}
