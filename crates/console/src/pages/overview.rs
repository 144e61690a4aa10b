//! What needs attention, first.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use wissel_broker::{Order, Rates, Surveyed, Totals};

use super::format::{age, count, rate};
use super::inboxes::{table, why};
use super::layout::{self, Place};
use super::text::{Reader, Texts};
use super::{SURVEY_AGE, system};
use crate::access::Operator;
use crate::console::Seen;
use crate::health::Readiness;

/// How many inboxes are shown.
const GRAVEST: usize = 10;

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let survey = broker.survey(SURVEY_AGE).await;
    let now = SystemTime::now();
    let concerning = survey.inboxes.iter().filter(|one| one.concern(now).is_some());
    let gravest = Order::Concern.first(concerning, 0, GRAVEST);
    let totals = Totals::of(survey.inboxes.iter(), now);
    let refused = broker.last_reading().is_some_and(|reading| !reading.faults.is_empty());
    let content = html! {
        div data-live {
            @if refused { p.grave { a href="/catalogue" { (text.files_refused) } } }
            (attention(text, &gravest, totals.concerns, now))
            (figures(text, &totals, &survey.rates, now))
            (readiness(text, &Readiness::of(broker, &seen.vitals)))
        }
    };
    layout::page(&reader, &operator, Place::Overview, text.overview, &content)
}

fn attention(text: &Texts, gravest: &[&Surveyed], concerns: u64, now: SystemTime) -> Markup {
    html! {
        section aria-labelledby="attention" {
            h2 id="attention" { (text.needs_attention) }
            @if gravest.is_empty() {
                p.calm { (text.nothing_needs_attention) }
            } @else {
                p { (count(text, concerns)) " " (text.inboxes_with_a_concern) }
                ul.concerns {
                    @for one in gravest.iter().take(3) {
                        li {
                            a href={ "/inboxes/" (one.name) } { (one.name) }
                            " " (why(text, one, now))
                        }
                    }
                }
                (table(text, gravest, now))
                p { a href="/inboxes" { (text.all_inboxes) } }
            }
        }
    }
}

fn figures(text: &Texts, totals: &Totals, rates: &Rates, now: SystemTime) -> Markup {
    let oldest = totals.oldest.map(|oldest| now.duration_since(oldest).unwrap_or_default());
    let figures = [
        (text.waiting, count(text, totals.waiting)),
        (text.retrying, count(text, totals.delayed)),
        (text.in_flight, count(text, totals.in_flight)),
        (text.dead_letters, count(text, totals.dead_letters)),
        (text.receivers, count(text, totals.consumers)),
        (text.oldest, oldest.map_or_else(|| "–".to_owned(), |oldest| age(text, oldest))),
        (text.messages_come, rate(text, rates.messages_per_second)),
        (text.handed_out, rate(text, rates.handed_out_per_second)),
    ];
    layout::figures("figures", text.traffic, &figures)
}

/// Whether the gateway is ready and, where it is not, why.
fn readiness(text: &Texts, readiness: &Readiness) -> Markup {
    let failing = readiness.checks.iter().filter(|check| !check.ok);
    html! {
        section aria-labelledby="ready" {
            h2 id="ready" { (system::headline(text, readiness)) }
            @if !readiness.ready {
                ul.concerns {
                    @for check in failing { li { strong.grave { (check.name) } " " (check.detail) } }
                }
            }
            p { a href="/system" { (text.system_more) } }
        }
    }
}
