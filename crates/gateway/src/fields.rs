//! Reading and writing the small parts of requests and answers.

use std::time::{Duration, SystemTime};

use tonic::{Code, Status};
use wissel_broker::{Reason, Refusal};
use wissel_bus::DeadLetterId;
use wissel_identifiers::ScopedNameError;

use crate::status::to_status;

pub(crate) const TOKEN_EXPECTED: &str = "expected the next_page_token of the page before";

/// A field that breaks what its comment in `proto/` says.
pub(crate) fn invalid(field: &str, description: impl Into<String>) -> Refusal {
    Refusal::of_field(Reason::InvalidRequest, field, description)
}

/// A name such as `OIN.local`.
pub(crate) fn name<N>(field: &str, text: &str) -> Result<N, Refusal>
where
    N: std::str::FromStr<Err = ScopedNameError>,
{
    text.parse().map_err(|error: ScopedNameError| invalid(field, error.to_string()))
}

/// A page's size: 100 by default, 1,000 at most.
pub(crate) fn page_size(asked: u32) -> Result<usize, Refusal> {
    match asked {
        0 => Ok(100),
        1..=1_000 => Ok(asked as usize),
        _ => Err(invalid("page_size", format!("{asked}; expected at most 1000"))),
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
    parsed.map_err(|_| invalid("page_token", TOKEN_EXPECTED))
}

/// A dead-letter page token: the id behind which the page begins.
pub(crate) fn dead_letter_token(token: String) -> Result<Option<DeadLetterId>, Refusal> {
    const LENGTH_MAX: usize = 64;
    if token.is_empty() {
        return Ok(None);
    }
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if token.len() > LENGTH_MAX || !token.bytes().all(known) {
        return Err(invalid("page_token", TOKEN_EXPECTED));
    }
    Ok(Some(DeadLetterId(token)))
}

/// How much to ask for, so that it shows whether there is a page behind this one.
pub(crate) fn one_more(size: usize) -> usize {
    size + 1
}

/// Cuts what [`one_more`] brought down to the page, and makes the token of the next:
/// the last name of this one, or nothing when this is the last.
pub(crate) fn cut_page<T>(page: &mut Vec<T>, size: usize, name: impl Fn(&T) -> String) -> String {
    cut_full_page(page, size, false, name)
}

/// As [`cut_page`], of what comes in pages that may be full with fewer than was asked for, as
/// they are large.
pub(crate) fn cut_full_page<T>(
    page: &mut Vec<T>,
    size: usize,
    full: bool,
    name: impl Fn(&T) -> String,
) -> String {
    if page.len() <= size && !full {
        return String::new();
    }
    page.truncate(size);
    page.last().map(name).unwrap_or_default()
}

/// A moment; `default` when absent.
pub(crate) fn moment(
    field: &str,
    given: Option<prost_types::Timestamp>,
    default: SystemTime,
) -> Result<SystemTime, Refusal> {
    let read = given.map(SystemTime::try_from).transpose();
    let read = read.map_err(|_| invalid(field, "not a moment; expected a timestamp"))?;
    Ok(read.unwrap_or(default))
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
        Err(_) => Err(invalid(field, format!("not a positive duration; {expected}"))),
    }
}

pub(crate) fn timestamp(moment: SystemTime) -> Option<prost_types::Timestamp> {
    Some(moment.into())
}

pub(crate) fn to_duration(duration: Duration) -> Option<prost_types::Duration> {
    // Longer than 292 billion years does not come up.
    duration.try_into().ok()
}

/// How a stream ends whose next request cannot be read. That a request does not decode
/// is the caller's fault, which tonic calls internal; anything else is told as the
/// transport tells it. Who went away reads none of it.
pub(crate) fn unreadable(status: Status) -> Status {
    match status.code() {
        Code::Internal => to_status(&invalid("request", "cannot be decoded; expected protobuf")),
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_exactly_full_is_the_last() {
        for (there, size, left, token) in [(0, 2, 0, ""), (2, 2, 2, ""), (3, 2, 2, "1")] {
            let mut page: Vec<usize> = (0..there).take(one_more(size)).collect();
            assert_eq!(cut_page(&mut page, size, ToString::to_string), token);
            assert_eq!(page.len(), left);
        }
        for (there, left, token) in [(1, 1, "0"), (2, 2, "1"), (3, 2, "1")] {
            let mut page: Vec<usize> = (0..there).collect();
            assert_eq!(cut_full_page(&mut page, 2, true, ToString::to_string), token);
            assert_eq!(page.len(), left);
        }
    }

    #[test]
    fn dead_letter_tokens_are_checked() {
        assert_eq!(dead_letter_token(String::new()).unwrap(), None);
        let good = "0190f0a1b2c3d4e5-0000000000000001".to_owned();
        assert_eq!(dead_letter_token(good.clone()).unwrap(), Some(DeadLetterId(good)));
        for bad in ["a".repeat(65), "A".to_owned(), "../x".to_owned(), "é".to_owned()] {
            let refusal = dead_letter_token(bad).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidRequest);
        }
    }
}
