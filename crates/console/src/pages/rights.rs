//! Rights and mandates, as the pages show them.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};
use wissel_broker::masked;
use wissel_catalogue::{Action, Catalogue, Grant, Mandate};

use super::filters::words;
use super::format::{age, moment};
use super::names::dotted;
use super::parties::named;
use super::text::Texts;

/// A mandate that ends within this time asks for somebody to look.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a right or mandate is for.
pub(super) fn may(text: &Texts, action: Action) -> &'static str {
    match action {
        Action::Publish => text.may_publish,
        Action::Receive => text.may_receive,
    }
}

/// What one party may, and why.
pub(super) fn grants(text: &Texts, all: &[&Grant]) -> Markup {
    html! {
        div.wide role="group" tabindex="0" aria-labelledby="rights" {
            table.cards role="table" {
                thead role="rowgroup" { tr role="row" {
                    th role="columnheader" scope="col" { (text.event_type) }
                    th role="columnheader" scope="col" { (text.may) }
                    th role="columnheader" scope="col" { (text.purpose) }
                    th role="columnheader" scope="col" { (text.legal_basis) }
                    th role="columnheader" scope="col" { (text.messages) }
                    th role="columnheader" scope="col" { (text.fields) }
                } }
                tbody role="rowgroup" { @for grant in all { tr role="row" {
                    th role="rowheader" scope="row" { (dotted(&grant.event_type)) }
                    td role="cell" data-label=(text.may) { (may(text, grant.action)) }
                    td.text role="cell" data-label=(text.purpose) { (grant.purpose) }
                    td role="cell" data-label=(text.legal_basis) { (grant.legal_basis) }
                    td role="cell" data-label=(text.messages) { (row_limits(text, grant)) }
                    td role="cell" data-label=(text.fields) { (fields(text, grant)) }
                } } }
            }
        }
    }
}

/// Without long numbers, which may name a person.
fn row_limits(text: &Texts, grant: &Grant) -> Markup {
    let limits = grant.filters.iter().map(|filter| words(text, filter));
    html! {
        @if grant.filters.is_empty() { (text.all) }
        @for limit in limits { div.text { (masked(&limit)) } }
    }
}

fn fields(text: &Texts, grant: &Grant) -> Markup {
    let pointers = grant.fields.as_ref().map(|fields| fields.set.pointers().join(", "));
    html! {
        @match pointers {
            Some(pointers) => div.text { (pointers) },
            None => (text.all),
        }
    }
}

/// Who acts for whom.
pub(super) fn mandates(
    text: &Texts,
    catalogue: &Catalogue,
    all: &[&Mandate],
    now: SystemTime,
) -> Markup {
    html! {
        div.wide role="group" tabindex="0" aria-labelledby="mandates" {
            table.cards role="table" {
                thead role="rowgroup" { tr role="row" {
                    th role="columnheader" scope="col" { (text.party) }
                    th role="columnheader" scope="col" { (text.acts_for) }
                    th role="columnheader" scope="col" { (text.may) }
                    th role="columnheader" scope="col" { (text.event_type) }
                    th role="columnheader" scope="col" { (text.basis) }
                    th role="columnheader" scope="col" { (text.until) }
                } }
                tbody role="rowgroup" { @for one in all { tr role="row" {
                    th role="rowheader" scope="row" { (named(catalogue, one.party)) }
                    td role="cell" data-label=(text.acts_for) { (named(catalogue, one.principal)) }
                    td role="cell" data-label=(text.may) { @for action in &one.actions { div { (may(text, *action)) } } }
                    td role="cell" data-label=(text.event_type) {
                        @match &one.types {
                            Some(types) => @for name in types { div { (dotted(name)) } },
                            None => (text.all),
                        }
                    }
                    td role="cell" data-label=(text.basis) { (one.basis) }
                    td role="cell" data-label=(text.until) { (term(text, one, now)) }
                } } }
            }
        }
    }
}

/// Until when a mandate holds, marked when it does not, or soon will not.
fn term(text: &Texts, mandate: &Mandate, now: SystemTime) -> Markup {
    let left = mandate.until.duration_since(now).ok();
    let begins = mandate.from.filter(|from| *from > now);
    html! {
        div.nowrap { (moment(mandate.until)) }
        @match (left, begins) {
            (None, _) => span.grave { "■ " (text.has_ended) },
            (_, Some(from)) => span.warn { "○ " (text.begins_at) " " (moment(from)) },
            (Some(left), None) if left < SOON => {
                span.warn { "▲ " (text.ends_in) " " (age(text, left)) }
            },
            _ => {},
        }
    }
}
