//! What pages ask for: an operator, and a form of theirs.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::de::DeserializeOwned;
use wissel_broker::{Caller, Role, Roles};

use super::secret::same;
use super::sessions::Session;
use crate::console::Seen;
use crate::entrance::Visitor;

/// Somebody who is signed in. Whoever is, may look.
pub(crate) struct Operator {
    session: Session,
}

impl Operator {
    /// What they are called.
    pub(crate) fn name(&self) -> &str {
        self.session.identity.name()
    }

    /// They, as the broker knows them: it decides over what they may do.
    pub(crate) fn caller(&self) -> Caller {
        self.session.identity.caller()
    }

    /// What they may do.
    pub(crate) fn roles(&self) -> Roles {
        self.session.identity.operator.roles
    }

    /// Whether it is of use to offer them what takes this role.
    pub(crate) fn holds(&self, role: Role) -> bool {
        self.roles().holds(role)
    }

    /// Whether there is anything to sign out of.
    pub(crate) fn may_leave(&self) -> bool {
        self.session.identity.method != "development"
    }

    /// What every form of theirs carries in its field `csrf`.
    pub(crate) fn csrf(&self) -> &str {
        &self.session.csrf
    }
}

impl FromRequestParts<Arc<Seen>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, seen: &Arc<Seen>) -> Result<Self, Response> {
        let access = &seen.access;
        if !access.knows_anybody() {
            let message = "nobody can sign in here; expected [console.oidc] or \
                           [[console.operators]], or --insecure-dev on a loopback address\n";
            return Err((StatusCode::FORBIDDEN, message).into_response());
        }
        let id = access.session_cookie().read(&parts.headers);
        let visitor = parts.extensions.get::<ConnectInfo<Visitor>>().map(|info| &info.0);
        match access.session(id, visitor) {
            Some(session) => Ok(Self { session }),
            None if parts.method == Method::GET => Err(Redirect::to("/sign-in").into_response()),
            None => Err((StatusCode::UNAUTHORIZED, "nobody is signed in\n").into_response()),
        }
    }
}

/// A form that was filled in on a page of this session.
pub(crate) struct Form<T>(pub(crate) T);

#[derive(serde::Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

/// The most bytes of a form.
pub(crate) const FORM_MAX: usize = 64 << 10;

impl<T: DeserializeOwned> FromRequest<Arc<Seen>> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, seen: &Arc<Seen>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, seen).await?;
        let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().starts_with(b"application/x-www-form-urlencoded")
        });
        if !is_form {
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected a form\n").into_response());
        }
        let request = Request::from_parts(parts, body);
        let body =
            Bytes::from_request(request, seen).await.map_err(|error| error.into_response())?;
        let wrong = |error: serde_urlencoded::de::Error| {
            (StatusCode::BAD_REQUEST, format!("the form: {error}\n")).into_response()
        };
        let token: Token = serde_urlencoded::from_bytes(&body).map_err(wrong)?;
        if !same(&token.csrf, operator.csrf()) {
            let message = "the form is not of this session; go back, load the page again, and \
                           try once more\n";
            return Err((StatusCode::FORBIDDEN, message).into_response());
        }
        serde_urlencoded::from_bytes(&body).map(Self).map_err(wrong)
    }
}
