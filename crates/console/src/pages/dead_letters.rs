//! The dead letters of an inbox: by reason, and what may be done with them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{Broker, Caller, Group, Looked, RedriveOptions, Refusal, Role, Which, masked};
use wissel_bus::DeadLetterId;
use wissel_catalogue::Catalogue;
use wissel_identifiers::InboxName;

use super::acting::denied;
use super::format::{count, moment};
use super::layout::{self, Back, Place};
use super::named::Named;
use super::names::dotted;
use super::parties::named;
use super::reasons::given_up;
use super::text::{Reader, Texts};
use crate::access::{Form, Operator};
use crate::console::Seen;

/// How long they are counted for a page.
const COUNTING: Duration = Duration::from_millis(150);
/// How long they are counted for somebody who is about to do something with them.
const COUNTING_MEANT: Duration = Duration::from_secs(3);
/// How many are shown one by one.
const SHOWN: usize = 50;
/// How long one waits for an answer; what is under way goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which of them are shown one by one.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Those behind this one; empty: the oldest.
    #[serde(default)]
    after: String,
}

/// What is to be done with which.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Wanted {
    what: What,
    /// Those of this reason; empty: all.
    #[serde(default)]
    because: String,
    /// This one; empty: it is not about one.
    #[serde(default)]
    id: String,
    #[serde(default)]
    all: String,
    /// Why, in the operator's own words.
    #[serde(default)]
    why: String,
    #[serde(default)]
    per_second: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    Redrive,
    Purge,
}

impl Wanted {
    /// None when nothing is chosen: never all by mistake.
    fn which(&self) -> Option<Which> {
        match (self.all.as_str(), self.because.as_str(), self.id.as_str()) {
            ("yes", "", "") => Some(Which::All),
            ("", because, "") if !because.is_empty() => Some(Which::Because(because.to_owned())),
            ("", "", id) if !id.is_empty() => Some(Which::These(vec![DeadLetterId(id.to_owned())])),
            _ => None,
        }
    }

    fn meant(&self) -> Meant<'_> {
        match (self.because.as_str(), self.id.as_str()) {
            ("", "") => Meant::All,
            ("", id) => Meant::One(id),
            (because, _) => Meant::Because(because),
        }
    }
}

/// Which dead letters a form is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meant<'a> {
    All,
    Because(&'a str),
    One(&'a str),
}

pub(super) async fn page(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Query(asked): Query<Asked>,
) -> Response {
    let text = reader.texts;
    let broker = seen.exchange.broker();
    let after = Some(asked.after).filter(|after| !after.is_empty()).map(DeadLetterId);
    let is_first = after.is_none();
    // Behind the first page nothing is counted again.
    let patience = if is_first { COUNTING } else { Duration::ZERO };
    match broker.look_at_dead_letters(&operator.caller(), &name, after, patience, SHOWN).await {
        // Nothing is behind it any more; there may be some before.
        Ok(looked) if looked.oldest.is_empty() && !is_first => {
            Redirect::to(&format!("/inboxes/{name}/dead-letters")).into_response()
        }
        Ok(looked) => {
            let content = html! {
                p.lead { a href={ "/inboxes/" (name) } { (name) } }
                @if looked.oldest.is_empty() { p.calm { (text.no_dead_letters) } } @else {
                    @if is_first { (groups(text, &operator, &name, &looked)) }
                    (oldest(text, &broker.catalogue(), &name, &looked))
                    @if let (Some(last), true) = (looked.oldest.last(), looked.at > SHOWN as u64) {
                        p { a.button href={ "/inboxes/" (name) "/dead-letters?after=" (last.id.0) } { (text.next) } }
                    }
                }
            };
            layout::page(&reader, &operator, Place::Inboxes, text.dead_letters, &content)
        }
        Err(refusal) => denied(&reader, &operator, &refusal, Back::Inbox(&name)),
    }
}

fn groups(text: &Texts, operator: &Operator, name: &InboxName, looked: &Looked) -> Markup {
    let may_act = operator.holds(Role::Operator);
    html! {
        section aria-labelledby="reasons" {
            h2 id="reasons" { (text.by_reason) }
            @if !looked.all { p { (text.of_the_first) " " (count(text, looked.at)) "." } }
            div.wide role="group" tabindex="0" aria-labelledby="reasons" {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.reason) }
                        th.number role="columnheader" scope="col" { (text.how_many) }
                        th role="columnheader" scope="col" { (text.event_type) }
                        th role="columnheader" scope="col" { (text.died) }
                        @if may_act { th role="columnheader" scope="col" { (text.mend) } }
                    } }
                    tbody role="rowgroup" { @for group in &looked.groups { (row(text, operator, name, group, may_act)) } }
                }
            }
            @if may_act {
                div.acts {
                    (ask(text, operator, name, What::Redrive, Meant::All))
                    (ask(text, operator, name, What::Purge, Meant::All))
                }
            } @else { p { (text.only_operators_act) } }
        }
    }
}

