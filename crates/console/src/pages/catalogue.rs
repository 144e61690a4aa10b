//! What the catalogue says: event types, who may do what with them, and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Broker, Reason, Role, Subscription};
use wissel_catalogue::{Action, Catalogue, Change, EventType, How, Part};
use wissel_identifiers::SubscriptionName;

use super::acting::denied;
use super::drafts;
use super::format::{count, moment};
use super::layout::{self, Back, Place};
use super::names::{dotted, parted};
use super::parties::named;
use super::rights::may;
use super::text::{Reader, Texts};
use crate::access::{Form, Operator};
use crate::console::Seen;

/// Event types and subscriptions on a page.
const PAGE: usize = 50;

/// Faults and changes on a page.
const SHOWN: usize = 50;
/// How long one waits for the files to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// A form without fields.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

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
    let broker = seen.exchange.broker();
    let catalogue = broker.catalogue();
    // Held to what a name may have, so that it needs no escape in a URL.
    let part = asked.name.trim().to_ascii_lowercase();
    let part: String =
        part.chars().filter(|one| one.is_ascii_alphanumeric() || "-._".contains(*one)).collect();
    let is_meant = |one: &&EventType| one.name.contains(&part) && *one.name > *asked.after;
    let all = catalogue.event_types().filter(is_meant);
    let found: Vec<&EventType> = all.take(PAGE + 1).collect();
    let content = html! {
        p.lead {
            a href="/parties" { (count(text, catalogue.parties().count() as u64)) " " (text.parties) } ", "
            (count(text, catalogue.event_types().count() as u64)) " " (text.event_types) ", "
            (count(text, catalogue.grant_count() as u64)) " " (text.grants) "."
        }
        (files(text, &operator, broker))
        @if !catalogue.warnings().is_empty() {
            section aria-labelledby="warnings" {
                h2 id="warnings" { (text.does_not_cohere) }
                ul { @for warning in catalogue.warnings() { li.warn lang="en" { (warning) } } }
            }
        }
        (planned(text, &catalogue))
        (search(text, "/catalogue", &part))
        @if found.is_empty() { p.calm { (text.no_event_types) } }
        @for one in found.iter().take(PAGE) { (event_type(text, &catalogue, one)) }
        @if let (Some(last), true) = (found.get(PAGE - 1), found.len() > PAGE) {
            p { a.button href={ "/catalogue?name=" (part) "&after=" (last.name) } { (text.next) } }
        }
    };
    layout::page(&reader, &operator, Place::Catalogue, text.catalogue, &content)
}

/// What is not in force yet.
fn planned(text: &Texts, catalogue: &Catalogue) -> Markup {
    let drafts = catalogue.drafts();
    let types: Vec<_> = drafts.types().iter().take(SHOWN).collect();
    let grants: Vec<_> = drafts.grants().iter().take(SHOWN).collect();
    let more = drafts.types().len().max(drafts.grants().len()) > SHOWN;
    drafts::section(text, catalogue, &types, &grants, more)
}

/// Since when it is in force and what changed then; how the files were read since.
fn files(text: &Texts, operator: &Operator, broker: &Broker) -> Markup {
    let (reading, changes) = (broker.last_reading(), broker.catalogue_changes());
    html! {
        section aria-labelledby="files" {
            h2 id="files" { (text.files) }
            p {
                (text.in_force_since) " " (moment(broker.catalogue_since())) "."
                @if let Some(reading) = &reading { " " (text.files_read_at) " " (moment(reading.at)) "." }
            }
            @if let Some(reading) = reading.filter(|reading| !reading.faults.is_empty()) {
                p.grave { (text.files_refused) }
                ul { @for fault in reading.faults.iter().take(SHOWN) { li.text lang="en" { (fault) } } }
                @if reading.faults.len() > SHOWN { p { (text.more_than_shown) } }
            }
            @if !changes.is_empty() {
                details {
                    summary { (text.changed_then) ": " (count(text, changes.len() as u64)) }
                    ul { @for change in changes.iter().take(SHOWN) { li.text { (changed(text, change)) } } }
                    @if changes.len() > SHOWN { p { (text.more_than_shown) } }
                }
            }
            @if operator.holds(Role::CatalogueManager) {
                form method="post" action="/catalogue/read" {
                    input type="hidden" name="csrf" value=(operator.csrf());
                    button.second { (text.read_again) }
                }
            }
        }
    }
}

