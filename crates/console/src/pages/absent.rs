//! The page of an address that has none.

use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::layout::{self, Back, Place};
use super::text::Reader;
use crate::access::Operator;

/// For who is signed in; others are shown where to sign in. What programs ask of health and
/// metrics, and is not there, is not there: a probe takes being led elsewhere for health.
pub(super) async fn page(
    address: Uri,
    reader: Reader,
    operator: Result<Operator, Response>,
) -> Response {
    let is_of = |part: &str| address.path().starts_with(part);
    match operator {
        _ if is_of("/health") || is_of("/metrics") || is_of("/assets") => {
            StatusCode::NOT_FOUND.into_response()
        }
        Ok(operator) => {
            let (why, back) = (reader.texts.no_such_page, Back::To(Place::Overview));
            layout::fault(&reader, &operator, StatusCode::NOT_FOUND, why, back)
        }
        Err(elsewhere) => elsewhere,
    }
}
