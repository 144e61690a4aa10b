use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use wissel_proto::wissel::v1 as pb;

use crate::convert::{moment, next};
use crate::{Client, ClientError};

/// A look at what the archive keeps. Await it.
#[must_use = "nothing is looked at until it is awaited"]
pub struct ArchiveSurvey {
    client: Client,
    asked: pb::SurveyArchiveRequest,
    progress: Option<Box<dyn FnMut(u64) + Send>>,
}

/// What the archive keeps of an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchivedType {
    /// The type.
    pub event_type: String,
    /// How many messages.
    pub messages: u64,
    /// The bytes of their events.
    pub bytes: u64,
    /// When the first of them was admitted.
    pub first_at: SystemTime,
    /// When the last of them was admitted.
    pub last_at: SystemTime,
}

impl Client {
    /// What the archive keeps of each event type, by name of the type; for operators.
    pub fn survey_archive(&self) -> ArchiveSurvey {
        let asked = pb::SurveyArchiveRequest::default();
        ArchiveSurvey { client: self.clone(), asked, progress: None }
    }
}

impl ArchiveSurvey {
    /// Messages admitted at this moment or later.
    pub fn from(mut self, from: SystemTime) -> Self {
        self.asked.from = Some(from.into());
        self
    }

    /// Messages admitted before this moment.
    pub fn until(mut self, until: SystemTime) -> Self {
        self.asked.until = Some(until.into());
        self
    }

    /// Of these event types.
    pub fn types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.asked.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Tells how many messages it has looked at, now and then.
    pub fn on_progress(self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    async fn run(self) -> Result<Vec<ArchivedType>, ClientError> {
        let Self { client, asked, mut progress } = self;
        let mut answers = client
            .call(asked, |channel, request| {
                let mut service = client.operations(channel);
                async move { service.survey_archive(request).await }
            })
            .await?;
        let mut last = None;
        while let Some(answer) = next(&mut answers).await? {
            if let Some(progress) = &mut progress {
                progress(answer.examined);
            }
            last = Some(answer.types);
        }
        let types = last.ok_or_else(|| ClientError::protocol("no count; expected one"))?;
        types.into_iter().map(ArchivedType::try_from).collect()
    }
}

impl TryFrom<pb::ArchivedType> for ArchivedType {
    type Error = ClientError;

    fn try_from(one: pb::ArchivedType) -> Result<Self, ClientError> {
        Ok(Self {
            event_type: one.r#type,
            messages: one.messages,
            bytes: one.bytes,
            first_at: moment("first_at", one.first_at)?,
            last_at: moment("last_at", one.last_at)?,
        })
    }
}

impl IntoFuture for ArchiveSurvey {
    type Output = Result<Vec<ArchivedType>, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for ArchiveSurvey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveSurvey").field("asked", &self.asked).finish_non_exhaustive()
    }
}
