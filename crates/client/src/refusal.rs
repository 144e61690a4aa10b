use std::fmt;
use std::time::Duration;

use tonic::Code;
use tonic_types::{ErrorDetails, RpcStatusExt as _};

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
