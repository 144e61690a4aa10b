//! Refusals as gRPC knows them (`google.rpc` error model).

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wissel_broker::{Fault, Reason, Refusal};

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "wissel";

/// How much of a refusal is told.
#[derive(Clone, Copy)]
struct Budget {
    /// The most bytes of the message, percent-encoded as in a header.
    message: usize,
    /// The most bytes of the list of faults.
    faults: usize,
}

/// For a status that ends a call. It travels in HTTP/2 trailers, of which some clients
/// read no more than 8 KiB: the message percent-encoded, and the details, which hold
/// the message again, in base64. Together this stays below 6 KiB.
const IN_TRAILERS: Budget = Budget { message: 1_000, faults: 2_400 };
/// For an outcome inside of an answer: as good as complete.
const IN_ANSWER: Budget = Budget { message: 4_000, faults: 64 << 10 };
/// For an outcome inside of an answer that is large already.
const IN_LARGE_ANSWER: Budget = Budget { message: 200, faults: 400 };
/// The bytes of refusals that make an answer large. Clients take 4 MiB unless told
/// otherwise.
const LARGE_ANSWER: usize = 2 << 20;
/// The bytes that a fault costs beside its texts, and what the last one, which says
/// how many more there are, is given.
const FAULT_COST: usize = 12;
const LAST_FAULT_COST: usize = 100;

/// A refusal as a gRPC status with `ErrorInfo`, and `BadRequest` and `RetryInfo`
/// where they apply. Long lists of faults are cut, as the last fault then says.
#[must_use]
pub fn to_status(refusal: &Refusal) -> Status {
    tracing::debug!(reason = %refusal.reason, faults = refusal.faults.len(), "call refused");
    within(IN_TRAILERS, refusal)
}

/// Writes the refusals of one answer.
#[derive(Default)]
pub(crate) struct Refusals {
    written: usize,
}

impl Refusals {
    /// The refusal of one message as a `google.rpc.Status`.
    pub(crate) fn write(&mut self, refusal: &Refusal) -> tonic_types::Status {
        tracing::debug!(reason = %refusal.reason, faults = refusal.faults.len(), "message refused");
        let large = self.written > LARGE_ANSWER;
        let status = within(if large { IN_LARGE_ANSWER } else { IN_ANSWER }, refusal);
        self.written += status.details().len();
        tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
    }
}

fn within(budget: Budget, refusal: &Refusal) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(
        refusal.reason.as_str(),
        DOMAIN,
        std::collections::HashMap::<String, String>::new(),
    );
    for fault in cut_faults(&refusal.faults, budget.faults) {
        details.add_bad_request_violation(fault.field, fault.description);
    }
    if refusal.retry_after.is_some() {
        details.set_retry_info(refusal.retry_after);
    }
    let message = cut_text(&refusal.message, budget.message, percent_encoded);
    Status::with_error_details(code(refusal.reason), message, details)
}

/// The first faults; when not all fit, a last one says how many more there are.
fn cut_faults(faults: &[Fault], budget: usize) -> Vec<Fault> {
    let bytes = |character: char| character.len_utf8();
    let room = budget.saturating_sub(LAST_FAULT_COST);
    let mut told: Vec<Fault> = Vec::new();
    let mut spent = 0;
    for fault in faults {
        let fault = Fault {
            field: cut_text(&fault.field, room / 4, bytes),
            description: cut_text(&fault.description, room / 2, bytes),
        };
        spent += fault.field.len() + fault.description.len() + FAULT_COST;
        if spent > room {
            break;
        }
        told.push(fault);
    }
    let more = faults.len() - told.len();
    if more > 0 {
        told.push(Fault {
            field: String::new(),
            description: format!("and {more} more; correct the ones above first"),
        });
    }
    told
}

