//! The pages of operators, made here and whole without a script.

mod absent;
mod acting;
mod catalogue;
mod checks;
mod dead_letters;
mod dossier;
mod drafts;
mod filters;
mod format;
mod inbox;
mod inboxes;
mod layout;
mod letter;
mod map;
mod messages;
mod named;
mod names;
mod overview;
mod parties;
mod party;
mod reasons;
mod records;
mod rights;
mod settings;
mod signing_in;
mod sparkline;
mod system;
mod text;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::console::Seen;

/// How old what a page tells of inboxes may be.
const SURVEY_AGE: Duration = Duration::from_secs(5);

pub(crate) fn router() -> Router<Arc<Seen>> {
    Router::new()
        .route("/", get(overview::page))
        .route("/inboxes", get(inboxes::page))
        .route("/inboxes/{name}", get(inbox::page))
        .route("/inboxes/{name}/switch", post(acting::switch))
        .route("/inboxes/{name}/settings", post(settings::set))
        .route("/inboxes/{name}/messages", get(messages::page))
        .route("/inboxes/{name}/dead-letters", get(dead_letters::page))
        .route("/inboxes/{name}/dead-letters/ask", post(dead_letters::asked))
        .route("/inboxes/{name}/dead-letters/do", post(dead_letters::done))
        .route("/inboxes/{name}/dead-letters/{id}", get(letter::page))
        .route("/inboxes/{name}/dead-letters/{id}/unmask", post(letter::unmasked))
        .route("/dossier", get(dossier::page))
        .route("/dossier/correlated", get(dossier::again).post(dossier::correlated))
        .route("/map", get(map::page))
        .route("/catalogue", get(catalogue::page))
        .route("/catalogue/read", post(catalogue::read))
        .route("/parties", get(parties::page))
        .route("/parties/{oin}", get(party::page))
        .route("/subscriptions", get(catalogue::subscriptions))
        .route("/records", get(records::page))
        .route("/system", get(system::page))
        .route("/sign-in", get(signing_in::page))
        .route("/sign-in/provider", get(signing_in::to_provider))
        .route("/sign-in/return", get(signing_in::from_provider))
        .route("/sign-in/certificate", post(signing_in::by_certificate))
        .route("/sign-out", post(signing_in::out))
        .route("/language/{code}", get(text::choose))
        .route("/assets/console.css", get(style))
        .route("/assets/console.js", get(script))
        .route("/assets/icon.svg", get(icon))
        .fallback(absent::page)
}

async fn style() -> impl IntoResponse {
    let css = include_str!("../../assets/console.css");
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=300")], css)
}

async fn icon() -> impl IntoResponse {
    let svg = include_str!("../../assets/icon.svg");
    ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "max-age=300")], svg)
}

async fn script() -> impl IntoResponse {
    let js = include_str!("../../assets/console.js");
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "max-age=300")], js)
}
