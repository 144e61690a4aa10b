//! Cases: how they stand, and who has them.

use std::fmt;
use std::time::SystemTime;

use tonic::transport::Channel;
use uuid::Uuid;
use wissel_identifiers::Oin;
use wissel_message::Event;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::cases_client::CasesClient;

use crate::convert::{moment, parsed, present};
use crate::{Client, ClientError, Listing};

/// A case: a message to the one party that is competent, until it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// The message id of the message that it began with.
    pub id: Uuid,
    /// The event type of that message.
    pub event_type: String,
    /// The party that sent it.
    pub sender: Oin,
    /// The party that has it.
    pub holder: Oin,
    /// When it was admitted.
    pub opened_at: SystemTime,
    /// When its term ends; none: it has no term.
    pub ends_at: Option<SystemTime>,
    /// Since when its term stands still; none: it runs.
    pub suspended_at: Option<SystemTime>,
    /// Whether nothing more is to be done.
    pub closed: bool,
    /// How it stood, the last last.
    pub history: Vec<CaseStatus>,
    /// The event type of the messages that say how it stands; none: its type is none of cases
    /// any more.
    pub status_type: Option<String>,
}

/// How a case stood from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaseStatus {
    /// How.
    pub state: CaseState,
    /// The party that said so.
    pub party: Oin,
    /// When.
    pub at: SystemTime,
    /// The message id of the correction that ended the report; none: none did.
    pub correction: Option<Uuid>,
}

/// How a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CaseState {
    /// It came in.
    Received,
    /// It is worked on.
    InProgress,
    /// Its term stands still.
    Suspended,
    /// Its term runs again, and ends as much later as it stood still.
    Resumed,
    /// Its term ends later: at this moment.
    Extended(Option<SystemTime>),
    /// It was decided. Final.
    Decided,
    /// Whoever has it is not competent, and knows nobody who is. Final.
    NotCompetent,
    /// Its sender took it back. Final.
    Withdrawn,
    /// It was sent on to another party.
    Forwarded,
    /// Whoever has it was reminded.
    Reminded,
    /// Its term ended, and nothing was decided.
    Lapsed,
    /// Its term ended, and what was asked for is granted by law. Final.
    Consented,
    /// Of a report: what it doubts is looked into.
    UnderInvestigation,
    /// Of a report: what it doubted was corrected. Final.
    Corrected,
    /// Of a report: what it doubted is right. Final.
    Confirmed,
}

impl Client {
    /// Says how a case stands, for the party that has it. Its sender gets the event, which is
    /// of the type that the catalogue names for it. Saying the same again changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_CASE`, `NOT_GRANTED`, `WRONG_STATE`, and with
    /// what an event is refused for.
    pub async fn set_status(
        &self,
        case: Uuid,
        state: CaseState,
        event: &Event,
    ) -> Result<Case, ClientError> {
        let ends_at = match state {
            CaseState::Extended(ends_at) => ends_at.map(Into::into),
            _ => None,
        };
        let body = pb::SetStatusRequest {
            case_id: case.to_string(),
            state: state.to_proto().into(),
            event: self.frame(event)?,
            ends_at,
        };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.cases(channel);
                async move { service.set_status(request).await }
            })
            .await?;
        present("case", response.case)?.try_into()
    }

    /// Takes a case back, for its sender.
    ///
    /// # Errors
    /// As [`Client::set_status`].
    pub async fn withdraw_case(&self, case: Uuid) -> Result<Case, ClientError> {
        let body = pb::WithdrawCaseRequest { case_id: case.to_string() };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.cases(channel);
                async move { service.withdraw_case(request).await }
            })
            .await?;
        present("case", response.case)?.try_into()
    }

    /// Sends a case on to another party that is competent, for the party that has it.
    ///
    /// # Errors
    /// As [`Client::set_status`]; `NO_LONGER_KEPT` when the archive does not have the message
    /// any more; `AUDIENCE_UNMET` when no grant of the other party covers it, or it does not
    /// subscribe to the type.
    pub async fn forward_case(&self, case: Uuid, to: Oin) -> Result<Case, ClientError> {
        let body = pb::ForwardCaseRequest { case_id: case.to_string(), to: to.to_string() };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.cases(channel);
                async move { service.forward_case(request).await }
            })
            .await?;
        present("case", response.case)?.try_into()
    }

    /// A case that the caller sent, has or had.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_CASE`.
    pub async fn get_case(&self, case: Uuid) -> Result<Case, ClientError> {
        let body = pb::GetCaseRequest { case_id: case.to_string() };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.cases(channel);
                async move { service.get_case(request).await }
            })
            .await?;
        present("case", response.case)?.try_into()
    }

    /// The cases that the caller sent or has, oldest first; an operator's: everybody's.
    pub fn list_cases(&self, open_only: bool) -> Listing<Case> {
        let client = self.clone();
        Listing::new(move |page_token| {
            let client = client.clone();
            async move {
                let body = pb::ListCasesRequest { page_token, open_only, page_size: 0 };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.cases(channel);
                        async move { service.list_cases(request).await }
                    })
                    .await?;
                let page: Result<_, _> = response.cases.into_iter().map(Case::try_from).collect();
                Ok((page?, response.next_page_token))
            }
        })
    }

    fn cases(&self, channel: Channel) -> CasesClient<Channel> {
        let limit = self.settings().max_message_bytes;
        CasesClient::new(channel).max_decoding_message_size(limit).max_encoding_message_size(limit)
    }
}

