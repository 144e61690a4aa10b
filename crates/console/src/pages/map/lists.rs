//! The map in words: what is not whole and what to do about it, and every flow in a table.

use maud::{Markup, html};
use wissel_broker::Survey;
use wissel_catalogue::{Catalogue, Lack};

use super::called;
use super::drawing::going;
use super::flows::{Flow, Line};
use crate::pages::drafts::{advice, lacked, mark};
use crate::pages::format::rate;
use crate::pages::names::dotted;
use crate::pages::parties::named;
use crate::pages::text::Texts;

/// Flows that are not whole, each with what to do.
pub(super) fn incoherent(text: &Texts, catalogue: &Catalogue, flows: &[&Flow<'_>]) -> Markup {
    let all: Vec<&&Flow> = flows.iter().filter(|flow| !flow.is_whole()).collect();
    html! {
        section aria-labelledby="incoherent" {
            h2 id="incoherent" { (text.incoherent) }
            @if all.is_empty() { p.calm { (text.coherent) } }
            ul { @for flow in all { li {
                strong {
                    @if !flow.all_lacks().is_empty() { "⚠ " }
                    @if flow.is_draft { "◌ " (text.draft) ": " }
                    (flow.name)
                }
                ul {
                    @for lack in &flow.lacks { li { (advice(text, *lack)) } }
                    @for line in &flow.from { (of_line(text, catalogue, line, text.publishes)) }
                    @for line in &flow.to { (of_line(text, catalogue, line, text.receives)) }
                    @if flow.is_draft && flow.all_lacks().is_empty() { li { (text.lacks_nothing) } }
                }
            } } }
        }
    }
}

/// What to do about the draft of a grant, where that is not said of its event type.
fn of_line(text: &Texts, catalogue: &Catalogue, line: &Line<'_>, does: &str) -> Markup {
    html! {
        @if line.is_draft && (line.lacks.is_empty() || line.own_lacks().next().is_some()) {
            li {
                "◌ " (text.draft) ": " (called(catalogue, line.party)) " " (does)
                @for lack in line.own_lacks() { "; " (advice(text, lack)) }
                @if line.lacks.is_empty() { "; " (text.lacks_nothing) }
            }
        }
    }
}

/// The same as the drawing, in a table.
pub(super) fn twin(
    text: &Texts,
    catalogue: &Catalogue,
    flows: &[&Flow<'_>],
    survey: &Survey,
) -> Markup {
    html! {
        section aria-labelledby="flows" {
            h2 id="flows" { (text.flows) }
            div.wide role="group" tabindex="0" aria-labelledby="flows" data-live {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.event_type) }
                        th.number role="columnheader" scope="col" { (text.messages_come) }
                        th role="columnheader" scope="col" { (text.party) }
                        th role="columnheader" scope="col" { (text.does) }
                        th role="columnheader" scope="col" { (text.purpose) }
                        th role="columnheader" scope="col" { (text.legal_basis) }
                        th role="columnheader" scope="col" { (text.state) }
                    } }
                    tbody role="rowgroup" { @for flow in flows {
                        (owner(text, catalogue, flow, survey))
                        @for line in &flow.from { (row(text, catalogue, flow, line, text.publishes, survey)) }
                        @for line in &flow.to { (row(text, catalogue, flow, line, text.receives, survey)) }
                    } }
                }
            }
        }
    }
}

/// The event type itself, and who answers for it.
fn owner(text: &Texts, catalogue: &Catalogue, flow: &Flow<'_>, survey: &Survey) -> Markup {
    html! {
        tr role="row" {
            (what(text, flow, survey))
            td.name role="cell" data-label=(text.party) { @match flow.owner { Some(owner) => (named(catalogue, owner)), None => "–" } }
            td role="cell" data-label=(text.does) { (text.owner.to_lowercase()) }
            td.text role="cell" data-label=(text.purpose) { "–" }
            td.text role="cell" data-label=(text.legal_basis) { "–" }
            td role="cell" data-label=(text.state) { (state(text, flow.is_draft, &flow.lacks)) }
        }
    }
}

fn row(
    text: &Texts,
    catalogue: &Catalogue,
    flow: &Flow<'_>,
    line: &Line<'_>,
    does: &str,
    survey: &Survey,
) -> Markup {
    html! {
        tr role="row" {
            (what(text, flow, survey))
            td.name role="cell" data-label=(text.party) { (named(catalogue, line.party)) }
            td role="cell" data-label=(text.does) { (does) }
            td.text role="cell" data-label=(text.purpose) { (line.purpose.unwrap_or("–")) }
            td.text role="cell" data-label=(text.legal_basis) { (line.legal_basis.unwrap_or("–")) }
            td role="cell" data-label=(text.state) { (state(text, line.is_draft, line.lacks)) }
        }
    }
}

fn what(text: &Texts, flow: &Flow<'_>, survey: &Survey) -> Markup {
    html! {
        th role="rowheader" scope="row" { (dotted(flow.name)) }
        td.number role="cell" data-label=(text.messages_come) { @match going(flow, survey) { Some(going) => (rate(text, going)), None => "–" } }
    }
}

fn state(text: &Texts, is_draft: bool, lacks: &[Lack]) -> Markup {
    html! {
        @if is_draft { (mark(text, lacks)) } @else {
            (text.in_force)
            @if !lacks.is_empty() { div.under { "⚠ " (lacked(text, lacks)) } }
        }
    }
}
