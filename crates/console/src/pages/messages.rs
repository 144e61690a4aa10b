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
use super::names::dotted;
use super::parties::named;
use super::reasons::given_up;
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
        Ok(messages) => {
            let delayed = broker.inbox(&operator.caller(), &name).await.map(|it| it.state.delayed);
            let besides = besides(&messages, delayed.unwrap_or_default());
            html! {
                @if !messages.is_empty() { (table(text, &broker.catalogue(), &messages)) }
                @else if besides == 0 { p.calm { (text.nothing_waits) } }
                @if besides > 0 { p.calm { (text.retries_not_shown) " " (count(text, besides)) "." } }
            }
        }
        // What RabbitMQ cannot show is no fault of the page.
        Err(refusal) if refusal.reason == Reason::BusUnavailable => {
            html! { p.calm { (text.not_shown) " " small lang="en" { (refusal.message) } } }
        }
        Err(refusal) => return denied(&reader, &operator, &refusal, Back::Inbox(&name)),
    };
    let content = html! {
        p.lead { a href={ "/inboxes/" (name) } { (name) } }
        (found)
    };
    layout::page(&reader, &operator, Place::Inboxes, text.messages, &content)
}

/// How many wait for a retry that are not among the messages, which RabbitMQ does not show. None
/// is told of when there are more messages than are shown.
fn besides(messages: &[Unsettled], delayed: u64) -> u64 {
    if messages.len() >= SHOWN {
        return 0;
    }
    let shown = messages.iter().filter(|one| matches!(one.stand, Stand::Delayed(_))).count();
    delayed.saturating_sub(shown as u64)
}

fn table(text: &Texts, catalogue: &Catalogue, messages: &[Unsettled]) -> Markup {
    html! {
        section aria-labelledby="first" {
            h2 id="first" { (text.not_settled) }
            p { (text.messages_lead) }
            div.wide role="group" tabindex="0" aria-labelledby="first" {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.admitted_at) }
                        th role="columnheader" scope="col" { (text.event_type) }
                        th role="columnheader" scope="col" { (text.publisher) }
                        th role="columnheader" scope="col" { (text.state) }
                        th.number role="columnheader" scope="col" { (text.attempts) }
                        th role="columnheader" scope="col" { (text.last_reason) }
                    } }
                    tbody role="rowgroup" { @for message in messages { (row(text, catalogue, message)) } }
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
        tr role="row" {
            th.nowrap role="rowheader" scope="row" {
                a href={ "/dossier?message=" (envelope.message_id) } { (moment(envelope.admitted_at)) }
            }
            td role="cell" data-label=(text.event_type) { (dotted(&event_type)) }
            td role="cell" data-label=(text.publisher) { (named(catalogue, envelope.publisher)) }
            td role="cell" data-label=(text.state) {
                @match stand {
                    Stand::Ready => (text.ready),
                    Stand::InFlight => (text.with_a_receiver),
                    Stand::Delayed(due) => { (text.again_at) " " span.nowrap { (moment(*due)) } }
                }
            }
            td.number role="cell" data-label=(text.attempts) { (count(text, u64::from(*attempt))) }
            td.text role="cell" data-label=(text.last_reason) { @if let Some(last) = history.last() { (given_up(text, &masked(&last.reason))) } }
        }
    }
}
