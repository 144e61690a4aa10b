//! Reading and writing the small parts of requests and answers.

use std::time::{Duration, SystemTime};

use wissel_broker::{Reason, Refusal};
use wissel_identifiers::ScopedNameError;

/// A field that breaks what its comment in `proto/` says.
pub(crate) fn invalid(field: &str, description: impl Into<String>) -> Refusal {
    Refusal::of_field(Reason::InvalidRequest, field, description)
}

/// A name such as `OIN.local`.
pub(crate) fn name<N>(field: &str, text: &str) -> Result<N, Refusal>
where
    N: std::str::FromStr<Err = ScopedNameError>,
{
    text.parse()
        .map_err(|error: ScopedNameError| invalid(field, error.to_string()))
}

/// A page's size: 100 by default, 1,000 at most.
pub(crate) fn page_size(asked: u32) -> Result<usize, Refusal> {
    match asked {
        0 => Ok(100),
        1..=1_000 => Ok(asked as usize),
        _ => Err(invalid(
            "page_size",
            format!("{asked}; expected at most 1000"),
        )),
    }
}

/// A page token: the name behind which the page begins.
pub(crate) fn page_token<N>(token: &str) -> Result<Option<N>, Refusal>
where
    N: std::str::FromStr<Err = ScopedNameError>,
{
    if token.is_empty() {
        return Ok(None);
    }
    let parsed = token.parse().map(Some);
    parsed.map_err(|_| {
        invalid(
            "page_token",
            "expected the next_page_token of the page before",
        )
    })
}

/// The token of the next page: the last name of a full page.
pub(crate) fn next_page_token<T>(page: &[T], size: usize, name: impl Fn(&T) -> String) -> String {
    if page.len() < size {
        String::new()
    } else {
        page.last().map(name).unwrap_or_default()
    }
}

/// A duration, within bounds; `default` when absent.
pub(crate) fn duration(
    field: &str,
    given: Option<prost_types::Duration>,
    default: Duration,
    bounds: std::ops::RangeInclusive<Duration>,
) -> Result<Duration, Refusal> {
    let Some(given) = given else {
        return Ok(default);
    };
    let (least, most) = (bounds.start().as_secs(), bounds.end().as_secs());
    let expected = format!("expected {least} s to {most} s");
    match Duration::try_from(given) {
        Ok(duration) if bounds.contains(&duration) => Ok(duration),
        Ok(_) => Err(invalid(field, format!("out of bounds; {expected}"))),
        Err(_) => Err(invalid(
            field,
            format!("not a positive duration; {expected}"),
        )),
    }
}

pub(crate) fn timestamp(moment: SystemTime) -> Option<prost_types::Timestamp> {
    Some(moment.into())
}

pub(crate) fn to_duration(duration: Duration) -> Option<prost_types::Duration> {
    // Longer than 292 billion years does not come up.
    duration.try_into().ok()
}
