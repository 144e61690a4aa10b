//! The asker's side.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;
use wissel_broker::direction::check_reserved;
use wissel_broker::questions::REPLY_TO;
use wissel_broker::{Caller, Direction, Reason, Receipt, Refusal, ReplyTo, Wait};
use wissel_bus::Envelope;
use wissel_catalogue::{Action, Ask};
use wissel_identifiers::{InboxName, Oin};
use wissel_message::{EventView, Timestamp, expiry_time};

use super::{Answer, Failure, FailureCode, Open, Question};
use crate::Exchange;

/// How many messages may come for one question, of which one is its answer.
const MESSAGES: usize = 4;
/// The attribute by which a question says until when it is worth an answer.
const EXPIRY: &str = "expirytime";

impl Exchange {
    /// Asks, and waits for the answer. Dropped, the asker waits no longer, and the question
    /// goes to nobody who does not have it yet.
    ///
    /// # Errors
    /// [`Reason::NotAQuestion`]; [`Reason::AudienceUnmet`] when nobody can answer, or more
    /// than one can and none is named; [`Reason::NotGranted`] without a grant to ask, or to
    /// receive the answer; [`Reason::AnswerLate`] at the deadline; all that the road refuses.
    pub async fn ask(&self, caller: &Caller, question: Question) -> Result<Answer, Refusal> {
        let outcome = self.try_ask(caller, question).await;
        self.broker.metrics().question(match &outcome {
            Ok(Answer { result: Ok(_), .. }) => "answered",
            Ok(_) => "failed",
            Err(refusal) if refusal.reason == Reason::AnswerLate => "late",
            Err(_) => "refused",
        });
        outcome
    }

    async fn try_ask(&self, caller: &Caller, question: Question) -> Result<Answer, Refusal> {
        let asker = caller.party()?;
        let Question { event, to, within } = question;
        let view = EventView::decode(event).map_err(|error| {
            Refusal::of_field(Reason::MalformedMessage, "event", error.to_string())
        })?;
        let ask = self.check_question(caller, asker, &view)?;
        let patience = patience(&view, within.unwrap_or(ask.within).min(ask.within));
        let deadline = Instant::now() + patience;

        let reply_to = ReplyTo { inbox: self.answers_inbox()?, asker, question: Uuid::new_v4() };
        let (mut answers, _waiting) = self.open(&reply_to, &ask);
        let frame = stamped(&view, &reply_to, patience)?;
        // It may be large, and waiting may take long: many wait at once.
        drop(view);
        // As a task of its own: an asker that goes away leaves no message half done.
        let publishing = self.broker.publish_directed(caller, frame, &Direction::Asked(to));
        let publishing = self.spawned(publishing);
        let receipt = tokio::time::timeout_at(deadline, publishing);
        let receipt = receipt.await.map_err(|_| late(patience))??;
        if receipt.repeated {
            let message = "a question of this source and id was asked before; expected a new id";
            return Err(Refusal::of_field(Reason::InvalidRequest, "id", message));
        }

        let question = receipt.message_id;
        let Ok(next) = tokio::time::timeout_at(deadline, answers.recv()).await else {
            let (broker, refusal) = (&self.broker, late(patience));
            let reason = refusal.reason.as_str();
            broker.put_unanswered_on_record(caller, question, reason, None).await;
            return Err(refusal);
        };
        let Some(envelope) = next else { return Err(Refusal::shutting_down()) };
        let answer = self.take_answer(caller, &reply_to.inbox, &ask, envelope).await?;
        if let Err(failure) = &answer.result {
            let (broker, by) = (&self.broker, Some(answer.by));
            let reason = failure.code.as_str();
            broker.put_unanswered_on_record(caller, question, reason, by).await;
        }
        Ok(answer)
    }