fn row(
    text: &Texts,
    operator: &Operator,
    name: &InboxName,
    group: &Group,
    may_act: bool,
) -> Markup {
    let (first, last) = (moment(group.died.0), moment(group.died.1));
    html! {
        tr role="row" {
            th.text role="rowheader" scope="row" { (given_up(text, &group.reason)) }
            td.number role="cell" data-label=(text.how_many) { (count(text, group.count)) }
            td role="cell" data-label=(text.event_type) {
                @for one in &group.event_types { div { (dotted(one)) } }
                @if group.event_types.len() == Group::TYPES { div.under { (text.among_others) } }
            }
            td role="cell" data-label=(text.died) {
                span.nowrap { (first) }
                @if first != last { " – " span.nowrap { (last) } }
            }
            @if may_act {
                td.acts role="cell" data-label=(text.mend) {
                    (ask(text, operator, name, What::Redrive, Meant::Because(&group.reason)))
                    (ask(text, operator, name, What::Purge, Meant::Because(&group.reason)))
                }
            }
        }
    }
}

/// A button that leads to the question whether one is sure.
pub(super) fn ask(
    text: &Texts,
    operator: &Operator,
    name: &InboxName,
    what: What,
    meant: Meant<'_>,
) -> Markup {
    let label = match (what, meant) {
        (What::Redrive, Meant::All) => text.redrive_all,
        (What::Redrive, _) => text.redrive,
        (What::Purge, Meant::All) => text.remove_all,
        (What::Purge, _) => text.remove,
    };
    html! {
        form method="post" action={ "/inboxes/" (name) "/dead-letters/ask" } {
            (chosen(operator, what, meant))
            button.second { (label) "…" }
        }
    }
}

fn chosen(operator: &Operator, what: What, meant: Meant<'_>) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(operator.csrf());
        input type="hidden" name="what" value=(if what == What::Redrive { "redrive" } else { "purge" });
        @match meant {
            Meant::All => input type="hidden" name="all" value="yes";,
            Meant::Because(reason) => input type="hidden" name="because" value=(reason);,
            Meant::One(id) => input type="hidden" name="id" value=(id);,
        }
    }
}

