//! The audit trail: who did what, the latest first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;
use wissel_broker::{Caller, masked};

use super::acting::denied;
use super::layout::{self, Place};
use super::text::Reader;
use crate::access::Operator;
use crate::console::Seen;

/// How many records are shown.
const SHOWN: usize = 200;

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
) -> Response {
    let text = reader.texts;
    let lines = match seen.exchange.broker().recent_records(Caller::Operator(None), SHOWN).await {
        Ok(lines) => lines,
        Err(refusal) => return denied(&reader, &operator, &refusal),
    };
    let content = html! {
        p.lead { (text.records_lead) " " code { "wissel audit verify" } "." }
        @if lines.is_empty() { p.calm { (text.no_records) } } @else {
            div.wide role="region" tabindex="0" aria-label=(text.records) {
                table {
                    thead { tr {
                        th scope="col" { (text.when) }
                        th scope="col" { (text.who) }
                        th scope="col" { (text.what) }
                        th scope="col" { (text.inbox) }
                        th scope="col" { (text.detail) }
                    } }
                    tbody { @for one in &lines { tr {
                        th scope="row" { (one.time) }
                        td.text { (one.operator.as_deref().unwrap_or(&one.actor)) @if let Some(of) = &one.on_behalf_of { " → " (of) } }
                        td {
                            (one.operation)
                            @if let Some(reason) = &one.reason { " " span.grave { (reason) } }
                        }
                        td { @if let Some(inbox) = &one.inbox { a href={ "/inboxes/" (inbox) } { (inbox) } } }
                        td.text { (one.detail.as_deref().map(masked).unwrap_or_default()) }
                    } } }
                }
            }
        }
    };
    layout::page(&reader, &operator, Place::Records, text.records, &content)
}
