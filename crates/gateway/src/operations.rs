use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;
use wissel_broker::{Caller, Inbox, Receiver, RedriveOptions, Refusal, Which};
use wissel_bus::{DeadLetterId, Page};
use wissel_identifiers::InboxName;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::operations_server::Operations;

use crate::answers::AnswerStream;
use crate::archive;
use crate::calls::Calls;
use crate::catalogue;
use crate::fields::{
    cut_full_page, cut_page, dead_letter_token, invalid, name, one_more, page_size, page_token,
    timestamp, to_duration,
};
use crate::letters;
use crate::overview;
use crate::records;
use crate::settings::{self, Change};
use crate::status::to_status;
use crate::subscriptions::read_filters;

pub(crate) struct OperationsService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Operations for OperationsService {
    type RedriveStream = AnswerStream<pb::RedriveResponse>;
    type SurveyArchiveStream = AnswerStream<pb::SurveyArchiveResponse>;
    type GetCatalogueStream = AnswerStream<pb::GetCatalogueResponse>;

    async fn list_inboxes(
        &self,
        request: Request<pb::ListInboxesRequest>,
    ) -> Result<Response<pb::ListInboxesResponse>, Status> {
        let broker = &self.0.broker;
        let list = |caller, asked: pb::ListInboxesRequest| async move {
            let size = page_size(asked.page_size)?;
            let after: Option<InboxName> = page_token(&asked.page_token)?;
            let mut page = broker.inboxes(&caller, after.as_ref(), one_more(size)).await?;
            let next_page_token = cut_page(&mut page, size, |last| last.name.to_string());
            let inboxes = page.into_iter().map(write_inbox).collect();
            Ok(pb::ListInboxesResponse { inboxes, next_page_token })
        };
        self.0.answer("ListInboxes", request, list).await
    }

    async fn get_inbox(
        &self,
        request: Request<pb::GetInboxRequest>,
    ) -> Result<Response<pb::GetInboxResponse>, Status> {
        let broker = &self.0.broker;
        let get = |caller, asked: pb::GetInboxRequest| async move {
            let inbox = broker.inbox(&caller, &name("name", &asked.name)?).await?;
            Ok(pb::GetInboxResponse { inbox: Some(write_inbox(inbox)) })
        };
        self.0.answer("GetInbox", request, get).await
    }

    async fn update_inbox(
        &self,
        request: Request<pb::UpdateInboxRequest>,
    ) -> Result<Response<pb::UpdateInboxResponse>, Status> {
        let update = |caller, asked: pb::UpdateInboxRequest| async move {
            let inbox: InboxName = name("name", &asked.name)?;
            let change = Change::read(asked.settings, asked.update_mask)?;
            // To its end, also when the caller goes away: half a change is none.
            let broker = Arc::clone(&self.0.broker);
            let changing = async move {
                broker.set_inbox(&caller, &inbox, |before| change.apply(before)).await
            };
            let changing = self.0.tasks.spawn(changing.in_current_span());
            let inbox = changing.await.unwrap_or_else(|_| Err(self.0.cut_off.refusal()))?;
            Ok(pb::UpdateInboxResponse { inbox: Some(write_inbox(inbox)) })
        };
        self.0.answer("UpdateInbox", request, update).await
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        let broker = &self.0.broker;
        let list = |caller, asked: pb::ListDeliveriesRequest| async move {
            let inbox: InboxName = name("inbox", &asked.inbox)?;
            let found = broker.browse(&caller, &inbox, page_size(asked.page_size)?).await?;
            let deliveries = found.into_iter().map(|one| letters::write_unsettled(&caller, one));
            Ok(pb::ListDeliveriesResponse { deliveries: deliveries.collect() })
        };
        self.0.answer("ListDeliveries", request, list).await
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let broker = &self.0.broker;
        let list = |caller, asked: pb::ListDeadLettersRequest| async move {
            let inbox: InboxName = name("inbox", &asked.inbox)?;
            let size = page_size(asked.page_size)?;
            let after = dead_letter_token(asked.page_token)?;
            let asked = Page { after, limit: one_more(size) };
            let mut page = broker.dead_letters(&caller, &inbox, asked.clone()).await?;
            let full = asked.is_full(&page);
            let next_page_token = cut_full_page(&mut page, size, full, |last| last.id.0.clone());
            let dead_letters =
                page.into_iter().map(|one| letters::write_dead_letter(&caller, &inbox, one));
            let dead_letters = dead_letters.collect();
            Ok(pb::ListDeadLettersResponse { dead_letters, next_page_token })
        };
        self.0.answer("ListDeadLetters", request, list).await
    }

