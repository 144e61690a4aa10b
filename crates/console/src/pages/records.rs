//! The audit trail: who did what, the latest first.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_audit::{Line, Look, Looked};
use wissel_catalogue::Catalogue;
use wissel_identifiers::{InboxName, Oin};

use super::acting::denied;
use super::layout::{self, Back, Place};
use super::names::parted;
use super::parties::named;
use super::reasons::refused;
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

/// How many records are shown.
const SHOWN: usize = 200;

/// Which are wanted, and where to look.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Before the record of this number; what is none: at the end.
    #[serde(default)]
    before: String,
    /// At this inbox; what is no name of one: anywhere.
    #[serde(default)]
    inbox: String,
    /// `yes`: only what was refused, messages too.
    #[serde(default)]
    refused: String,
}

impl Asked {
    fn look(&self) -> Look {
        let inbox = self.inbox.trim().parse::<InboxName>().ok();
        Look {
            before: self.before.parse().ok(),
            inbox: inbox.map(|inbox| inbox.to_string()),
            refused: self.refused == "yes",
            limit: SHOWN,
            ..Look::default()
        }
    }
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let look = asked.look();
    let broker = seen.exchange.broker();
    let found = broker.look_at_records(&operator.caller(), look.clone()).await;
    let Looked { lines, further } = match found {
        Ok(looked) => looked,
        Err(refusal) => return denied(&reader, &operator, &refusal, Back::To(Place::Records)),
    };
    let content = html! {
        p.lead { (text.records_lead) " " code { "wissel audit verify" } "." }
        (wanted(text, &look))
        @if lines.is_empty() {
            p.calm { (if further.is_some() { text.only_traffic } else { text.no_records }) }
        } @else { (table(text, &broker.catalogue(), &lines)) }
        p.acts {
            @if let Some(further) = further {
                a.button href=(address(&look, further)) { (text.look_further) }
            }
            @if look.before.is_some() { a href="/records" { (text.the_latest) } }
        }
    };
    layout::page(&reader, &operator, Place::Records, text.records, &content)
}

/// The page of the same records before a number.
fn address(look: &Look, before: u64) -> String {
    let inbox = look.inbox.as_ref().map(|inbox| format!("&inbox={inbox}")).unwrap_or_default();
    let refused = if look.refused { "&refused=yes" } else { "" };
    format!("/records?before={before}{inbox}{refused}")
}

fn wanted(text: &Texts, look: &Look) -> Markup {
    html! {
        form.search method="get" action="/records" role="search" {
            div {
                label for="inbox" { (text.inbox) }
                input id="inbox" name="inbox" size="32" autocomplete="off" spellcheck="false"
                    value=(look.inbox.as_deref().unwrap_or_default());
            }
            div {
                label for="refused" { (text.which_records) }
                select id="refused" name="refused" {
                    option value="" selected[!look.refused] { (text.what_was_done) }
                    option value="yes" selected[look.refused] { (text.what_was_refused) }
                }
            }
            button { (text.show) }
        }
    }
}

fn table(text: &Texts, catalogue: &Catalogue, lines: &[Line]) -> Markup {
    html! {
        div.wide role="region" tabindex="0" aria-label=(text.records) {
            table.cards role="table" {
                thead role="rowgroup" { tr role="row" {
                    th role="columnheader" scope="col" { (text.when) }
                    th role="columnheader" scope="col" { (text.who) }
                    th role="columnheader" scope="col" { (text.what) }
                    th role="columnheader" scope="col" { (text.inbox) }
                    th role="columnheader" scope="col" { (text.detail) }
                } }
                tbody role="rowgroup" { @for one in lines { (row(text, catalogue, one)) } }
            }
        }
    }
}

fn row(text: &Texts, catalogue: &Catalogue, one: &Line) -> Markup {
    html! {
        tr role="row" {
            th.nowrap role="rowheader" scope="row" { (short(&one.time)) }
            td.name role="cell" data-label=(text.who) {
                (who(catalogue, one.operator.as_deref().unwrap_or(&one.actor)))
                @if let Some(of) = &one.on_behalf_of { " " div { "→ " (who(catalogue, of)) } }
            }
            td role="cell" data-label=(text.what) {
                span lang="en" { (one.operation) }
                @if let Some(reason) = &one.reason { " " div { (refused(text, reason)) } }
            }
            td.name role="cell" data-label=(text.inbox) {
                @if let Some(inbox) = &one.inbox { a href={ "/inboxes/" (inbox) } { (parted(inbox)) } }
            }
            td.text role="cell" data-label=(text.detail) {
                (one.detail.as_deref().unwrap_or_default())
                @if let Some(message) = &one.message_id {
                    " " a href={ "/dossier?message=" (message) } { (text.message) }
                }
            }
        }
    }
}

/// A party by its name, beside the OIN that the record has.
fn who(catalogue: &Catalogue, actor: &str) -> Markup {
    let party = actor.parse::<Oin>().ok().filter(|oin| catalogue.party(oin).is_some());
    html! {
        @match party {
            Some(oin) => { (named(catalogue, oin)) " " small { (oin) } },
            None => (actor),
        }
    }
}

/// To the second, as elsewhere on the pages.
fn short(time: &str) -> String {
    let second = time.get(..19).unwrap_or(time);
    format!("{}Z", second.replace('T', " "))
}
