use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use wissel_broker::dossier::{Entry, Message, What};
use wissel_broker::{Refusal, Sought};
use wissel_exchange::{CaseFile, DossierOfCases, Exchange};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::dossier_entry::Kind;
use wissel_proto::wissel::v1::dossiers_server::Dossiers;
use wissel_proto::wissel::v1::get_dossier_request::About;

use crate::calls::Calls;
use crate::cases::{write, write_state};
use crate::fields::{invalid, timestamp};

pub(crate) struct DossiersService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Dossiers for DossiersService {
    async fn get_dossier(
        &self,
        request: Request<pb::GetDossierRequest>,
    ) -> Result<Response<pb::GetDossierResponse>, Status> {
        let exchange = &self.0.exchange;
        let get = |caller, asked| async move {
            let dossier = exchange.dossier(&caller, &read(asked)?).await?;
            Ok(write_dossier(dossier, exchange))
        };
        self.0.answer("GetDossier", request, get).await
    }
}

fn read(asked: pb::GetDossierRequest) -> Result<Sought, Refusal> {
    let since = asked.since.map(SystemTime::try_from).transpose();
    let since = since.map_err(|error| invalid("since", error.to_string()))?;
    match asked.about {
        Some(About::MessageId(_)) if since.is_some() => {
            Err(invalid("since", "goes with correlation_id; expected it to be absent"))
        }
        Some(About::MessageId(text)) => {
            let id = text.parse();
            let id =
                id.map_err(|_| invalid("message_id", "expected the id of a message, a UUID"))?;
            Ok(Sought::Message(id))
        }
        Some(About::CorrelationId(id)) => {
            // It may be anything, so it is not shown.
            if id.is_empty() || id.chars().nth(Sought::CORRELATION_MAX).is_some() {
                let expected = format!("expected 1 to {} characters", Sought::CORRELATION_MAX);
                return Err(invalid("correlation_id", expected));
            }
            Ok(Sought::Correlation { id, since })
        }
        None => Err(invalid("about", "expected message_id or correlation_id")),
    }
}

fn write_dossier(dossier: DossierOfCases, exchange: &Exchange) -> pb::GetDossierResponse {
    let DossierOfCases { happened, cases } = dossier;
    let mut entries: Vec<(SystemTime, pb::DossierEntry)> =
        happened.entries.into_iter().map(|entry| (entry.at, write_entry(entry))).collect();
    entries.extend(cases.iter().flat_map(entries_of_case));
    entries.sort_by_key(|(at, _)| *at);
    pb::GetDossierResponse {
        messages: happened.messages.into_iter().map(write_message).collect(),
        entries: entries.into_iter().map(|(_, entry)| entry).collect(),
        cases: cases.into_iter().map(|case| write(case, exchange)).collect(),
        truncated: happened.truncated,
    }
}

fn write_message(message: Message) -> pb::DossierMessage {
    pb::DossierMessage {
        message_id: message.id.to_string(),
        r#type: message.event_type.unwrap_or_default(),
        publisher: text(message.publisher),
        admitted_at: message.admitted_at.and_then(timestamp),
        inboxes: message.inboxes,
    }
}

fn write_entry(entry: Entry) -> pb::DossierEntry {
    let kind = match entry.what {
        What::Admitted => Kind::Admitted,
        What::Refused => Kind::Refused,
        What::Routed => Kind::Routed,
        What::HandedOut => Kind::HandedOut,
        What::Retried => Kind::Retried,
        What::DeadLettered => Kind::DeadLettered,
        What::QuestionOver => Kind::QuestionOver,
        What::Unanswered => Kind::Unanswered,
        What::Deadline => Kind::Deadline,
    };
    pb::DossierEntry {
        at: timestamp(entry.at),
        kind: kind.into(),
        message_id: entry.message_id.to_string(),
        party: text(entry.party),
        acted_by: text(entry.acted_by),
        inbox: text(entry.inbox),
        attempt: entry.attempt.unwrap_or_default(),
        reason: entry.reason.unwrap_or_default(),
        case_state: pb::CaseState::Unspecified.into(),
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// How a case stood, and until when it runs.
fn entries_of_case(case: &CaseFile) -> Vec<(SystemTime, pb::DossierEntry)> {
    let entry = |at, kind: Kind, party: String| {
        let message_id = case.id.to_string();
        let (kind, at_field) = (kind.into(), timestamp(at));
        (at, pb::DossierEntry { at: at_field, kind, message_id, party, ..Default::default() })
    };
    let mut entries = vec![entry(case.opened_at, Kind::CaseOpened, case.sender.to_string())];
    for status in &case.statuses {
        let (at, written) = entry(status.at, Kind::CaseStatus, status.party.to_string());
        let case_state = write_state(&status.status).into();
        entries.push((at, pb::DossierEntry { case_state, ..written }));
    }
    let runs = !case.closed && case.suspended_at.is_none();
    let ends_at = case.ends_at.filter(|_| runs);
    entries.extend(ends_at.map(|at| entry(at, Kind::TermEnds, case.holder.to_string())));
    entries
}
