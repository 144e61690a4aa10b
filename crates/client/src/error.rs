use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, RpcStatusExt as _, StatusExt as _};

use crate::TokenError;

/// What can go wrong between a caller and the gateway.
///
/// [`ClientError::is_retryable`] says whether the same call may succeed later.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The gateway refused, with a reason to act on. Sending the same again gives
    /// the same answer.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The gateway, or the bus behind it, takes nothing at the moment, or not this much.
    #[error("unavailable: {0}")]
    Unavailable(Refusal),
    /// The connection could not be made, or it broke.
    #[error("the connection to the gateway failed: {message}")]
    Transport {
        /// What the transport says.
        message: String,
    },
    /// One side does not trust the other's certificate. Trying again does not help.
    #[error("gateway and client do not trust each other: {message}")]
    Untrusted {
        /// What TLS says.
        message: String,
    },
    /// There was no answer in time. What was asked may have been done.
    #[error("no answer within {after:?}")]
    DeadlineExceeded {
        /// How long was waited.
        after: Duration,
    },
    /// The gateway said something that the API does not allow; the versions of
    /// client and gateway may not fit.
    #[error("unexpected answer of the gateway: {message}")]
    Protocol {
        /// What was found, and what was expected.
        message: String,
    },
    /// The delivery is no longer held: its lease ended, or the stream that it
    /// came by was lost. It comes again.
    #[error("delivery {delivery_id} is no longer held; it comes again")]
    LeaseLost {
        /// The delivery's id on its stream.
        delivery_id: u64,
    },
    /// The publisher or the inbox has been closed or dropped.
    #[error("closed")]
    Closed,
    /// An argument is wrong; nothing was sent.
    #[error("{argument}: {message}")]
    InvalidArgument {
        /// Which argument.
        argument: &'static str,
        /// What is wrong with it, and what was expected.
        message: String,
    },
    /// There is no token to call with.
    #[error("{0}")]
    Token(#[from] TokenError),
}

/// Why the gateway refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of refusal.
    pub code: Code,
    /// The stable code of the reason (`ErrorInfo.reason`), such as
    /// `UNKNOWN_EVENT_TYPE`; empty when the gateway gave none.
    pub reason: String,
    /// One sentence for a developer.
    pub message: String,
    /// Each attribute or field at fault.
    pub violations: Vec<Violation>,
    /// How long to wait before trying again, when that makes sense.
    pub retry_after: Option<Duration>,
}

/// One attribute or field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The attribute of the message, or the field of the request.
    pub field: String,
    /// What is wrong, and what was expected.
    pub description: String,
}

/// What rustls says when a certificate is not accepted, by us or by the gateway. Its errors
/// come wrapped many times, so that only their text is to be had.
const TRUST: [&str; 7] = [
    "invalid peer certificate",
    "received fatal alert: BadCertificate",
    "received fatal alert: Certificate",
    "received fatal alert: UnknownCA",
    "received fatal alert: UnsupportedCertificate",
    "received fatal alert: AccessDenied",
    "received fatal alert: DecryptError",
];

// === impl ClientError ===

impl ClientError {
    /// Whether the same call may succeed later: the gateway was unavailable, the
    /// connection failed, there was no answer in time, or no token for now.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Transport { .. } | Self::DeadlineExceeded { .. } => true,
            Self::Token(error) => error.is_temporary(),
            _ => false,
        }
    }

    /// The gateway's refusal, when it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::Unavailable(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// How long the gateway asks to wait, within reason.
    pub(crate) fn retry_after(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let asked_for = self.refusal().and_then(|refusal| refusal.retry_after);
        asked_for.unwrap_or_default().min(LONGEST)
    }

    pub(crate) fn invalid(argument: &'static str, message: impl Into<String>) -> Self {
        Self::InvalidArgument { argument, message: message.into() }
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::Protocol { message: message.into() }
    }

    /// The gateway ended a stream that should have gone on.
    pub(crate) fn stream_ended() -> Self {
        Self::Transport { message: "the gateway ended the stream".to_owned() }
    }

    /// Sorts a gRPC status. Only what came from this side of the connection has a
    /// source, so a source means that the transport failed.
    pub(crate) fn from_status(status: &Status) -> Self {
        if status.source().is_some() {
            let message = with_causes(status);
            let is_about_trust = TRUST.iter().any(|said| message.contains(said));
            return if is_about_trust {
                Self::Untrusted { message }
            } else {
                Self::Transport { message }
            };
        }
        let refusal = Refusal::new(status.code(), status.message(), &status.get_error_details());
        refusal.into()
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        let is_without_reason = refusal.reason.is_empty();
        match refusal.code {
            _ if refusal.is_for_now() => Self::Unavailable(refusal),
            // A gateway gives its reasons. Without one, these codes are those of
            // a gRPC library that could not make sense of the other side.
            Code::Ok
            | Code::Unknown
            | Code::Internal
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
                if is_without_reason =>
            {
                Self::protocol(refusal.to_string())
            }
            _ => Self::Refused(refusal),
        }
    }
}

/// The message of a status and of everything that caused it, each said once.
fn with_causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

// === impl Refusal ===

impl Refusal {
    /// Whether the same may be taken later: the gateway or its bus takes nothing at the
    /// moment, the party is too fast, or an inbox has no room.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        match self.code {
            Code::Unavailable => true,
            Code::ResourceExhausted => self.retry_after.is_some(),
            _ => false,
        }
    }

    pub(crate) fn new(code: Code, message: &str, details: &ErrorDetails) -> Self {
        let violations = details.bad_request().map(|bad_request| {
            let violations = bad_request.field_violations.iter();
            violations
                .map(|violation| Violation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect()
        });
        Self {
            code,
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            message: message.to_owned(),
            violations: violations.unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }

    pub(crate) fn from_rpc(status: &tonic_types::Status) -> Self {
        Self::new(Code::from_i32(status.code), &status.message, &status.get_error_details())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            write!(f, "{:?}: {}", self.code, self.message)
        } else {
            write!(f, "{}: {}", self.reason, self.message)
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_a_status_are_read() {
        let mut details = ErrorDetails::with_error_info("INVALID_MESSAGE", "wissel", []);
        details.add_bad_request_violation("source", "is empty");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let status = Status::with_error_details(Code::InvalidArgument, "wrong", details);

        let error = ClientError::from_status(&status);
        assert!(!error.is_retryable());
        assert_eq!(error.retry_after(), Duration::from_secs(3));
        assert_eq!(error.to_string(), "refused: INVALID_MESSAGE: wrong");
        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.code, Code::InvalidArgument);
        assert_eq!(refusal.violations[0].field, "source");
        assert_eq!(refusal.violations[0].description, "is empty");
    }

    #[test]
    fn a_status_is_sorted_by_where_it_came_from() {
        let refused = Status::internal("broken");
        assert!(matches!(ClientError::from_status(&refused), ClientError::Protocol { .. }));

        let unavailable = Status::unavailable("later");
        assert!(matches!(ClientError::from_status(&unavailable), ClientError::Unavailable(_)));

        let cause = std::io::Error::other("reset by peer");
        let transport = Status::from_error(Box::new(cause));
        let error = ClientError::from_status(&transport);
        assert!(error.is_retryable());
        assert_eq!(error.to_string(), "the connection to the gateway failed: reset by peer");
    }
}
