use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tonic::{Code, Request, Response, Status};
use wissel_client::Uuid;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::operations_server::Operations;
use wissel_proto::wissel::v1::subscriptions_server::Subscriptions;

use super::{INBOX, PARTY, SOURCE, Service, refusal};

/// Subscriptions and dead letters of the peer.
#[derive(Default)]
pub(crate) struct Managed {
    pub(crate) subscriptions: BTreeMap<String, pb::Subscription>,
    pub(crate) followed: BTreeMap<String, BTreeSet<String>>,
    pub(crate) dead_letters: BTreeMap<String, pb::DeadLetter>,
}

/// Pages are small, so that a few items are several pages.
const PAGE: usize = 3;

/// The items after the one named by the token.
fn page<T: Clone>(items: &BTreeMap<String, T>, token: &str) -> (Vec<T>, String) {
    use std::ops::Bound::{Excluded, Unbounded};
    let after = items.range::<str, _>((Excluded(token), Unbounded));
    let found: Vec<(&String, &T)> = after.take(PAGE).collect();
    let next = match found.last() {
        Some((last, _)) if found.len() == PAGE => (*last).clone(),
        _ => String::new(),
    };
    (found.into_iter().map(|(_, item)| item.clone()).collect(), next)
}

fn unknown(reason: &str) -> Status {
    refusal(Code::NotFound, reason, "there is none that you may see")
}

impl Managed {
    pub(crate) fn add_dead_letter(&mut self, id: &str) {
        let letter = pb::DeadLetter {
            dead_letter_id: id.to_owned(),
            inbox: INBOX.to_owned(),
            message_id: Uuid::now_v7().to_string(),
            source: SOURCE.to_owned(),
            id: id.to_owned(),
            r#type: "nl.brp.verhuizing".to_owned(),
            publisher: PARTY.to_owned(),
            admitted_at: Some(SystemTime::now().into()),
            died_at: Some(SystemTime::now().into()),
            attempts: 3,
            reason: "unreadable".to_owned(),
            history: vec![pb::Attempt {
                number: 2,
                at: Some(SystemTime::now().into()),
                reason: "busy".to_owned(),
                before_redrive: true,
            }],
        };
        self.dead_letters.insert(id.to_owned(), letter);
    }

    fn inbox(&self, name: &str) -> pb::Inbox {
        pb::Inbox {
            depth_is_least: false,
            name: name.to_owned(),
            depth: 7,
            delayed: 2,
            in_flight: 1,
            consumers: 1,
            oldest_age: Some(Duration::from_millis(1_500).try_into().unwrap()),
            dead_letters: self.dead_letters.len() as u64,
            settings: None,
            in_effect: Some(pb::InboxSettings { max_attempts: Some(20), ..Default::default() }),
            receivers: vec![pb::Receiver {
                party: PARTY.to_owned(),
                since: Some(prost_types::Timestamp { seconds: 60, nanos: 0 }),
                credit: 100,
                in_hand: 3,
                ..pb::Receiver::default()
            }],
        }
    }
}

