//! What needs attention, first.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use wissel_broker::{Order, Rates, Readiness, Surveyed, Totals};
use wissel_catalogue::Catalogue;
use wissel_metrics::Expiry;

use super::format::{age, count, rate};
use super::inboxes::table;
use super::layout::{self, Place};
use super::text::{Reader, Texts};
use super::{SURVEY_AGE, checks, system};
use crate::access::Operator;
use crate::console::Seen;

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
            (readiness(text, &broker.readiness()))
            (ending(text, &seen, now))
            @if refused { p.grave { a href="/catalogue" { (text.files_refused) } } }
            (attention(text, &broker.catalogue(), &gravest, totals.concerns, now))
            (figures(text, &totals, &survey.rates, now))
        }
    };
    layout::page(&reader, &operator, Place::Overview, text.overview, &content)
}

/// Certificates and revocation lists that end soon, as the alerts have it.
fn ending(text: &Texts, seen: &Seen, now: SystemTime) -> Markup {
    const CERTIFICATES: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    const LISTS: Duration = Duration::from_secs(3 * 60 * 60);
    let ends = |one: &Expiry, within| one.at.duration_since(now).is_ok_and(|left| left > within);
    let certificates = seen.vitals.certificates().into_iter();
    let certificates = certificates.filter(|one| !ends(one, CERTIFICATES));
    let lists = seen.vitals.revocation_lists().into_iter().filter(|one| !ends(one, LISTS));
    let certificates = certificates.map(|one| (text.certificate, one));
    let all: Vec<_> = certificates.chain(lists.map(|one| (text.revocation_list, one))).collect();
    html! {
        @for (what, one) in &all {
            p.grave {
                a href="/system" { (what) " " (one.name) } " "
                @match one.at.duration_since(now) {
                    Ok(left) => { (text.ends_in) " " (age(text, left)) },
                    Err(_) => (text.has_ended),
                }
            }
        }
    }
}

fn attention(
    text: &Texts,
    catalogue: &Catalogue,
    gravest: &[&Surveyed],
    concerns: u64,
    now: SystemTime,
) -> Markup {
    html! {
        section aria-labelledby="attention" {
            h2 id="attention" { (text.needs_attention) }
            @if gravest.is_empty() {
                p.calm { (text.nothing_needs_attention) }
            } @else {
                p { (count(text, concerns)) " " (text.inboxes_with_a_concern) }
                (table(text, catalogue, gravest, now))
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
            h2 id="ready" {
                @if readiness.ready { span.well { "✓" } } @else { span.grave { "✗" } } " "
                (system::headline(text, readiness))
            }
            @if !readiness.ready {
                ul.concerns {
                    @for check in failing { li { strong.grave { (check.name) } " " (checks::found(text, check)) } }
                }
            }
            p { a href="/system" { (text.system_more) } }
        }
    }
}
