//! One call: a question as an event over HTTP (CloudEvents HTTP protocol binding, structured
//! mode), and what its answer means.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use uuid::Uuid;
use wissel_broker::direction::RESERVED;
use wissel_catalogue::Ask;
use wissel_identifiers::InboxName;
use wissel_message::{Event, EventView, JSON_MEDIA_TYPE, TRACEPARENT, TRACESTATE, TraceContext};

use super::HttpService;
use super::breaker::Breaker;
use crate::{Failure, FailureCode};

/// Calls one service.
pub(super) struct Http {
    client: Client,
    url: Url,
    inbox: InboxName,
    token_file: Option<PathBuf>,
    breaker: Breaker,
}

/// Why a service cannot be called as it is set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The URL is none, or not one that may be called.
    #[error(
        "the URL of the service of {inbox}: {fault}; expected https://, or http:// on a loopback address"
    )]
    Url {
        /// Whose.
        inbox: InboxName,
        /// What is wrong.
        fault: String,
    },
    /// A file cannot be used.
    #[error("{}: {fault}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// TLS cannot be set up.
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The most bytes of an answer.
const ANSWER_MAX: usize = 1 << 20;
/// The most characters of a service's own words that are passed on.
const DETAIL_MAX: usize = 200;

impl Http {
    pub(super) fn new(service: &HttpService) -> Result<Self, ServiceError> {
        let url = check_url(service)?;
        let mut client = Client::builder()
            .timeout(service.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("wissel/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &service.authorities {
            let wrong = |fault: String| ServiceError::File { file: file.clone(), fault };
            let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let all =
                Certificate::from_pem_bundle(&text).map_err(|error| wrong(error.to_string()))?;
            client = client.tls_certs_only(all);
        }
        if let Some(file) = &service.token_file {
            let wrong = |fault: String| ServiceError::File { file: file.clone(), fault };
            std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self {
            client: client.build()?,
            url,
            inbox: service.inbox.clone(),
            token_file: service.token_file.clone(),
            breaker: Breaker::new(),
        })
    }

    /// Asks the service. Whatever goes wrong is a reason for which there is no answer.
    pub(super) async fn ask(
        &self,
        question: &EventView,
        ask: &Ask,
        deadline: Option<SystemTime>,
        trace: Option<TraceContext>,
    ) -> Result<Bytes, Failure> {
        if !self.breaker.is_closed() {
            return Err(unavailable(
                "the service failed several times, and is left alone for a while",
            ));
        }
        let answer = self.call(question, ask, deadline, trace).await;
        let failed = matches!(
            &answer,
            Err(Failure { code: FailureCode::Unavailable | FailureCode::Failed, .. })
        );
        self.breaker.called(failed);
        answer
    }

    async fn call(
        &self,
        question: &EventView,
        ask: &Ask,
        deadline: Option<SystemTime>,
        trace: Option<TraceContext>,
    ) -> Result<Bytes, Failure> {
        let event = Event::from_view(question).without_attributes_of(RESERVED);
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, JSON_MEDIA_TYPE)
            .header(ACCEPT, format!("{JSON_MEDIA_TYPE}, application/json"))
            .body(event.to_json());
        if let Some(trace) = trace.or_else(|| question.trace_context()) {
            request = request.header(TRACEPARENT, trace.to_string());
            if let Some(state) = question.trace_state() {
                request = request.header(TRACESTATE, state);
            }
        }
        if let Some(file) = &self.token_file {
            request = request.bearer_auth(read_token(file).await?);
        }
        if let Some(left) = deadline.map(|at| at.duration_since(SystemTime::now())) {
            request = request.timeout(left.unwrap_or_default().min(Duration::from_mins(10)));
        }
        // What reqwest says may hold the URL, and nothing of the question.
        let failed = |error: reqwest::Error| {
            tracing::warn!(inbox = %self.inbox, %error, "an HTTP service does not answer");
            let what = if error.is_timeout() { "too slow" } else { "not there" };
            unavailable(&format!("the service is {what}"))
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|one| one.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let body = read_body(response).await.map_err(failed)?;
        let Some(body) = body else {
            return Err(failure(FailureCode::Failed, "the answer is over 1 MiB"));
        };
        if !status.is_success() {
            return Err(refused(status, &content_type, &body));
        }
        if status == StatusCode::NO_CONTENT {
            return Err(failure(FailureCode::NotFound, "the service has no content for it"));
        }
        self.read(question, ask, &content_type, &body)
    }

    /// An event, or plain JSON that becomes the data of one.
    fn read(
        &self,
        question: &EventView,
        ask: &Ask,
        content_type: &str,
        body: &[u8],
    ) -> Result<Bytes, Failure> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let event = if media_type.eq_ignore_ascii_case(JSON_MEDIA_TYPE) {
            Event::from_json(body).map_err(|error| error.to_string())
        } else if media_type.eq_ignore_ascii_case("application/json") {
            let text = std::str::from_utf8(body).map_err(|_| "it is no UTF-8".to_owned());
            text.and_then(|text| self.event_of(question, ask, text))
        } else {
            Err(format!("expected {JSON_MEDIA_TYPE} or application/json"))
        };
        let event = event.map_err(|fault| {
            failure(FailureCode::Failed, &format!("the answer of the service: {fault}"))
        })?;
        Ok(event.encode())
    }

