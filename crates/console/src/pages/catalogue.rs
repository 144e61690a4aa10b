//! What the catalogue says: event types, who may do what with them, and subscriptions.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Caller, Subscription};
use wissel_catalogue::{Action, Catalogue, EventType};
use wissel_identifiers::SubscriptionName;

use super::acting::denied;
use super::format::count;
use super::layout::{self, Place};
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

/// Event types and subscriptions on a page.
const PAGE: usize = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// A part of a name.
    #[serde(default)]
    name: String,
    #[serde(default)]
    after: String,
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let catalogue = seen.exchange.broker().catalogue();
    let part = asked.name.trim().to_ascii_lowercase();
    let all = catalogue.event_types().filter(|one| one.name.contains(&part));
    let found: Vec<&EventType> = all.take(PAGE + 1).collect();
    let content = html! {
        p.lead {
            (count(text, catalogue.parties().count() as u64)) " " (text.parties) ", "
            (count(text, catalogue.event_types().count() as u64)) " " (text.event_types) ", "
            (count(text, catalogue.grant_count() as u64)) " " (text.grants) "."
        }
        @if !catalogue.warnings().is_empty() {
            section aria-labelledby="warnings" {
                h2 id="warnings" { (text.does_not_cohere) }
                ul { @for warning in catalogue.warnings() { li.warn { (warning) } } }
            }
        }
        (search(text, "/catalogue", &part))
        @if found.is_empty() { p.calm { (text.no_event_types) } }
        @for one in found.iter().take(PAGE) { (event_type(text, &catalogue, one)) }
        @if found.len() > PAGE { p { (text.there_is_more) } }
    };
    layout::page(&reader, &operator, Place::Catalogue, text.catalogue, &content)
}

fn search(text: &Texts, to: &str, part: &str) -> Markup {
    html! {
        form.search method="get" action=(to) role="search" {
            div {
                label for="name" { (text.part_of_name) }
                input id="name" name="name" value=(part) autocomplete="off";
            }
            button { (text.show) }
        }
    }
}

fn event_type(text: &Texts, catalogue: &Catalogue, one: &EventType) -> Markup {
    let called = |oin| catalogue.party(&oin).map_or("–", |party| party.name.as_str());
    let rights = catalogue.rights(&one.name);
    let grants = |action| rights.map(|rights| rights.grants(action)).unwrap_or_default();
    let rows = grants(Action::Publish).into_iter().map(|grant| (text.may_publish, grant));
    let rows =
        rows.chain(grants(Action::Receive).into_iter().map(|grant| (text.may_receive, grant)));
    html! {
        details {
            summary { strong { (one.name) } " – " (one.description) }
            p { (text.owner) ": " (called(one.owner)) " (" (one.owner) ")" }
            div.wide role="region" tabindex="0" aria-label=(one.name) {
                table {
                    thead { tr {
                        th scope="col" { (text.party) }
                        th scope="col" { (text.may) }
                        th scope="col" { (text.purpose) }
                        th scope="col" { (text.legal_basis) }
                    } }
                    tbody { @for (may, grant) in rows { tr {
                        th scope="row" { (called(grant.party)) " " small { (grant.party) } }
                        td { (may) @if grant.fields.is_some() { ", " (text.some_fields) } @if !grant.filters.is_empty() { ", " (text.some_rows) } }
                        td { (grant.purpose) }
                        td { (grant.legal_basis) }
                    } } }
                }
            }
        }
    }
}

pub(super) async fn subscriptions(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let after = asked.after.parse::<SubscriptionName>().ok();
    let caller = Caller::Operator(None);
    let broker = seen.exchange.broker();
    let mut found = match broker.subscriptions(caller, after.as_ref(), PAGE + 1) {
        Ok(found) => found,
        Err(refusal) => return denied(&reader, &operator, &refusal),
    };
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let content = html! {
        @if found.is_empty() { p.calm { (text.no_subscriptions) } } @else {
            div.wide role="region" tabindex="0" aria-label=(text.subscriptions) {
                table {
                    thead { tr {
                        th scope="col" { (text.subscription) }
                        th scope="col" { (text.inbox) }
                        th scope="col" { (text.event_types) }
                        th.number scope="col" { (text.filters) }
                        th scope="col" { (text.kind) }
                    } }
                    tbody { @for one in &found { (row(text, one)) } }
                }
            }
        }
        @if let (true, Some(last)) = (more, found.last()) {
            nav.pages aria-label=(text.pages) {
                a rel="next" href={ "/subscriptions?after=" (last.name) } { (text.next) " →" }
            }
        }
    };
    layout::page(&reader, &operator, Place::Subscriptions, text.subscriptions, &content)
}

fn row(text: &Texts, one: &Subscription) -> Markup {
    html! {
        tr {
            th scope="row" { (one.name) }
            td { a href={ "/inboxes/" (one.inbox) } { (one.inbox) } }
            td {
                @if one.types.is_empty() { (text.all_that_is_granted) }
                @for name in one.types.iter().take(5) { div { (name) } }
                @if one.types.len() > 5 { div { "+ " (one.types.len() - 5) } }
            }
            td.number { (one.filters.len()) }
            td {
                (if one.declared { text.declared } else { text.stored })
                @if one.ordered { ", " (text.ordered) }
                @if one.follows { ", " (text.follows) }
            }
        }
    }
}
