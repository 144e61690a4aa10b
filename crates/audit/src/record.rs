use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin};

use crate::SubjectHash;

/// One processing of data, or one action on what decides over it. What does not apply is
/// left out.
#[derive(Debug, Clone)]
pub struct Record {
    /// When.
    pub at: SystemTime,
    /// What was done.
    pub operation: Operation,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Actor,
    /// Which of the operators, by the name that they signed in with.
    pub operator: Option<Arc<str>>,
    /// For whom, when that is somebody else.
    pub on_behalf_of: Option<Oin>,
    /// The event type; only one that the catalogue knows.
    pub event_type: Option<Arc<str>>,
    /// Wissel's id of the message.
    pub message_id: Option<Uuid>,
    /// What the message belongs to: its `correlationid`, by [`crate::SubjectKey::correlation`].
    pub correlation: Option<SubjectHash>,
    /// Where it went, or what was acted on.
    pub inbox: Option<InboxName>,
    /// The inboxes that a message is to go to: all of them, shared with whoever else tells of
    /// them. The first [`Record::INBOXES`] are kept; how many there are is its `detail`, unless
    /// that says something else.
    pub inboxes: Option<Arc<[InboxName]>>,
    /// What for, by the grant that it rests on.
    pub purpose: Option<Arc<str>>,
    /// By which law, by the same grant.
    pub legal_basis: Option<Arc<str>>,
    /// The trace that it belongs to (W3C Trace Context), 16 bytes.
    pub trace_id: Option<[u8; 16]>,
    /// Whom or what it is about.
    pub subject: Option<SubjectHash>,
    /// Which kind of identifier that was, such as `bsn`.
    pub subject_kind: Option<&'static str>,
    /// More, without anything personal: a count, the name of a subscription.
    pub detail: Option<String>,
}

/// What was done. The names do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// A message was taken, and routed.
    Admission,
    /// A message was handed to a receiver.
    Delivery,
    /// A delivery came to nothing, and comes again.
    Retried,
    /// A delivery was given up on.
    DeadLettered,
    /// A question was handed to nobody any more, as its asker no longer waits.
    QuestionOver,
    /// A question got no answer.
    Unanswered,
    /// Somebody looked at what happened to a message, or in a correlation.
    DossierRead,
    /// An inbox was opened.
    InboxOpened,
    /// A subscription was created.
    SubscriptionCreated,
    /// The subjects that a subscription follows were changed.
    SubscriptionChanged,
    /// A subscription was deleted.
    SubscriptionDeleted,
    /// The settings of an inbox were changed.
    InboxChanged,
    /// What is not settled of an inbox was looked at.
    InboxBrowsed,
    /// Dead letters were looked at.
    DeadLettersListed,
    /// Dead letters were put back.
    DeadLettersRedriven,
    /// Dead letters were removed for good.
    DeadLettersPurged,
    /// Messages of the archive were brought into an inbox.
    Replayed,
    /// A signal was filed, to match with those of others.
    SignalFiled,
    /// A signal was withdrawn.
    SignalWithdrawn,
    /// A signal became another party's.
    SignalTransferred,
    /// Signals were forgotten, as their time was over.
    SignalsExpired,
    /// A case was sent on to another party.
    CaseForwarded,
    /// A case was withdrawn by its sender.
    CaseWithdrawn,
    /// A correction ended a report.
    ReportCorrected,
    /// The term of a case ended, or whoever has it was reminded.
    CaseDue,
    /// Callers were to prove who they are, or no longer could.
    Authentication,
    /// An operator signed in at the console, or tried to.
    SignedIn,
    /// An operator signed out.
    SignedOut,
    /// The console wrote so, before what it did was on record by its own name with its operator:
    /// what followed was done for them. Nothing writes it any more.
    OperatorActed,
    /// A dead letter was shown whole, with what may tell of persons.
    DeadLetterUnmasked,
    /// The files of the catalogue were to be read again.
    CatalogueRead,
    /// Another catalogue came into force.
    CatalogueReplaced,
    /// The gateway started.
    Started,
    /// The gateway stopped.
    Stopped,
}

impl fmt::Display for Operation {
    /// Its name as it stands in records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for Operation {
    type Err = serde::de::value::Error;

    /// By the name that stands in records.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::deserialize(name.into_deserializer())
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, for this reason (a stable code).
    Refused(&'static str),
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A party.
    Party(Oin),
    /// An operator, by its OIN when it has one.
    Operator(Option<Oin>),
    /// Wissel itself.
    Wissel,
    /// Somebody who did not prove who they are.
    Unknown,
}

impl Record {
    /// How many of the inboxes of a message are kept.
    pub const INBOXES: usize = 20;

    /// A record of something that was done now, with nothing but that and who did it.
    #[must_use]
    pub fn new(operation: Operation, actor: Actor) -> Self {
        Self {
            at: SystemTime::now(),
            operation,
            outcome: Outcome::Done,
            actor,
            operator: None,
            on_behalf_of: None,
            event_type: None,
            message_id: None,
            correlation: None,
            inbox: None,
            inboxes: None,
            purpose: None,
            legal_basis: None,
            trace_id: None,
            subject: None,
            subject_kind: None,
            detail: None,
        }
    }
}

impl Actor {
    /// What [`Actor::text`] wrote.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        match text {
            "operator" => Some(Self::Operator(None)),
            "wissel" => Some(Self::Wissel),
            "unknown" => Some(Self::Unknown),
            _ => match text.strip_prefix("operator ") {
                Some(oin) => Some(Self::Operator(Some(oin.parse().ok()?))),
                None => Some(Self::Party(text.parse().ok()?)),
            },
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Party(oin) => oin.to_string(),
            Self::Operator(Some(oin)) => format!("operator {oin}"),
            Self::Operator(None) => "operator".to_owned(),
            Self::Wissel => "wissel".to_owned(),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}
