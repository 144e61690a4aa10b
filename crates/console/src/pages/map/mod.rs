//! Who exchanges what with whom, for which purpose and on what legal basis.

mod drawing;
mod flows;
mod lists;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use wissel_catalogue::Catalogue;
use wissel_identifiers::Oin;

use self::drawing::drawing;
use self::flows::{Flow, flows};
use self::lists::{incoherent, twin};
use super::SURVEY_AGE;
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
            p.narrow { (text.map_is_wide) }
            div.drawing data-live { (drawing(text, &catalogue, &shown, &survey)) }
            (incoherent(text, &catalogue, &shown))
            (twin(text, &catalogue, &shown, &survey))
        }
    };
    layout::page(&reader, &operator, Place::Map, text.map, &content)
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

/// The name of a party; its OIN when it has none.
fn called(catalogue: &Catalogue, oin: Oin) -> String {
    let name = catalogue.party(&oin).map(|party| party.name.clone());
    name.unwrap_or_else(|| oin.to_string())
}
