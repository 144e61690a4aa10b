//! What is planned and not in force, as the map, the catalogue and the page of a party show
//! it.

use maud::{Markup, html};
use wissel_catalogue::{Catalogue, DraftGrant, DraftType, Lack};

use super::names::dotted;
use super::parties::named;
use super::rights::may;
use super::text::Texts;

/// What is lacked, in few words: `lacks owner, legal basis`. Empty when nothing is.
pub(super) fn lacked(text: &Texts, lacks: &[Lack]) -> String {
    if lacks.is_empty() {
        return String::new();
    }
    let words: Vec<String> = lacks.iter().map(|lack| word(text, *lack).to_lowercase()).collect();
    format!("{} {}", text.lacks, words.join(", "))
}

fn word(text: &Texts, lack: Lack) -> &'static str {
    match lack {
        Lack::Owner => text.owner,
        Lack::Description => text.description,
        Lack::Publisher => text.publisher,
        Lack::Receiver => text.receivers,
        Lack::Purpose => text.purpose,
        Lack::LegalBasis => text.legal_basis,
        Lack::EventType => text.type_in_force,
    }
}

/// What is lacked, and what to do about it.
pub(super) fn advice(text: &Texts, lack: Lack) -> &'static str {
    match lack {
        Lack::Owner => text.lacks_owner,
        Lack::Description => text.lacks_description,
        Lack::Publisher => text.lacks_source,
        Lack::Receiver => text.lacks_taker,
        Lack::Purpose => text.lacks_purpose,
        Lack::LegalBasis => text.lacks_basis,
        Lack::EventType => text.lacks_type,
    }
}

/// That something is a draft, with a sign that does not depend on colour, and what it lacks.
pub(super) fn mark(text: &Texts, lacks: &[Lack]) -> Markup {
    html! {
        span.warn { "◌ " (text.draft) }
        div.under {
            @if lacks.is_empty() { (text.lacks_nothing) } @else { (lacked(text, lacks)) }
        }
    }
}

/// The drafts of these, in a table; nothing when there are none. `more` says that not all
/// are shown.
pub(super) fn section(
    text: &Texts,
    catalogue: &Catalogue,
    types: &[&DraftType],
    grants: &[&DraftGrant],
    more: bool,
) -> Markup {
    let or_none = |said: &Option<_>| said.as_deref().unwrap_or("–").to_owned();
    html! {
        @if !types.is_empty() || !grants.is_empty() {
            section aria-labelledby="drafts" {
                h2 id="drafts" { (text.drafts) }
                p { (text.drafts_lead) }
                div.wide role="group" tabindex="0" aria-labelledby="drafts" {
                    table.cards role="table" {
                        thead role="rowgroup" { tr role="row" {
                            th role="columnheader" scope="col" { (text.event_type) }
                            th role="columnheader" scope="col" { (text.party) }
                            th role="columnheader" scope="col" { (text.may) }
                            th role="columnheader" scope="col" { (text.purpose) }
                            th role="columnheader" scope="col" { (text.legal_basis) }
                            th role="columnheader" scope="col" { (text.state) }
                        } }
                        tbody role="rowgroup" {
                            @for one in types { tr role="row" {
                                th role="rowheader" scope="row" {
                                    (dotted(&one.name))
                                    @if let Some(said) = &one.description { div.under { (said) } }
                                }
                                td role="cell" data-label=(text.party) { @match one.owner { Some(owner) => (named(catalogue, owner)), None => "–" } }
                                td role="cell" data-label=(text.may) { (text.owner.to_lowercase()) }
                                td role="cell" data-label=(text.purpose) { "–" }
                                td role="cell" data-label=(text.legal_basis) { "–" }
                                td role="cell" data-label=(text.state) { (mark(text, &one.lacks)) }
                            } }
                            @for one in grants { tr role="row" {
                                th role="rowheader" scope="row" { (dotted(&one.event_type)) }
                                td role="cell" data-label=(text.party) { (named(catalogue, one.party)) }
                                td role="cell" data-label=(text.may) { (may(text, one.action)) }
                                td role="cell" data-label=(text.purpose) { (or_none(&one.purpose)) }
                                td role="cell" data-label=(text.legal_basis) { (or_none(&one.legal_basis)) }
                                td role="cell" data-label=(text.state) { (mark(text, &one.lacks)) }
                            } }
                        }
                    }
                }
                @if more { p { (text.there_is_more) } }
            }
        }
    }
}
