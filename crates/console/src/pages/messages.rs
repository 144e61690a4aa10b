//! What an inbox has that is not settled: the first of it, masked.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use wissel_broker::{Reason, masked};
use wissel_bus::{Stand, Unsettled};
use wissel_catalogue::Catalogue;
use wissel_message::EventView;

use super::acting::denied;
use super::format::{count, moment};
use super::layout::{self, Back, Place};
use super::named::Named;
use super::parties::named;
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

/// How many are shown.
const SHOWN: usize = 100;

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let found = match broker.browse(&operator.caller(), &name, SHOWN).await {
        Ok(messages) if messages.is_empty() => html! { p.calm { (text.nothing_waits) } },
        Ok(messages) => table(text, &broker.catalogue(), &messages),
        // What RabbitMQ cannot show is no fault of the page.
        Err(refusal) if refusal.reason == Reason::BusUnavailable => {
            html! { p.calm { (text.not_shown) " " (refusal.message) } }
        }
        Err(refusal) => return denied(&reader, &operator, &refusal, Back::Inbox(&name)),
    };
    let content = html! {
        p.lead { a href={ "/inboxes/" (name) } { (name) } }
        (found)
    };
    layout::page(&reader, &operator, Place::Inboxes, text.messages, &content)
}

fn table(text: &Texts, catalogue: &Catalogue, messages: &[Unsettled]) -> Markup {
    html! {
        section aria-labelledby="first" {
            h2 id="first" { (text.not_settled) }
            p { (text.messages_lead) }
            div.wide role="group" tabindex="0" aria-labelledby="first" {
                table {
                    thead { tr {
                        th scope="col" { (text.admitted_at) }
                        th scope="col" { (text.event_type) }
                        th scope="col" { (text.publisher) }
                        th scope="col" { (text.state) }
                        th.number scope="col" { (text.attempts) }
                        th scope="col" { (text.last_reason) }
                    } }
                    tbody { @for message in messages { (row(text, catalogue, message)) } }
                }
            }
        }
    }
}

fn row(text: &Texts, catalogue: &Catalogue, message: &Unsettled) -> Markup {
    let Unsettled { envelope, attempt, stand, history } = message;
    let event = EventView::decode(envelope.event.clone()).ok();
    let event_type = event.map(|event| masked(event.event_type())).unwrap_or_default();
    html! {
        tr {
            th.nowrap scope="row" {
                a href={ "/dossier?message=" (envelope.message_id) } { (moment(envelope.admitted_at)) }
            }
            td { (event_type) }
            td { (named(catalogue, envelope.publisher)) }
            td.nowrap {
                @match stand {
                    Stand::Ready => (text.ready),
                    Stand::InFlight => (text.with_a_receiver),
                    Stand::Delayed(due) => { (text.again_at) " " (moment(*due)) }
                }
            }
            td.number { (count(text, u64::from(*attempt))) }
            td.text { @if let Some(last) = history.last() { (masked(&last.reason)) } }
        }
    }
}
