//! What an inbox has that is not settled: the first of it, masked.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use wissel_broker::{Reason, masked};
use wissel_bus::{InboxState, Shown, Stand, Unsettled};
use wissel_catalogue::Catalogue;
use wissel_message::EventView;

use super::acting::denied;
use super::format::{count, moment};
use super::layout::{self, Back, Place};
use super::named::Named;
use super::names::dotted;
use super::parties::named;
use super::reasons::given_up;
use super::text::{Reader, Texts};
use crate::access::Operator;
use crate::console::Seen;

/// How many are shown.
const SHOWN: usize = 100;

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let found = match broker.browse(&operator.caller(), &name, SHOWN).await {
        Ok(messages) => {
            let state = broker.inbox(&operator.caller(), &name).await.map(|it| it.state);
            let rest = Rest::of(&messages, state.as_ref().ok(), broker.shows_retries());
            html! {
                @if !messages.is_empty() { (table(text, &broker.catalogue(), &messages)) }
                (rest.told(text))
                @if let Err(refusal) = state {
                    p.calm { (text.not_counted) " " small lang="en" { (refusal.message) } }
                }
            }
        }
        // What RabbitMQ cannot show is no fault of the page.
        Err(refusal) if refusal.reason == Reason::BusUnavailable => {
            html! { p.calm { (text.not_shown) " " small lang="en" { (refusal.message) } } }
        }
        Err(refusal) => return denied(&reader, &operator, &refusal, Back::Inbox(&name)),
    };
    let content = html! {
        p.lead { a href={ "/inboxes/" (name) } { (name) } }
        (found)
    };
    layout::page(&reader, &operator, Place::Inboxes, text.messages, &content)
}

/// What an inbox has beside what is shown of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rest {
    /// Nothing at all, and nothing is shown.
    is_empty: bool,
    /// There is more of what the bus can show.
    more: bool,
    /// Retries that wait, and that the bus cannot show.
    retries: u64,
}

impl Rest {
    /// As far as it is known: without a state only that a page is full.
    fn of(messages: &[Unsettled], state: Option<&InboxState>, shows_retries: bool) -> Self {
        let is_full = Shown::fill_a_page(messages, SHOWN);
        let Some(state) = state else {
            return Self { is_empty: false, more: is_full, retries: 0 };
        };
        let retries = if shows_retries { 0 } else { state.delayed };
        let there = state.depth.saturating_add(state.in_flight);
        let more = there.saturating_sub(retries) > messages.len() as u64
            || is_full && state.depth_is_least;
        Self { is_empty: messages.is_empty() && there == 0, more, retries }
    }

    fn told(self, text: &Texts) -> Markup {
        let [before, after] = text.retries_not_shown;
        html! {
            @if self.is_empty { p.calm { (text.nothing_waits) } }
            @if self.more { p.calm { (text.more_than_shown) } }
            @match self.retries {
                0 => {}
                1 => p.calm { (text.retry_not_shown) }
                retries => p.calm { (before) " " (count(text, retries)) " " (after) }
            }
        }
    }
}

fn table(text: &Texts, catalogue: &Catalogue, messages: &[Unsettled]) -> Markup {
    html! {
        section aria-labelledby="first" {
            h2 id="first" { (text.not_settled) }
            p { (text.messages_lead) }
            div.wide role="group" tabindex="0" aria-labelledby="first" {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.admitted_at) }
                        th role="columnheader" scope="col" { (text.event_type) }
                        th role="columnheader" scope="col" { (text.publisher) }
                        th role="columnheader" scope="col" { (text.state) }
                        th.number role="columnheader" scope="col" { (text.attempts) }
                        th role="columnheader" scope="col" { (text.last_reason) }
                    } }
                    tbody role="rowgroup" { @for message in messages { (row(text, catalogue, message)) } }
                }
            }
        }
    }
}

