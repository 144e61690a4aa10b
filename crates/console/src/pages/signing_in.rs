//! Signing in and out.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wissel_audit::Operation;

use super::layout;
use super::text::{Reader, Texts};
use crate::access::{Form, Identity, Operator};
use crate::console::Seen;
use crate::entrance::Visitor;

type Coming = ConnectInfo<Visitor>;

/// How one may sign in.
pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    ConnectInfo(visitor): Coming,
    reader: Reader,
) -> Response {
    let text = reader.texts;
    if !seen.access.knows_anybody() {
        return layout::outside(
            &reader,
            StatusCode::FORBIDDEN,
            &html! { p { (text.nobody_signs_in) } },
        );
    }
    let certificate = seen.access.by_certificate(&visitor);
    let content = html! {
        p.lead { (text.sign_in_lead) }
        @if seen.access.provider().is_some() {
            // Not a form: one may not lead to another site (`form-action`).
            p { a.button href="/sign-in/provider" { (text.sign_in_at_provider) } }
        }
        @if let Some(identity) = &certificate {
            form method="post" action="/sign-in/certificate" {
                button { (text.sign_in_by_certificate) " " (identity.name()) }
            }
        } @else if seen.access.provider().is_none() {
            p.grave { (text.no_certificate_shown) }
        }
    };
    layout::outside(&reader, StatusCode::OK, &content)
}

/// Sends the browser to the provider.
pub(super) async fn to_provider(
    State(seen): State<Arc<Seen>>,
    ConnectInfo(visitor): Coming,
    reader: Reader,
) -> Response {
    let Some(provider) = seen.access.provider() else {
        return refused(&seen, &reader, "no provider is configured").await;
    };
    if !seen.access.one_more(&visitor) {
        return too_often(&reader);
    }
    match provider.begin().await {
        Ok((to, id)) => see_other(&to, [seen.access.signing_in_cookie().set(&id)]),
        Err(fault) => refused(&seen, &reader, &fault).await,
    }
}

/// What a provider says when it sends the browser back (OpenID Connect Core, 3.1.2.5).
#[derive(Deserialize)]
pub(super) struct Returned {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    error: Option<String>,
}

/// Where the provider sends the browser back to.
pub(super) async fn from_provider(
    State(seen): State<Arc<Seen>>,
    ConnectInfo(visitor): Coming,
    reader: Reader,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Response {
    if !seen.access.one_more(&visitor) {
        return too_often(&reader);
    }
    let cookie = seen.access.signing_in_cookie();
    let id = cookie.read(&headers).unwrap_or_default();
    let identity = match (seen.access.provider(), returned.error) {
        (None, _) => Err("no provider is configured".to_owned()),
        // What it says is not repeated, as it may be anything.
        (_, Some(_)) => Err("the provider says that it was not to be".to_owned()),
        (Some(provider), None) => provider.end(id, &returned.state, &returned.code).await,
    };
    match identity {
        Ok(identity) => let_in(&seen, &reader, identity, Some(cookie.removal())).await,
        Err(fault) => refused(&seen, &reader, &fault).await,
    }
}

/// Lets in whoever has shown a certificate.
pub(super) async fn by_certificate(
    State(seen): State<Arc<Seen>>,
    ConnectInfo(visitor): Coming,
    reader: Reader,
) -> Response {
    if !seen.access.one_more(&visitor) {
        return too_often(&reader);
    }
    match seen.access.by_certificate(&visitor) {
        Some(identity) => let_in(&seen, &reader, identity, None).await,
        None => refused(&seen, &reader, "no certificate of an operator was shown").await,
    }
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// Signs out.
pub(super) async fn out(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    operator: Operator,
    _: Form<Nothing>,
) -> Response {
    let cookie = seen.access.session_cookie();
    if let Some(id) = cookie.read(&headers) {
        seen.access.let_out(id);
    }
    let (broker, who) = (seen.exchange.broker(), operator.caller());
    if let Err(refusal) = broker.keep_signing(Operation::SignedOut, Some(&who), "").await {
        tracing::warn!(%refusal, "that an operator signed out is not on record");
    }
    see_other("/sign-in", [cookie.removal()])
}

async fn let_in(
    seen: &Seen,
    reader: &Reader,
    identity: Identity,
    more: Option<HeaderValue>,
) -> Response {
    let detail = format!("by {}; {}", identity.method, identity.operator.roles);
    let (broker, who) = (seen.exchange.broker(), identity.caller());
    if let Err(refusal) = broker.keep_signing(Operation::SignedIn, Some(&who), &detail).await {
        return failed(reader, StatusCode::SERVICE_UNAVAILABLE, &english(&refusal.to_string()));
    }
    tracing::info!(operator = identity.name(), method = identity.method, "signed in");
    match seen.access.let_in(identity) {
        Ok(id) => {
            let cookies = [Some(seen.access.session_cookie().set(&id)), more];
            see_other("/", cookies.into_iter().flatten())
        }
        Err(fault) => failed(reader, StatusCode::SERVICE_UNAVAILABLE, &english(fault)),
    }
}

/// Somebody did not prove who they are; that is on record.
async fn refused(seen: &Seen, reader: &Reader, fault: &str) -> Response {
    let broker = seen.exchange.broker();
    if let Err(refusal) = broker.keep_signing(Operation::SignedIn, None, fault).await {
        tracing::warn!(%refusal, "a sign-in that failed is not on record");
    }
    tracing::info!(fault, "a sign-in failed");
    failed(reader, StatusCode::FORBIDDEN, &english(fault))
}

fn too_often(reader: &Reader) -> Response {
    let why = html! { (reader.texts.too_many_attempts) };
    failed(reader, StatusCode::TOO_MANY_REQUESTS, &why)
}

/// A fault that is told in English only.
fn english(fault: &str) -> Markup {
    html! { span lang="en" { (fault) } "." }
}

fn failed(reader: &Reader, status: StatusCode, fault: &Markup) -> Response {
    layout::outside(reader, status, &why_not(reader.texts, fault))
}

fn why_not(text: &Texts, fault: &Markup) -> Markup {
    html! {
        p.grave { (text.not_signed_in) ": " (fault) }
        p { a href="/sign-in" { (text.try_again) } }
    }
}

fn see_other(to: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(LOCATION, to);
    }
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    response
}
