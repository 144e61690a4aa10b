//! One dead letter: masked, until an operator says why they must see it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Reason, Role, masked};
use wissel_bus::{DeadLetter, DeadLetterId};
use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;
use wissel_message::{Data, EventView};

use super::acting::denied;
use super::dead_letters::{Meant, What, ask};
use super::format::moment;
use super::layout::{self, Back, Place};
use super::named::Named;
use super::parties::named;
use super::reasons::given_up;
use super::text::{Reader, Texts};
use crate::access::{Form, Operator};
use crate::console::Seen;

/// How much of the data is shown, in bytes.
const DATA_MAX: usize = 64 << 10;
/// What stands in the place of what is masked.
const MASK: &str = "••••";
/// Attributes that tell of no person.
const OPEN: [&str; 4] = ["specversion", "type", "datacontenttype", "dataschema"];

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Path(Letter { id }): Path<Letter>,
) -> Response {
    let (broker, back) = (seen.exchange.broker(), Back::DeadLetters(&name));
    match broker.dead_letter(&operator.caller(), &name, &DeadLetterId(id)).await {
        Ok(letter) => whole(&reader, &operator, &name, &letter, &broker.catalogue(), false),
        Err(refusal) => denied(&reader, &operator, &refusal, back),
    }
}

/// The part of the path that names one.
#[derive(Deserialize)]
pub(super) struct Letter {
    id: String,
}

/// Why somebody must see it.
#[derive(Deserialize)]
pub(super) struct Unmask {
    #[serde(default)]
    why: String,
}

pub(super) async fn unmasked(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Path(Letter { id }): Path<Letter>,
    Form(Unmask { why }): Form<Unmask>,
) -> Response {
    let (broker, back) = (seen.exchange.broker(), Back::DeadLetters(&name));
    let id = DeadLetterId(id);
    match broker.unmask_dead_letter(&operator.caller(), &name, &id, &why).await {
        Ok(letter) => whole(&reader, &operator, &name, &letter, &broker.catalogue(), true),
        Err(refusal) if refusal.reason == Reason::InvalidRequest => {
            let why = reader.texts.why_is_needed;
            layout::fault(&reader, &operator, StatusCode::BAD_REQUEST, why, back)
        }
        Err(refusal) => denied(&reader, &operator, &refusal, back),
    }
}

fn whole(
    reader: &Reader,
    operator: &Operator,
    name: &InboxName,
    letter: &DeadLetter,
    catalogue: &Catalogue,
    is_unmasked: bool,
) -> Response {
    let text = reader.texts;
    let content = html! {
        p.lead { a href={ "/inboxes/" (name) "/dead-letters" } { (name) } }
        (course(text, catalogue, letter))
        (message(text, letter, is_unmasked))
        @if operator.holds(Role::Operator) {
            div.acts {
                (ask(text, operator, name, What::Redrive, Meant::One(&letter.id.0)))
                (ask(text, operator, name, What::Purge, Meant::One(&letter.id.0)))
            }
        }
        @if !is_unmasked && operator.holds(Role::Operator) {
            form.act method="post" action={ "/inboxes/" (name) "/dead-letters/" (letter.id.0) "/unmask" } {
                input type="hidden" name="csrf" value=(operator.csrf());
                div { label for="why" { (text.why_unmask) } input id="why" name="why" required maxlength="200" autocomplete="off"; }
                p.acts { button { (text.unmask) } }
            }
        }
    };
    layout::page(reader, operator, Place::Inboxes, text.dead_letter, &content)
}

fn course(text: &Texts, catalogue: &Catalogue, letter: &DeadLetter) -> Markup {
    let id = letter.envelope.message_id.to_string();
    html! {
        section aria-labelledby="course" {
            h2 id="course" { (text.what_happened) }
            ol.timeline {
                li { time { (moment(letter.envelope.admitted_at)) } " " (text.admitted) ", " (named(catalogue, letter.envelope.publisher)) }
                @for one in &letter.history {
                    li { time { (moment(one.at)) } " " @if one.number > 0 { (text.attempt) " " (one.number) } @else { (text.given_up) } @if one.before_redrive { ", " (text.before_redrive) } ": " (given_up(text, &masked(&one.reason))) }
                }
                li.grave { time { (moment(letter.died_at)) } " " (text.given_up) ": " (given_up(text, &masked(&letter.reason))) }
            }
            p { a href={ "/dossier?message=" (id) } { (text.dossier_of_it) } }
        }
    }
}

fn message(text: &Texts, letter: &DeadLetter, is_unmasked: bool) -> Markup {
    let Ok(event) = EventView::decode(letter.envelope.event.clone()) else {
        return html! { p.grave { (text.unreadable) } };
    };
    let shown = |name: &str, value: &str| {
        if is_unmasked || OPEN.contains(&name) {
            value.to_owned()
        } else if matches!(name, "subject" | "data") {
            MASK.to_owned()
        } else {
            masked(value)
        }
    };
    let mut rows = vec![
        ("id", shown("id", event.id())),
        ("source", shown("source", event.source())),
        ("type", masked(event.event_type())),
    ];
    rows.extend(event.subject().map(|subject| ("subject", shown("subject", subject))));
    const TOLD: [&str; 4] = ["id", "source", "type", "subject"];
    let others = event.attributes().filter(|(name, _)| !TOLD.contains(name));
    rows.extend(others.map(|(name, value)| (name, shown(name, &value.canonical()))));
    let data = match event.data() {
        None => None,
        Some(_) if !is_unmasked => Some(MASK.to_owned()),
        Some(Data::Text(data)) => Some(data.to_owned()),
        Some(Data::Binary(data)) => Some(String::from_utf8_lossy(data).into_owned()),
        Some(Data::Proto(_)) => Some(text.binary.to_owned()),
    };
    let data = data.map(|data| match data.char_indices().find(|(at, _)| *at >= DATA_MAX) {
        Some((at, _)) => format!("{}…", &data[..at]),
        None => data,
    });
    html! {
        section aria-labelledby="message" {
            h2 id="message" { (text.message) }
            @if !is_unmasked { p { (text.is_masked) } }
            div.wide role="group" tabindex="0" aria-labelledby="message" {
                table { tbody {
                    @for (name, value) in &rows { tr { th scope="row" { code { (name) } } td.text { (value) } } }
                    @if let Some(data) = &data { tr { th scope="row" { code { "data" } } td { pre { (data) } } } }
                } }
            }
        }
    }
}
