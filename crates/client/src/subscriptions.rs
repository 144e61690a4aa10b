use std::collections::BTreeMap;
use std::time::SystemTime;

use tonic::transport::Channel;
use wissel_identifiers::{InboxName, SubscriptionName};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscriptions_client::SubscriptionsClient;

use crate::convert::{moment, parsed, present};
use crate::{Client, ClientError, Listing};

/// A party's filter over event types, feeding one inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name, which names the owner.
    pub name: SubscriptionName,
    /// The inbox it feeds, of the same owner. `None` when creating: the inbox of
    /// the subscription's own name. What the gateway answers always has one.
    pub inbox: Option<InboxName>,
    /// The event types wanted. Empty: every type that the owner's grants cover.
    pub types: Vec<String>,
    /// All of them must match. Empty: no further limit.
    pub filters: Vec<Filter>,
    /// Whether only messages match whose subject is one that the subscription follows
    /// ([`Client::follow_subjects`]).
    pub follows_subjects: bool,
    /// Whether deliveries of one subject come one after the other, in the inbox that it
    /// feeds.
    pub ordered: bool,
    /// When it was created; ignored when creating.
    pub created_at: Option<SystemTime>,
}

/// What became of subjects to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// How many were not followed before.
    pub added: u64,
    /// How many were followed before.
    pub removed: u64,
    /// How many are followed now.
    pub total: u64,
}

/// One filter, in a dialect of the CloudEvents Subscriptions API. `exact`, `prefix` and
/// `suffix` name attributes with the text that each is compared to, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Every named attribute has exactly this value.
    Exact(BTreeMap<String, String>),
    /// Every named attribute starts with this value.
    Prefix(BTreeMap<String, String>),
    /// Every named attribute ends with this value.
    Suffix(BTreeMap<String, String>),
    /// Every one of these filters matches.
    All(Vec<Filter>),
    /// At least one of these filters matches.
    Any(Vec<Filter>),
    /// This filter does not match.
    Not(Box<Filter>),
    /// The CloudEvents SQL expression is true, and gives no error.
    Sql(String),
}

