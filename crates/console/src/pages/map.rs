//! Who exchanges what with whom, for which purpose and on what legal basis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::Survey;
use wissel_catalogue::{Action, Catalogue, Grant};
use wissel_identifiers::Oin;

use super::SURVEY_AGE;
use super::format::rate;
use super::layout::{self, Place};
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// A party; nothing that is no OIN of the catalogue counts.
    #[serde(default)]
    party: String,
}

/// One event type, with who may send and have it.
struct Flow {
    name: Arc<str>,
    owner: Oin,
    from: Vec<Arc<Grant>>,
    to: Vec<Arc<Grant>>,
}

/// Why a flow is not whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Owner,
    Basis,
    Source,
    Taker,
}

impl Flow {
    fn lacks(&self, catalogue: &Catalogue) -> Vec<Lack> {
        let mut grants = self.from.iter().chain(&self.to);
        let unfounded = |grant: &Arc<Grant>| {
            grant.legal_basis.trim().is_empty() || grant.purpose.trim().is_empty()
        };
        let lacks = [
            (Lack::Owner, catalogue.party(&self.owner).is_none()),
            (Lack::Basis, grants.any(unfounded)),
            (Lack::Source, self.from.is_empty()),
            (Lack::Taker, self.to.is_empty()),
        ];
        lacks.into_iter().filter(|(_, is_so)| *is_so).map(|(lack, _)| lack).collect()
    }

    fn concerns(&self, party: Oin) -> bool {
        self.owner == party || self.from.iter().chain(&self.to).any(|grant| grant.party == party)
    }
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let catalogue = broker.catalogue();
    let survey = broker.survey(SURVEY_AGE).await;
    let party = asked.party.parse::<Oin>().ok().filter(|oin| catalogue.party(oin).is_some());
    let all = flows(&catalogue);
    let shown: Vec<&Flow> =
        all.iter().filter(|flow| party.is_none_or(|party| flow.concerns(party))).collect();
    let content = html! {
        p.lead { (text.map_lead) }
        (choice(text, &catalogue, party))
        @if shown.is_empty() { p.calm { (text.no_flows) } } @else {
            div.wide role="region" tabindex="0" aria-label=(text.map) data-live {
                (drawing(text, &catalogue, &shown, &survey))
            }
            (incoherent(text, &catalogue, &shown))
            (twin(text, &catalogue, &shown, &survey))
        }
    };
    layout::page(&reader, &operator, Place::Map, text.map, &content)
}

fn flows(catalogue: &Catalogue) -> Vec<Flow> {
    let types = catalogue.event_types().filter_map(|one| catalogue.rights(&one.name));
    let grants = |all: Vec<&Arc<Grant>>| all.into_iter().cloned().collect();
    types
        .map(|rights| Flow {
            name: Arc::clone(&rights.event_type.name),
            owner: rights.event_type.owner,
            from: grants(rights.grants(Action::Publish)),
            to: grants(rights.grants(Action::Receive)),
        })
        .collect()
}

/// Parties to which something comes.
fn receiving(survey: &Survey) -> BTreeSet<Oin> {
    let inboxes = survey.inboxes.iter().filter(|one| one.came_per_second > 0.0);
    inboxes.map(|one| one.name.owner()).collect()
}

fn choice(text: &Texts, catalogue: &Catalogue, chosen: Option<Oin>) -> Markup {
    html! {
        form.search method="get" action="/map" {
            div {
                label for="party" { (text.party) }
                select id="party" name="party" {
                    option value="" { (text.all_parties) }
                    @for party in catalogue.parties() {
                        option value=(party.oin) selected[chosen == Some(party.oin)] { (party.name) }
                    }
                }
            }
            button { (text.show) }
        }
    }
}

const ROW: usize = 26;
const WIDTH: usize = 1220;

/// Where each party stands in a column, spread over the height.
fn column(parties: impl Iterator<Item = Oin>, height: usize) -> BTreeMap<Oin, usize> {
    let mut parties: Vec<Oin> = parties.collect();
    parties.sort_unstable();
    parties.dedup();
    let step = height / parties.len().max(1);
    parties.into_iter().enumerate().map(|(place, oin)| (oin, place * step + step / 2)).collect()
}

