//! Every party, a page at a time.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Survey, Surveyed};
use wissel_catalogue::{Action, Catalogue, Party};
use wissel_identifiers::Oin;

use super::SURVEY_AGE;
use super::format::count;
use super::layout::{self, Place};
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

/// Parties on a page.
const PAGE: usize = 50;

/// What is asked for. What is not understood counts as not said.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// A part of the name, or of the OIN.
    #[serde(default)]
    name: String,
    #[serde(default)]
    after: String,
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
    let part = asked.name.trim().to_lowercase();
    let after = asked.after.parse::<Oin>().ok();
    let is_meant = |one: &&Party| {
        let named = one.name.to_lowercase().contains(&part) || one.oin.as_str().contains(&part);
        named && after.is_none_or(|after| one.oin > after)
    };
    // One more than is shown says whether there is another page.
    let mut found: Vec<&Party> = catalogue.parties().filter(is_meant).take(PAGE + 1).collect();
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let content = html! {
        (search(text, asked.name.trim()))
        @if found.is_empty() { p.calm { (if part.is_empty() { text.no_parties } else { text.no_such_parties }) } }
        @else { (table(text, &catalogue, &survey, &found)) }
        @if let (true, Some(last)) = (more, found.last()) {
            nav.pages aria-label=(text.pages) {
                a rel="next" href=(to_next(asked.name.trim(), last.oin)) { (text.next) " →" }
            }
        }
    };
    layout::page(&reader, &operator, Place::Parties, text.parties_title, &content)
}

fn to_next(part: &str, after: Oin) -> String {
    let fields = [("name", part), ("after", after.as_str())];
    format!("/parties?{}", serde_urlencoded::to_string(fields).unwrap_or_default())
}

fn search(text: &Texts, part: &str) -> Markup {
    html! {
        form.search method="get" action="/parties" role="search" {
            div {
                label for="name" { (text.part_of_name_or_oin) }
                input id="name" name="name" value=(part) autocomplete="off";
            }
            button { (text.show) }
        }
    }
}

fn table(text: &Texts, catalogue: &Catalogue, survey: &Survey, parties: &[&Party]) -> Markup {
    let grants = |oin: Oin, action| count(text, catalogue.grants_of(&oin, action).len() as u64);
    html! {
        div.wide role="region" tabindex="0" aria-label=(text.parties_title) {
            table.cards role="table" {
                thead role="rowgroup" { tr role="row" {
                    th role="columnheader" scope="col" { (text.party) }
                    th role="columnheader" scope="col" { "OIN" }
                    th.number role="columnheader" scope="col" { (text.may) " " (text.may_publish) }
                    th.number role="columnheader" scope="col" { (text.may) " " (text.may_receive) }
                    th.number role="columnheader" scope="col" { (text.mandates) }
                    th.number role="columnheader" scope="col" { (text.inboxes) }
                } }
                tbody role="rowgroup" { @for one in parties { tr role="row" {
                    th role="rowheader" scope="row" { (named(catalogue, one.oin)) }
                    td role="cell" data-label="OIN" { (one.oin) }
                    td.number role="cell" data-label={ (text.may) " " (text.may_publish) } { (grants(one.oin, Action::Publish)) }
                    td.number role="cell" data-label={ (text.may) " " (text.may_receive) } { (grants(one.oin, Action::Receive)) }
                    td.number role="cell" data-label=(text.mandates) { (count(text, catalogue.mandates_about(one.oin).len() as u64)) }
                    td.number role="cell" data-label=(text.inboxes) { (count(text, inboxes_of(survey, one.oin).len() as u64)) }
                } } }
            }
        }
    }
}

/// The name of a party, which leads to its page; its OIN when the catalogue does not know it.
pub(super) fn named(catalogue: &Catalogue, oin: Oin) -> Markup {
    html! {
        @match catalogue.party(&oin) {
            Some(party) => a href={ "/parties/" (oin) } { (party.name) },
            None => (oin),
        }
    }
}

/// The inboxes of a party: names begin with the OIN, and a survey has them in order.
pub(super) fn inboxes_of(survey: &Survey, oin: Oin) -> &[Surveyed] {
    let begin = survey.inboxes.partition_point(|one| one.name.owner() < oin);
    let rest = &survey.inboxes[begin..];
    &rest[..rest.partition_point(|one| one.name.owner() == oin)]
}
