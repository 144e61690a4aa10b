//! A party of a play: a client that does what its script says, and keeps what comes to it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio::sync::Notify;
use uuid::Uuid;
use wissel_client::{
    Answer, AnswerFailure, Client, ClientError, Delivery, Event, EventBuilder, Gathered, Oin,
    Question, Receipt,
};
use wissel_message::{OwnedData, Value};

/// A party. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) oin: Oin,
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    run: Arc<str>,
    received: Arc<Received>,
}

/// What came to a party, each message once.
#[derive(Default)]
struct Received {
    messages: Mutex<Vec<Message>>,
    changed: Notify,
}

/// A message that came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) message_id: Uuid,
    pub(crate) publisher: Oin,
    pub(crate) event: Event,
}

/// The attribute by which a play knows its own messages.
const PLAY: &str = "play";
/// How long something that is to come may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_millis(50);

impl Party {
    pub(crate) fn new(oin: Oin, name: &'static str, client: Client, run: &Arc<str>) -> Self {
        Self { oin, name, client, run: Arc::clone(run), received: Arc::default() }
    }

    /// Begins a message of this party.
    pub(crate) fn event(&self, event_type: &str) -> EventBuilder {
        let source = format!("urn:nld:oin:{}:systeem:showcase", self.oin);
        Event::builder(Uuid::now_v7().to_string(), source, event_type)
            .extension(PLAY, self.run.to_string())
    }

    /// Publishes a message.
    pub(crate) async fn publish(&self, event: EventBuilder) -> Result<Receipt> {
        let event = event.build()?;
        let published = self.client.publish(&event).await;
        published.with_context(|| format!("{} publishes {}", self.name, event.event_type()))
    }

    /// Takes what comes to an inbox, from now on.
    pub(crate) fn listen(&self, inbox: &str) {
        let (party, inbox) = (self.clone(), format!("{}.{inbox}", self.oin));
        tokio::spawn(async move {
            while let Err(_lost) = party.take(&inbox).await {
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    async fn take(&self, inbox: &str) -> Result<(), ClientError> {
        let mut inbox = self.client.subscribe(inbox).open().await?;
        while let Some(delivery) = inbox.next().await? {
            self.keep(&delivery);
            match delivery.acknowledge().await {
                Ok(()) | Err(ClientError::LeaseLost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A message may come twice; it is kept once.
    fn keep(&self, delivery: &Delivery) {
        let message_id = delivery.message_id();
        let mut messages = self.received.messages.lock();
        if messages.iter().any(|known| known.message_id == message_id) {
            return;
        }
        let (publisher, event) = (delivery.publisher(), delivery.event().clone());
        messages.push(Message { message_id, publisher, event });
        self.received.changed.notify_waiters();
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

    /// Asks until there is an answer: a question that was lost with its gateway is asked
    /// again, with a new id.
    pub(crate) async fn ask(
        &self,
        to: Option<&Self>,
        question: impl Fn(EventBuilder) -> EventBuilder,
        event_type: &str,
    ) -> Result<Answer> {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            let event = question(self.event(event_type)).build()?;
            let mut ask = self.client.ask(&event);
            if let Some(to) = to {
                ask = ask.to(to.oin);
            }
            match ask.await {
                Ok(answer) => return Ok(answer),
                Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error).context(format!("{} asks", self.name)),
            }
        }
        bail!("{} gets no answer", self.name)
    }

    /// Asks all until it is known what became of each question.
    pub(crate) async fn gather(
        &self,
        questions: impl Fn(&Self) -> Result<Vec<Question>>,
        within: Duration,
    ) -> Result<Vec<Gathered>> {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            match self.try_gather(&questions(self)?, within).await {
                Ok(gathered) => return Ok(gathered),
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

    /// Waits for a message of this play.
    pub(crate) async fn expect(
        &self,
        what: &str,
        is_it: impl Fn(&Message) -> bool,
    ) -> Result<Message> {
        let waiting = async {
            loop {
                let changed = self.received.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = self.received().into_iter().find(&is_it) {
                    return found;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.with_context(|| format!("{} does not get {what}", self.name))
    }

    /// What came, in the order in which it came.
    pub(crate) fn received(&self) -> Vec<Message> {
        self.received.messages.lock().clone()
    }

    /// How many messages of a type came, of this play.
    pub(crate) fn count(&self, event_type: &str) -> usize {
        let is_of_play = |message: &&Message| {
            message.event.event_type() == event_type
                && message.text(PLAY).is_none_or(|run| run == *self.run)
        };
        self.received.messages.lock().iter().filter(is_of_play).count()
    }
}

/// Whether trying again may help: the gateway was not there, or is only just there.
fn is_passing(error: &ClientError) -> bool {
    let late = |reason: &str| reason == "ANSWER_LATE";
    error.is_retryable() || error.refusal().is_some_and(|refusal| late(&refusal.reason))
}

impl Message {
    /// A String attribute.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.event.attribute(name) {
            Some(Value::String(text)) => Some(text.to_owned()),
            _ => None,
        }
    }

    pub(crate) fn is(&self, event_type: &str) -> bool {
        self.event.event_type() == event_type
    }

    /// Its data; null when it has none.
    pub(crate) fn data(&self) -> Json {
        data_of(&self.event)
    }
}

/// The data of an event as JSON; null when it has none.
pub(crate) fn data_of(event: &Event) -> Json {
    match event.data() {
        Some(OwnedData::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Json::Null,
    }
}
