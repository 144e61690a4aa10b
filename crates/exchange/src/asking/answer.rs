//! The answering side.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use wissel_broker::direction::check_reserved;
use wissel_broker::{Caller, Direction, Reason, Refusal, ReplyTo, masked};
use wissel_bus::MessageId;
use wissel_identifiers::Oin;
use wissel_message::{Event, EventView, Value};

use super::Open;
use crate::Exchange;

/// What a question came to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Who answered.
    pub by: Oin,
    /// Wissel's id of the answer.
    pub message_id: MessageId,
    /// The answer, in the CloudEvents protobuf format, or why there is none.
    pub result: Result<Bytes, Failure>,
}

/// Why whoever was asked does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind of reason.
    pub code: FailureCode,
    /// For a developer. Numbers that may be a person's are masked.
    pub message: String,
}

/// The kinds of reasons for not answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The type of the exchange's own messages that say that there is no answer. They travel to
/// the gateway that asked and no further.
const FAILURE_TYPE: &str = "nl.wissel.answer.failure";
const CODE: &str = "wisselcode";
const MESSAGE: &str = "wisselmessage";
const MESSAGE_MAX: usize = 500;

impl Exchange {
    /// Answers a question: `reply_to` is what the question has in the attribute
    /// `wisselreplyto`. The answer goes to the asker as its grant allows.
    ///
    /// # Errors
    /// [`Reason::NotWaiting`] when it was answered before, its deadline has passed or the
    /// asker has left; [`Reason::NotAsked`] for one who was not asked; all that the road
    /// refuses: then the question is still open.
    pub async fn answer(
        &self,
        caller: &Caller,
        reply_to: &str,
        answer: Result<Bytes, Failure>,
    ) -> Result<(), Refusal> {
        let reply_to: ReplyTo = reply_to.parse().map_err(|()| {
            let expected = "expected the attribute wisselreplyto of the question";
            Refusal::of_field(Reason::InvalidRequest, "reply_to", expected)
        })?;
        let party = caller.party()?;
        if reply_to.inbox.owner() != self.party()? {
            let message = "names no gateway where an asker may wait";
            return Err(Refusal::of_field(Reason::InvalidRequest, "reply_to", message));
        }
        let claim = self.claim(&reply_to, party, answer.as_ref().ok())?;
        match answer {
            Ok(event) => {
                let direction =
                    Direction::Reply { to: reply_to.asker, inbox: reply_to.inbox.clone() };
                let event = addressed(event, reply_to.question)?;
                self.broker.publish_directed(caller, event, &direction).await.map(drop)
            }
            Err(failure) => {
                let event = write_failure(party, reply_to.question, &failure)?;
                self.broker.send_failure(caller, &reply_to, event).await
            }
        }?;
        claim.keep();
        Ok(())
    }

    /// The right to answer a question, for who was asked; when its asker waits at another gateway,
    /// that judges.
    fn claim(
        &self,
        reply_to: &ReplyTo,
        party: Oin,
        answer: Option<&Bytes>,
    ) -> Result<Claim, Refusal> {
        let open = if reply_to.inbox == self.answers_inbox()? {
            Some(self.open_to(reply_to, party)?)
        } else {
            None
        };
        let view = answer.map(|event| EventView::decode(event.clone())).transpose();
        let view = view.map_err(|error| {
            Refusal::of_field(Reason::MalformedMessage, "event", error.to_string())
        })?;
        view.as_ref().map_or(Ok(()), check_reserved)?;
        let Some(open) = open else { return Ok(Claim(None)) };
        if let Some(view) = view
            && view.event_type() != &*open.answer_type
        {
            let message = format!("expected the event type of answers, {}", open.answer_type);
            return Err(Refusal::of_field(Reason::InvalidMessage, "type", message));
        }
        if std::mem::replace(&mut *open.answered.lock(), true) {
            return Err(not_waiting());
        }
        Ok(Claim(Some(open)))
    }

    /// The question, when its asker waits here and the party was asked.
    fn open_to(&self, reply_to: &ReplyTo, party: Oin) -> Result<Arc<Open>, Refusal> {
        let open = self.asking.open.lock().get(&reply_to.question).cloned();
        let open = open.filter(|open| open.asker == reply_to.asker).ok_or_else(not_waiting)?;
        if self.broker.is_asked(reply_to.question, party).ok_or_else(not_waiting)? {
            return Ok(open);
        }
        let message = format!("party {party} was not asked");
        Err(Refusal::new(Reason::NotAsked, message))
    }
}

/// The right to answer. Dropped without being kept, the next one to come may have it.
struct Claim(Option<Arc<Open>>);

impl Claim {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(open) = &self.0 {
            *open.answered.lock() = false;
        }
    }
}

/// The attribute by which an answer says which question it answers.
pub(super) const ANSWERS: &str = "wisselanswers";

pub(super) fn addressed(event: Bytes, question: Uuid) -> Result<Bytes, Refusal> {
    let view = EventView::decode(event).map_err(|error| Refusal::internal(&error))?;
    Ok(view.with_attribute(ANSWERS, &question.to_string()))
}

/// Which question a message answers.
pub(super) fn answered_question(view: &EventView) -> Option<Uuid> {
    match view.attribute(ANSWERS) {
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    }
}

fn not_waiting() -> Refusal {
    let message =
        "nobody waits for this answer: it was given, its deadline passed, or its asker left";
    Refusal::new(Reason::NotWaiting, message)
}

fn write_failure(by: Oin, question: Uuid, failure: &Failure) -> Result<Bytes, Refusal> {
    let message: String = masked(&failure.message).chars().take(MESSAGE_MAX).collect();
    // A String attribute holds no control characters.
    let message = message.replace(|character: char| character.is_control(), " ");
    let source = format!("urn:nld:oin:{by}:systeem:answers");
    let event = Event::builder(Uuid::now_v7().to_string(), source, FAILURE_TYPE)
        .extension(CODE, failure.code.as_str())
        .extension(MESSAGE, message)
        .extension(ANSWERS, question.to_string())
        .build();
    let invalid = |_| {
        let expected = "expected text without control characters and noncharacters";
        Refusal::of_field(Reason::InvalidRequest, "failure.message", expected)
    };
    Ok(event.map_err(invalid)?.encode())
}

/// Why there is no answer, when a message says so.
pub(super) fn read_failure(event: &Bytes) -> Option<Failure> {
    let view = EventView::decode(event.clone()).ok()?;
    if view.event_type() != FAILURE_TYPE {
        return None;
    }
    let text = |name| match view.attribute(name) {
        Some(Value::String(text)) => text.to_owned(),
        _ => String::new(),
    };
    let code = FailureCode::read(&text(CODE)).unwrap_or(FailureCode::Failed);
    Some(Failure { code, message: text(MESSAGE) })
}

impl FailureCode {
    /// Every code.
    pub const ALL: [Self; 5] =
        [Self::NotFound, Self::InvalidQuestion, Self::Refused, Self::Unavailable, Self::Failed];

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

    /// The kind of a code.
    #[must_use]
    pub fn read(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == code)
    }
}
