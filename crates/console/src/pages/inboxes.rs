//! Every inbox, in an order and a page at a time.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Concern, Order, Surveyed};
use wissel_catalogue::Catalogue;

use super::SURVEY_AGE;
use super::format::{age, count, least, rate};
use super::layout::{self, Place};
use super::names::parted;
use super::parties::named;
use super::sparkline::sparkline;
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

/// Inboxes on a page.
const PAGE: usize = 50;

/// What is asked for. What is not understood counts as not said.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    order: String,
    /// A part of the name.
    #[serde(default)]
    name: String,
    #[serde(default)]
    page: String,
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let (survey, catalogue) = (broker.survey(SURVEY_AGE).await, broker.catalogue());
    let now = SystemTime::now();
    let number: usize = asked.page.parse().unwrap_or_default();
    let part = asked.name.trim().to_ascii_lowercase();
    let meant = survey.inboxes.iter().filter(|one| one.name.as_str().contains(&part));
    // One more than is shown says whether there is another page.
    let mut found = order(&asked.order).first(meant, number.saturating_mul(PAGE), PAGE + 1);
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let content = html! {
        (search(text, &asked, &part))
        div data-live {
            @if found.is_empty() { p.calm { (if part.is_empty() { text.no_inboxes } else { text.no_such_inboxes }) } }
            @else { (table(text, &catalogue, &found, now)) }
        }
        (pages(text, &asked, &part, number, more))
    };
    layout::page(&reader, &operator, Place::Inboxes, text.inboxes, &content)
}

const ORDERS: [(&str, Order); 7] = [
    ("concern", Order::Concern),
    ("depth", Order::Depth),
    ("oldest", Order::Oldest),
    ("came", Order::Came),
    ("settled", Order::Settled),
    ("dead", Order::DeadLetters),
    ("name", Order::Name),
];

fn order(name: &str) -> Order {
    ORDERS.iter().find(|(one, _)| *one == name).map(|(_, order)| *order).unwrap_or_default()
}

fn search(text: &Texts, asked: &Asked, part: &str) -> Markup {
    html! {
        form.search method="get" action="/inboxes" role="search" {
            div {
                label for="name" { (text.part_of_name) }
                input id="name" name="name" value=(part) autocomplete="off";
            }
            div {
                label for="order" { (text.order_by) }
                select id="order" name="order" {
                    @for ((value, order_of), label) in ORDERS.iter().zip(text.orders) {
                        option value=(value) selected[order(&asked.order) == *order_of] { (label) }
                    }
                }
            }
            button { (text.show) }
        }
    }
}

fn pages(text: &Texts, asked: &Asked, part: &str, number: usize, more: bool) -> Markup {
    // The part is held to what a name may have, so that it needs no escape in a URL.
    let part: String =
        part.chars().filter(|one| one.is_ascii_alphanumeric() || "-._".contains(*one)).collect();
    let known = ORDERS.iter().find(|(one, _)| *one == asked.order).map_or("concern", |one| one.0);
    let to = |page: usize| format!("/inboxes?order={known}&name={part}&page={page}");
    html! {
        @if number > 0 || more {
            nav.pages aria-label=(text.pages) {
                @if number > 0 { a rel="prev" href=(to(number - 1)) { "← " (text.previous) } }
                span { (text.page) " " (number + 1) }
                @if more { a rel="next" href=(to(number + 1)) { (text.next) " →" } }
            }
        }
    }
}

/// Inboxes, one a row, with whose they are and what is wrong with them.
pub(super) fn table(
    text: &Texts,
    catalogue: &Catalogue,
    inboxes: &[&Surveyed],
    now: SystemTime,
) -> Markup {
    html! {
        div.wide role="group" tabindex="0" aria-label=(text.inboxes) {
            table.cards role="table" {
                thead role="rowgroup" { tr role="row" {
                    th role="columnheader" scope="col" { (text.inbox) }
                    th role="columnheader" scope="col" { (text.state) }
                    th.number role="columnheader" scope="col" { (text.waiting) }
                    th.number role="columnheader" scope="col" { (text.in_flight) }
                    th.number role="columnheader" scope="col" { (text.dead_letters) }
                    th.number role="columnheader" scope="col" { (text.receivers) }
                    th.number role="columnheader" scope="col" { (text.oldest) }
                    th.number role="columnheader" scope="col" { (text.settled) }
                    th role="columnheader" scope="col" { (text.course) }
                } }
                tbody role="rowgroup" { @for one in inboxes { (row(text, catalogue, one, now)) } }
            }
        }
    }
}

fn row(text: &Texts, catalogue: &Catalogue, one: &Surveyed, now: SystemTime) -> Markup {
    let state = &one.state;
    let wrong = one.concern(now);
    html! {
        tr.above[wrong.is_some()] role="row" {
            th role="rowheader" scope="row" rowspan=[wrong.map(|_| 2)] {
                a href={ "/inboxes/" (one.name) } { (parted(one.name.as_str())) }
                div.under { (named(catalogue, one.name.owner())) }
            }
            td role="cell" data-label=(text.state) { (concern(text, wrong)) }
            td.number role="cell" data-label=(text.waiting) { (least(text, state.depth, state.depth_is_least)) }
            td.number role="cell" data-label=(text.in_flight) { (count(text, state.in_flight)) }
            td.number role="cell" data-label=(text.dead_letters) { (count(text, state.dead_letters)) }
            td.number role="cell" data-label=(text.receivers) { (count(text, state.consumers.into())) }
            td.number role="cell" data-label=(text.oldest) { (state.oldest_age(now).map_or_else(|| "–".to_owned(), |oldest| age(text, oldest))) }
            td.number role="cell" data-label=(text.settled) { (rate(text, one.settled_per_second)) }
            td role="cell" data-label=(text.course) { (sparkline(text, &one.history)) }
        }
        @if wrong.is_some() { tr.why role="row" { td role="cell" colspan="8" { (why(text, one, now)) } } }
    }
}

/// A word, with a sign that does not depend on colour.
pub(super) fn concern(text: &Texts, concern: Option<Concern>) -> Markup {
    html! {
        @match concern {
            Some(Concern::Full) => span.grave { "█ " (text.full) },
            Some(Concern::Paused) => span.warn { "‖ " (text.paused) },
            Some(Concern::Draining) => span.warn { "↓ " (text.draining) },
            Some(Concern::NoReceiver) => span.grave { "■ " (text.no_receiver) },
            Some(Concern::Slow) => span.grave { "▲ " (text.slow) },
            Some(Concern::DeadLetters) => span.warn { "● " (text.has_dead_letters) },
            None => span.well { "✓ " (text.well) },
        }
    }
}

/// Why somebody should look, in a sentence.
pub(super) fn why(text: &Texts, one: &Surveyed, now: SystemTime) -> &'static str {
    match one.concern(now) {
        Some(Concern::Full) => text.why_full,
        Some(Concern::Paused) => text.why_paused,
        Some(Concern::Draining) => text.why_draining,
        Some(Concern::NoReceiver) => text.why_no_receiver,
        Some(Concern::Slow) => text.why_slow,
        Some(Concern::DeadLetters) => text.why_dead_letters,
        None => text.why_well,
    }
}