    async fn get_dead_letter(
        &self,
        request: Request<pb::GetDeadLetterRequest>,
    ) -> Result<Response<pb::GetDeadLetterResponse>, Status> {
        let broker = &self.0.broker;
        let get = |caller: Caller, asked: pb::GetDeadLetterRequest| async move {
            let inbox: InboxName = name("inbox", &asked.inbox)?;
            let id = DeadLetterId(asked.dead_letter_id);
            let found = broker.dead_letter(&caller, &inbox, &id).await?;
            let dead_letter = Some(letters::write_dead_letter(&caller, &inbox, found));
            Ok(pb::GetDeadLetterResponse { dead_letter })
        };
        self.0.answer("GetDeadLetter", request, get).await
    }

    async fn redrive(
        &self,
        request: Request<pb::RedriveRequest>,
    ) -> Result<Response<Self::RedriveStream>, Status> {
        let begun = self.0.begin("Redrive", &request)?;
        let (broker, caller) = (Arc::clone(&self.0.broker), begun.caller.clone());
        let asked = request.into_inner();
        Ok(self.0.stream(begun, |answers| async move {
            let refuse = |refusal: Refusal| to_status(&refusal);
            let inbox: InboxName = name("inbox", &asked.inbox).map_err(refuse)?;
            let to = Some(asked.to_inbox).filter(|to| !to.is_empty());
            let to = to.map(|to| name("to_inbox", &to)).transpose().map_err(refuse)?;
            let which = read_which(asked.dead_letter_ids, asked.all, asked.filters);
            let which = which.map_err(refuse)?;
            let per_second = NonZeroU32::new(asked.per_second);
            let options = RedriveOptions { which, to, per_second, why: None };
            // Who does not read misses some of what is told on the way.
            let told = answers.clone();
            let progress = move |redriven| {
                let _ = told.try_send(pb::RedriveResponse { redriven });
            };
            let redriven = tokio::select! {
                redriven = broker.redrive(&caller, &inbox, options, progress) => {
                    redriven.map_err(refuse)?
                }
                () = answers.closed() => return Ok(()),
            };
            let _ = answers.send(pb::RedriveResponse { redriven }).await;
            Ok(())
        }))
    }

    async fn purge_dead_letters(
        &self,
        request: Request<pb::PurgeDeadLettersRequest>,
    ) -> Result<Response<pb::PurgeDeadLettersResponse>, Status> {
        let broker = &self.0.broker;
        let purge = |caller, asked: pb::PurgeDeadLettersRequest| async move {
            let inbox: InboxName = name("inbox", &asked.inbox)?;
            if asked.confirm != asked.inbox {
                return Err(invalid("confirm", "expected the name of the inbox once more"));
            }
            let which = read_which(asked.dead_letter_ids, asked.all, asked.filters)?;
            let purged = broker.purge_dead_letters(&caller, &inbox, which, None).await?;
            Ok(pb::PurgeDeadLettersResponse { purged })
        };
        self.0.answer("PurgeDeadLetters", request, purge).await
    }

    async fn get_overview(
        &self,
        request: Request<pb::GetOverviewRequest>,
    ) -> Result<Response<pb::GetOverviewResponse>, Status> {
        let broker = &self.0.broker;
        let get = |caller, asked| overview::get(broker, caller, asked);
        self.0.answer("GetOverview", request, get).await
    }

