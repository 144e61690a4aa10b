//! A party of a play: a client that does what its script says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;
use uuid::Uuid;
use wissel_client::{
    AnswerFailure, Client, ClientError, Delivery, Event, EventBuilder, Gathered, Oin, Outcome,
    Question, Receipt, Refusal,
};
use wissel_message::{OwnedData, Value};

/// A party. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) oin: Oin,
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    run: Arc<str>,
}

/// The attribute by which a play knows its own messages.
const PLAY: &str = "play";
/// How long something that is to come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before trying again.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

impl Party {
    pub(crate) fn new(oin: Oin, name: &'static str, client: Client, run: &Arc<str>) -> Self {
        Self { oin, name, client, run: Arc::clone(run) }
    }

    /// Begins a message of this party.
    pub(crate) fn event(&self, event_type: &str) -> EventBuilder {
        let source = format!("urn:nld:oin:{}:systeem:showcase", self.oin);
        Event::builder(Uuid::now_v7().to_string(), source, event_type)
            .extension(PLAY, self.run.to_string())
    }

    /// Whether a message is of this play, and not of one before it on the same bus.
    pub(crate) fn is_of_play(&self, event: &Event) -> bool {
        matches!(event.attribute(PLAY), Some(Value::String(run)) if *run == *self.run)
    }

    /// Publishes a message, and does not give up before it has a receipt.
    pub(crate) async fn publish(&self, event: &Event) -> Result<Receipt> {
        self.until_done(|| self.client.publish(event))
            .await
            .with_context(|| format!("{} publishes {}", self.name, event.event_type()))
    }

    /// Does something that is safe to repeat, until it is done or refused.
    pub(crate) async fn until_done<T, W>(&self, what: impl Fn() -> W) -> Result<T>
    where
        W: IntoFuture<Output = Result<T, ClientError>>,
    {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            match what().await {
                Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
                done => return Ok(done?),
            }
        }
        bail!("{} cannot reach the gateway", self.name)
    }

    /// Why something is refused that should be: the reason, or that it is not.
    pub(crate) async fn refused<T, W>(&self, what: impl Fn() -> W) -> Result<String>
    where
        W: IntoFuture<Output = Result<T, ClientError>>,
    {
        match self.until_done(what).await {
            Ok(_) => Ok("not refused".to_owned()),
            Err(error) => {
                match error.downcast_ref::<ClientError>().and_then(ClientError::refusal) {
                    Some(refusal) => Ok(refusal.reason.clone()),
                    None => Err(error),
                }
            }
        }
    }

    /// Answers the questions of an inbox, from now on.
    pub(crate) fn answer<W>(
        &self,
        inbox: &str,
        answer: impl Fn(&Self, Event) -> W + Clone + Send + Sync + 'static,
    ) where
        W: Future<Output = Result<Event, AnswerFailure>> + Send + 'static,
    {
        let (party, inbox) = (self.clone(), format!("{}.{inbox}", self.oin));
        tokio::spawn(async move {
            loop {
                let questions = party.client.subscribe(&inbox);
                let answer = |question: &Delivery| answer(&party, question.event().clone());
                let _lost = party.client.answer_all(questions, answer).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// Asks all until it is known what became of each question. One that is refused for now,
    /// by a gateway that is only just there, is asked again with the others.
    pub(crate) async fn gather(
        &self,
        questions: impl Fn(&Self) -> Result<Vec<Question>>,
        within: Duration,
    ) -> Result<Vec<Gathered>> {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            match self.try_gather(&questions(self)?, within).await {
                Ok(gathered) if !gathered.iter().any(is_refused_for_now) => return Ok(gathered),
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error).context(format!("{} gathers", self.name)),
            }
        }
        bail!("{} gathers nothing", self.name)
    }

    async fn try_gather(
        &self,
        questions: &[Question],
        within: Duration,
    ) -> Result<Vec<Gathered>, ClientError> {
        let mut gathering = self.client.gather(questions, Some(within)).await?;
        let mut all = Vec::new();
        while let Some(gathered) = gathering.next().await? {
            all.push(gathered);
        }
        Ok(all)
    }
}

/// Whether trying again may help: the gateway was not there, or is only just there.
fn is_passing(error: &ClientError) -> bool {
    let passing =
        |refusal: &Refusal| refusal.reason == "ANSWER_LATE" || refusal.retry_after.is_some();
    error.is_retryable() || error.refusal().is_some_and(passing)
}

fn is_refused_for_now(gathered: &Gathered) -> bool {
    matches!(&gathered.outcome, Outcome::Refused(refusal) if refusal.is_for_now())
}

/// The data of an event as JSON; null when it has none.
pub(crate) fn data_of(event: &Event) -> Json {
    match event.data() {
        Some(OwnedData::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Json::Null,
    }
}
