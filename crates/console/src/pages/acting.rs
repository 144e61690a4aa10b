//! What operators do to an inbox, and what a page says that could not do it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{InboxSettings, Reason, Refusal, Role};
use wissel_identifiers::InboxName;

use super::layout::{self, Back, Place};
use super::named::Named;
use super::text::{Reader, Texts};
use crate::access::{Form, Operator};
use crate::console::Seen;

/// Which switch of an inbox is set, and how.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Switched {
    switch: Switch,
    on: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    Paused,
    Draining,
}

/// The switches of an inbox, for whoever may set them.
pub(super) fn switches(
    text: &Texts,
    operator: &Operator,
    name: &InboxName,
    settings: &InboxSettings,
) -> Markup {
    if !operator.holds(Role::Operator) {
        return html! {};
    }
    let all = [
        ("paused", settings.paused, text.pause, text.resume),
        ("draining", settings.draining, text.drain, text.take_in_again),
    ];
    html! {
        section aria-labelledby="acts" {
            h2 id="acts" { (text.mend) }
            div.acts {
                @for (switch, is_on, to_on, to_off) in all {
                    form method="post" action={ "/inboxes/" (name) "/switch" } {
                        input type="hidden" name="csrf" value=(operator.csrf());
                        input type="hidden" name="switch" value=(switch);
                        input type="hidden" name="on" value=(!is_on);
                        button.second { (if is_on { to_off } else { to_on }) }
                    }
                }
            }
            p.lead { (text.what_switches_do) }
        }
    }
}

/// Sets a switch.
pub(super) async fn switch(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Form(Switched { switch, on }): Form<Switched>,
) -> Response {
    let change = move |before: InboxSettings| match switch {
        Switch::Paused => InboxSettings { paused: on, ..before },
        Switch::Draining => InboxSettings { draining: on, ..before },
    };
    match seen.exchange.broker().set_inbox(&operator.caller(), &name, change).await {
        Ok(_) => Redirect::to(&format!("/inboxes/{name}")).into_response(),
        Err(refusal) => denied(&reader, &operator, &refusal, Back::Inbox(&name)),
    }
}

/// A page that says why something was not done.
pub(super) fn denied(
    reader: &Reader,
    operator: &Operator,
    refusal: &Refusal,
    back: Back<'_>,
) -> Response {
    let status = match refusal.reason {
        Reason::UnknownInbox | Reason::UnknownMessage => StatusCode::NOT_FOUND,
        Reason::InvalidRequest => StatusCode::BAD_REQUEST,
        Reason::NotGranted | Reason::NoMandate => StatusCode::FORBIDDEN,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let message = match refusal.reason {
        Reason::UnknownInbox => html! { (reader.texts.no_such_inbox) },
        Reason::UnknownMessage => html! { (reader.texts.no_such_message) },
        // Whoever is signed in may do all else.
        Reason::NotGranted => html! { (reader.texts.only_operators_act) },
        reason => html! { ((reader.texts.refusal)(reason)) " " small lang="en" { (refusal) } },
    };
    // To an inbox that is not there nothing leads back.
    let back = match refusal.reason {
        Reason::UnknownInbox => Back::To(Place::Inboxes),
        _ => back,
    };
    layout::fault(reader, operator, status, message, back)
}
