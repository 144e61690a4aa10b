//! Who looks at the pages.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::console::Seen;

/// Somebody who may look at the pages.
pub(crate) struct Operator {
    name: &'static str,
}

impl Operator {
    /// What they are called.
    pub(crate) fn name(&self) -> &str {
        self.name
    }
}

impl FromRequestParts<Arc<Seen>> for Operator {
    type Rejection = (StatusCode, &'static str);

    /// Whoever reaches a gateway that believes its callers, and nobody else.
    async fn from_request_parts(_: &mut Parts, seen: &Arc<Seen>) -> Result<Self, Self::Rejection> {
        if seen.insecure_dev {
            Ok(Self { name: "operator" })
        } else {
            let expected = "the pages are shown by a gateway with --insecure-dev only\n";
            Err((StatusCode::FORBIDDEN, expected))
        }
    }
}