fn drawing(text: &Texts, catalogue: &Catalogue, flows: &[&Flow], survey: &Survey) -> Markup {
    let receiving = receiving(survey);
    let from_all = || flows.iter().flat_map(|flow| &flow.from).map(|grant| grant.party);
    let to_all = || flows.iter().flat_map(|flow| &flow.to).map(|grant| grant.party);
    let most = column(from_all(), 1).len().max(column(to_all(), 1).len()).max(flows.len());
    let height = most * ROW + ROW;
    let (left, right) = (column(from_all(), height), column(to_all(), height));
    let step = height / flows.len().max(1);
    let line = |from: (usize, usize), to: (usize, usize)| {
        let middle = usize::midpoint(from.0, to.0);
        format!("M{} {} C{middle} {} {middle} {} {} {}", from.0, from.1, from.1, to.1, to.0, to.1)
    };
    html! {
        svg.map viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-labelledby="map-title" {
            title id="map-title" { (text.map_title) }
            @for (place, flow) in flows.iter().enumerate() {
                @let y = place * step + step / 2;
                @let going = survey.types.get(&flow.name).copied();
                @for grant in &flow.from { @if let Some(at) = left.get(&grant.party) {
                    path class=(line_class(going.is_some())) d=(line((310, *at), (450, y))) fill="none" {}
                } }
                @for grant in &flow.to { @if let Some(at) = right.get(&grant.party) {
                    @let live = going.is_some() && receiving.contains(&grant.party);
                    path class=(line_class(live)) d=(line((770, y), (910, *at))) fill="none" {}
                } }
                @let whole = flow.lacks(catalogue).is_empty();
                text class=(if whole { "type" } else { "type lacking" }) x="610" y=(y + 4) text-anchor="middle" {
                    (if whole { "" } else { "⚠ " }) (flow.name)
                    @if let Some(going) = going { tspan.rate { " " (rate(text, going)) } }
                }
            }
            @for (oin, y) in &left { text.party x="302" y=(y + 4) text-anchor="end" { (called(catalogue, *oin)) } }
            @for (oin, y) in &right { text.party x="918" y=(y + 4) { (called(catalogue, *oin)) } }
        }
    }
}

fn line_class(is_live: bool) -> &'static str {
    if is_live { "line live" } else { "line" }
}

/// The name of a party; its OIN when it has none.
fn called(catalogue: &Catalogue, oin: Oin) -> String {
    let name = catalogue.party(&oin).map(|party| party.name.clone());
    name.unwrap_or_else(|| oin.to_string())
}

fn incoherent(text: &Texts, catalogue: &Catalogue, flows: &[&Flow]) -> Markup {
    let said = |lack: Lack| match lack {
        Lack::Owner => text.lacks_owner,
        Lack::Basis => text.lacks_basis,
        Lack::Source => text.lacks_source,
        Lack::Taker => text.lacks_taker,
    };
    let lacking: Vec<(&Flow, Vec<Lack>)> = flows
        .iter()
        .map(|flow| (*flow, flow.lacks(catalogue)))
        .filter(|(_, lacks)| !lacks.is_empty())
        .collect();
    html! {
        section aria-labelledby="incoherent" {
            h2 id="incoherent" { (text.incoherent) }
            @if lacking.is_empty() { p.calm { (text.coherent) } }
            ul { @for (flow, lacks) in &lacking {
                li { strong { "⚠ " (flow.name) } @for lack in lacks { ": " (said(*lack)) } }
            } }
        }
    }
}

/// The same in a table.
fn twin(text: &Texts, catalogue: &Catalogue, flows: &[&Flow], survey: &Survey) -> Markup {
    html! {
        section aria-labelledby="flows" {
            h2 id="flows" { (text.flows) }
            div.wide role="region" tabindex="0" aria-labelledby="flows" data-live {
                table {
                    thead { tr {
                        th scope="col" { (text.event_type) }
                        th.number scope="col" { (text.messages_come) }
                        th scope="col" { (text.party) }
                        th scope="col" { (text.does) }
                        th scope="col" { (text.purpose) }
                        th scope="col" { (text.legal_basis) }
                    } }
                    tbody { @for flow in flows {
                        @for (grant, does) in flow.from.iter().map(|one| (one, text.publishes)).chain(flow.to.iter().map(|one| (one, text.receives))) {
                            tr {
                                th scope="row" { (flow.name) }
                                td.number { @if let Some(going) = survey.types.get(&flow.name) { (rate(text, *going)) } @else { "–" } }
                                td { (called(catalogue, grant.party)) }
                                td { (does) }
                                td { (grant.purpose) }
                                td { (grant.legal_basis) }
                            }
                        }
                    } }
                }
            }
        }
    }
}