#[tonic::async_trait]
impl Subscriptions for Service {
    async fn create_subscription(
        &self,
        request: Request<pb::CreateSubscriptionRequest>,
    ) -> Result<Response<pb::CreateSubscriptionResponse>, Status> {
        self.begin(&request)?;
        let mut created = request.into_inner().subscription.unwrap();
        if created.inbox.is_empty() {
            created.inbox = created.name.clone();
        }
        let mut managed = self.0.managed.lock().unwrap();
        if let Some(existing) = managed.subscriptions.get(&created.name) {
            created.created_at = existing.created_at;
            if *existing != created {
                return Err(refusal(
                    Code::AlreadyExists,
                    "SUBSCRIPTION_EXISTS",
                    "it exists with other content",
                ));
            }
        }
        created.created_at = Some(SystemTime::now().into());
        let name = created.name.clone();
        managed.subscriptions.insert(name, created.clone());
        Ok(Response::new(pb::CreateSubscriptionResponse { subscription: Some(created) }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<pb::ListSubscriptionsRequest>,
    ) -> Result<Response<pb::ListSubscriptionsResponse>, Status> {
        self.begin(&request)?;
        let managed = self.0.managed.lock().unwrap();
        let token = request.into_inner().page_token;
        let (subscriptions, next_page_token) = page(&managed.subscriptions, &token);
        Ok(Response::new(pb::ListSubscriptionsResponse { subscriptions, next_page_token }))
    }

    async fn get_subscription(
        &self,
        request: Request<pb::GetSubscriptionRequest>,
    ) -> Result<Response<pb::GetSubscriptionResponse>, Status> {
        self.begin(&request)?;
        let managed = self.0.managed.lock().unwrap();
        let found = managed.subscriptions.get(&request.into_inner().name);
        let found = found.ok_or_else(|| unknown("UNKNOWN_SUBSCRIPTION"))?;
        Ok(Response::new(pb::GetSubscriptionResponse { subscription: Some(found.clone()) }))
    }

    async fn follow_subjects(
        &self,
        request: Request<pb::FollowSubjectsRequest>,
    ) -> Result<Response<pb::FollowSubjectsResponse>, Status> {
        self.begin(&request)?;
        let pb::FollowSubjectsRequest { name, add, remove } = request.into_inner();
        let mut managed = self.0.managed.lock().unwrap();
        if !managed.subscriptions.contains_key(&name) {
            return Err(unknown("UNKNOWN_SUBSCRIPTION"));
        }
        let followed = managed.followed.entry(name).or_default();
        let added = add.into_iter().filter(|one| followed.insert(one.clone())).count() as u64;
        let removed = remove.iter().filter(|one| followed.remove(*one)).count() as u64;
        let total = followed.len() as u64;
        Ok(Response::new(pb::FollowSubjectsResponse { added, removed, total }))
    }

    async fn delete_subscription(
        &self,
        request: Request<pb::DeleteSubscriptionRequest>,
    ) -> Result<Response<pb::DeleteSubscriptionResponse>, Status> {
        self.begin(&request)?;
        let mut managed = self.0.managed.lock().unwrap();
        let gone = managed.subscriptions.remove(&request.into_inner().name);
        gone.ok_or_else(|| unknown("UNKNOWN_SUBSCRIPTION"))?;
        Ok(Response::new(pb::DeleteSubscriptionResponse {}))
    }
}

#[tonic::async_trait]
impl Operations for Service {
    type RedriveStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<pb::RedriveResponse, Status>>>;

    type GetCatalogueStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<pb::GetCatalogueResponse, Status>>>;

    type SurveyArchiveStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<pb::SurveyArchiveResponse, Status>>>;

    async fn survey_archive(
        &self,
        request: Request<pb::SurveyArchiveRequest>,
    ) -> Result<Response<Self::SurveyArchiveStream>, Status> {
        self.begin(&request)?;
        let asked = request.into_inner();
        let kept = asked.types.into_iter().map(|name| pb::ArchivedType {
            r#type: name,
            messages: 2,
            bytes: 600,
            first_at: asked.from,
            last_at: asked.until,
        });
        let types = kept.collect();
        let answers = [
            Ok(pb::SurveyArchiveResponse { examined: 250, types: Vec::new() }),
            Ok(pb::SurveyArchiveResponse { examined: 300, types }),
        ];
        Ok(Response::new(tokio_stream::iter(answers.to_vec())))
    }

    async fn list_inboxes(
        &self,
        request: Request<pb::ListInboxesRequest>,
    ) -> Result<Response<pb::ListInboxesResponse>, Status> {
        self.begin(&request)?;
        let managed = self.0.managed.lock().unwrap();
        let names = managed.subscriptions.values();
        let inboxes = names.map(|one| (one.inbox.clone(), managed.inbox(&one.inbox)));
        let token = request.into_inner().page_token;
        let (inboxes, next_page_token) = page(&inboxes.collect(), &token);
        Ok(Response::new(pb::ListInboxesResponse { inboxes, next_page_token }))
    }

    async fn get_inbox(
        &self,
        request: Request<pb::GetInboxRequest>,
    ) -> Result<Response<pb::GetInboxResponse>, Status> {
        self.begin(&request)?;
        let name = request.into_inner().name;
        if name != INBOX {
            return Err(unknown("UNKNOWN_INBOX"));
        }
        let inbox = self.0.managed.lock().unwrap().inbox(&name);
        Ok(Response::new(pb::GetInboxResponse { inbox: Some(inbox) }))
    }

    async fn update_inbox(
        &self,
        request: Request<pb::UpdateInboxRequest>,
    ) -> Result<Response<pb::UpdateInboxResponse>, Status> {
        self.begin(&request)?;
        let pb::UpdateInboxRequest { name, settings, .. } = request.into_inner();
        let inbox = self.0.managed.lock().unwrap().inbox(&name);
        let inbox = Some(pb::Inbox { settings, ..inbox });
        Ok(Response::new(pb::UpdateInboxResponse { inbox }))
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        self.begin(&request)?;
        let asked = request.into_inner();
        if asked.inbox != INBOX {
            return Err(unknown("UNKNOWN_INBOX"));
        }
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let delivery = |state: pb::DeliveryState, due_at| pb::UnsettledDelivery {
            message_id: Uuid::from_u128(7).to_string(),
            publisher: PARTY.to_owned(),
            admitted_at: at(1),
            attempt: 2,
            state: state.into(),
            due_at,
            size: 120,
            ..pb::UnsettledDelivery::default()
        };
        let states = [
            delivery(pb::DeliveryState::InFlight, None),
            delivery(pb::DeliveryState::Ready, None),
            delivery(pb::DeliveryState::Delayed, at(60)),
        ];
        let deliveries = states.into_iter().take(asked.page_size as usize).collect();
        Ok(Response::new(pb::ListDeliveriesResponse { deliveries }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<pb::GetDeadLetterRequest>,
    ) -> Result<Response<pb::GetDeadLetterResponse>, Status> {
        self.begin(&request)?;
        let asked = request.into_inner();
        let managed = self.0.managed.lock().unwrap();
        let found = managed.dead_letters.get(&asked.dead_letter_id).cloned();
        let dead_letter = Some(found.ok_or_else(|| unknown("UNKNOWN_MESSAGE"))?);
        Ok(Response::new(pb::GetDeadLetterResponse { dead_letter }))
    }

    async fn list_records(
        &self,
        request: Request<pb::ListRecordsRequest>,
    ) -> Result<Response<pb::ListRecordsResponse>, Status> {
        self.begin(&request)?;
        let asked = request.into_inner();
        // The second page is empty, and not the last.
        let (sequence, next_page_token) = match asked.page_token.as_str() {
            "" => (Some(9), "9"),
            "9" => (None, "5"),
            _ => (Some(2), ""),
        };
        let record =
            |sequence| pb::Record { sequence, inbox: asked.inbox.clone(), ..Default::default() };
        let records = sequence.into_iter().map(record).collect();
        let next_page_token = next_page_token.to_owned();
        Ok(Response::new(pb::ListRecordsResponse { records, next_page_token }))
    }

    async fn get_catalogue(
        &self,
        request: Request<pb::GetCatalogueRequest>,
    ) -> Result<Response<Self::GetCatalogueStream>, Status> {
        self.begin(&request)?;
        let part = |name: &str, content: &'static str| {
            let content = content.as_bytes().into();
            Ok(pb::GetCatalogueResponse { name: name.to_owned(), content })
        };
        let parts = [part("a.toml", ""), part("b.toml", "een "), part("b.toml", "twee")];
        Ok(Response::new(tokio_stream::iter(parts.to_vec())))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        self.begin(&request)?;
        let request = request.into_inner();
        if request.inbox != INBOX {
            return Err(unknown("UNKNOWN_INBOX"));
        }
        let managed = self.0.managed.lock().unwrap();
        let (dead_letters, next_page_token) = page(&managed.dead_letters, &request.page_token);
        Ok(Response::new(pb::ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn redrive(
        &self,
        request: Request<pb::RedriveRequest>,
    ) -> Result<Response<Self::RedriveStream>, Status> {
        self.begin(&request)?;
        let request = request.into_inner();
        let mut managed = self.0.managed.lock().unwrap();
        let before = managed.dead_letters.len();
        let asked_for = |id: &String| request.all || request.dead_letter_ids.contains(id);
        managed.dead_letters.retain(|id, _| !asked_for(id));
        let redriven = (before - managed.dead_letters.len()) as u64;
        let answers = [redriven / 2, redriven].map(|redriven| Ok(pb::RedriveResponse { redriven }));
        Ok(Response::new(tokio_stream::iter(answers.to_vec())))
    }

    async fn purge_dead_letters(
        &self,
        request: Request<pb::PurgeDeadLettersRequest>,
    ) -> Result<Response<pb::PurgeDeadLettersResponse>, Status> {
        self.begin(&request)?;
        let request = request.into_inner();
        assert_eq!(request.confirm, request.inbox);
        let mut managed = self.0.managed.lock().unwrap();
        let before = managed.dead_letters.len();
        managed.dead_letters.retain(|id, _| !request.all && !request.dead_letter_ids.contains(id));
        let purged = (before - managed.dead_letters.len()) as u64;
        Ok(Response::new(pb::PurgeDeadLettersResponse { purged }))
    }

    async fn get_overview(
        &self,
        request: Request<pb::GetOverviewRequest>,
    ) -> Result<Response<pb::GetOverviewResponse>, Status> {
        self.begin(&request)?;
        let totals = Some(pb::InboxTotals::default());
        Ok(Response::new(pb::GetOverviewResponse { totals, ..Default::default() }))
    }

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        self.begin(&request)?;
        let subscriptions = self.0.managed.lock().unwrap().subscriptions.len();
        Ok(Response::new(pb::GetStatusResponse {
            version: "0.1.0".to_owned(),
            bus: "embedded".to_owned(),
            ready: true,
            bus_detail: "ready".to_owned(),
            uptime: Some(Duration::from_secs(61).try_into().unwrap()),
            subscriptions: subscriptions as u64,
            inboxes: 1,
            now: Some(prost_types::Timestamp { seconds: 7, nanos: 0 }),
            checks: vec![pb::Check {
                name: "bus".to_owned(),
                ok: true,
                detail: "ready".to_owned(),
            }],
        }))
    }
}
