//! The asker's side: a question, or several at once.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use tonic::{Code, Streaming};
use uuid::Uuid;
use wissel_identifiers::Oin;
use wissel_message::Event;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::answer_failure::Code as FailureKind;
use wissel_proto::wissel::v1::asking_client::AskingClient;

use crate::convert::{parsed, present, to_proto};
use crate::{Client, ClientError, Refusal};

/// A question to one party.
#[derive(Clone)]
pub struct Question {
    event: Event,
    to: Option<Oin>,
    within: Option<Duration>,
}

/// A question that is asked when it is awaited, once: a failure is for the caller to judge,
/// who asks again with a new id.
#[must_use = "nothing is asked until it is awaited"]
pub struct Ask {
    client: Client,
    question: Question,
}

/// What a question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The party that answered.
    pub by: Oin,
    /// Wissel's own id of the answer, a UUID version 7.
    pub message_id: Uuid,
    /// The answer, as the asker may have it, or why the party gives none.
    pub result: Result<Event, AnswerFailure>,
}

/// Why whoever was asked does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AnswerFailure {
    /// Which kind of reason.
    pub code: FailureCode,
    /// For a developer. Numbers that may be a person's are masked on their way.
    pub message: String,
}

/// The kinds of reasons for not answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCode {
    /// What is asked about is not known there.
    NotFound,
    /// The question cannot be answered as it was put.
    InvalidQuestion,
    /// It will not be answered to this asker.
    Refused,
    /// Not now: what answers is not there, or is too slow.
    Unavailable,
    /// Whatever answers failed.
    Failed,
}

/// What became of one of several questions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gathered {
    /// Which, counted from 0.
    pub index: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, or why the party gives none.
    Answered(Answer),
    /// No answer came in time.
    Late,
    /// The gateway refused the question.
    Refused(Refusal),
}

/// What became of several questions, as it becomes known; from [`Client::gather`]. Ends
/// when all is told.
pub struct Gathering {
    answers: Streaming<pb::GatherResponse>,
}

impl Client {
    /// Asks one party, and waits for its answer. Await it; dropped before, the question goes
    /// to nobody who does not have it yet.
    pub fn ask(&self, event: &Event) -> Ask {
        Ask { client: self.clone(), question: Question::new(event) }
    }

    /// Asks several questions at once, 1 to 100: of all of them it is known what became of
    /// them within `within`, or as long as the catalogue lets each take.
    ///
    /// # Errors
    /// When the request as a whole is wrong, or the gateway cannot be reached.
    pub async fn gather(
        &self,
        questions: &[Question],
        within: Option<Duration>,
    ) -> Result<Gathering, ClientError> {
        let questions = questions.iter().map(|question| question.to_proto(self));
        let within = within.map(|within| to_proto("within", within)).transpose()?;
        let body = pb::GatherRequest { questions: questions.collect::<Result<_, _>>()?, within };
        let request = self.request(body).await?;
        let answers = self.asking().gather(request).await;
        let answers = answers.map_err(|status| ClientError::from_status(&status))?;
        Ok(Gathering { answers: answers.into_inner() })
    }

    fn asking(&self) -> AskingClient<tonic::transport::Channel> {
        let limit = self.settings().max_message_bytes;
        AskingClient::new(self.channel())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

// === impl Question ===

impl Question {
    /// A question to the only party that can answer it.
    #[must_use]
    pub fn new(event: &Event) -> Self {
        Self { event: event.clone(), to: None, within: None }
    }

    /// A question to this party.
    #[must_use]
    pub fn to(self, party: Oin) -> Self {
        Self { to: Some(party), ..self }
    }

    /// How long to wait. Default, and at most: as the catalogue says of the event type.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    fn to_proto(&self, client: &Client) -> Result<pb::AskRequest, ClientError> {
        Ok(pb::AskRequest {
            event: client.frame(&self.event)?,
            to: self.to.map(|to| to.to_string()).unwrap_or_default(),
            within: self.within.map(|within| to_proto("within", within)).transpose()?,
        })
    }
}

impl fmt::Debug for Question {
    /// The event's own output shows nothing personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("event", &self.event)
            .field("to", &self.to)
            .field("within", &self.within)
            .finish()
    }
}

