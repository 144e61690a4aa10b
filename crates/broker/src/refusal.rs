use std::fmt;
use std::time::Duration;

use wissel_bus::BusError;
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

/// The stable codes of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Who calls is not known.
    Unauthenticated,
    /// The bytes are not a CloudEvent.
    MalformedMessage,
    /// Rules of CloudEvents are broken.
    InvalidMessage,
    /// The message is over the size limit.
    MessageTooLarge,
    /// The event type is not in the catalogue.
    UnknownEventType,
    /// The caller has no right to do this.
    NotGranted,
    /// There is no mandate to act for the other party, or not for this.
    NoMandate,
    /// `source` names another organisation than the publisher.
    SourceOfAnother,
    /// The message found another number of recipients than its event type needs.
    AudienceUnmet,
    /// What a receiver may have of `data` does not fit the schema by itself.
    MinimisedDataInvalid,
    /// The party publishes more than it may in a second.
    RateLimited,
    /// An inbox that the message goes to has no room.
    InboxFull,
    /// The party has as many subscriptions as it may.
    TooManySubscriptions,
    /// The bus does not take messages now.
    BusUnavailable,
    /// This gateway takes no new work.
    ShuttingDown,
    /// A field of a request is wrong.
    InvalidRequest,
    /// A subscription is wrong.
    InvalidSubscription,
    /// A subscription of that name exists with other content.
    SubscriptionExists,
    /// No such subscription, or not the caller's.
    UnknownSubscription,
    /// No such inbox, or not the caller's.
    UnknownInbox,
    /// The inbox was removed while it was open.
    InboxClosed,
    /// There is no such case, or the caller has nothing to do with it.
    UnknownCase,
    /// There is no such message, or the caller has nothing to do with it.
    UnknownMessage,
    /// The case is not so that this can be done.
    WrongState,
    /// The original of a message is not kept any more.
    NoLongerKept,
    /// The catalogue has no party that is the exchange.
    NoExchange,
    /// The message is no question.
    NotAQuestion,
    /// No answer came in time.
    AnswerLate,
    /// Nobody waits for the answer.
    NotWaiting,
    /// The answer is from one who was not asked.
    NotAsked,
    /// A signal of that reference exists, about another subject.
    SignalExists,
    /// No such signal, or not the caller's.
    UnknownSignal,
    /// Wissel itself failed; the log has more.
    Internal,
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
    /// Every reason.
    pub const ALL: [Self; 33] = [
        Self::Unauthenticated,
        Self::MalformedMessage,
        Self::InvalidMessage,
        Self::MessageTooLarge,
        Self::UnknownEventType,
        Self::NotGranted,
        Self::NoMandate,
        Self::SourceOfAnother,
        Self::AudienceUnmet,
        Self::MinimisedDataInvalid,
        Self::RateLimited,
        Self::InboxFull,
        Self::TooManySubscriptions,
        Self::BusUnavailable,
        Self::ShuttingDown,
        Self::InvalidRequest,
        Self::InvalidSubscription,
        Self::SubscriptionExists,
        Self::UnknownSubscription,
        Self::UnknownInbox,
        Self::InboxClosed,
        Self::UnknownCase,
        Self::UnknownMessage,
        Self::WrongState,
        Self::NoLongerKept,
        Self::NoExchange,
        Self::NotAQuestion,
        Self::AnswerLate,
        Self::NotWaiting,
        Self::NotAsked,
        Self::SignalExists,
        Self::UnknownSignal,
        Self::Internal,
    ];

    /// The reason of a code.
    #[must_use]
    pub fn read(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }

    /// The code as it goes over the wire; it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::MalformedMessage => "MALFORMED_MESSAGE",
            Self::InvalidMessage => "INVALID_MESSAGE",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::UnknownEventType => "UNKNOWN_EVENT_TYPE",
            Self::NotGranted => "NOT_GRANTED",
            Self::NoMandate => "NO_MANDATE",
            Self::SourceOfAnother => "SOURCE_OF_ANOTHER",
            Self::AudienceUnmet => "AUDIENCE_UNMET",
            Self::MinimisedDataInvalid => "MINIMISED_DATA_INVALID",
            Self::RateLimited => "RATE_LIMITED",
            Self::InboxFull => "INBOX_FULL",
            Self::TooManySubscriptions => "TOO_MANY_SUBSCRIPTIONS",
            Self::BusUnavailable => "BUS_UNAVAILABLE",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::InvalidSubscription => "INVALID_SUBSCRIPTION",
            Self::SubscriptionExists => "SUBSCRIPTION_EXISTS",
            Self::UnknownSubscription => "UNKNOWN_SUBSCRIPTION",
            Self::UnknownInbox => "UNKNOWN_INBOX",
            Self::InboxClosed => "INBOX_CLOSED",
            Self::UnknownCase => "UNKNOWN_CASE",
            Self::UnknownMessage => "UNKNOWN_MESSAGE",
            Self::WrongState => "WRONG_STATE",
            Self::NoLongerKept => "NO_LONGER_KEPT",
            Self::NoExchange => "NO_EXCHANGE",
            Self::NotAQuestion => "NOT_A_QUESTION",
            Self::AnswerLate => "ANSWER_LATE",
            Self::NotWaiting => "NOT_WAITING",
            Self::NotAsked => "NOT_ASKED",
            Self::SignalExists => "SIGNAL_EXISTS",
            Self::UnknownSignal => "UNKNOWN_SIGNAL",
            Self::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
