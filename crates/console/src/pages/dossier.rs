//! All that happened to one message, or in one correlation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;
use wissel_broker::dossier::{Entry, What};
use wissel_broker::{Dossier, Sought};
use wissel_catalogue::Catalogue;
use wissel_exchange::CaseFile;

use super::acting::denied;
use super::format::moment;
use super::layout::{self, Back, Place};
use super::names::dotted;
use super::parties::named;
use super::reasons::{given_up, refused, unanswered};
use super::text::{Reader, Texts};
use crate::access::{Form, Operator};
use crate::console::Seen;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Wissel's id of a message.
    #[serde(default)]
    message: String,
}

/// A correlation, which may be personal, and so stands in no URL.
#[derive(Debug, Deserialize)]
pub(super) struct Correlated {
    correlation: String,
    #[serde(default)]
    since: Since,
}

/// How far back records are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Since {
    Day,
    #[default]
    Week,
    Month,
    Year,
}

impl Since {
    const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    fn text(self, text: &Texts) -> &'static str {
        match self {
            Self::Day => text.last_day,
            Self::Week => text.last_week,
            Self::Month => text.last_month,
            Self::Year => text.last_year,
        }
    }

    fn moment(self) -> Option<SystemTime> {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
            Self::Year => 366,
        };
        SystemTime::now().checked_sub(Duration::from_secs(days * 24 * 60 * 60))
    }
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let given = asked.message.trim();
    if given.is_empty() {
        let content = html! { (search(text, &operator, "")) p.lead { (text.dossier_lead) } };
        return layout::page(&reader, &operator, Place::Dossier, text.dossier, &content);
    }
    match given.parse::<Uuid>() {
        Ok(id) => found(&seen, &operator, &reader, Sought::Message(id)).await,
        Err(_) => {
            let (why, back) = (text.no_message_id, Back::To(Place::Dossier));
            layout::fault(&reader, &operator, StatusCode::BAD_REQUEST, why, back)
        }
    }
}

pub(super) async fn correlated(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Form(Correlated { correlation, since }): Form<Correlated>,
) -> Response {
    let id = correlation.trim().to_owned();
    if id.is_empty() || id.chars().nth(Sought::CORRELATION_MAX).is_some() {
        let (why, back) = (reader.texts.no_correlation, Back::To(Place::Dossier));
        return layout::fault(&reader, &operator, StatusCode::BAD_REQUEST, why, back);
    }
    found(&seen, &operator, &reader, Sought::Correlation { id, since: since.moment() }).await
}

/// A correlation is in no URL, so that the address of its page asks for it again.
pub(super) async fn again() -> Redirect {
    Redirect::to("/dossier")
}

async fn found(seen: &Seen, operator: &Operator, reader: &Reader, sought: Sought) -> Response {
    let text = reader.texts;
    match seen.exchange.dossier(&operator.caller(), &sought).await {
        Ok(dossier) => {
            let id = match sought {
                Sought::Message(id) => id.to_string(),
                Sought::Correlation { .. } => String::new(),
            };
            let catalogue = seen.exchange.broker().catalogue();
            let content = html! {
                (search(text, operator, &id))
                (whole(text, &catalogue, &dossier.happened))
                (cases(text, &catalogue, &dossier.cases))
            };
            layout::page(reader, operator, Place::Dossier, text.dossier, &content)
        }
        Err(refusal) => denied(reader, operator, &refusal, Back::To(Place::Dossier)),
    }
}

fn search(text: &Texts, operator: &Operator, id: &str) -> Markup {
    html! {
        form.search method="get" action="/dossier" role="search" {
            div {
                label for="message" { (text.message_id) }
                input id="message" name="message" value=(id) size="38" autocomplete="off" spellcheck="false";
            }
            button { (text.show) }
        }
        form.search method="post" action="/dossier/correlated" role="search"
            aria-label=(text.correlation)
        {
            input type="hidden" name="csrf" value=(operator.csrf());
            div {
                label for="correlation" { (text.correlation) }
                input id="correlation" name="correlation" size="38" required
                    maxlength=(Sought::CORRELATION_MAX) autocomplete="off" spellcheck="false";
            }
            div {
                label for="since" { (text.how_far_back) }
                select id="since" name="since" {
                    @for since in Since::ALL {
                        option value=(since.name()) selected[since == Since::default()] { (since.text(text)) }
                    }
                }
            }
            button { (text.show) }
        }
    }
}

