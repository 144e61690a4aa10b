//! What is the same on every page.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, Render, html};
use wissel_identifiers::InboxName;

use super::names::parted;
use super::text::{Reader, Texts};
use crate::access::Operator;

/// Which page of the navigation one is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Inboxes,
    Dossier,
    Map,
    Catalogue,
    Subscriptions,
    Parties,
    Records,
    System,
}

/// Where somebody was, and goes on from.
#[derive(Clone, Copy)]
pub(super) enum Back<'a> {
    To(Place),
    Inbox(&'a InboxName),
    DeadLetters(&'a InboxName),
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page with this title and content.
pub(super) fn page(
    reader: &Reader,
    operator: &Operator,
    place: Place,
    title: &str,
    content: &Markup,
) -> Response {
    let text = reader.texts;
    let who = html! {
        span title=(operator.roles()) { (operator.name()) }
        @if operator.may_leave() {
            form method="post" action="/sign-out" {
                input type="hidden" name="csrf" value=(operator.csrf());
                button.plain { (text.sign_out) }
            }
        }
    };
    framed(reader, &navigation(text, place), &who, title, content)
}

/// A page for somebody who is not signed in.
pub(super) fn outside(reader: &Reader, status: StatusCode, content: &Markup) -> Response {
    let title = reader.texts.sign_in;
    let mut response = framed(reader, &html! {}, &html! {}, title, content);
    *response.status_mut() = status;
    response
}

fn framed(
    reader: &Reader,
    navigation: &Markup,
    who: &Markup,
    title: &str,
    content: &Markup,
) -> Response {
    let text = reader.texts;
    let body = html! {
        (DOCTYPE)
        html lang=(text.code) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Wissel" }
                link rel="icon" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/console.css";
                script src="/assets/console.js" defer {}
            }
            body {
                a.skip href="#content" { (text.skip) }
                header.top {
                    a.brand href="/" { "Wissel" }
                    (navigation)
                    div.who {
                        (who)
                        a href=(reader.switch()) lang=(text.other_code) hreflang=(text.other_code) { (text.other_language) }
                    }
                }
                main id="content" tabindex="-1" {
                    h1 { (parted(title)) }
                    (content)
                }
            }
        }
    };
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not less, or browsers say of no form that it is of ours.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (VARY, "accept-language, cookie"),
    ];
    (headers, body).into_response()
}

/// A section of numbers, each with its name.
pub(super) fn figures(id: &str, title: &str, figures: &[(&str, String)]) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            dl.figures {
                @for (name, value) in figures { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// A page that says what is not so, with what to do.
pub(super) fn fault(
    reader: &Reader,
    operator: &Operator,
    status: StatusCode,
    message: impl Render,
    back: Back<'_>,
) -> Response {
    let text = reader.texts;
    let (place, way) = match back {
        Back::To(place) => (place, way_to(text, place)),
        Back::Inbox(name) => (Place::Inboxes, Some((format!("/inboxes/{name}"), name.to_string()))),
        Back::DeadLetters(name) => {
            let to = format!("/inboxes/{name}/dead-letters");
            (Place::Inboxes, Some((to, format!("{name}: {}", text.dead_letters))))
        }
    };
    let content = html! {
        p { (message) }
        @if let Some((to, name)) = way { p { a href=(to) { (text.back_to) " " (name) } } }
        p { a href="/inboxes" { (text.to_inboxes) } }
    };
    let mut response = page(reader, operator, place, text.not_possible, &content);
    *response.status_mut() = status;
    response
}

/// None to the inboxes, as every fault leads there.
fn way_to(text: &Texts, place: Place) -> Option<(String, String)> {
    let places = places(text).into_iter().filter(|(one, ..)| *one != Place::Inboxes);
    let mut found = places.filter(|(one, ..)| *one == place);
    found.next().map(|(_, path, name)| (path.to_owned(), name.to_owned()))
}

fn places(text: &Texts) -> [(Place, &'static str, &'static str); 9] {
    [
        (Place::Overview, "/", text.overview),
        (Place::Inboxes, "/inboxes", text.inboxes),
        (Place::Dossier, "/dossier", text.dossier),
        (Place::Map, "/map", text.map),
        (Place::Catalogue, "/catalogue", text.catalogue),
        (Place::Subscriptions, "/subscriptions", text.subscriptions),
        (Place::Parties, "/parties", text.parties_title),
        (Place::Records, "/records", text.records),
        (Place::System, "/system", text.system),
    ]
}

fn navigation(text: &Texts, place: Place) -> Markup {
    html! {
        nav aria-label=(text.navigation) {
            ul {
                @for (one, path, name) in places(text) {
                    li { a href=(path) aria-current=[(one == place).then_some("page")] { (name) } }
                }
            }
        }
    }
}