impl Client {
    /// Creates a subscription, and its inbox when that does not exist yet.
    /// Creating what exists with the same content is no error.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `INVALID_SUBSCRIPTION`, `NOT_GRANTED` or
    /// `SUBSCRIPTION_EXISTS`.
    pub async fn create_subscription(
        &self,
        subscription: &Subscription,
    ) -> Result<Subscription, ClientError> {
        let body = pb::CreateSubscriptionRequest { subscription: Some(subscription.to_proto()) };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.subscriptions(channel);
                async move { service.create_subscription(request).await }
            })
            .await?;
        present("subscription", response.subscription)?.try_into()
    }

    /// The caller's subscriptions, ordered by name; an operator's call lists
    /// everybody's.
    pub fn list_subscriptions(&self) -> Listing<Subscription> {
        let client = self.clone();
        Listing::new(move |page_token| {
            let client = client.clone();
            async move {
                let body = pb::ListSubscriptionsRequest { page_token, ..Default::default() };
                let response = client
                    .call(body, |channel, request| {
                        let mut service = client.subscriptions(channel);
                        async move { service.list_subscriptions(request).await }
                    })
                    .await?;
                let page = response.subscriptions.into_iter();
                let page: Result<_, _> = page.map(Subscription::try_from).collect();
                Ok((page?, response.next_page_token))
            }
        })
    }

    /// One subscription, as it is in force.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_SUBSCRIPTION` when there is none, or
    /// it is another party's.
    pub async fn get_subscription(
        &self,
        name: &SubscriptionName,
    ) -> Result<Subscription, ClientError> {
        let body = pb::GetSubscriptionRequest { name: name.to_string() };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.subscriptions(channel);
                async move { service.get_subscription(request).await }
            })
            .await?;
        present("subscription", response.subscription)?.try_into()
    }

    /// Adds to the subjects that a subscription follows, and takes from them: at most
    /// 10,000 in all. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_SUBSCRIPTION` when there is none, or it is
    /// another party's; with `INVALID_REQUEST` when it does not follow subjects, would
    /// follow more than it may, or one is no subject.
    pub async fn follow_subjects(
        &self,
        name: &SubscriptionName,
        add: Vec<String>,
        remove: Vec<String>,
    ) -> Result<Followed, ClientError> {
        let body = pb::FollowSubjectsRequest { name: name.to_string(), add, remove };
        let response = self
            .call(body, |channel, request| {
                let mut service = self.subscriptions(channel);
                async move { service.follow_subjects(request).await }
            })
            .await?;
        let pb::FollowSubjectsResponse { added, removed, total } = response;
        Ok(Followed { added, removed, total })
    }

    /// Deletes a subscription. Its inbox, and what waits there, stays.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `UNKNOWN_SUBSCRIPTION` when there is none, or
    /// it is another party's; also when it was there, and the answer of a first
    /// attempt was lost.
    pub async fn delete_subscription(&self, name: &SubscriptionName) -> Result<(), ClientError> {
        let body = pb::DeleteSubscriptionRequest { name: name.to_string() };
        self.call(body, |channel, request| {
            let mut service = self.subscriptions(channel);
            async move { service.delete_subscription(request).await }
        })
        .await?;
        Ok(())
    }

    fn subscriptions(&self, channel: Channel) -> SubscriptionsClient<Channel> {
        let limit = self.settings().max_message_bytes;
        SubscriptionsClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

impl Subscription {
    /// A subscription to every type that the owner is entitled to, with an inbox
    /// of the same name.
    #[must_use]
    pub fn new(name: SubscriptionName) -> Self {
        Self {
            name,
            inbox: None,
            types: Vec::new(),
            filters: Vec::new(),
            follows_subjects: false,
            ordered: false,
            created_at: None,
        }
    }

    fn to_proto(&self) -> pb::Subscription {
        let filters = self.filters.iter();
        pb::Subscription {
            name: self.name.to_string(),
            inbox: self.inbox.as_ref().map(InboxName::to_string).unwrap_or_default(),
            types: self.types.clone(),
            filters: filters.map(Filter::to_proto).collect(),
            created_at: None,
            follows_subjects: self.follows_subjects,
            ordered: self.ordered,
        }
    }
}

impl TryFrom<pb::Subscription> for Subscription {
    type Error = ClientError;

    fn try_from(subscription: pb::Subscription) -> Result<Self, ClientError> {
        let filters = subscription.filters.into_iter();
        let filters: Result<_, _> = filters.map(Filter::try_from).collect();
        Ok(Self {
            name: parsed("name", &subscription.name)?,
            inbox: Some(parsed("inbox", &subscription.inbox)?),
            types: subscription.types,
            filters: filters?,
            follows_subjects: subscription.follows_subjects,
            ordered: subscription.ordered,
            created_at: Some(moment("created_at", subscription.created_at)?),
        })
    }
}

impl Filter {
    pub(crate) fn to_proto(&self) -> pb::Filter {
        let values = |values: &BTreeMap<String, String>| pb::AttributeValues {
            values: values.clone().into_iter().collect(),
        };
        let list = |filters: &[Self]| pb::FilterList {
            filters: filters.iter().map(Self::to_proto).collect(),
        };
        let dialect = match self {
            Self::Exact(exact) => pb::filter::Dialect::Exact(values(exact)),
            Self::Prefix(prefix) => pb::filter::Dialect::Prefix(values(prefix)),
            Self::Suffix(suffix) => pb::filter::Dialect::Suffix(values(suffix)),
            Self::All(all) => pb::filter::Dialect::All(list(all)),
            Self::Any(any) => pb::filter::Dialect::Any(list(any)),
            Self::Not(not) => pb::filter::Dialect::Not(not.to_proto().into()),
            Self::Sql(sql) => pb::filter::Dialect::Sql(sql.clone()),
        };
        pb::Filter { dialect: Some(dialect) }
    }
}

impl TryFrom<pb::Filter> for Filter {
    type Error = ClientError;

    fn try_from(filter: pb::Filter) -> Result<Self, ClientError> {
        let values = |values: pb::AttributeValues| values.values.into_iter().collect();
        let list = |list: pb::FilterList| {
            list.filters.into_iter().map(Self::try_from).collect::<Result<Vec<_>, _>>()
        };
        Ok(match present("dialect", filter.dialect)? {
            pb::filter::Dialect::Exact(exact) => Self::Exact(values(exact)),
            pb::filter::Dialect::Prefix(prefix) => Self::Prefix(values(prefix)),
            pb::filter::Dialect::Suffix(suffix) => Self::Suffix(values(suffix)),
            pb::filter::Dialect::All(all) => Self::All(list(all)?),
            pb::filter::Dialect::Any(any) => Self::Any(list(any)?),
            pb::filter::Dialect::Not(not) => Self::Not(Self::try_from(*not)?.into()),
            pb::filter::Dialect::Sql(sql) => Self::Sql(sql),
        })
    }
}