fn row(text: &Texts, catalogue: &Catalogue, message: &Unsettled) -> Markup {
    let Unsettled { envelope, attempt, stand, history } = message;
    let event = EventView::decode(envelope.event.clone()).ok();
    let event_type = event.map(|event| masked(event.event_type())).unwrap_or_default();
    html! {
        tr role="row" {
            th.nowrap role="rowheader" scope="row" {
                a href={ "/dossier?message=" (envelope.message_id) } { (moment(envelope.admitted_at)) }
            }
            td role="cell" data-label=(text.event_type) { (dotted(&event_type)) }
            td role="cell" data-label=(text.publisher) { (named(catalogue, envelope.publisher)) }
            td role="cell" data-label=(text.state) {
                @match stand {
                    Stand::Ready => (text.ready),
                    Stand::InFlight => (text.with_a_receiver),
                    Stand::Delayed(due) => { (text.again_at) " " span.nowrap { (moment(*due)) } }
                }
            }
            td.number role="cell" data-label=(text.attempts) { (count(text, u64::from(*attempt))) }
            td.text role="cell" data-label=(text.last_reason) { @if let Some(last) = history.last() { (given_up(text, &masked(&last.reason))) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wissel_bus::{Envelope, MessageId, PAGE_BYTES};

    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    /// So many of so many bytes, the first ones retries.
    fn shown(retries: usize, all: usize, bytes: usize) -> Vec<Unsettled> {
        let now = SystemTime::now();
        let one = |number| Unsettled {
            envelope: Envelope {
                message_id: MessageId(uuid::Uuid::nil()),
                publisher: "00000001002220647000".parse().unwrap(),
                admitted_at: now,
                fields: None,
                replayed: false,
                event: vec![0; bytes].into(),
            },
            attempt: 1,
            stand: if number < retries { Stand::Delayed(now) } else { Stand::Ready },
            history: Vec::new(),
        };
        (0..all).map(one).collect()
    }

    fn state(depth: u64, delayed: u64, in_flight: u64) -> InboxState {
        InboxState { depth, delayed, in_flight, ..InboxState::default() }
    }

    const NOTHING: Rest = Rest { is_empty: false, more: false, retries: 0 };
    const MORE: Rest = Rest { more: true, ..NOTHING };

    #[test]
    fn what_a_page_has_no_room_for_is_more_and_not_what_a_bus_cannot_show() {
        let large = shown(5, 5, PAGE_BYTES / 5 + 1);
        assert_eq!(Rest::of(&large, Some(&state(6, 6, 0)), true), MORE);
        assert_eq!(Rest::of(&large, Some(&state(5, 5, 0)), true), NOTHING);
        assert_eq!(Rest::of(&shown(0, SHOWN, 1), Some(&state(90, 0, 11)), true), MORE);
        // Not all retries of all inboxes are looked through.
        assert_eq!(Rest::of(&shown(1, 1, 1), Some(&state(2, 2, 0)), true), MORE);
    }

    #[test]
    fn retries_that_a_bus_cannot_show_are_told_of_however_many_messages_there_are() {
        for (messages, depth, more) in [(0, 7, false), (SHOWN, 107, false), (SHOWN, 108, true)] {
            let found = Rest::of(&shown(0, messages, 1), Some(&state(depth, 7, 0)), false);
            assert_eq!(found, Rest { is_empty: false, more, retries: 7 });
        }
        // What is counted too low says nothing against more.
        let least = InboxState { depth_is_least: true, ..state(SHOWN as u64, 0, 0) };
        assert_eq!(Rest::of(&shown(0, SHOWN, 1), Some(&least), false), MORE);
    }

    #[test]
    fn an_inbox_is_empty_only_when_it_was_counted() {
        let empty = Rest { is_empty: true, ..NOTHING };
        assert_eq!(Rest::of(&[], Some(&state(0, 0, 0)), false), empty);
        assert_eq!(Rest::of(&[], Some(&state(0, 0, 1)), false), MORE);
        for shows_retries in [false, true] {
            assert_eq!(Rest::of(&[], None, shows_retries), NOTHING);
            assert_eq!(Rest::of(&shown(0, SHOWN, 1), None, shows_retries), MORE);
        }
        assert_eq!(NOTHING.told(&ENGLISH).into_string(), "");
    }

    #[test]
    fn one_retry_is_told_of_as_one() {
        let told = |text, retries| Rest { retries, ..NOTHING }.told(text).into_string();
        assert!(told(&ENGLISH, 1).contains("Besides, 1 waits for another attempt"));
        assert!(told(&ENGLISH, 1_000).contains("Besides, 1,000 wait for another attempt"));
        assert!(told(&DUTCH, 1).contains("Daarnaast wacht er 1 op een nieuwe poging"));
        assert!(told(&DUTCH, 1_000).contains("Daarnaast wachten er 1.000 op een nieuwe poging"));
    }
}
