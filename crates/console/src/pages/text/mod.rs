//! In which language a page is.

mod dutch;
mod english;
mod refusals;
mod words;

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

pub(super) use self::dutch::DUTCH;
pub(super) use self::english::ENGLISH;
pub(super) use self::words::Texts;

const CHOSEN: &str = "wissel-language";

/// Who reads, as far as the language goes.
pub(super) struct Reader {
    pub(super) texts: &'static Texts,
}

impl Reader {
    /// Where the other language is chosen.
    pub(super) fn switch(&self) -> String {
        format!("/language/{}", self.texts.other_code)
    }

    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let chosen = text(COOKIE).split(';').find_map(|one| {
            let (name, value) = one.trim().split_once('=')?;
            (name == CHOSEN).then_some(value)
        });
        let code = chosen.unwrap_or_else(|| preferred(text(ACCEPT_LANGUAGE)));
        Self { texts: if code == "nl" { &DUTCH } else { &ENGLISH } }
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// Of the languages that there are, the one that is liked best (RFC 9110, 12.5.4).
fn preferred(accepted: &str) -> &'static str {
    let mut best = ("en", 0.0);
    for one in accepted.split(',') {
        let mut parts = one.trim().split(';');
        let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok());
        let code = match tag.split('-').next() {
            Some("nl") => "nl",
            Some("en") => "en",
            _ => continue,
        };
        let weight: f32 = weight.unwrap_or(1.0);
        if weight > best.1 {
            best = (code, weight);
        }
    }
    best.0
}

pub(super) async fn choose(Path(code): Path<String>) -> Response {
    let code = if code == "nl" { "nl" } else { "en" };
    let cookie = format!("{CHOSEN}={code}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best_is_taken() {
        for (accepted, expected) in [
            ("", "en"),
            ("nl", "nl"),
            ("de, nl-BE;q=0.5", "nl"),
            ("en;q=0.8, nl;q=0.9", "nl"),
            ("nl;q=0, en", "en"),
        ] {
            assert_eq!(preferred(accepted), expected, "{accepted}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, "en".parse().unwrap());
        headers.insert(COOKIE, "a=b; wissel-language=nl".parse().unwrap());
        assert_eq!(Reader::of(&headers).texts.code, "nl");
    }
}
