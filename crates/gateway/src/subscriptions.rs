use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tonic::{Request, Response, Status};
use wissel_broker::{Followed, Reason, Refusal, Subscription};
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
            let created = broker.create_subscription(&caller, asked).await?;
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
            let mut page = broker.subscriptions(&caller, after.as_ref(), one_more(size))?;
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
            let found = broker.subscription(&caller, &name("name", &asked.name)?)?;
            Ok(pb::GetSubscriptionResponse { subscription: Some(write(&found)) })
        };
        self.0.answer("GetSubscription", request, get).await
    }

    async fn follow_subjects(
        &self,
        request: Request<pb::FollowSubjectsRequest>,
    ) -> Result<Response<pb::FollowSubjectsResponse>, Status> {
        let broker = &self.0.broker;
        let follow = |caller, asked: pb::FollowSubjectsRequest| async move {
            let pb::FollowSubjectsRequest { name: of, add, remove } = asked;
            let of = name("name", &of)?;
            let followed = broker.follow_subjects(&caller, &of, &add, &remove).await?;
            let Followed { added, removed, total, .. } = followed;
            Ok(pb::FollowSubjectsResponse { added, removed, total })
        };
        self.0.answer("FollowSubjects", request, follow).await
    }

    async fn delete_subscription(
        &self,
        request: Request<pb::DeleteSubscriptionRequest>,
    ) -> Result<Response<pb::DeleteSubscriptionResponse>, Status> {
        let broker = &self.0.broker;
        let delete = |caller, asked: pb::DeleteSubscriptionRequest| async move {
            broker.delete_subscription(&caller, &name("name", &asked.name)?).await?;
            Ok(pb::DeleteSubscriptionResponse {})
        };
        self.0.answer("DeleteSubscription", request, delete).await
    }
}

/// Reads the filters of a request that is not about a subscription.
pub(crate) fn read_filters(filters: Vec<pb::Filter>) -> Result<Vec<Filter>, Refusal> {
    let filters = filters.into_iter().enumerate();
    let read = filters.map(|(index, filter)| read_filter(format!("filters[{index}]"), filter));
    let read: Result<Vec<Filter>, Refusal> = read.collect();
    read.map_err(|refusal| Refusal { reason: Reason::InvalidRequest, ..refusal })
}

fn read(asked: Option<pb::Subscription>) -> Result<Subscription, Refusal> {
    let asked = asked.ok_or_else(|| invalid("subscription", "absent; expected one"))?;
    let name: SubscriptionName = name("subscription.name", &asked.name)?;
    let inbox = if asked.inbox.is_empty() { name.as_str() } else { &asked.inbox };
    let inbox = crate::fields::name("subscription.inbox", inbox)?;
    let filters = asked.filters.into_iter().enumerate();
    let filters = filters
        .map(|(index, filter)| read_filter(format!("subscription.filters[{index}]"), filter));
    Ok(Subscription {
        name,
        inbox,
        types: asked.types,
        filters: filters.collect::<Result<_, _>>()?,
        follows: asked.follows_subjects,
        ordered: asked.ordered,
        created_at: SystemTime::now(),
        declared: false,
    })
}

/// Reads a filter at a place such as `subscription.filters[0]`. It is no deeper than the
/// decoder of the request goes, which is 100 messages inside each other.
fn read_filter(place: String, filter: pb::Filter) -> Result<Filter, Refusal> {
    let values = |values: pb::AttributeValues| values.values.into_iter().collect();
    let list = |dialect: &str, list: pb::FilterList| {
        let filters = list.filters.into_iter().enumerate();
        let filters =
            filters.map(|(index, one)| read_filter(format!("{place}.{dialect}[{index}]"), one));
        filters.collect::<Result<Vec<_>, _>>()
    };
    Ok(match filter.dialect {
        Some(Dialect::Exact(exact)) => Filter::Exact(values(exact)),
        Some(Dialect::Prefix(prefix)) => Filter::Prefix(values(prefix)),
        Some(Dialect::Suffix(suffix)) => Filter::Suffix(values(suffix)),
        Some(Dialect::All(all)) => Filter::All(list("all", all)?),
        Some(Dialect::Any(any)) => Filter::Any(list("any", any)?),
        Some(Dialect::Not(not)) => Filter::Not(read_filter(format!("{place}.not"), *not)?.into()),
        Some(Dialect::Sql(sql)) => Filter::Sql(sql),
        None => {
            let expected = "no dialect; expected `exact`, `prefix`, `suffix`, `all`, `any`, \
                            `not` or `sql`";
            return Err(Refusal::of_field(Reason::InvalidSubscription, place, expected));
        }
    })
}

fn write(subscription: &Subscription) -> pb::Subscription {
    pb::Subscription {
        name: subscription.name.to_string(),
        inbox: subscription.inbox.to_string(),
        types: subscription.types.clone(),
        filters: subscription.filters.iter().map(write_filter).collect(),
        created_at: timestamp(subscription.created_at),
        follows_subjects: subscription.follows,
        ordered: subscription.ordered,
    }
}

fn write_filter(filter: &Filter) -> pb::Filter {
    let values = |values: &BTreeMap<String, String>| pb::AttributeValues {
        values: values.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
    };
    let list =
        |filters: &[Filter]| pb::FilterList { filters: filters.iter().map(write_filter).collect() };
    let dialect = match filter {
        Filter::Exact(exact) => Some(Dialect::Exact(values(exact))),
        Filter::Prefix(prefix) => Some(Dialect::Prefix(values(prefix))),
        Filter::Suffix(suffix) => Some(Dialect::Suffix(values(suffix))),
        Filter::All(all) => Some(Dialect::All(list(all))),
        Filter::Any(any) => Some(Dialect::Any(list(any))),
        Filter::Not(not) => Some(Dialect::Not(write_filter(not).into())),
        Filter::Sql(sql) => Some(Dialect::Sql(sql.clone())),
        // A dialect that this version of the API does not know cannot be stored.
        _ => None,
    };
    pb::Filter { dialect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_travels() {
        let values = || BTreeMap::from([("a".to_owned(), "x".to_owned())]);
        let not_not = Filter::Not(Filter::Not(Filter::Exact(values()).into()).into());
        let filter = Filter::All(vec![
            Filter::Exact(values()),
            Filter::Prefix(values()),
            Filter::Suffix(values()),
            Filter::Any(vec![not_not, Filter::Sql("a = 'x'".to_owned())]),
        ]);
        let read = read_filter("filters[0]".to_owned(), write_filter(&filter)).unwrap();
        assert_eq!(read, filter);
    }

    #[test]
    fn a_filter_without_a_dialect_is_refused_with_its_place() {
        let none = pb::Filter { dialect: None };
        let not = pb::Filter { dialect: Some(Dialect::Not(none.into())) };
        let good = pb::Filter { dialect: Some(Dialect::Sql("TRUE".to_owned())) };
        let list = pb::FilterList { filters: vec![good, not] };
        let any = pb::Filter { dialect: Some(Dialect::Any(list)) };
        let refusal = read_filter("subscription.filters[0]".to_owned(), any).unwrap_err();
        assert!(format!("{refusal:?}").contains("subscription.filters[0].any[1].not"));
    }
}