fn changed(text: &Texts, change: &Change) -> String {
    let how = match change.how {
        How::Added => text.added,
        How::Removed => text.removed,
        How::Altered => text.altered,
    };
    let of = match &change.of {
        Part::Party { oin } => format!("{} {oin}", text.party),
        Part::EventType { name } => format!("{} {name}", text.event_type),
        Part::Grant { party, action, event_type } => {
            format!("{party} {}: {event_type}", may(text, *action))
        }
        Part::DraftType { name } => format!("{}: {} {name}", text.draft, text.event_type),
        Part::DraftGrant { party, action, event_type } => {
            format!("{}: {party} {}: {event_type}", text.draft, may(text, *action))
        }
        Part::Mandates { party, principal } => format!("{} {party} → {principal}", text.mandate),
        Part::Subscription { name } => format!("{} {name}", text.subscription),
    };
    format!("{how}: {of}")
}

/// Has the files read again.
pub(super) async fn read(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Form(Nothing {}): Form<Nothing>,
) -> Response {
    let (caller, back) = (operator.caller(), Back::To(Place::Catalogue));
    let reading = seen.exchange.broker().read_catalogue_again(&caller);
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Err(refusal)) if refusal.reason == Reason::NotGranted => {
            let why = reader.texts.only_managers_act;
            layout::fault(&reader, &operator, StatusCode::FORBIDDEN, why, back)
        }
        Ok(Err(refusal)) => denied(&reader, &operator, &refusal, back),
        // What takes longer is told when it is done.
        Ok(Ok(_)) | Err(_) => Redirect::to("/catalogue").into_response(),
    }
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
    let rights = catalogue.rights(&one.name);
    let grants = |action| rights.map(|rights| rights.grants(action)).unwrap_or_default();
    let rows = grants(Action::Publish).into_iter().chain(grants(Action::Receive));
    html! {
        details {
            summary { strong { (one.name) } " – " (one.description) }
            p { (text.owner) ": " (named(catalogue, one.owner)) " (" (one.owner) ")" }
            div.wide role="region" tabindex="0" aria-label=(one.name) {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.party) }
                        th role="columnheader" scope="col" { (text.may) }
                        th role="columnheader" scope="col" { (text.purpose) }
                        th role="columnheader" scope="col" { (text.legal_basis) }
                    } }
                    tbody role="rowgroup" { @for grant in rows { tr role="row" {
                        th role="rowheader" scope="row" { (named(catalogue, grant.party)) " " small { (grant.party) } }
                        td role="cell" data-label=(text.may) { (may(text, grant.action)) @if grant.fields.is_some() { ", " (text.some_fields) } @if !grant.filters.is_empty() { ", " (text.some_rows) } }
                        td role="cell" data-label=(text.purpose) { (grant.purpose) }
                        td role="cell" data-label=(text.legal_basis) { (grant.legal_basis) }
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
    let broker = seen.exchange.broker();
    let mut found = match broker.subscriptions(&operator.caller(), after.as_ref(), PAGE + 1) {
        Ok(found) => found,
        Err(refusal) => {
            return denied(&reader, &operator, &refusal, Back::To(Place::Subscriptions));
        }
    };
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let content = html! {
        @if found.is_empty() { p.calm { (text.no_subscriptions) } } @else {
            div.wide role="region" tabindex="0" aria-label=(text.subscriptions) {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.subscription) }
                        th role="columnheader" scope="col" { (text.inbox) }
                        th role="columnheader" scope="col" { (text.event_type) }
                        th.number role="columnheader" scope="col" { (text.filters) }
                        th role="columnheader" scope="col" { (text.kind) }
                    } }
                    tbody role="rowgroup" { @for one in &found { (row(text, one)) } }
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
        tr role="row" {
            th role="rowheader" scope="row" { (parted(one.name.as_str())) }
            td role="cell" data-label=(text.inbox) { a href={ "/inboxes/" (one.inbox) } { (parted(one.inbox.as_str())) } }
            td role="cell" data-label=(text.event_type) {
                @if one.types.is_empty() { (text.all_that_is_granted) }
                @for name in one.types.iter().take(5) { div { (dotted(name)) } }
                @if one.types.len() > 5 { div { "+ " (one.types.len() - 5) } }
            }
            td.number role="cell" data-label=(text.filters) { (one.filters.len()) }
            td role="cell" data-label=(text.kind) {
                (if one.declared { text.declared } else { text.stored })
                @if one.ordered { ", " (text.ordered) }
                @if one.follows { ", " (text.follows) }
            }
        }
    }
}