    /// The answer as its asker may have it.
    async fn take_answer(
        &self,
        caller: &Caller,
        inbox: &InboxName,
        ask: &Ask,
        envelope: Envelope,
    ) -> Result<Answer, Refusal> {
        let (by, message_id) = (envelope.publisher, envelope.message_id);
        if let Some(failure) = super::answer::read_failure(&envelope.event) {
            return Ok(Answer { by, message_id, result: Err(failure) });
        }
        let view = EventView::decode(envelope.event.clone());
        if !view.is_ok_and(|view| view.event_type() == &*ask.answer) {
            let message = "the answer is of another event type".to_owned();
            let failure = Failure { code: FailureCode::Failed, message };
            return Ok(Answer { by, message_id, result: Err(failure) });
        }
        let event = self.broker.hand_over(caller, inbox, envelope).await?;
        Ok(Answer { by, message_id, result: Ok(event) })
    }

    /// Whether it is a question, whose answer the asker may have.
    fn check_question(
        &self,
        caller: &Caller,
        asker: Oin,
        view: &EventView,
    ) -> Result<Ask, Refusal> {
        let catalogue = self.broker.catalogue();
        let Some(event_type) = catalogue.event_type(view.event_type()) else {
            let message = "not an event type of the catalogue";
            return Err(Refusal::of_field(Reason::UnknownEventType, "type", message));
        };
        let Some(ask) = event_type.ask.clone() else {
            let message =
                "its messages are no questions; expected a type with `ask` in the catalogue";
            return Err(Refusal::of_field(Reason::NotAQuestion, "type", message));
        };
        check_reserved(view)?;
        if catalogue.grant(&asker, Action::Receive, &ask.answer).is_none() {
            let message =
                format!("party {asker} has no grant to receive the answers, {}", ask.answer);
            return Err(Refusal::of_field(Reason::NotGranted, "type", message));
        }
        caller.check_mandate(&catalogue, Action::Receive, &ask.answer)?;
        Ok(ask)
    }

    /// Opens a question, for as long as what is returned lives.
    fn open(&self, reply_to: &ReplyTo, ask: &Ask) -> (mpsc::Receiver<Envelope>, Waiting<'_>) {
        let (sender, answers) = mpsc::channel(MESSAGES);
        let open = Arc::new(Open {
            asker: reply_to.asker,
            answer_type: Arc::clone(&ask.answer),
            answered: parking_lot::Mutex::new(false),
            answers: sender,
        });
        let question = reply_to.question;
        self.asking.open.lock().insert(question, open);
        let wait = self.broker.wait_for(question);
        (answers, Waiting { exchange: self, question, _wait: wait })
    }

    async fn spawned(
        &self,
        publishing: impl Future<Output = Result<Receipt, Refusal>> + Send + 'static,
    ) -> Result<Receipt, Refusal> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.broker.spawn(async move {
            let _ = sender.send(publishing.await);
        });
        receiver.await.unwrap_or_else(|_| Err(Refusal::shutting_down()))
    }
}

/// A question that is open until this is dropped.
struct Waiting<'a> {
    exchange: &'a Exchange,
    question: Uuid,
    _wait: Wait,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.exchange.asking.open.lock().remove(&self.question);
    }
}

/// How long there is: no longer than the question is worth an answer.
fn patience(view: &EventView, within: Duration) -> Duration {
    let expires_at = expiry_time(view).ok().flatten().and_then(|moment| moment.to_system_time());
    let left = expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    left.map_or(within, |left| left.min(within))
}

/// The question with where its asker waits, and until when.
fn stamped(
    view: &EventView,
    reply_to: &ReplyTo,
    patience: Duration,
) -> Result<bytes::Bytes, Refusal> {
    let has_expiry = view.attribute(EXPIRY).is_some();
    let frame = view.with_attribute(REPLY_TO, &reply_to.to_string());
    if has_expiry {
        return Ok(frame);
    }
    let until = Timestamp::from(SystemTime::now() + patience);
    let view = EventView::decode(frame).map_err(|error| Refusal::internal(&error))?;
    Ok(view.with_attribute(EXPIRY, &until.to_string()))
}

fn late(patience: Duration) -> Refusal {
    let message = format!("no answer came within {} ms", patience.as_millis());
    Refusal::new(Reason::AnswerLate, message)
}