    fn event_of(&self, question: &EventView, ask: &Ask, data: &str) -> Result<Event, String> {
        let owner = self.inbox.owner();
        let local = self.inbox.local();
        let source = format!("urn:nld:oin:{owner}:systeem:{local}");
        let mut event = Event::builder(Uuid::now_v7().to_string(), source, &*ask.answer)
            .extension("causationid", question.id())
            .data_text("application/json", data);
        if let Some(subject) = question.subject() {
            event = event.subject(subject);
        }
        event.build().map_err(|violations| violations.to_string())
    }
}

fn check_url(service: &HttpService) -> Result<Url, ServiceError> {
    let wrong = |fault: String| ServiceError::Url { inbox: service.inbox.clone(), fault };
    let url = Url::parse(&service.url).map_err(|error| wrong(error.to_string()))?;
    let is_loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        scheme => return Err(wrong(format!("{scheme}:// to this host"))),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a name or password; use token_file".to_owned()));
    }
    Ok(url)
}

async fn read_token(file: &Path) -> Result<String, Failure> {
    let text = tokio::fs::read_to_string(file).await.map_err(|error| {
        tracing::error!(file = %file.display(), %error, "the token of an HTTP service cannot be read");
        unavailable("the service cannot be called")
    })?;
    Ok(text.trim().to_owned())
}

/// None when it is too long.
async fn read_body(mut response: Response) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

fn refused(status: StatusCode, content_type: &str, body: &[u8]) -> Failure {
    let code = match status.as_u16() {
        404 | 410 => FailureCode::NotFound,
        400 | 405 | 406 | 411 | 413 | 415 | 422 => FailureCode::InvalidQuestion,
        401 | 403 | 451 => FailureCode::Refused,
        408 | 429 | 502..=504 => FailureCode::Unavailable,
        _ => FailureCode::Failed,
    };
    let detail = problem(content_type, body);
    failure(code, &format!("the service answered {}{detail}", status.as_u16()))
}

/// What the service says itself (RFC 9457, problem details).
fn problem(content_type: &str, body: &[u8]) -> String {
    if !content_type.starts_with("application/problem+json") {
        return String::new();
    }
    let Ok(problem) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::new();
    };
    let text = ["detail", "title"].into_iter().find_map(|name| problem.get(name)?.as_str());
    let text: String = text.unwrap_or_default().chars().take(DETAIL_MAX).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

fn unavailable(message: &str) -> Failure {
    failure(FailureCode::Unavailable, message)
}

fn failure(code: FailureCode, message: &str) -> Failure {
    Failure { code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(url: &str) -> HttpService {
        HttpService {
            inbox: "00000099000000001000.vragen".parse().unwrap(),
            url: url.to_owned(),
            timeout: Duration::from_secs(1),
            concurrency: 1,
            token_file: None,
            authorities: None,
        }
    }

    #[test]
    fn only_what_is_encrypted_or_local_is_called() {
        for good in ["https://registry.example.nl/vragen", "http://127.0.0.1:1/x", "http://[::1]/"]
        {
            assert!(Http::new(&service(good)).is_ok(), "{good}");
        }
        for bad in ["http://registry.example.nl", "ftp://127.0.0.1", "x", "https://a:b@c.nl"] {
            let error = Http::new(&service(bad)).err().unwrap().to_string();
            assert!(error.contains("expected https://"), "{error}");
        }
    }

    #[test]
    fn a_status_is_a_reason() {
        let problem = br#"{"title":"Not here","status":404}"#;
        let failure = refused(StatusCode::NOT_FOUND, "application/problem+json", problem);
        assert_eq!(failure.code, FailureCode::NotFound);
        assert_eq!(failure.message, "the service answered 404: Not here");
        for (status, code) in [
            (400, FailureCode::InvalidQuestion),
            (403, FailureCode::Refused),
            (429, FailureCode::Unavailable),
            (500, FailureCode::Failed),
            (503, FailureCode::Unavailable),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refused(status, "text/html", b"<html>").code, code);
        }
    }
}
