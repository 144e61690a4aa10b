//! Which requests are taken at all: those that are meant for this console, and that no other
//! site made a browser send.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::console::Seen;

/// What the console is called: the origins by which browsers reach it.
pub(crate) struct Names {
    origins: Vec<String>,
}

impl Names {
    pub(crate) fn of(origin: &str, listens: SocketAddr) -> Result<Self, String> {
        let expected = "expected https://HOST or https://HOST:PORT";
        let uri: Uri = origin.parse().map_err(|_| expected.to_owned())?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.authority()) else {
            return Err(expected.to_owned());
        };
        if !matches!(scheme, "https" | "http") || !matches!(uri.path(), "" | "/") {
            return Err(expected.to_owned());
        }
        let mut origins = vec![format!("{scheme}://{host}").to_ascii_lowercase()];
        if listens.ip().is_loopback() {
            for host in ["127.0.0.1", "localhost", "[::1]"] {
                origins.push(format!("{scheme}://{host}:{}", listens.port()));
            }
        }
        Ok(Self { origins })
    }

    /// Whether a request is meant for here. A name that an attacker points at this address
    /// is none of ours (DNS rebinding).
    fn is_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.origins.iter().any(|origin| {
            let (scheme, own) = origin.split_once("://").unwrap_or_default();
            let port = if scheme == "https" { ":443" } else { ":80" };
            own == host || host.strip_suffix(port) == Some(own)
        })
    }

    /// Whether a page of ours made a browser send this.
    fn is_of_ours(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(site) = text("sec-fetch-site")
            && !matches!(site, "same-origin" | "none")
        {
            return false;
        }
        match text(ORIGIN.as_str()) {
            Some(origin) => self.origins.iter().any(|own| own.eq_ignore_ascii_case(origin)),
            // Then the token of the form decides.
            None => !headers.contains_key(ORIGIN),
        }
    }
}

/// Refuses what is not meant for here, and changes that others asked for.
pub(crate) async fn guard(State(seen): State<Arc<Seen>>, request: Request, next: Next) -> Response {
    let names = &seen.access.names;
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| names.is_host(host)) {
        let message =
            "Host: none of the names of this console; expected the one of console.origin\n";
        return (StatusCode::MISDIRECTED_REQUEST, message).into_response();
    }
    if request.method() == Method::POST && !names.is_of_ours(headers) {
        return (StatusCode::FORBIDDEN, "another site asked for this\n").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(origin: &str, listens: &str) -> Names {
        Names::of(origin, listens.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_its_own_names_are_its_own() {
        let names_of = names("https://Wissel.example.nl", "192.0.2.1:9443");
        for host in ["wissel.example.nl", "WISSEL.example.nl", "wissel.example.nl:443"] {
            assert!(names_of.is_host(host), "{host}");
        }
        for host in ["", "example.nl", "wissel.example.nl:80", "192.0.2.1:9443", "localhost:9443"] {
            assert!(!names_of.is_host(host), "{host}");
        }
        let local = names("http://127.0.0.1:9000", "127.0.0.1:9000");
        assert!(local.is_host("localhost:9000") && !local.is_host("evil.example:9000"));
        for wrong in ["wissel", "ftp://a", "https://a/b", "https://"] {
            assert!(Names::of(wrong, "127.0.0.1:1".parse().unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_sites_cannot_make_a_browser_change_anything() {
        let names = names("https://wissel.example.nl", "192.0.2.1:9443");
        let is_of_ours = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap())
            });
            names.is_of_ours(&pairs.collect())
        };
        assert!(is_of_ours(&[("origin", "https://wissel.example.nl")]));
        assert!(is_of_ours(&[("sec-fetch-site", "same-origin")]) && is_of_ours(&[]));
        assert!(!is_of_ours(&[("origin", "https://evil.example")]));
        assert!(!is_of_ours(&[("origin", "null")]));
        assert!(!is_of_ours(&[("sec-fetch-site", "same-site")]));
        let mixed = [("sec-fetch-site", "cross-site"), ("origin", "https://wissel.example.nl")];
        assert!(!is_of_ours(&mixed));
    }
}