// === impl Ask ===

impl Ask {
    /// As [`Question::to`].
    pub fn to(self, party: Oin) -> Self {
        Self { question: self.question.to(party), ..self }
    }

    /// As [`Question::within`].
    pub fn within(self, within: Duration) -> Self {
        Self { question: self.question.within(within), ..self }
    }

    async fn run(self) -> Result<Answer, ClientError> {
        let Self { client, question } = self;
        let request = client.request(question.to_proto(&client)?).await?;
        let answer = client.asking().ask(request).await;
        answer.map_err(|status| ClientError::from_status(&status))?.into_inner().try_into()
    }
}

impl IntoFuture for Ask {
    type Output = Result<Answer, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.question.fmt(f)
    }
}

// === impl Gathering ===

impl Gathering {
    /// What became of the next question; none when all is told.
    ///
    /// # Errors
    /// When the connection breaks, or the gateway refuses the request as a whole.
    pub async fn next(&mut self) -> Result<Option<Gathered>, ClientError> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }
}

impl Stream for Gathering {
    type Item = Result<Gathered, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.answers).poll_next(cx));
        Poll::Ready(next.map(|next| match next {
            Ok(gathered) => gathered.try_into(),
            Err(status) => Err(ClientError::from_status(&status)),
        }))
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").finish_non_exhaustive()
    }
}

// === from and to the wire ===

impl TryFrom<pb::GatherResponse> for Gathered {
    type Error = ClientError;

    fn try_from(gathered: pb::GatherResponse) -> Result<Self, ClientError> {
        use pb::gather_response::Outcome as Read;
        let outcome = match present("outcome", gathered.outcome)? {
            Read::Answer(answer) => Outcome::Answered(answer.try_into()?),
            Read::Late(_) => Outcome::Late,
            Read::Refusal(status) if status.code == Code::Ok as i32 => {
                return Err(ClientError::protocol("a refusal with code OK"));
            }
            Read::Refusal(status) => Outcome::Refused(Refusal::from_rpc(&status)),
        };
        let index = usize::try_from(gathered.index).unwrap_or(usize::MAX);
        Ok(Self { index, outcome })
    }
}

impl TryFrom<pb::AskResponse> for Answer {
    type Error = ClientError;

    fn try_from(answer: pb::AskResponse) -> Result<Self, ClientError> {
        use pb::ask_response::Result as Read;
        let result = match present("result", answer.result)? {
            Read::Event(event) => Ok(Event::from_frame(event)
                .map_err(|error| ClientError::protocol(format!("event: {error}")))?),
            Read::Failure(failure) => Err(failure.into()),
        };
        Ok(Self {
            by: parsed("answered_by", &answer.answered_by)?,
            message_id: parsed("message_id", &answer.message_id)?,
            result,
        })
    }
}

impl From<pb::AnswerFailure> for AnswerFailure {
    fn from(failure: pb::AnswerFailure) -> Self {
        let code = match failure.code() {
            FailureKind::NotFound => FailureCode::NotFound,
            FailureKind::InvalidQuestion => FailureCode::InvalidQuestion,
            FailureKind::Refused => FailureCode::Refused,
            FailureKind::Unavailable => FailureCode::Unavailable,
            FailureKind::Failed | FailureKind::Unspecified => FailureCode::Failed,
        };
        Self { code, message: failure.message }
    }
}

impl From<AnswerFailure> for pb::AnswerFailure {
    fn from(failure: AnswerFailure) -> Self {
        let code = match failure.code {
            FailureCode::NotFound => FailureKind::NotFound,
            FailureCode::InvalidQuestion => FailureKind::InvalidQuestion,
            FailureCode::Refused => FailureKind::Refused,
            FailureCode::Unavailable => FailureKind::Unavailable,
            FailureCode::Failed => FailureKind::Failed,
        };
        Self { code: code.into(), message: failure.message }
    }
}

impl AnswerFailure {
    /// A failure of this kind.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl FailureCode {
    /// The code as it goes over the wire; it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::InvalidQuestion => "INVALID_QUESTION",
            Self::Refused => "REFUSED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
