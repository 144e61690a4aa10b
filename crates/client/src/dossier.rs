//! Dossiers: all that happened to a message, or in a correlation.

use std::fmt;
use std::time::SystemTime;

use tonic::transport::Channel;
use uuid::Uuid;
use wissel_identifiers::{InboxName, Oin};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::dossier_entry::Kind;
use wissel_proto::wissel::v1::dossiers_client::DossiersClient;
use wissel_proto::wissel::v1::get_dossier_request::About;

use crate::convert::{moment, parsed};
use crate::{Case, CaseState, Client, ClientError};

/// What happened, as far as the caller may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dossier {
    /// The messages, oldest first.
    pub messages: Vec<DossierMessage>,
    /// What happened, in order of time. A deadline, and the end of a term, may be still to come.
    pub entries: Vec<DossierEntry>,
    /// The cases among these messages, as they stand now.
    pub cases: Vec<Case>,
    /// Whether there may be more.
    pub truncated: bool,
}

/// A message of a dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DossierMessage {
    /// Wissel's id of the message.
    pub message_id: Uuid,
    /// Its event type; none: not known any more.
    pub event_type: Option<String>,
    /// The party that published it; none: not known any more.
    pub publisher: Option<Oin>,
    /// When it was admitted; none: not known any more.
    pub admitted_at: Option<SystemTime>,
    /// To how many inboxes it went; none: not the caller's to know.
    pub inboxes: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DossierEntry {
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: DossierEntryKind,
    /// To which message.
    pub message_id: Uuid,
    /// The party concerned: who published, received, or said so.
    pub party: Option<Oin>,
    /// Who acted for that party.
    pub acted_by: Option<Oin>,
    /// In which inbox.
    pub inbox: Option<InboxName>,
    /// At which attempt, from 1.
    pub attempt: Option<u32>,
    /// Why.
    pub reason: Option<String>,
}

/// The kinds of things that happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DossierEntryKind {
    /// The message was admitted.
    Admitted,
    /// It was admitted, and could not be made durable: its publisher got no receipt.
    Refused,
    /// It went to an inbox.
    Routed,
    /// It was handed to a receiver. When nothing is said of this attempt after that, the
    /// receiver acknowledged it, still has it, or gave it back, as when its stream broke.
    HandedOut,
    /// The receiver did not manage, or did not settle it in time; it comes again.
    Retried,
    /// It was given up on, and is a dead letter.
    DeadLettered,
    /// A question that was handed to nobody any more.
    QuestionOver,
    /// A question whose asker got no answer.
    Unanswered,
    /// By then receivers are to be done with the message.
    Deadline,
    /// A case was opened.
    CaseOpened,
    /// It was said how a case stands: so.
    CaseStatus(CaseState),
    /// The term of a case that is open ends.
    TermEnds,
}

impl Client {
    /// All that happened to a message, and to what belongs to it: the answer to a question, the
    /// statuses of a case. Each party sees what concerns it, and an operator everything.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_MESSAGE` when there is none, or it is none of the
    /// caller's business.
    pub async fn dossier(&self, message_id: Uuid) -> Result<Dossier, ClientError> {
        self.get_dossier(About::MessageId(message_id.to_string()), None).await
    }

    /// All that happened to the messages with this `correlationid`: since a moment, or else
    /// since a month ago.
    ///
    /// # Errors
    /// As [`Client::dossier`].
    pub async fn dossier_of_correlation(
        &self,
        correlation_id: impl Into<String>,
        since: Option<SystemTime>,
    ) -> Result<Dossier, ClientError> {
        self.get_dossier(About::CorrelationId(correlation_id.into()), since).await
    }

    async fn get_dossier(
        &self,
        about: About,
        since: Option<SystemTime>,
    ) -> Result<Dossier, ClientError> {
        let body = pb::GetDossierRequest { about: Some(about), since: since.map(Into::into) };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.dossiers(channel);
                async move { service.get_dossier(request).await }
            })
            .await?;
        response.try_into()
    }

    fn dossiers(&self, channel: Channel) -> DossiersClient<Channel> {
        let limit = self.settings().max_message_bytes;
        DossiersClient::new(channel).max_decoding_message_size(limit)
    }
}

