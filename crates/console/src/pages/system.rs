//! How the gateway itself fares: what must hold, its speed, its process, its certificates.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use wissel_broker::{Rates, Readiness, Status};
use wissel_metrics::{Expiry, Process, Quantiles};

use super::format::{age, count, short};
use super::layout::{self, Place};
use super::text::{Reader, Texts};
use super::{SURVEY_AGE, checks};
use crate::Vitals;
use crate::access::Operator;
use crate::console::Seen;

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let survey = broker.survey(SURVEY_AGE).await;
    let content = html! {
        div data-live {
            (readiness(text, &broker.readiness()))
            (gateway(text, &broker.status()))
            (speed(text, &survey.rates))
            (process(text, Vitals::process()))
            (certificates(text, &seen, SystemTime::now()))
        }
    };
    layout::page(&reader, &operator, Place::System, text.system, &content)
}

/// Whether the gateway is ready, in a few words.
pub(super) fn headline(text: &Texts, readiness: &Readiness) -> &'static str {
    if readiness.ready { text.is_ready } else { text.is_not_ready }
}

fn gateway(text: &Texts, status: &Status) -> Markup {
    let facts = [
        (text.version, env!("CARGO_PKG_VERSION").to_owned()),
        (text.uptime, age(text, status.uptime)),
        (text.subscriptions, count(text, status.subscriptions as u64)),
        (text.inboxes, count(text, status.inboxes as u64)),
    ];
    layout::figures("gateway", text.gateway, &facts)
}

fn speed(text: &Texts, rates: &Rates) -> Markup {
    let within = |quantiles: &Quantiles, of: fn(&Quantiles) -> Duration| match quantiles.count {
        0 => "–".to_owned(),
        _ => short(text, of(quantiles)),
    };
    let facts = [
        (text.receipt_half, within(&rates.receipt, |found| found.p50)),
        (text.receipt_most, within(&rates.receipt, |found| found.p99)),
        (text.delivery_half, within(&rates.delivery, |found| found.p50)),
        (text.delivery_most, within(&rates.delivery, |found| found.p99)),
    ];
    layout::figures("speed", text.speed, &facts)
}

fn process(text: &Texts, process: Option<Process>) -> Markup {
    let Some(process) = process else { return html! {} };
    let files = match process.open_files_max {
        0 => count(text, process.open_files),
        most => format!("{} / {}", count(text, process.open_files), count(text, most)),
    };
    let facts = [
        (text.memory, format!("{} MiB", count(text, process.resident_bytes >> 20))),
        (text.cpu_time, age(text, process.cpu)),
        (text.open_files, files),
    ];
    layout::figures("process", text.process, &facts)
}

fn readiness(text: &Texts, readiness: &Readiness) -> Markup {
    html! {
        section aria-labelledby="checks" {
            h2 id="checks" { (headline(text, readiness)) }
            div.wide role="group" tabindex="0" aria-labelledby="checks" {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.check) }
                        th role="columnheader" scope="col" { (text.state) }
                        th role="columnheader" scope="col" { (text.detail) }
                    } }
                    tbody role="rowgroup" {
                        @for check in &readiness.checks { tr role="row" {
                            th role="rowheader" scope="row" { (check.name) }
                            td role="cell" data-label=(text.state) { @if check.ok { span.well { "✓ " (text.holds) } } @else { span.grave { "✗ " (text.does_not_hold) } } }
                            td.text role="cell" data-label=(text.detail) { (checks::found(text, check)) }
                        } }
                    }
                }
            }
        }
    }
}

fn certificates(text: &Texts, seen: &Seen, now: SystemTime) -> Markup {
    let lists = seen.vitals.revocation_lists().into_iter();
    let lists =
        lists.map(|one| Expiry { name: format!("{} {}", text.revocation_list, one.name), ..one });
    let certificates: Vec<Expiry> = seen.vitals.certificates().into_iter().chain(lists).collect();
    html! {
        section aria-labelledby="certificates" {
            h2 id="certificates" { (text.certificates) }
            @if certificates.is_empty() { p { (text.no_certificates) } }
            @else {
                ul {
                    @for one in &certificates {
                        li {
                            (one.name) ": "
                            @match one.at.duration_since(now) {
                                Ok(left) => { (text.ends_in) " " (age(text, left)) },
                                Err(_) => { strong.grave { (text.has_ended) } },
                            }
                        }
                    }
                }
            }
        }
    }
}
