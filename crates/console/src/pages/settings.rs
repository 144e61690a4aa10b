//! The settings of an inbox: a table for whoever looks, a form for whoever may set them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wissel_broker::{InboxSettings, Role, WhenFull};
use wissel_identifiers::InboxName;

use super::acting::denied;
use super::layout::{self, Back};
use super::named::Named;
use super::text::{Reader, Texts};
use crate::access::{Form, Operator};
use crate::console::Seen;

/// What a form says. Empty: as the gateway is set.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    max_attempts: String,
    retry_initial: String,
    retry_max: String,
    max_age: String,
    max_deliveries: String,
    max_bytes: String,
    when_full: String,
}

/// A setting that cannot be read, and what was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wrong {
    setting: &'static str,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Number,
    Span,
    WhenFull,
}

impl Wrong {
    fn told(self, text: &Texts) -> String {
        let expected = match self.expected {
            Expected::Number => text.expected_number,
            Expected::Span => text.expected_span,
            Expected::WhenFull => text.expected_when_full,
        };
        format!("{}: {expected}", self.setting)
    }
}

impl Given {
    fn of(settings: &InboxSettings) -> Self {
        let number = |number: Option<u64>| number.map(|one| one.to_string()).unwrap_or_default();
        Self {
            max_attempts: number(settings.max_attempts.map(u64::from)),
            retry_initial: span(settings.retry_initial),
            retry_max: span(settings.retry_max),
            max_age: span(settings.max_age),
            max_deliveries: number(settings.max_deliveries),
            max_bytes: number(settings.max_bytes),
            when_full: match settings.when_full {
                None => "",
                Some(WhenFull::Refuse) => "refuse",
                Some(WhenFull::DeadLetter) => "dead-letter",
            }
            .to_owned(),
        }
    }

    fn rows(&self) -> [(&'static str, &str); 7] {
        [
            ("max_attempts", &self.max_attempts),
            ("retry_initial", &self.retry_initial),
            ("retry_max", &self.retry_max),
            ("max_age", &self.max_age),
            ("max_deliveries", &self.max_deliveries),
            ("max_bytes", &self.max_bytes),
            ("when_full", &self.when_full),
        ]
    }

    /// The settings before, with these; or which of them cannot be read.
    fn read(&self, before: InboxSettings) -> Result<InboxSettings, Wrong> {
        let wrong = |setting, expected| Wrong { setting, expected };
        let attempts: Option<u64> = number("max_attempts", &self.max_attempts)?;
        let attempts = attempts.map(u32::try_from).transpose();
        Ok(InboxSettings {
            max_attempts: attempts.map_err(|_| wrong("max_attempts", Expected::Number))?,
            retry_initial: read_span("retry_initial", &self.retry_initial)?,
            retry_max: read_span("retry_max", &self.retry_max)?,
            max_age: read_span("max_age", &self.max_age)?,
            max_deliveries: number("max_deliveries", &self.max_deliveries)?,
            max_bytes: number("max_bytes", &self.max_bytes)?,
            when_full: match self.when_full.as_str() {
                "" => None,
                "refuse" => Some(WhenFull::Refuse),
                "dead-letter" => Some(WhenFull::DeadLetter),
                _ => return Err(wrong("when_full", Expected::WhenFull)),
            },
            ..before
        })
    }
}

fn number(setting: &'static str, text: &str) -> Result<Option<u64>, Wrong> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(Wrong { setting, expected: Expected::Number }),
        },
    }
}

/// A day has 24 hours here.
fn read_span(setting: &'static str, text: &str) -> Result<Option<Duration>, Wrong> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let wrong = || Wrong { setting, expected: Expected::Span };
    let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    let span = span.ok().and_then(|span| Duration::try_from(span).ok());
    span.filter(|span| !span.is_zero()).map(Some).ok_or_else(wrong)
}

fn span(span: Option<Duration>) -> String {
    let span = span.and_then(|span| jiff::SignedDuration::try_from(span).ok());
    span.map(|span| format!("{span:#}")).unwrap_or_default()
}

/// The settings, as they are.
pub(super) fn section(
    text: &Texts,
    operator: &Operator,
    name: &InboxName,
    settings: &InboxSettings,
) -> Markup {
    let given = Given::of(settings);
    let may_act = operator.holds(Role::Operator);
    html! {
        section aria-labelledby="settings" {
            h2 id="settings" { (text.settings) }
            @if may_act { (form(text, operator, name, &given)) } @else { (table(text, &given)) }
            @if settings.direct_amqp { p { code { "direct_amqp = true" } } }
        }
    }
}

