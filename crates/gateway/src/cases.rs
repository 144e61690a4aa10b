use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use uuid::Uuid;
use wissel_broker::Refusal;
use wissel_exchange::{CaseFile, Exchange, Status as State, StatusChange};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::CaseState;
use wissel_proto::wissel::v1::cases_server::Cases;

use crate::calls::Calls;
use crate::fields::{TOKEN_EXPECTED, cut_page, invalid, one_more, page_size, timestamp};

pub(crate) struct CasesService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Cases for CasesService {
    async fn set_status(
        &self,
        request: Request<pb::SetStatusRequest>,
    ) -> Result<Response<pb::SetStatusResponse>, Status> {
        let exchange = &self.0.exchange;
        let set = |caller, asked: pb::SetStatusRequest| async move {
            let case = exchange.set_status(&caller, read_change(asked)?).await?;
            Ok(pb::SetStatusResponse { case: Some(write(case, exchange)) })
        };
        self.0.answer("SetStatus", request, set).await
    }

    async fn withdraw_case(
        &self,
        request: Request<pb::WithdrawCaseRequest>,
    ) -> Result<Response<pb::WithdrawCaseResponse>, Status> {
        let exchange = &self.0.exchange;
        let withdraw = |caller, asked: pb::WithdrawCaseRequest| async move {
            let case = exchange.withdraw_case(&caller, case_id(&asked.case_id)?).await?;
            Ok(pb::WithdrawCaseResponse { case: Some(write(case, exchange)) })
        };
        self.0.answer("WithdrawCase", request, withdraw).await
    }

    async fn forward_case(
        &self,
        request: Request<pb::ForwardCaseRequest>,
    ) -> Result<Response<pb::ForwardCaseResponse>, Status> {
        let exchange = &self.0.exchange;
        let forward = |caller, asked: pb::ForwardCaseRequest| async move {
            let wrong = |error| invalid("to", format!("{error}; expected an OIN"));
            let to = asked.to.parse().map_err(wrong)?;
            let case = exchange.forward_case(&caller, case_id(&asked.case_id)?, to).await?;
            Ok(pb::ForwardCaseResponse { case: Some(write(case, exchange)) })
        };
        self.0.answer("ForwardCase", request, forward).await
    }

    async fn get_case(
        &self,
        request: Request<pb::GetCaseRequest>,
    ) -> Result<Response<pb::GetCaseResponse>, Status> {
        let exchange = &self.0.exchange;
        let get = |caller, asked: pb::GetCaseRequest| async move {
            let case = exchange.get_case(&caller, case_id(&asked.case_id)?).await?;
            Ok(pb::GetCaseResponse { case: Some(write(case, exchange)) })
        };
        self.0.answer("GetCase", request, get).await
    }

    async fn list_cases(
        &self,
        request: Request<pb::ListCasesRequest>,
    ) -> Result<Response<pb::ListCasesResponse>, Status> {
        let exchange = &self.0.exchange;
        let list = |caller, asked: pb::ListCasesRequest| async move {
            let size = page_size(asked.page_size)?;
            let token = Some(asked.page_token).filter(|token| !token.is_empty());
            let after = token.map(|token| token.parse::<Uuid>()).transpose();
            let after = after.map_err(|_| invalid("page_token", TOKEN_EXPECTED))?;
            let mut page =
                exchange.list_cases(&caller, asked.open_only, after, one_more(size)).await?;
            let next_page_token = cut_page(&mut page, size, |last| last.id.to_string());
            let cases = page.into_iter().map(|case| write(case, exchange)).collect();
            Ok(pb::ListCasesResponse { cases, next_page_token })
        };
        self.0.answer("ListCases", request, list).await
    }
}

fn case_id(text: &str) -> Result<Uuid, Refusal> {
    text.parse().map_err(|_| invalid("case_id", "expected the id of a message, a UUID"))
}

fn read_change(asked: pb::SetStatusRequest) -> Result<StatusChange, Refusal> {
    let status = read_state(asked.state())
        .ok_or_else(|| invalid("state", "expected how the case stands, from RECEIVED on"))?;
    let ends_at = asked.ends_at.map(SystemTime::try_from).transpose();
    Ok(StatusChange {
        case: case_id(&asked.case_id)?,
        status,
        ends_at: ends_at.map_err(|error| invalid("ends_at", error.to_string()))?,
        event: asked.event,
    })
}

const STATES: [(CaseState, State); 15] = [
    (CaseState::Received, State::Received),
    (CaseState::InProgress, State::InProgress),
    (CaseState::Suspended, State::Suspended),
    (CaseState::Resumed, State::Resumed),
    (CaseState::Extended, State::Extended),
    (CaseState::Decided, State::Decided),
    (CaseState::NotCompetent, State::NotCompetent),
    (CaseState::Withdrawn, State::Withdrawn),
    (CaseState::Forwarded, State::Forwarded),
    (CaseState::Reminded, State::Reminded),
    (CaseState::Lapsed, State::Lapsed),
    (CaseState::Consented, State::Consented),
    (CaseState::UnderInvestigation, State::UnderInvestigation),
    (CaseState::Corrected, State::Corrected),
    (CaseState::Confirmed, State::Confirmed),
];

fn read_state(state: CaseState) -> Option<State> {
    STATES.iter().find(|(written, _)| *written == state).map(|(_, state)| *state)
}

pub(crate) fn write_state(text: &str) -> CaseState {
    let state: Option<State> = text.parse().ok();
    let found = STATES.iter().find(|(_, known)| Some(*known) == state);
    found.map_or(CaseState::Unspecified, |(written, _)| *written)
}

pub(crate) fn write(case: CaseFile, exchange: &Exchange) -> pb::Case {
    let catalogue = exchange.broker().catalogue();
    let dispatch = catalogue.event_type(&case.event_type).and_then(|one| one.dispatch.as_ref());
    let history = case.statuses.into_iter().map(|one| pb::CaseStatus {
        state: write_state(&one.status).into(),
        party: one.party.to_string(),
        at: timestamp(one.at),
        correction: one.correction.map(|id| id.to_string()).unwrap_or_default(),
    });
    pb::Case {
        case_id: case.id.to_string(),
        r#type: case.event_type,
        sender: case.sender.to_string(),
        holder: case.holder.to_string(),
        opened_at: timestamp(case.opened_at),
        ends_at: case.ends_at.and_then(timestamp),
        suspended_at: case.suspended_at.and_then(timestamp),
        closed: case.closed,
        history: history.collect(),
        status_type: dispatch.map(|one| one.status.to_string()).unwrap_or_default(),
    }
}
