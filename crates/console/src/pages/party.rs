//! One party: its inboxes, what it may and why, and for whom it acts.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Order, Surveyed, Totals};
use wissel_catalogue::{Action, Catalogue, DraftGrant, DraftType, Grant, Mandate};
use wissel_identifiers::Oin;

use super::format::{age, count};
use super::layout::{self, Back, Place};
use super::parties::inboxes_of;
use super::text::{Reader, Texts};
use super::{SURVEY_AGE, drafts, inboxes, rights};
use crate::access::Operator;
use crate::console::Seen;

/// Inboxes that are shown, the gravest first; the page of inboxes has the others.
const INBOXES: usize = 20;
/// Rights, mandates and drafts on a page.
const PAGE: usize = 50;

/// Which page of the two lists; what is not understood counts as the first.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    rights: String,
    #[serde(default)]
    mandates: String,
}

/// Which page of each list is shown.
#[derive(Clone, Copy)]
struct Pages {
    rights: usize,
    mandates: usize,
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Path(oin): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let catalogue = broker.catalogue();
    // What was made up is not said again.
    let known = oin.parse::<Oin>().ok().and_then(|oin| catalogue.party(&oin));
    let Some(party) = known else {
        let (why, back) = (text.no_such_party, Back::To(Place::Parties));
        return layout::fault(&reader, &operator, StatusCode::NOT_FOUND, why, back);
    };
    let survey = broker.survey(SURVEY_AGE).await;
    let number = |said: &str| said.parse().unwrap_or_default();
    let pages = Pages { rights: number(&asked.rights), mandates: number(&asked.mandates) };
    let content = html! {
        p.lead { "OIN " (party.oin) }
        p.acts {
            a.button href={ "/map?party=" (party.oin) } { (text.on_the_map) }
            a href="/parties" { (text.all_parties) }
        }
        div data-live { (inboxes(text, &catalogue, party.oin, inboxes_of(&survey, party.oin))) }
        (grants(text, &catalogue, party.oin, pages))
        (mandates(text, &catalogue, party.oin, pages))
        (planned(text, &catalogue, party.oin))
    };
    layout::page(&reader, &operator, Place::Parties, &party.name, &content)
}

fn inboxes(text: &Texts, catalogue: &Catalogue, party: Oin, all: &[Surveyed]) -> Markup {
    let now = SystemTime::now();
    let gravest = Order::Concern.first(all.iter(), 0, INBOXES);
    let totals = Totals::of(all.iter(), now);
    let oldest = totals.oldest.map(|oldest| now.duration_since(oldest).unwrap_or_default());
    let figures = [
        (text.inboxes, count(text, totals.inboxes)),
        (text.waiting, count(text, totals.waiting)),
        (text.in_flight, count(text, totals.in_flight)),
        (text.dead_letters, count(text, totals.dead_letters)),
        (text.oldest, oldest.map_or_else(|| "–".to_owned(), |oldest| age(text, oldest))),
    ];
    html! {
        @if all.is_empty() {
            section aria-labelledby="inboxes" {
                h2 id="inboxes" { (text.inboxes) }
                p.calm { (text.party_has_no_inboxes) }
            }
        } @else {
            (layout::figures("inboxes", text.inboxes, &figures))
            (inboxes::table(text, catalogue, &gravest, now))
            @if all.len() > INBOXES {
                p { a href={ "/inboxes?name=" (party) } { (text.all_inboxes) } }
            }
        }
    }
}

fn grants(text: &Texts, catalogue: &Catalogue, party: Oin, pages: Pages) -> Markup {
    let mut all = catalogue.grants_of(&party, Action::Publish);
    all.extend(catalogue.grants_of(&party, Action::Receive));
    let (shown, more) = part(&all, pages.rights);
    let shown: Vec<&Grant> = shown.iter().map(|one| &***one).collect();
    let to = |rights| address(party, Pages { rights, ..pages }, "rights");
    html! {
        section aria-labelledby="rights" {
            h2 id="rights" { (text.rights) }
            @if all.is_empty() { p.calm { (text.no_rights) } } @else { (rights::grants(text, &shown)) }
            (turning(text, text.rights, pages.rights, more, to))
        }
    }
}

fn mandates(text: &Texts, catalogue: &Catalogue, party: Oin, pages: Pages) -> Markup {
    let all = catalogue.mandates_about(party);
    let (shown, more) = part(&all, pages.mandates);
    let shown: Vec<&Mandate> = shown.iter().map(|one| &***one).collect();
    let to = |mandates| address(party, Pages { mandates, ..pages }, "mandates");
    html! {
        section aria-labelledby="mandates" {
            h2 id="mandates" { (text.mandates) }
            @if all.is_empty() { p.calm { (text.no_mandates) } } @else {
                (rights::mandates(text, catalogue, &shown, SystemTime::now()))
            }
            (turning(text, text.mandates, pages.mandates, more, to))
        }
    }
}

/// Drafts of which it is the owner, or the party.
fn planned(text: &Texts, catalogue: &Catalogue, party: Oin) -> Markup {
    let all = catalogue.drafts();
    let types = all.types().iter().filter(|one| one.owner == Some(party));
    let types: Vec<&DraftType> = types.take(PAGE + 1).collect();
    let grants = all.grants().iter().filter(|one| one.party == party);
    let grants: Vec<&DraftGrant> = grants.take(PAGE + 1).collect();
    let more = types.len() > PAGE || grants.len() > PAGE;
    let (types, grants) = (part(&types, 0).0, part(&grants, 0).0);
    drafts::section(text, catalogue, types, grants, more)
}

/// The part of a list that stands on a page, and whether there is more behind it.
fn part<T>(all: &[T], page: usize) -> (&[T], bool) {
    let begin = page.saturating_mul(PAGE).min(all.len());
    let end = (begin + PAGE).min(all.len());
    (&all[begin..end], end < all.len())
}

fn address(party: Oin, pages: Pages, list: &str) -> String {
    let Pages { rights, mandates } = pages;
    format!("/parties/{party}?rights={rights}&mandates={mandates}#{list}")
}

fn turning(
    text: &Texts,
    list: &str,
    page: usize,
    more: bool,
    to: impl Fn(usize) -> String,
) -> Markup {
    html! {
        @if page > 0 || more {
            nav.pages aria-label={ (text.pages) ": " (list) } {
                @if page > 0 { a rel="prev" href=(to(page - 1)) { "← " (text.previous) } }
                span { (text.page) " " (page.saturating_add(1)) }
                @if more { a rel="next" href=(to(page + 1)) { (text.next) " →" } }
            }
        }
    }
}