fn oldest(text: &Texts, catalogue: &Catalogue, name: &InboxName, looked: &Looked) -> Markup {
    html! {
        section aria-labelledby="oldest" {
            h2 id="oldest" { (text.the_oldest) }
            div.wide role="group" tabindex="0" aria-labelledby="oldest" {
                table.cards role="table" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { (text.died) }
                        th role="columnheader" scope="col" { (text.event_type) }
                        th role="columnheader" scope="col" { (text.publisher) }
                        th.number role="columnheader" scope="col" { (text.attempts) }
                        th role="columnheader" scope="col" { (text.reason) }
                    } }
                    tbody role="rowgroup" {
                        @for letter in &looked.oldest {
                            @let event = wissel_message::EventView::decode(letter.envelope.event.clone()).ok();
                            tr role="row" {
                                th.nowrap role="rowheader" scope="row" {
                                    a href={ "/inboxes/" (name) "/dead-letters/" (letter.id.0) } { (moment(letter.died_at)) }
                                }
                                td role="cell" data-label=(text.event_type) {
                                    (dotted(&event.as_ref().map(|event| masked(event.event_type())).unwrap_or_default()))
                                }
                                td role="cell" data-label=(text.publisher) { (named(catalogue, letter.envelope.publisher)) }
                                td.number role="cell" data-label=(text.attempts) { (letter.attempts) }
                                td.text role="cell" data-label=(text.reason) { (given_up(text, &masked(&letter.reason))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How many are meant, and whether one is sure.
pub(super) async fn asked(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Form(wanted): Form<Wanted>,
) -> Response {
    let text = reader.texts;
    let back = Back::DeadLetters(&name);
    let Some(which) = wanted.which() else {
        let why = text.nothing_chosen;
        return layout::fault(&reader, &operator, StatusCode::BAD_REQUEST, why, back);
    };
    let because = Some(wanted.because.as_str()).filter(|because| !because.is_empty());
    let (broker, caller) = (seen.exchange.broker(), operator.caller());
    let counted = broker.count_dead_letters(&caller, &name, which, COUNTING_MEANT).await;
    let (meant, all) = match counted {
        Ok(counted) => counted,
        Err(refusal) => return denied(&reader, &operator, &refusal, back),
    };
    let is_redrive = wanted.what == What::Redrive;
    let content = html! {
        p.lead { a href={ "/inboxes/" (name) "/dead-letters" } { (name) } }
        p {
            strong { (if all { "" } else { "> " }) (count(text, meant)) }
            " " (if is_redrive { text.would_be_redriven } else { text.would_be_removed })
        }
        @if let Some(because) = because { p.text { (text.reason) ": " (given_up(text, because)) } }
        form.act method="post" action={ "/inboxes/" (name) "/dead-letters/do" } {
            (chosen(&operator, wanted.what, wanted.meant()))
            div { label for="why" { (text.why_act) } input id="why" name="why" required maxlength="200" autocomplete="off"; }
            @if is_redrive {
                div {
                    label for="per_second" { (text.at_most_per_second) }
                    input id="per_second" name="per_second" inputmode="numeric" pattern="[0-9]*" autocomplete="off";
                }
            }
            p.acts {
                button.danger[!is_redrive] { (if is_redrive { text.redrive } else { text.remove_for_good }) }
                a href={ "/inboxes/" (name) "/dead-letters" } { (text.cancel) }
            }
        }
    };
    let title = if is_redrive { text.redrive } else { text.remove_for_good };
    layout::page(&reader, &operator, Place::Inboxes, title, &content)
}

/// Does it.
pub(super) async fn done(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Form(wanted): Form<Wanted>,
) -> Response {
    let text = reader.texts;
    let back = Back::DeadLetters(&name);
    let why = wanted.why.trim().to_owned();
    let per_second = match wanted.per_second.trim() {
        "" => Ok(None),
        given => given.parse::<NonZeroU32>().map(Some),
    };
    let (Some(which), false, Ok(per_second)) = (wanted.which(), why.is_empty(), per_second) else {
        let why = text.why_is_needed;
        return layout::fault(&reader, &operator, StatusCode::BAD_REQUEST, why, back);
    };
    let (broker, what) = (Arc::clone(seen.exchange.broker()), wanted.what);
    let doing =
        Doing { caller: operator.caller(), inbox: name.clone(), what, which, why, per_second };
    let doing = tokio::spawn(doing.carry_out(broker));
    let content = match tokio::time::timeout(PATIENCE, doing).await {
        Ok(Ok(Ok(number))) => {
            let (one, other) = (text.were_redriven, text.were_removed);
            html! { p.calm { strong { (count(text, number)) } " " (if what == What::Redrive { one } else { other }) } }
        }
        Ok(Ok(Err(refusal))) => return denied(&reader, &operator, &refusal, back),
        Ok(Err(error)) => return denied(&reader, &operator, &Refusal::internal(&error), back),
        Err(_) => html! { p.calm { (text.under_way) } },
    };
    let content = html! {
        (content)
        p { a href={ "/inboxes/" (name) "/dead-letters" } { (text.dead_letters) } }
        p { a href={ "/inboxes/" (name) } { (name) } }
    };
    layout::page(&reader, &operator, Place::Inboxes, text.done, &content)
}

/// What goes on, also when nobody waits for it any more.
struct Doing {
    caller: Caller,
    inbox: InboxName,
    what: What,
    which: Which,
    why: String,
    per_second: Option<NonZeroU32>,
}

impl Doing {
    async fn carry_out(self, broker: Arc<Broker>) -> Result<u64, Refusal> {
        let Self { caller, inbox, what, which, why, per_second } = self;
        match what {
            What::Redrive => {
                let options = RedriveOptions { which, to: None, per_second, why: Some(why) };
                broker.redrive(&caller, &inbox, options, |_| {}).await
            }
            What::Purge => broker.purge_dead_letters(&caller, &inbox, which, Some(&why)).await,
        }
    }
}
