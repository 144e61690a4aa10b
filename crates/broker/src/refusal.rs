use std::fmt;
use std::time::Duration;

use wissel_bus::{BusError, Said};
use wissel_identifiers::InboxName;
use wissel_message::Violations;
use wissel_store::StoreError;

/// Why something was refused, in a form that the sender can act on. Never holds
/// the value of a `subject`, of `data`, or of anything else that may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// The stable code.
    pub reason: Reason,
    /// One sentence for a developer.
    pub message: String,
    /// Each attribute or field at fault.
    pub faults: Vec<Fault>,
    /// How long to wait before trying again, when that makes sense.
    pub retry_after: Option<Duration>,
    /// The inbox that it is about, for the record.
    pub inbox: Option<InboxName>,
}

/// One attribute or field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The attribute of the message, or the field of the request.
    pub field: String,
    /// What is wrong, and what was expected.
    pub description: String,
}

/// Makes [`Reason`], with each of its codes written once: what is forgotten here is nowhere.
macro_rules! reasons {
    ($($(#[$meaning:meta])* $reason:ident = $code:literal,)*) => {
        /// The stable codes of refusals.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$meaning])* $reason,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$reason),*];

            /// The code as it goes over the wire; it never changes.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $code,)*
                }
            }
        }
    };
}

reasons! {
    /// Who calls is not known.
    Unauthenticated = "UNAUTHENTICATED",
    /// The bytes are not a CloudEvent.
    MalformedMessage = "MALFORMED_MESSAGE",
    /// Rules of CloudEvents are broken.
    InvalidMessage = "INVALID_MESSAGE",
    /// The message is over the size limit.
    MessageTooLarge = "MESSAGE_TOO_LARGE",
    /// The event type is not in the catalogue.
    UnknownEventType = "UNKNOWN_EVENT_TYPE",
    /// The caller has no right to do this.
    NotGranted = "NOT_GRANTED",
    /// There is no mandate to act for the other party, or not for this.
    NoMandate = "NO_MANDATE",
    /// `source` names another organisation than the publisher.
    SourceOfAnother = "SOURCE_OF_ANOTHER",
    /// The message found another number of recipients than its event type needs.
    AudienceUnmet = "AUDIENCE_UNMET",
    /// What a receiver may have of `data` does not fit the schema by itself.
    MinimisedDataInvalid = "MINIMISED_DATA_INVALID",
    /// The party publishes more than it may in a second.
    RateLimited = "RATE_LIMITED",
    /// An inbox that the message goes to has no room.
    InboxFull = "INBOX_FULL",
    /// The party has as many subscriptions as it may.
    TooManySubscriptions = "TOO_MANY_SUBSCRIPTIONS",
    /// The bus does not take messages now.
    BusUnavailable = "BUS_UNAVAILABLE",
    /// This gateway takes no new work.
    ShuttingDown = "SHUTTING_DOWN",
    /// A field of a request is wrong.
    InvalidRequest = "INVALID_REQUEST",
    /// A subscription is wrong.
    InvalidSubscription = "INVALID_SUBSCRIPTION",
    /// A subscription of that name exists with other content.
    SubscriptionExists = "SUBSCRIPTION_EXISTS",
    /// No such subscription, or not the caller's.
    UnknownSubscription = "UNKNOWN_SUBSCRIPTION",
    /// No such inbox, or not the caller's.
    UnknownInbox = "UNKNOWN_INBOX",
    /// The inbox was removed while it was open.
    InboxClosed = "INBOX_CLOSED",
    /// There is no such case, or the caller has nothing to do with it.
    UnknownCase = "UNKNOWN_CASE",
    /// There is no such message, or the caller has nothing to do with it.
    UnknownMessage = "UNKNOWN_MESSAGE",
    /// The case is not so that this can be done.
    WrongState = "WRONG_STATE",
    /// The original of a message is not kept any more.
    NoLongerKept = "NO_LONGER_KEPT",
    /// The catalogue has no party that is the exchange.
    NoExchange = "NO_EXCHANGE",
    /// The message is no question.
    NotAQuestion = "NOT_A_QUESTION",
    /// No answer came in time.
    AnswerLate = "ANSWER_LATE",
    /// Nobody waits for the answer.
    NotWaiting = "NOT_WAITING",
    /// The answer is from one who was not asked.
    NotAsked = "NOT_ASKED",
    /// A signal of that reference exists, about another subject.
    SignalExists = "SIGNAL_EXISTS",
    /// No such signal, or not the caller's.
    UnknownSignal = "UNKNOWN_SIGNAL",
    /// Wissel itself failed; the log has more.
    Internal = "INTERNAL",
}

impl Refusal {
    /// A refusal without faults of single fields.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), faults: Vec::new(), retry_after: None, inbox: None }
    }

    /// A refusal of one field.
    pub fn of_field(
        reason: Reason,
        field: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let fault = Fault { field: field.into(), description: description.into() };
        let message = format!("{}: {}", fault.field, fault.description);
        Self { faults: vec![fault], ..Self::new(reason, message) }
    }

    /// A refusal of several fields.
    pub(crate) fn of_fields(reason: Reason, faults: Vec<Fault>) -> Self {
        let all: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
        Self { faults, ..Self::new(reason, all.join("; ")) }
    }

    /// Why a delivery comes again or is given up on, where this is why.
    #[must_use]
    pub fn as_said(&self) -> String {
        Said::Refused(&self.to_string()).to_string()
    }

    /// What is refused as this gateway stops.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(Reason::ShuttingDown, "this gateway is shutting down; try again elsewhere")
        }
    }

    pub(crate) fn unknown_inbox(inbox: &InboxName) -> Self {
        Self::new(Reason::UnknownInbox, format!("there is no inbox {inbox} that you may see"))
    }

    /// What failed by a fault of ours; the log has the error.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "internal failure");
        Self::new(Reason::Internal, "Wissel itself failed; its log says more")
    }
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        match error {
            BusError::UnknownInbox(inbox) => Self::unknown_inbox(&inbox),
            BusError::Closed => Self::shutting_down(),
            BusError::Unavailable { .. } => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(Reason::BusUnavailable, error.to_string())
            },
            BusError::Storage { .. } => Self::new(Reason::BusUnavailable, error.to_string()),
            other => Self::internal(&other),
        }
    }
}

impl From<StoreError> for Refusal {
    /// The state cannot be read or written: a fault of ours.
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<Violations> for Refusal {
    fn from(violations: Violations) -> Self {
        let faults = violations
            .iter()
            .map(|violation| Fault {
                field: violation.field.clone(),
                description: format!(
                    "{}; expected {} [{}]",
                    violation.fault, violation.expected, violation.rule
                ),
            })
            .collect();
        Self::of_fields(Reason::InvalidMessage, faults)
    }
}

// === impl Reason ===

impl Reason {
    /// The reason of a code.
    #[must_use]
    pub fn read(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_its_own_and_is_read() {
        let codes: HashSet<&str> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::read(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::read("unauthenticated"), None);
    }

    #[test]
    fn a_refusal_is_known_again_as_the_reason_of_a_delivery() {
        let refusal = Refusal::new(Reason::WrongState, "it is decided: for good");
        let refused = Said::Refused("WRONG_STATE: it is decided: for good");
        assert_eq!(Said::read(&refusal.as_said()), Some(refused));
    }
}
