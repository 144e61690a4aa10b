use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use wissel_broker::{Inbox, Refusal};
use wissel_bus::{DeadLetter, DeadLetterId, Page, Selection};
use wissel_identifiers::InboxName;
use wissel_message::EventView;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::operations_server::Operations;

use crate::fields::{
    invalid, name, next_page_token, page_size, page_token, timestamp, to_duration,
};
use crate::gateway::Shared;
use crate::status::to_status;

pub(crate) struct OperationsService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Operations for OperationsService {
    async fn list_inboxes(
        &self,
        request: Request<pb::ListInboxesRequest>,
    ) -> Result<Response<pb::ListInboxesResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let asked = request.into_inner();
        let answer = async {
            let size = page_size(asked.page_size)?;
            let after: Option<InboxName> = page_token(&asked.page_token)?;
            let page = self.0.broker.inboxes(caller, after.as_ref(), size).await?;
            let next_page_token = next_page_token(&page, size, |last| last.name.to_string());
            let inboxes = page.into_iter().map(write_inbox).collect();
            Ok(Response::new(pb::ListInboxesResponse {
                inboxes,
                next_page_token,
            }))
        };
        answer.await.map_err(|refusal: Refusal| to_status(&refusal))
    }

    async fn get_inbox(
        &self,
        request: Request<pb::GetInboxRequest>,
    ) -> Result<Response<pb::GetInboxResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let answer = async {
            let name = name("name", &request.into_inner().name)?;
            self.0.broker.inbox(caller, &name).await
        };
        let inbox = answer.await.map_err(|refusal| to_status(&refusal))?;
        Ok(Response::new(pb::GetInboxResponse {
            inbox: Some(write_inbox(inbox)),
        }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let asked = request.into_inner();
        let answer = async {
            let inbox: InboxName = name("inbox", &asked.inbox)?;
            let limit = page_size(asked.page_size)?;
            let token = Some(asked.page_token).filter(|token| !token.is_empty());
            let page = Page {
                after: token.map(DeadLetterId),
                limit,
            };
            let page = self.0.broker.dead_letters(caller, &inbox, page).await?;
            let next_page_token = next_page_token(&page, limit, |last| last.id.0.clone());
            let dead_letters = page.into_iter().map(|one| write_dead_letter(&inbox, one));
            let dead_letters = dead_letters.collect();
            Ok(Response::new(pb::ListDeadLettersResponse {
                dead_letters,
                next_page_token,
            }))
        };
        answer.await.map_err(|refusal: Refusal| to_status(&refusal))
    }

    async fn redrive(
        &self,
        request: Request<pb::RedriveRequest>,
    ) -> Result<Response<pb::RedriveResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let asked = request.into_inner();
        let answer = async {
            let inbox: InboxName = name("inbox", &asked.inbox)?;
            let selection = match (asked.all, asked.dead_letter_ids) {
                (true, ids) if ids.is_empty() => Selection::All,
                (false, ids) if !ids.is_empty() => {
                    Selection::These(ids.into_iter().map(DeadLetterId).collect())
                }
                _ => {
                    let expected = "expected some ids, or `all`, and not both";
                    return Err(invalid("dead_letter_ids", expected));
                }
            };
            self.0.broker.redrive(caller, &inbox, &selection).await
        };
        let redriven = answer.await.map_err(|refusal| to_status(&refusal))?;
        Ok(Response::new(pb::RedriveResponse { redriven }))
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        self.0.caller(&request)?;
        let status = self.0.broker.status();
        Ok(Response::new(pb::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bus: status.bus.to_owned(),
            bus_ready: status.ready,
            bus_detail: status.health.detail,
            uptime: to_duration(status.uptime),
            subscriptions: status.subscriptions as u64,
            inboxes: status.inboxes as u64,
        }))
    }
}

fn write_inbox(inbox: Inbox) -> pb::Inbox {
    let Inbox { name, state } = inbox;
    pb::Inbox {
        name: name.to_string(),
        depth: state.depth,
        delayed: state.delayed,
        in_flight: state.in_flight,
        consumers: state.consumers,
        oldest_age: state.oldest_age(SystemTime::now()).and_then(to_duration),
        dead_letters: state.dead_letters,
    }
}

/// Neither the subject nor the data of the message is shown.
fn write_dead_letter(inbox: &InboxName, dead_letter: DeadLetter) -> pb::DeadLetter {
    let DeadLetter {
        id,
        envelope,
        attempts,
        died_at,
        reason,
    } = dead_letter;
    let event = EventView::decode(envelope.event).ok();
    let text = |read: fn(&EventView) -> &str| {
        event
            .as_ref()
            .map(|event| read(event).to_owned())
            .unwrap_or_default()
    };
    pb::DeadLetter {
        dead_letter_id: id.0,
        inbox: inbox.to_string(),
        message_id: envelope.message_id.to_string(),
        source: text(EventView::source),
        id: text(EventView::id),
        r#type: text(EventView::event_type),
        publisher: envelope.publisher.to_string(),
        admitted_at: timestamp(envelope.admitted_at),
        died_at: timestamp(died_at),
        attempts,
        reason,
    }
}