fn table(text: &Texts, given: &Given) -> Markup {
    html! {
        div.wide role="group" tabindex="0" aria-labelledby="settings" {
            table {
                thead { tr { th scope="col" { (text.setting) } th scope="col" { (text.value) } } }
                tbody { @for (name, value) in given.rows() { tr {
                    th scope="row" { code { (name) } }
                    td { (if value.is_empty() { text.as_gateway } else { value }) }
                } } }
            }
        }
    }
}

fn form(text: &Texts, operator: &Operator, name: &InboxName, given: &Given) -> Markup {
    html! {
        p { (text.settings_help) }
        form.settings method="post" action={ "/inboxes/" (name) "/settings" } {
            input type="hidden" name="csrf" value=(operator.csrf());
            @for (setting, value) in given.rows() {
                div {
                    label for=(setting) { code { (setting) } }
                    @if setting == "when_full" {
                        select id=(setting) name=(setting) {
                            option value="" { (text.as_gateway) }
                            @for one in ["refuse", "dead-letter"] {
                                option value=(one) selected[value == one] { (one) }
                            }
                        }
                    } @else {
                        input id=(setting) name=(setting) value=(value) placeholder=(text.by_default) autocomplete="off"
                            aria-describedby=[help(text, setting).map(|_| format!("{setting}-help"))];
                    }
                    @if let Some(help) = help(text, setting) {
                        small id={ (setting) "-help" } { (help) }
                    }
                }
            }
            p.acts { button { (text.set) } }
        }
    }
}

/// What a setting does to what waits already.
fn help(text: &Texts, setting: &str) -> Option<&'static str> {
    match setting {
        "max_age" => Some(text.max_age_help),
        "max_attempts" | "retry_initial" | "retry_max" => Some(text.attempts_help),
        _ => None,
    }
}

/// Sets them.
pub(super) async fn set(
    State(seen): State<Arc<Seen>>,
    operator: Operator,
    reader: Reader,
    Named(name): Named,
    Form(given): Form<Given>,
) -> Response {
    let back = Back::Inbox(&name);
    if let Err(wrong) = given.read(InboxSettings::default()) {
        let why = wrong.told(reader.texts);
        return layout::fault(&reader, &operator, StatusCode::BAD_REQUEST, why, back);
    }
    let change = move |before: InboxSettings| given.read(before).unwrap_or(before);
    match seen.exchange.broker().set_inbox(&operator.caller(), &name, change).await {
        Ok(_) => Redirect::to(&format!("/inboxes/{name}")).into_response(),
        Err(refusal) => denied(&reader, &operator, &refusal, back),
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{DUTCH, ENGLISH};
    use super::*;

    #[test]
    fn what_is_shown_is_read_again_and_nothing_else_changes() {
        let settings = InboxSettings {
            max_attempts: Some(5),
            retry_initial: Some(Duration::from_millis(1_500)),
            retry_max: Some(Duration::from_secs(5_400)),
            max_age: Some(Duration::from_secs(30 * 86_400)),
            max_deliveries: Some(100_000),
            max_bytes: Some(1 << 30),
            when_full: Some(WhenFull::DeadLetter),
            paused: true,
            ..InboxSettings::default()
        };
        let paused = InboxSettings { paused: true, ..InboxSettings::default() };
        let given = Given::of(&settings);
        assert_eq!(given.read(paused).unwrap(), settings, "{given:?}");
        assert_eq!(Given::default().read(settings).unwrap(), paused);
        let days = Given { max_age: "30 days".to_owned(), ..Given::default() };
        assert_eq!(days.read(paused).unwrap().max_age, settings.max_age);
        for wrong in [
            Given { max_attempts: "0".to_owned(), ..Given::default() },
            Given { max_attempts: "5000000000".to_owned(), ..Given::default() },
            Given { max_bytes: "-1".to_owned(), ..Given::default() },
            Given { retry_max: "soon".to_owned(), ..Given::default() },
            Given { max_age: "-2s".to_owned(), ..Given::default() },
            Given { when_full: "burn".to_owned(), ..Given::default() },
        ] {
            let wrong = wrong.read(paused).unwrap_err();
            assert!(wrong.told(&ENGLISH).contains("expected"), "{wrong:?}");
            assert!(wrong.told(&DUTCH).contains("verwacht"), "{wrong:?}");
        }
    }
}