/// The text, or as much of its beginning as costs no more than the budget.
fn cut_text(text: &str, budget: usize, cost: impl Fn(char) -> usize) -> String {
    const MARK: &str = "...";
    if text.chars().map(&cost).sum::<usize>() <= budget {
        return text.to_owned();
    }
    let mut left = budget.saturating_sub(MARK.len());
    let fits = |character: &char| match left.checked_sub(cost(*character)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    text.chars().take_while(fits).chain(MARK.chars()).collect()
}

/// The bytes of a character in the header `grpc-message`, at most.
fn percent_encoded(character: char) -> usize {
    let plain = character.is_ascii_alphanumeric() || " .,:;-_".contains(character);
    if plain { 1 } else { 3 * character.len_utf8() }
}

fn code(reason: Reason) -> Code {
    match reason {
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::MalformedMessage
        | Reason::InvalidMessage
        | Reason::MessageTooLarge
        | Reason::InvalidRequest
        | Reason::InvalidSubscription => Code::InvalidArgument,
        Reason::UnknownEventType
        | Reason::AudienceUnmet
        | Reason::MinimisedDataInvalid
        | Reason::NoExchange
        | Reason::WrongState
        | Reason::NoLongerKept
        | Reason::NotAQuestion
        | Reason::NotWaiting => Code::FailedPrecondition,
        Reason::AnswerLate => Code::DeadlineExceeded,
        Reason::NotGranted | Reason::NoMandate | Reason::SourceOfAnother | Reason::NotAsked => {
            Code::PermissionDenied
        }
        Reason::RateLimited | Reason::InboxFull | Reason::TooManySubscriptions => {
            Code::ResourceExhausted
        }
        Reason::BusUnavailable | Reason::ShuttingDown => Code::Unavailable,
        Reason::SubscriptionExists | Reason::SignalExists => Code::AlreadyExists,
        Reason::UnknownCase
        | Reason::UnknownMessage
        | Reason::UnknownSubscription
        | Reason::UnknownInbox
        | Reason::InboxClosed
        | Reason::UnknownSignal => Code::NotFound,
        Reason::Internal => Code::Internal,
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
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_MESSAGE", "wissel"));
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "time");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(2)));
        assert_eq!(Refusals::default().write(&refusal).details.len(), 3);
    }

    /// The headers `grpc-message` and `grpc-status-details-bin`, as tonic writes them.
    fn trailer_bytes(status: &Status) -> usize {
        let mut headers = Default::default();
        status.add_header(&mut headers).unwrap();
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    }

    fn long_refusal(faults: usize, length: usize, text: &str) -> Refusal {
        let fault = Fault { field: text.repeat(length), description: text.repeat(length) };
        Refusal {
            faults: vec![fault; faults],
            retry_after: Some(Duration::from_secs(86_400)),
            ..Refusal::new(Reason::InvalidSubscription, text.repeat(10_000))
        }
    }

    #[test]
    fn a_status_fits_in_trailers_and_says_what_was_left_out() {
        for text in ["a", "%", "é", "\u{1f600}", "\n"] {
            for (faults, length) in [(1, 100_000), (1_000, 1), (1_000, 30), (70, 400)] {
                let status = to_status(&long_refusal(faults, length, text));
                let bytes = trailer_bytes(&status);
                assert!(bytes < 6 << 10, "{bytes} bytes of {text:?} {faults} {length}");
                let details = status.get_error_details();
                let told = &details.bad_request().unwrap().field_violations;
                if faults > 1 {
                    let more = format!("and {} more", faults + 1 - told.len());
                    assert!(told.last().unwrap().description.starts_with(&more), "{told:?}");
                }
                assert!(told[0].description.starts_with(text));
            }
        }
    }

    #[test]
    fn a_thousand_outcomes_fit_in_an_answer_and_one_is_complete() {
        let one = Refusals::default().write(&long_refusal(300, 30, "a"));
        assert!(one.encoded_len() > 300 * 60);
        let mut refusals = Refusals::default();
        let refusal = long_refusal(1_000, 30, "a");
        let all: usize = (0..1_000).map(|_| refusals.write(&refusal).encoded_len()).sum();
        assert!(all < 4 << 20, "{all} bytes");
    }
}
