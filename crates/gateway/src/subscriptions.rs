use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use wissel_broker::{Reason, Refusal, Subscription};
use wissel_filter::Filter;
use wissel_identifiers::SubscriptionName;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::filter::Dialect;
use wissel_proto::wissel::v1::subscriptions_server::Subscriptions;

use crate::calls::Calls;
use crate::fields::{cut_page, invalid, name, one_more, page_size, page_token, timestamp};

pub(crate) struct SubscriptionsService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Subscriptions for SubscriptionsService {
    async fn create_subscription(
        &self,
        request: Request<pb::CreateSubscriptionRequest>,
    ) -> Result<Response<pb::CreateSubscriptionResponse>, Status> {
        let broker = &self.0.broker;
        let create = |caller, asked: pb::CreateSubscriptionRequest| async move {
            let asked = read(asked.subscription)?;
            let created = broker.create_subscription(caller, asked).await?;
            Ok(pb::CreateSubscriptionResponse { subscription: Some(write(&created)) })
        };
        self.0.answer("CreateSubscription", request, create).await
    }

    async fn list_subscriptions(
        &self,
        request: Request<pb::ListSubscriptionsRequest>,
    ) -> Result<Response<pb::ListSubscriptionsResponse>, Status> {
        let broker = &self.0.broker;
        let list = |caller, asked: pb::ListSubscriptionsRequest| async move {
            let size = page_size(asked.page_size)?;
            let after: Option<SubscriptionName> = page_token(&asked.page_token)?;
            let mut page = broker.subscriptions(caller, after.as_ref(), one_more(size))?;
            let next_page_token = cut_page(&mut page, size, |last| last.name.to_string());
            let subscriptions = page.iter().map(write).collect();
            Ok(pb::ListSubscriptionsResponse { subscriptions, next_page_token })
        };
        self.0.answer("ListSubscriptions", request, list).await
    }

    async fn get_subscription(
        &self,
        request: Request<pb::GetSubscriptionRequest>,
    ) -> Result<Response<pb::GetSubscriptionResponse>, Status> {
        let broker = &self.0.broker;
        let get = |caller, asked: pb::GetSubscriptionRequest| async move {
            let found = broker.subscription(caller, &name("name", &asked.name)?)?;
            Ok(pb::GetSubscriptionResponse { subscription: Some(write(&found)) })
        };
        self.0.answer("GetSubscription", request, get).await
    }

    async fn delete_subscription(
        &self,
        request: Request<pb::DeleteSubscriptionRequest>,
    ) -> Result<Response<pb::DeleteSubscriptionResponse>, Status> {
        let broker = &self.0.broker;
        let delete = |caller, asked: pb::DeleteSubscriptionRequest| async move {
            broker.delete_subscription(caller, &name("name", &asked.name)?).await?;
            Ok(pb::DeleteSubscriptionResponse {})
        };
        self.0.answer("DeleteSubscription", request, delete).await
    }
}

fn read(asked: Option<pb::Subscription>) -> Result<Subscription, Refusal> {
    let asked = asked.ok_or_else(|| invalid("subscription", "absent; expected one"))?;
    let name: SubscriptionName = name("subscription.name", &asked.name)?;
    let inbox = if asked.inbox.is_empty() { name.as_str() } else { &asked.inbox };
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
        values: values.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
    };
    let dialect = match filter {
        Filter::Exact(exact) => Some(Dialect::Exact(values(exact))),
        Filter::Prefix(prefix) => Some(Dialect::Prefix(values(prefix))),
        // A dialect that this version of the API does not know cannot be stored.
        _ => None,
    };
    pb::Filter { dialect }
}