impl DossierEntryKind {
    /// The code, as the API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.to_proto().as_str_name()
    }

    fn to_proto(self) -> Kind {
        match self {
            Self::Admitted => Kind::Admitted,
            Self::Refused => Kind::Refused,
            Self::Routed => Kind::Routed,
            Self::HandedOut => Kind::HandedOut,
            Self::Retried => Kind::Retried,
            Self::DeadLettered => Kind::DeadLettered,
            Self::QuestionOver => Kind::QuestionOver,
            Self::Unanswered => Kind::Unanswered,
            Self::Deadline => Kind::Deadline,
            Self::CaseOpened => Kind::CaseOpened,
            Self::CaseStatus(_) => Kind::CaseStatus,
            Self::TermEnds => Kind::TermEnds,
        }
    }

    fn of_proto(entry: &pb::DossierEntry) -> Result<Self, ClientError> {
        Ok(match entry.kind() {
            Kind::Admitted => Self::Admitted,
            Kind::Refused => Self::Refused,
            Kind::Routed => Self::Routed,
            Kind::HandedOut => Self::HandedOut,
            Kind::Retried => Self::Retried,
            Kind::DeadLettered => Self::DeadLettered,
            Kind::QuestionOver => Self::QuestionOver,
            Kind::Unanswered => Self::Unanswered,
            Kind::Deadline => Self::Deadline,
            Kind::CaseOpened => Self::CaseOpened,
            Kind::CaseStatus => Self::CaseStatus(CaseState::of_proto(entry.case_state())?),
            Kind::TermEnds => Self::TermEnds,
            Kind::Unspecified => return Err(ClientError::protocol("an unknown kind of entry")),
        })
    }
}

impl fmt::Display for DossierEntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// None for an empty text.
fn some<T>(field: &str, text: &str) -> Result<Option<T>, ClientError>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    if text.is_empty() { Ok(None) } else { parsed(field, text).map(Some) }
}

impl TryFrom<pb::GetDossierResponse> for Dossier {
    type Error = ClientError;

    fn try_from(response: pb::GetDossierResponse) -> Result<Self, ClientError> {
        let pb::GetDossierResponse { messages, entries, cases, truncated } = response;
        Ok(Self {
            messages: messages.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            entries: entries.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            cases: cases.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            truncated,
        })
    }
}

impl TryFrom<pb::DossierMessage> for DossierMessage {
    type Error = ClientError;

    fn try_from(message: pb::DossierMessage) -> Result<Self, ClientError> {
        let admitted_at = message.admitted_at.map(|at| moment("messages.admitted_at", Some(at)));
        Ok(Self {
            message_id: parsed("messages.message_id", &message.message_id)?,
            event_type: Some(message.r#type).filter(|name| !name.is_empty()),
            publisher: some("messages.publisher", &message.publisher)?,
            admitted_at: admitted_at.transpose()?,
            inboxes: message.inboxes,
        })
    }
}

impl TryFrom<pb::DossierEntry> for DossierEntry {
    type Error = ClientError;

    fn try_from(entry: pb::DossierEntry) -> Result<Self, ClientError> {
        Ok(Self {
            kind: DossierEntryKind::of_proto(&entry)?,
            at: moment("entries.at", entry.at)?,
            message_id: parsed("entries.message_id", &entry.message_id)?,
            party: some("entries.party", &entry.party)?,
            acted_by: some("entries.acted_by", &entry.acted_by)?,
            inbox: some("entries.inbox", &entry.inbox)?,
            attempt: Some(entry.attempt).filter(|attempt| *attempt > 0),
            reason: Some(entry.reason).filter(|reason| !reason.is_empty()),
        })
    }
}
