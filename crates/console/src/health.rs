//! Whether the gateway lives, is ready, and has started.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::console::Seen;

pub(crate) async fn live() -> Response {
    plain(true, "live\n".into_response())
}

pub(crate) async fn ready(State(seen): State<Arc<Seen>>) -> Response {
    let readiness = seen.exchange.broker().readiness();
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
