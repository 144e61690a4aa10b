//! Whether the gateway lives, is ready, and has started.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use wissel_broker::Broker;

use crate::Vitals;
use crate::console::Seen;

/// Whether messages are taken, and what each check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Readiness {
    /// Whether every check holds.
    pub(crate) ready: bool,
    /// The checks.
    pub(crate) checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// `bus`, `inboxes`, `disk`, `records`, `catalogue` or `running`.
    pub(crate) name: &'static str,
    /// Whether it holds.
    pub(crate) ok: bool,
    /// One sentence.
    pub(crate) detail: String,
}

/// Of those that cannot be written, and of those that can.
const RECORDS: [&str; 2] = [
    "the record of processing cannot be written, and nothing is done without it",
    "the record of processing is written",
];

impl Readiness {
    /// Of a broker, and of what it stands on.
    pub(crate) fn of(broker: &Broker, vitals: &Vitals) -> Self {
        let check = |name, ok, detail: String| Check { name, ok, detail };
        let status = broker.status();
        let opened = broker.is_prepared();
        let opening = if opened { "every inbox is open" } else { "inboxes are being opened" };
        let running = !broker.shutdown_token().is_cancelled();
        let stopping = if running { "work is taken" } else { "the gateway stops" };
        let event_types = broker.catalogue().event_types().count();
        let checks = vec![
            check("bus", status.health.ready, format!("{}: {}", status.bus, status.health.detail)),
            check("inboxes", opened, format!("{opening}: {}", status.inboxes)),
            vitals.disk_check(),
            check(
                "records",
                broker.keeps_records(),
                RECORDS[usize::from(broker.keeps_records())].to_owned(),
            ),
            check("catalogue", event_types > 0, format!("event types: {event_types}")),
            check("running", running, stopping.to_owned()),
        ];
        Self { ready: checks.iter().all(|check| check.ok), checks }
    }
}

pub(crate) async fn live() -> Response {
    plain(true, "live\n".into_response())
}

pub(crate) async fn ready(State(seen): State<Arc<Seen>>) -> Response {
    let readiness = Readiness::of(seen.exchange.broker(), &seen.vitals);
    plain(readiness.ready, Json(readiness).into_response())
}

pub(crate) async fn started(State(seen): State<Arc<Seen>>) -> Response {
    let started = seen.exchange.broker().is_prepared();
    plain(started, if started { "started\n" } else { "starting\n" }.into_response())
}

fn plain(ok: bool, mut response: Response) -> Response {
    if !ok {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let no_store = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