impl Case {
    /// How it stands; none: it was only just sent.
    #[must_use]
    pub fn state(&self) -> Option<CaseState> {
        self.history.last().map(|last| last.state)
    }
}

impl CaseState {
    /// The code, as messages have it in the attribute `wisselstatus`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.to_proto().as_str_name()
    }

    fn to_proto(self) -> pb::CaseState {
        match self {
            Self::Received => pb::CaseState::Received,
            Self::InProgress => pb::CaseState::InProgress,
            Self::Suspended => pb::CaseState::Suspended,
            Self::Resumed => pb::CaseState::Resumed,
            Self::Extended(_) => pb::CaseState::Extended,
            Self::Decided => pb::CaseState::Decided,
            Self::NotCompetent => pb::CaseState::NotCompetent,
            Self::Withdrawn => pb::CaseState::Withdrawn,
            Self::Forwarded => pb::CaseState::Forwarded,
            Self::Reminded => pb::CaseState::Reminded,
            Self::Lapsed => pb::CaseState::Lapsed,
            Self::Consented => pb::CaseState::Consented,
            Self::UnderInvestigation => pb::CaseState::UnderInvestigation,
            Self::Corrected => pb::CaseState::Corrected,
            Self::Confirmed => pb::CaseState::Confirmed,
        }
    }

    pub(crate) fn of_proto(state: pb::CaseState) -> Result<Self, ClientError> {
        Ok(match state {
            pb::CaseState::Received => Self::Received,
            pb::CaseState::InProgress => Self::InProgress,
            pb::CaseState::Suspended => Self::Suspended,
            pb::CaseState::Resumed => Self::Resumed,
            pb::CaseState::Extended => Self::Extended(None),
            pb::CaseState::Decided => Self::Decided,
            pb::CaseState::NotCompetent => Self::NotCompetent,
            pb::CaseState::Withdrawn => Self::Withdrawn,
            pb::CaseState::Forwarded => Self::Forwarded,
            pb::CaseState::Reminded => Self::Reminded,
            pb::CaseState::Lapsed => Self::Lapsed,
            pb::CaseState::Consented => Self::Consented,
            pb::CaseState::UnderInvestigation => Self::UnderInvestigation,
            pb::CaseState::Corrected => Self::Corrected,
            pb::CaseState::Confirmed => Self::Confirmed,
            pb::CaseState::Unspecified => return Err(ClientError::protocol("an unknown state")),
        })
    }
}

impl fmt::Display for CaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<pb::Case> for Case {
    type Error = ClientError;

    fn try_from(case: pb::Case) -> Result<Self, ClientError> {
        let history = case.history.into_iter().map(|one| {
            Ok(CaseStatus {
                state: CaseState::of_proto(one.state())?,
                party: parsed("history.party", &one.party)?,
                at: moment("history.at", one.at)?,
                correction: match one.correction.as_str() {
                    "" => None,
                    id => Some(parsed("history.correction", id)?),
                },
            })
        });
        let optional = |field, at: Option<_>| at.map(|at| moment(field, Some(at))).transpose();
        Ok(Self {
            id: parsed("case_id", &case.case_id)?,
            event_type: case.r#type,
            sender: parsed("sender", &case.sender)?,
            holder: parsed("holder", &case.holder)?,
            opened_at: moment("opened_at", case.opened_at)?,
            ends_at: optional("ends_at", case.ends_at)?,
            suspended_at: optional("suspended_at", case.suspended_at)?,
            closed: case.closed,
            history: history.collect::<Result<_, ClientError>>()?,
            status_type: Some(case.status_type).filter(|name| !name.is_empty()),
        })
    }
}
