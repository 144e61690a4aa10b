//! The map as a drawing: publishers left, event types in the middle, receivers right.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use wissel_broker::Survey;
use wissel_catalogue::Catalogue;
use wissel_identifiers::Oin;

use super::called;
use super::flows::{Flow, Line};
use crate::pages::drafts::lacked;
use crate::pages::format::rate;
use crate::pages::text::Texts;

const ROW: usize = 30;
const WIDTH: usize = 1180;
/// Where lines begin and end: at those who send, at the two sides of event types, at those who have.
const ENDS: [usize; 4] = [312, 402, 752, 842];
const MIDDLE: usize = usize::midpoint(ENDS[1], ENDS[2]);
/// The most characters of a party's name for which there is room beside the lines.
const NAME_MAX: usize = 42;

pub(super) fn drawing(
    text: &Texts,
    catalogue: &Catalogue,
    flows: &[&Flow<'_>],
    survey: &Survey,
) -> Markup {
    let receiving = receiving(survey);
    let from_all = || flows.iter().flat_map(|flow| &flow.from).map(|line| line.party);
    let to_all = || flows.iter().flat_map(|flow| &flow.to).map(|line| line.party);
    let most = column(from_all(), 1).len().max(column(to_all(), 1).len()).max(flows.len());
    let height = most * ROW + ROW;
    let (left, right) = (column(from_all(), height), column(to_all(), height));
    let step = height / flows.len().max(1);
    html! {
        svg.map viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-labelledby="map-title" {
            title id="map-title" { (text.map_title) }
            @for (place, flow) in flows.iter().enumerate() {
                @let y = place * step + step / 2;
                @let going = going(flow, survey);
                g.flow {
                    @for line in &flow.from { @if let Some(at) = left.get(&line.party) {
                        path class=(class_of(line, going.is_some())) d=(curve((ENDS[0], *at), (ENDS[1], y))) fill="none" {}
                    } }
                    @for line in &flow.to { @if let Some(at) = right.get(&line.party) {
                        @let live = going.is_some() && receiving.contains(&line.party);
                        path class=(class_of(line, live)) d=(curve((ENDS[2], y), (ENDS[3], *at))) fill="none" {}
                    } }
                    (event_type(text, flow, y, going))
                }
            }
            @for (oin, y) in &left { text.party x=(ENDS[0] - 8) y=(y + 4) text-anchor="end" { (shortened(&called(catalogue, *oin))) } }
            @for (oin, y) in &right { text.party x=(ENDS[3] + 8) y=(y + 4) { (shortened(&called(catalogue, *oin))) } }
        }
    }
}

/// How many of its messages go by; never of a draft, of which none can.
pub(super) fn going(flow: &Flow<'_>, survey: &Survey) -> Option<f64> {
    if flow.is_draft { None } else { survey.types.get(flow.name).copied() }
}

/// Its name, with marks that do not depend on colour; below it what it lacks.
fn event_type(text: &Texts, flow: &Flow<'_>, y: usize, going: Option<f64>) -> Markup {
    let lacks = flow.all_lacks();
    let class = if lacks.is_empty() { "type" } else { "type lacking" };
    html! {
        text class=(class) x=(MIDDLE) y=(if lacks.is_empty() { y + 4 } else { y - 2 }) text-anchor="middle" {
            @if !lacks.is_empty() { "⚠ " }
            @if flow.is_draft { "◌ " (text.draft) ": " }
            (flow.name)
            @if let Some(going) = going { tspan.rate { " " (rate(text, going)) } }
        }
        @if !lacks.is_empty() {
            text.lacks x=(MIDDLE) y=(y + 11) text-anchor="middle" { (lacked(text, &lacks)) }
        }
    }
}

/// A name for which there is room; the table has all of it.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        None => name.to_owned(),
        Some(_) => name.chars().take(NAME_MAX - 1).chain(['…']).collect(),
    }
}

fn class_of(line: &Line<'_>, is_live: bool) -> &'static str {
    match (line.is_draft, is_live) {
        (true, _) => "line draft",
        (false, true) => "line live",
        (false, false) => "line",
    }
}

fn curve(from: (usize, usize), to: (usize, usize)) -> String {
    let middle = usize::midpoint(from.0, to.0);
    format!("M{} {} C{middle} {} {middle} {} {} {}", from.0, from.1, from.1, to.1, to.0, to.1)
}

/// Where each party stands in a column, spread over the height.
fn column(parties: impl Iterator<Item = Oin>, height: usize) -> BTreeMap<Oin, usize> {
    let mut parties: Vec<Oin> = parties.collect();
    parties.sort_unstable();
    parties.dedup();
    let step = height / parties.len().max(1);
    parties.into_iter().enumerate().map(|(place, oin)| (oin, place * step + step / 2)).collect()
}

/// Parties to which something comes.
fn receiving(survey: &Survey) -> BTreeSet<Oin> {
    let inboxes = survey.inboxes.iter().filter(|one| one.came_per_second > 0.0);
    inboxes.map(|one| one.name.owner()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_longer_than_there_is_room() {
        let fits = "é".repeat(NAME_MAX);
        assert_eq!(shortened(&fits), fits);
        let long = shortened(&format!("{fits}é"));
        assert!(long.ends_with("é…") && long.chars().count() == NAME_MAX, "{long}");
    }
}
