use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use wissel_identifiers::InboxName;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribing_client::SubscribingClient;

use crate::convert::{moment, next};
use crate::{Client, ClientError, Filter};

/// Messages of the archive that are to be brought into an inbox once more. Await it.
#[must_use = "nothing is replayed until it is awaited"]
pub struct Replay {
    client: Client,
    inbox: InboxName,
    from: Option<SystemTime>,
    until: Option<SystemTime>,
    types: Vec<String>,
    filters: Vec<Filter>,
    progress: Option<Progress>,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// How many messages were looked at.
    pub examined: u64,
    /// How many of them are in the inbox.
    pub replayed: u64,
    /// When the last one that was looked at was admitted.
    pub reached: Option<SystemTime>,
}

type Progress = Box<dyn FnMut(Replayed) + Send>;

impl Client {
    /// Brings messages that are kept for replay into an inbox of the caller: those that its
    /// grants cover at this moment, all of them unless told otherwise. They come with
    /// [`Delivery::is_replayed`](crate::Delivery::is_replayed).
    pub fn replay(&self, inbox: &InboxName) -> Replay {
        Replay {
            client: self.clone(),
            inbox: inbox.clone(),
            from: None,
            until: None,
            types: Vec::new(),
            filters: Vec::new(),
            progress: None,
        }
    }
}

impl Replay {
    /// Messages admitted at this moment or later.
    pub fn from(self, from: SystemTime) -> Self {
        Self { from: Some(from), ..self }
    }

    /// Messages admitted before this moment.
    pub fn until(self, until: SystemTime) -> Self {
        Self { until: Some(until), ..self }
    }

    /// Of these event types.
    pub fn types(self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { types: types.into_iter().map(Into::into).collect(), ..self }
    }

    /// That match this as well, as the receiver sees them.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Tells how far it is, now and then.
    pub fn on_progress(self, progress: impl FnMut(Replayed) + Send + 'static) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    async fn run(self) -> Result<Replayed, ClientError> {
        let Self { client, inbox, from, until, types, filters, mut progress } = self;
        let body = pb::ReplayRequest {
            inbox: inbox.to_string(),
            from: from.map(Into::into),
            until: until.map(Into::into),
            types,
            filters: filters.iter().map(Filter::to_proto).collect(),
        };
        let limit = client.settings().max_message_bytes;
        let mut answers = client
            .call(body, |channel, request| {
                let mut service = SubscribingClient::new(channel).max_decoding_message_size(limit);
                async move { service.replay(request).await }
            })
            .await?;
        let mut last = None;
        while let Some(answer) = next(&mut answers).await? {
            let reached = answer.reached.map(|reached| moment("reached", Some(reached)));
            let pb::ReplayResponse { examined, replayed, .. } = answer;
            let so_far = Replayed { examined, replayed, reached: reached.transpose()? };
            last = Some(so_far);
            if let Some(progress) = &mut progress {
                progress(so_far);
            }
        }
        last.ok_or_else(|| ClientError::protocol("no count; expected one"))
    }
}

impl IntoFuture for Replay {
    type Output = Result<Replayed, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Replay {
    /// Filters may name persons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("inbox", &self.inbox)
            .field("from", &self.from)
            .field("until", &self.until)
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}
