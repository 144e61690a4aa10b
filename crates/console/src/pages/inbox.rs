//! One inbox.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use wissel_broker::{Caller, Inbox, Surveyed};
use wissel_catalogue::Catalogue;

use super::SURVEY_AGE;
use super::acting::{denied, switches};
use super::format::{age, count, least, rate};
use super::inboxes::{concern, why};
use super::layout::{self, Back, Place};
use super::named::Named;
use super::parties::named;
use super::settings;
use super::sparkline::sparkline;
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let inbox = match broker.inbox(&operator.caller(), &name).await {
        Ok(inbox) => inbox,
        Err(refusal) => return denied(&reader, &operator, &refusal, Back::To(Place::Inboxes)),
    };
    let survey = broker.survey(SURVEY_AGE).await;
    let place = survey.inboxes.binary_search_by(|one| one.name.cmp(&name)).ok();
    let surveyed = place.map(|place| &survey.inboxes[place]);
    let catalogue = broker.catalogue();
    let content = html! {
        p.lead { (text.inbox_of) " " (named(&catalogue, name.owner())) }
        div data-live {
            (state(text, &inbox, surveyed))
            (receivers(text, &catalogue, &inbox))
        }
        p.acts {
            a.button href={ "/inboxes/" (name) "/messages" } { (text.to_messages) }
            @if inbox.state.dead_letters > 0 {
                a.button href={ "/inboxes/" (name) "/dead-letters" } { (text.to_dead_letters) }
            }
        }
        (switches(text, &operator, &name, &inbox.settings))
        (settings::section(text, &operator, &name, &inbox.settings))
    };
    layout::page(&reader, &operator, Place::Inboxes, &name.to_string(), &content)
}

fn state(text: &Texts, inbox: &Inbox, surveyed: Option<&Surveyed>) -> Markup {
    let now = SystemTime::now();
    let state = &inbox.state;
    let oldest = state.oldest_age(now).map_or_else(|| "–".to_owned(), |oldest| age(text, oldest));
    let waiting = state.depth.saturating_sub(state.delayed);
    let figures = [
        (text.waiting, least(text, waiting, state.depth_is_least)),
        (text.retrying, count(text, state.delayed)),
        (text.in_flight, count(text, state.in_flight)),
        (text.dead_letters, count(text, state.dead_letters)),
        (text.receivers, count(text, state.consumers.into())),
        (text.oldest, oldest),
    ];
    html! {
        section aria-labelledby="state" {
            h2 id="state" { (text.state) }
            @if let Some(one) = surveyed {
                p { (concern(text, one.concern(now))) " " (why(text, one, now)) }
            }
            dl.figures {
                @for (name, value) in figures { div { dt { (name) } dd { (value) } } }
                @if let Some(one) = surveyed {
                    div { dt { (text.come) } dd { (rate(text, one.came_per_second)) } }
                    div { dt { (text.settled) } dd { (rate(text, one.settled_per_second)) } }
                }
            }
            @if let Some(one) = surveyed { h3 { (text.course) } (sparkline(text, &one.history)) }
        }
    }
}

/// Who has it open at this gateway.
fn receivers(text: &Texts, catalogue: &Catalogue, inbox: &Inbox) -> Markup {
    let now = SystemTime::now();
    let ago = |at: SystemTime| age(text, now.duration_since(at).unwrap_or_default());
    let called =
        |oin| catalogue.party(&oin).map_or_else(|| oin.to_string(), |one| one.name.clone());
    let who = |caller: &Caller| match *caller {
        Caller::Party(party) => called(party),
        Caller::Representative { party, principal } => {
            format!("{} → {}", called(party), called(principal))
        }
        Caller::Operator(_) => String::new(),
    };
    html! {
        section aria-labelledby="receivers" {
            h2 id="receivers" { (text.receivers_here) }
            @if inbox.receivers.is_empty() { p { (text.no_receivers_here) } } @else {
                div.wide role="group" tabindex="0" aria-labelledby="receivers" {
                    table.cards role="table" {
                        thead role="rowgroup" { tr role="row" {
                            th role="columnheader" scope="col" { (text.party) }
                            th.number role="columnheader" scope="col" { (text.open_for) }
                            th.number role="columnheader" scope="col" { (text.in_hand) }
                            th.number role="columnheader" scope="col" { (text.credit) }
                            th.number role="columnheader" scope="col" { (text.settled_ago) }
                        } }
                        tbody role="rowgroup" { @for one in &inbox.receivers { tr role="row" {
                            th role="rowheader" scope="row" { (who(&one.caller)) }
                            td.number role="cell" data-label=(text.open_for) { (ago(one.since)) }
                            td.number role="cell" data-label=(text.in_hand) { (count(text, one.in_hand)) }
                            td.number role="cell" data-label=(text.credit) { (count(text, one.credit.into())) }
                            td.number role="cell" data-label=(text.settled_ago) { (one.settled_at.map_or_else(|| "–".to_owned(), ago)) }
                        } } }
                    }
                }
            }
        }
    }
}
