//! Refusals as gRPC knows them (`google.rpc` error model).

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wissel_broker::{Reason, Refusal};

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "wissel";
/// The most faults in one status: it travels in HTTP/2 headers.
const FAULTS_MAX: usize = 64;
/// The most characters of a status message.
const MESSAGE_MAX: usize = 2_000;

/// A refusal as a gRPC status with `ErrorInfo`, and `BadRequest` and `RetryInfo`
/// where they apply.
#[must_use]
pub fn to_status(refusal: &Refusal) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(
        refusal.reason.as_str(),
        DOMAIN,
        std::collections::HashMap::<String, String>::new(),
    );
    for fault in refusal.faults.iter().take(FAULTS_MAX) {
        details.add_bad_request_violation(fault.field.clone(), fault.description.clone());
    }
    if refusal.retry_after.is_some() {
        details.set_retry_info(refusal.retry_after);
    }
    let message: String = refusal.message.chars().take(MESSAGE_MAX).collect();
    Status::with_error_details(code(refusal.reason), message, details)
}

/// The same as a `google.rpc.Status`, for outcomes inside of an answer.
pub(crate) fn to_rpc_status(refusal: &Refusal) -> tonic_types::Status {
    let status = to_status(refusal);
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

fn code(reason: Reason) -> Code {
    match reason {
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::MalformedMessage
        | Reason::InvalidMessage
        | Reason::MessageTooLarge
        | Reason::InvalidRequest
        | Reason::InvalidSubscription => Code::InvalidArgument,
        Reason::UnknownEventType => Code::FailedPrecondition,
        Reason::NotGranted => Code::PermissionDenied,
        Reason::BusUnavailable | Reason::ShuttingDown => Code::Unavailable,
        Reason::SubscriptionExists => Code::AlreadyExists,
        Reason::UnknownSubscription | Reason::UnknownInbox | Reason::InboxClosed => Code::NotFound,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refusal_carries_reason_fields_and_retry() {
        let refusal = Refusal {
            retry_after: Some(Duration::from_secs(2)),
            ..Refusal::of_field(Reason::InvalidMessage, "time", "not an RFC 3339 timestamp")
        };
        let status = to_status(&refusal);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("INVALID_MESSAGE", "wissel")
        );
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            "time"
        );
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(2))
        );
        assert_eq!(to_rpc_status(&refusal).details.len(), 3);
    }
}