fn cases(text: &Texts, catalogue: &Catalogue, cases: &[CaseFile]) -> Markup {
    html! {
        @for case in cases {
            section aria-labelledby={ "case-" (case.id) } {
                h2 id={ "case-" (case.id) } { (text.how_the_case_stood) }
                p { code { (case.id) } ", " (text.case_held_by) " " (named(catalogue, case.holder)) }
                ol.timeline {
                    @for one in &case.statuses {
                        li { time { (moment(one.at)) } " " span lang="en" { (one.status) } ", " (named(catalogue, one.party)) }
                    }
                }
            }
        }
    }
}

fn whole(text: &Texts, catalogue: &Catalogue, dossier: &Dossier) -> Markup {
    let several = dossier.messages.len() > 1;
    html! {
        section aria-labelledby="messages" {
            h2 id="messages" { (text.messages) }
            div.wide role="group" tabindex="0" aria-labelledby="messages" {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.message_id) }
                        th role="columnheader" scope="col" { (text.event_type) }
                        th role="columnheader" scope="col" { (text.publisher) }
                        th role="columnheader" scope="col" { (text.admitted_at) }
                        th.number role="columnheader" scope="col" { (text.inboxes) }
                    } }
                    tbody role="rowgroup" { @for one in &dossier.messages { tr role="row" {
                        th role="rowheader" scope="row" { code { (one.id) } }
                        td role="cell" data-label=(text.event_type) { (dotted(one.event_type.as_deref().unwrap_or("–"))) }
                        td role="cell" data-label=(text.publisher) { @match one.publisher { Some(party) => (named(catalogue, party)), None => "–" } }
                        td.nowrap role="cell" data-label=(text.admitted_at) { (one.admitted_at.map_or_else(|| "–".to_owned(), moment)) }
                        td.number role="cell" data-label=(text.inboxes) { (one.inboxes.map_or_else(|| "–".to_owned(), |number| number.to_string())) }
                    } } }
                }
            }
        }
        section aria-labelledby="timeline" {
            h2 id="timeline" { (text.what_happened) }
            ol.timeline {
                @for one in &dossier.entries { (entry(text, catalogue, one, several)) }
            }
            @if dossier.truncated { p { (text.more_than_shown) } }
        }
    }
}

fn entry(text: &Texts, catalogue: &Catalogue, one: &Entry, several: bool) -> Markup {
    let is_grave = matches!(one.what, What::Refused | What::DeadLettered | What::Unanswered);
    let is_due = one.what == What::Deadline && one.at > SystemTime::now();
    html! {
        li.grave[is_grave].due[is_due] {
            // What is still to come did not happen then.
            @if is_due { "○ " (text.due_at) " " (moment(one.at)) } @else {
                time { (moment(one.at)) } " " (happened(text, one))
            }
            (where_to(catalogue, one))
            @if let Some(attempt) = one.attempt { ", " (text.attempt) " " (attempt) }
            @if let Some(reason) = &one.reason { ": " (why(text, catalogue, one.what, reason)) }
            @if several { " " small { (one.message_id) } }
        }
    }
}

fn happened(text: &Texts, one: &Entry) -> Markup {
    let what = match one.what {
        What::Admitted => text.admitted,
        What::Refused => text.refused,
        What::Routed => text.routed,
        What::HandedOut => text.handed_to,
        What::Retried => text.comes_again,
        What::DeadLettered => text.given_up,
        What::QuestionOver => text.question_over,
        What::Unanswered => text.unanswered,
        What::Deadline => text.deadline,
    };
    match (one.what, &one.inbox) {
        (What::DeadLettered, Some(inbox)) => html! {
            a href={ "/inboxes/" (inbox) "/dead-letters" } { (what) }
        },
        _ => html! { (what) },
    }
}

/// Why, in the language: a refusal has a code, what else came to nothing has words.
fn why(text: &Texts, catalogue: &Catalogue, what: What, reason: &str) -> Markup {
    match what {
        What::Refused => refused(text, reason),
        What::Unanswered => unanswered(text, catalogue, reason),
        _ => given_up(text, reason),
    }
}

/// Whom it concerned, and in which inbox: `, Agency, INBOX`, and behind "to" without the comma.
fn where_to(catalogue: &Catalogue, one: &Entry) -> Markup {
    let is_to = matches!(one.what, What::Routed | What::HandedOut);
    let first = if is_to { " " } else { ", " };
    html! {
        @if let Some(party) = one.party { (first) (named(catalogue, party)) }
        @if let Some(by) = one.acted_by { " (" (named(catalogue, by)) ")" }
        @if let Some(inbox) = &one.inbox {
            (if one.party.is_some() { ", " } else { first })
            a href={ "/inboxes/" (inbox) } { (inbox) }
        }
    }
}
