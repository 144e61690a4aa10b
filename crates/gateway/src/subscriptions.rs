use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use wissel_broker::{Reason, Refusal, Subscription};
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::filter::Dialect;
use wissel_proto::wissel::v1::subscriptions_server::Subscriptions;

use crate::fields::{invalid, name, next_page_token, page_size, page_token, timestamp};
use crate::gateway::Shared;
use crate::status::to_status;

pub(crate) struct SubscriptionsService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Subscriptions for SubscriptionsService {
    async fn create_subscription(
        &self,
        request: Request<pb::CreateSubscriptionRequest>,
    ) -> Result<Response<pb::CreateSubscriptionResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let answer = async {
            let asked = read(request.into_inner().subscription)?;
            self.0.broker.create_subscription(caller, asked).await
        };
        let created = answer.await.map_err(|refusal| to_status(&refusal))?;
        let subscription = Some(write(&created));
        Ok(Response::new(pb::CreateSubscriptionResponse {
            subscription,
        }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<pb::ListSubscriptionsRequest>,
    ) -> Result<Response<pb::ListSubscriptionsResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let asked = request.into_inner();
        let page = || -> Result<_, Refusal> {
            let size = page_size(asked.page_size)?;
            let after: Option<SubscriptionName> = page_token(&asked.page_token)?;
            Ok((
                size,
                self.0.broker.subscriptions(caller, after.as_ref(), size),
            ))
        };
        let (size, page) = page().map_err(|refusal| to_status(&refusal))?;
        let next_page_token = next_page_token(&page, size, |last| last.name.to_string());
        let subscriptions = page.iter().map(write).collect();
        Ok(Response::new(pb::ListSubscriptionsResponse {
            subscriptions,
            next_page_token,
        }))
    }

    async fn get_subscription(
        &self,
        request: Request<pb::GetSubscriptionRequest>,
    ) -> Result<Response<pb::GetSubscriptionResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let found = name("name", &request.into_inner().name)
            .and_then(|name| self.0.broker.subscription(caller, &name));
        let found = found.map_err(|refusal| to_status(&refusal))?;
        let subscription = Some(write(&found));
        Ok(Response::new(pb::GetSubscriptionResponse { subscription }))
    }

    async fn delete_subscription(
        &self,
        request: Request<pb::DeleteSubscriptionRequest>,
    ) -> Result<Response<pb::DeleteSubscriptionResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let answer = async {
            let name = name("name", &request.into_inner().name)?;
            self.0.broker.delete_subscription(caller, &name).await
        };
        answer.await.map_err(|refusal| to_status(&refusal))?;
        Ok(Response::new(pb::DeleteSubscriptionResponse {}))
    }
}

fn read(asked: Option<pb::Subscription>) -> Result<Subscription, Refusal> {
    let asked = asked.ok_or_else(|| invalid("subscription", "absent; expected one"))?;
    let name: SubscriptionName = name("subscription.name", &asked.name)?;
    let inbox = if asked.inbox.is_empty() {
        name.as_str()
    } else {
        &asked.inbox
    };
    let inbox = crate::fields::name("subscription.inbox", inbox)?;
    let filters = asked.filters.into_iter().enumerate();
    let filters = filters.map(|(index, filter)| read_filter(index, filter));
    Ok(Subscription {
        name,
        inbox,
        types: asked.types,
        filters: filters.collect::<Result<_, _>>()?,
        created_at: SystemTime::now(),
        declared: false,
    })
}

fn read_filter(index: usize, filter: pb::Filter) -> Result<Filter, Refusal> {
    match filter.dialect {
        Some(Dialect::Exact(exact)) => Ok(Filter::Exact(exact.values.into_iter().collect())),
        Some(Dialect::Prefix(prefix)) => Ok(Filter::Prefix(prefix.values.into_iter().collect())),
        None => Err(Refusal::of_field(
            Reason::InvalidSubscription,
            format!("subscription.filters[{index}]"),
            "no dialect; expected `exact` or `prefix`",
        )),
    }
}

fn write(subscription: &Subscription) -> pb::Subscription {
    pb::Subscription {
        name: subscription.name.to_string(),
        inbox: subscription.inbox.to_string(),
        types: subscription.types.clone(),
        filters: subscription.filters.iter().map(write_filter).collect(),
        created_at: timestamp(subscription.created_at),
    }
}

fn write_filter(filter: &Filter) -> pb::Filter {
    let values = |values: &std::collections::BTreeMap<String, String>| pb::AttributeValues {
        values: values
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    };
    let dialect = match filter {
        Filter::Exact(exact) => Some(Dialect::Exact(values(exact))),
        Filter::Prefix(prefix) => Some(Dialect::Prefix(values(prefix))),
        // A dialect that this version of the API does not know cannot be stored.
        _ => None,
    };
    pb::Filter { dialect }
}