    async fn survey_archive(
        &self,
        request: Request<pb::SurveyArchiveRequest>,
    ) -> Result<Response<Self::SurveyArchiveStream>, Status> {
        let begun = self.0.begin("SurveyArchive", &request)?;
        let (broker, caller) = (Arc::clone(&self.0.broker), begun.caller.clone());
        let asked = request.into_inner();
        Ok(self.0.stream(begun, |answers| archive::survey(broker, caller, asked, answers)))
    }

    async fn get_catalogue(
        &self,
        request: Request<pb::GetCatalogueRequest>,
    ) -> Result<Response<Self::GetCatalogueStream>, Status> {
        let begun = self.0.begin("GetCatalogue", &request)?;
        let (broker, caller) = (Arc::clone(&self.0.broker), begun.caller.clone());
        Ok(self.0.stream(begun, |answers| catalogue::files(broker, caller, answers)))
    }

    async fn list_records(
        &self,
        request: Request<pb::ListRecordsRequest>,
    ) -> Result<Response<pb::ListRecordsResponse>, Status> {
        let broker = &self.0.broker;
        let list = |caller, asked| records::list(broker, caller, asked);
        self.0.answer("ListRecords", request, list).await
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let broker = &self.0.broker;
        let get = |caller: Caller, _: pb::GetStatusRequest| async move {
            let (status, readiness) = (broker.status(), broker.readiness());
            // What the machine is like is for those who look after it.
            let told = |detail: String| if caller.is_operator() { detail } else { String::new() };
            let checks = readiness.checks.into_iter().map(|check| pb::Check {
                name: check.name.to_owned(),
                ok: check.ok,
                detail: told(check.detail),
            });
            Ok(pb::GetStatusResponse {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                bus: status.bus.to_owned(),
                ready: readiness.ready,
                bus_detail: told(status.health.detail),
                uptime: to_duration(status.uptime),
                subscriptions: status.subscriptions as u64,
                inboxes: status.inboxes as u64,
                now: timestamp(SystemTime::now()),
                checks: checks.collect(),
            })
        };
        self.0.answer("GetStatus", request, get).await
    }
}

/// Which dead letters are meant: exactly one way of saying it is used.
fn read_which(ids: Vec<String>, all: bool, filters: Vec<pb::Filter>) -> Result<Which, Refusal> {
    match (ids.is_empty(), all, filters.is_empty()) {
        (true, true, true) => Ok(Which::All),
        (false, false, true) => Ok(Which::These(ids.into_iter().map(DeadLetterId).collect())),
        (true, false, false) => Ok(Which::Matching(read_filters(filters)?)),
        _ => {
            let expected = "expected some ids, `all`, or some filters, and one of these only";
            Err(invalid("dead_letter_ids", expected))
        }
    }
}

pub(crate) fn write_inbox(inbox: Inbox) -> pb::Inbox {
    let Inbox { name, state, settings, in_effect, receivers } = inbox;
    pb::Inbox {
        name: name.to_string(),
        depth: state.depth,
        depth_is_least: state.depth_is_least,
        delayed: state.delayed,
        in_flight: state.in_flight,
        consumers: state.consumers,
        oldest_age: state.oldest_age(SystemTime::now()).and_then(to_duration),
        dead_letters: state.dead_letters,
        settings: Some(settings::write(&settings)),
        in_effect: Some(settings::write(&in_effect)),
        receivers: receivers.into_iter().map(write_receiver).collect(),
    }
}

fn write_receiver(receiver: Receiver) -> pb::Receiver {
    let Receiver { caller, since, credit, in_hand, settled_at } = receiver;
    let (party, on_behalf_of) = match caller {
        Caller::Party(party) => (party.to_string(), String::new()),
        Caller::Representative { party, principal } => (party.to_string(), principal.to_string()),
        // None receives.
        Caller::Operator(_) => (String::new(), String::new()),
    };
    pb::Receiver {
        party,
        on_behalf_of,
        since: timestamp(since),
        credit: credit.into(),
        in_hand,
        settled_at: settled_at.and_then(timestamp),
    }
}
