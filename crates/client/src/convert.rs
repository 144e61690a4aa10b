//! From what comes over the wire to plain types. What does not fit is a
//! [`ClientError::Protocol`].

use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use tonic::Streaming;

use crate::ClientError;

/// The next answer of a stream; `None` at its end.
pub(crate) async fn next<T>(answers: &mut Streaming<T>) -> Result<Option<T>, ClientError> {
    answers.message().await.map_err(|status| ClientError::from_status(&status))
}

pub(crate) fn parsed<T>(field: &str, text: &str) -> Result<T, ClientError>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error| ClientError::protocol(format!("{field}: {error}")))
}

pub(crate) fn present<T>(field: &str, value: Option<T>) -> Result<T, ClientError> {
    value.ok_or_else(|| ClientError::protocol(format!("{field} is missing")))
}

pub(crate) fn moment(
    field: &str,
    timestamp: Option<prost_types::Timestamp>,
) -> Result<SystemTime, ClientError> {
    let timestamp = present(field, timestamp)?;
    SystemTime::try_from(timestamp)
        .map_err(|error| ClientError::protocol(format!("{field}: {error}")))
}

pub(crate) fn span(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Duration, ClientError> {
    let duration = present(field, duration)?;
    Duration::try_from(duration).map_err(|error| ClientError::protocol(format!("{field}: {error}")))
}

pub(crate) fn to_proto(
    argument: &'static str,
    duration: Duration,
) -> Result<prost_types::Duration, ClientError> {
    duration.try_into().map_err(|_| ClientError::invalid(argument, "is too long"))
}
