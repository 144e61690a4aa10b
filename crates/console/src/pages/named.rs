//! The inbox that a path names.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use wissel_identifiers::InboxName;

use super::layout::{self, Back, Place};
use super::text::Reader;
use crate::access::Operator;
use crate::console::Seen;

/// The inbox that the part `{name}` of a path names. What is no name of an inbox gets a page that
/// says that there is none, without saying again what was made up.
pub(super) struct Named(pub(super) InboxName);

#[derive(Deserialize)]
struct Parameters {
    name: String,
}

impl FromRequestParts<Arc<Seen>> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, seen: &Arc<Seen>) -> Result<Self, Response> {
        let operator = Operator::from_request_parts(parts, seen).await?;
        let Ok(reader) = Reader::from_request_parts(parts, seen).await;
        let named = Path::<Parameters>::from_request_parts(parts, seen).await.ok();
        named.and_then(|Path(named)| named.name.parse().ok()).map(Self).ok_or_else(|| {
            let none = reader.texts.no_such_inbox;
            let back = Back::To(Place::Inboxes);
            layout::fault(&reader, &operator, StatusCode::NOT_FOUND, none, back)
        })
    }
}
