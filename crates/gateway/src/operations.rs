use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use wissel_broker::{Caller, Inbox, InboxSettings, masked};
use wissel_bus::{DeadLetter, DeadLetterId, Page, Selection};
use wissel_identifiers::InboxName;
use wissel_message::EventView;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::operations_server::Operations;

use crate::calls::Calls;
use crate::fields::{
    cut_page, dead_letter_token, invalid, name, one_more, page_size, page_token, timestamp,
    to_duration,
};

pub(crate) struct OperationsService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Operations for OperationsService {
    async fn list_inboxes(
        &self,
        request: Request<pb::ListInboxesRequest>,
    ) -> Result<Response<pb::ListInboxesResponse>, Status> {
        let broker = &self.0.broker;
        let list = |caller, asked: pb::ListInboxesRequest| async move {
            let size = page_size(asked.page_size)?;
            let after: Option<InboxName> = page_token(&asked.page_token)?;
            let mut page = broker.inboxes(caller, after.as_ref(), one_more(size)).await?;
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
            let inbox = broker.inbox(caller, &name("name", &asked.name)?).await?;
            Ok(pb::GetInboxResponse { inbox: Some(write_inbox(inbox)) })
        };
        self.0.answer("GetInbox", request, get).await
    }

    async fn update_inbox(
        &self,
        request: Request<pb::UpdateInboxRequest>,
    ) -> Result<Response<pb::UpdateInboxResponse>, Status> {
        let broker = &self.0.broker;
        let update = |caller, asked: pb::UpdateInboxRequest| async move {
            let settings = InboxSettings { max_attempts: asked.max_attempts };
            let inbox = broker.set_inbox(caller, &name("name", &asked.name)?, settings).await?;
            Ok(pb::UpdateInboxResponse { inbox: Some(write_inbox(inbox)) })
        };
        self.0.answer("UpdateInbox", request, update).await
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
            let mut page = broker.dead_letters(caller, &inbox, asked).await?;
            let next_page_token = cut_page(&mut page, size, |last| last.id.0.clone());
            let dead_letters = page.into_iter().map(|one| write_dead_letter(caller, &inbox, one));
            let dead_letters = dead_letters.collect();
            Ok(pb::ListDeadLettersResponse { dead_letters, next_page_token })
        };
        self.0.answer("ListDeadLetters", request, list).await
    }

    async fn redrive(
        &self,
        request: Request<pb::RedriveRequest>,
    ) -> Result<Response<pb::RedriveResponse>, Status> {
        let broker = &self.0.broker;
        let redrive = |caller, asked: pb::RedriveRequest| async move {
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
            let redriven = broker.redrive(caller, &inbox, &selection).await?;
            Ok(pb::RedriveResponse { redriven })
        };
        self.0.answer("Redrive", request, redrive).await
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let broker = &self.0.broker;
        let get = |_, _: pb::GetStatusRequest| async move {
            let status = broker.status();
            Ok(pb::GetStatusResponse {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                bus: status.bus.to_owned(),
                bus_ready: status.ready,
                bus_detail: status.health.detail,
                uptime: to_duration(status.uptime),
                subscriptions: status.subscriptions as u64,
                inboxes: status.inboxes as u64,
            })
        };
        self.0.answer("GetStatus", request, get).await
    }
}

fn write_inbox(inbox: Inbox) -> pb::Inbox {
    let Inbox { name, state, settings } = inbox;
    pb::Inbox {
        name: name.to_string(),
        depth: state.depth,
        delayed: state.delayed,
        in_flight: state.in_flight,
        consumers: state.consumers,
        oldest_age: state.oldest_age(SystemTime::now()).and_then(to_duration),
        dead_letters: state.dead_letters,
        max_attempts: settings.max_attempts,
    }
}

/// Neither the subject nor the data of the message is shown, and to operators no number
/// that may be a person's, wherever a publisher or receiver put it.
fn write_dead_letter(caller: Caller, inbox: &InboxName, dead_letter: DeadLetter) -> pb::DeadLetter {
    let DeadLetter { id, envelope, attempts, died_at, reason } = dead_letter;
    let event = EventView::decode(envelope.event).ok();
    let shown = |text: &str| match caller {
        Caller::Operator(_) => masked(text),
        Caller::Party(_) | Caller::Representative { .. } => text.to_owned(),
    };
    let text = |read: fn(&EventView) -> &str| {
        event.as_ref().map(|event| shown(read(event))).unwrap_or_default()
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
        reason: shown(&reason),
    }
}
