//! The audit trail: who did what, the latest first.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use wissel_audit::Looked;
use wissel_broker::masked;

use super::acting::denied;
use super::layout::{self, Place};
use super::text::Reader;
use crate::access::Operator;
use crate::console::Seen;

/// How many records are shown.
const SHOWN: usize = 200;

/// Where to look.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Before the record of this number; what is none: at the end.
    #[serde(default)]
    before: String,
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let before = asked.before.parse().ok();
    let looked = seen.exchange.broker().recent_records(&operator.caller(), before, SHOWN).await;
    let Looked { lines, further } = match looked {
        Ok(looked) => looked,
        Err(refusal) => return denied(&reader, &operator, &refusal),
    };
    let content = html! {
        p.lead { (text.records_lead) " " code { "wissel audit verify" } "." }
        @if lines.is_empty() {
            p.calm { (if further.is_some() { text.only_traffic } else { text.no_records }) }
        } @else {
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
                        th.nowrap scope="row" { (short(&one.time)) }
                        td.nowrap { (one.operator.as_deref().unwrap_or(&one.actor)) @if let Some(of) = &one.on_behalf_of { " → " (of) } }
                        td.nowrap {
                            (one.operation)
                            @if let Some(reason) = &one.reason { " " span.grave { (reason) } }
                        }
                        td { @if let Some(inbox) = &one.inbox { a href={ "/inboxes/" (inbox) } { (inbox) } } }
                        td.text {
                            (one.detail.as_deref().map(masked).unwrap_or_default())
                            @if let Some(message) = &one.message_id {
                                " " a href={ "/dossier?message=" (message) } { (text.message) }
                            }
                        }
                    } } }
                }
            }
        }
    };
    let content = html! {
        (content)
        @if let Some(further) = further {
            p { a.button href={ "/records?before=" (further) } { (text.look_further) } }
        }
    };
    layout::page(&reader, &operator, Place::Records, text.records, &content)
}

/// To the second, as elsewhere on the pages.
fn short(time: &str) -> String {
    let second = time.get(..19).unwrap_or(time);
    format!("{}Z", second.replace('T', " "))
}
