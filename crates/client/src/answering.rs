//! The answering side: questions of an inbox, and their answers.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use wissel_message::{Event, OwnedValue, Value};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::answering_client::AnsweringClient;

use crate::{AnswerFailure, Client, ClientError, Delivery, FailureCode, OpenInboxBuilder};

/// The attribute of a question that says where to answer it.
const REPLY_TO: &str = "wisselreplyto";
/// The reason of a refusal: the answer comes too late, or is not the first.
const NOT_WAITING: &str = "NOT_WAITING";
/// When a question comes again whose answer did not reach the gateway.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

impl Client {
    /// Answers a question, which came as a delivery; acknowledging it is left to the caller.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `NOT_WAITING` when nobody waits for the answer any more,
    /// and with what an event is refused for: then another answer may be given.
    pub async fn answer(
        &self,
        question: &Delivery,
        answer: Result<Event, AnswerFailure>,
    ) -> Result<(), ClientError> {
        let Some(Value::String(reply_to)) = question.event().attribute(REPLY_TO) else {
            return Err(ClientError::invalid("question", "is none: it says of no place to answer"));
        };
        let result = match answer {
            Ok(event) => pb::answer_request::Result::Event(self.frame(&event)?),
            Err(failure) => pb::answer_request::Result::Failure(failure.into()),
        };
        let body = pb::AnswerRequest { reply_to: reply_to.to_owned(), result: Some(result) };
        let limit = self.settings().max_message_bytes;
        self.call(body, |channel, request| {
            let mut service = AnsweringClient::new(channel).max_encoding_message_size(limit);
            async move { service.answer(request).await }
        })
        .await
        .map(drop)
    }

    /// Answers the questions that come to an inbox, side by side within its credit, until the
    /// inbox fails or the future is dropped. Run it in several processes to share the load.
    ///
    /// An answer that the gateway refuses is told to the asker as [`FailureCode::Failed`].
    /// One that comes too late is let go. What is no question is rejected.
    ///
    /// # Errors
    /// As [`OpenInboxBuilder::open`] and [`crate::OpenInbox::next`].
    pub async fn answer_all<F, W>(
        &self,
        inbox: OpenInboxBuilder,
        answer: F,
    ) -> Result<(), ClientError>
    where
        F: Fn(&Delivery) -> W,
        W: Future<Output = Result<Event, AnswerFailure>>,
    {
        let mut questions = inbox.open().await?;
        let mut answering = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = answering.next() => {}
                question = questions.next() => {
                    let Some(question) = question? else { return Ok(()) };
                    let answer = answer(&question);
                    answering.push(self.answer_one(question, answer));
                }
            }
        }
    }

    async fn answer_one(
        &self,
        question: Delivery,
        answer: impl Future<Output = Result<Event, AnswerFailure>>,
    ) {
        let mut answered = self.answer(&question, answer.await).await;
        if let Err(ClientError::Refused(refusal)) = &answered
            && refusal.reason != NOT_WAITING
        {
            tracing::warn!(%refusal, "an answer is refused");
            let message = format!("its answer was refused: {}", refusal.reason);
            let failure = AnswerFailure::new(FailureCode::Failed, message);
            answered = self.answer(&question, Err(failure)).await;
        }
        let settled = match &answered {
            Ok(()) => question.acknowledge().await,
            Err(ClientError::InvalidArgument { message, .. }) => question.reject(message).await,
            Err(ClientError::Refused(_)) => question.acknowledge().await,
            Err(error) => question.retry(AGAIN_AFTER, error.to_string()).await,
        };
        if let Err(error) = settled {
            tracing::debug!(%error, "a question is not settled and comes again");
        }
    }
}

/// An event that answers a question: about the same subject, caused by it.
#[must_use]
pub fn in_answer_to(
    question: &Event,
    answer: wissel_message::EventBuilder,
) -> wissel_message::EventBuilder {
    let answer = match question.subject() {
        Some(subject) => answer.subject(subject),
        None => answer,
    };
    let correlation = match question.attribute("correlationid") {
        Some(Value::String(text)) => text,
        _ => question.id(),
    };
    answer
        .extension("correlationid", OwnedValue::String(correlation.to_owned()))
        .extension("causationid", OwnedValue::String(question.id().to_owned()))
}
