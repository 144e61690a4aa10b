//! Several questions at once.

use futures::StreamExt as _;
use futures::stream::{BoxStream, FuturesUnordered};
use std::sync::Arc;
use std::time::Duration;

use wissel_broker::{Caller, Reason, Refusal};

use super::{Answer, Question};
use crate::Exchange;

/// What became of one of several questions.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// Which, counted from 0.
    pub index: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a question.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An answer, or why whoever was asked gives none.
    Answered(Answer),
    /// No answer came in time.
    Late,
    /// The question was refused.
    Refused(Refusal),
}

impl Exchange {
    /// Asks every question, each by its own grants, and tells of each what became of it as
    /// soon as that is known: of all within `within`, or as long as the catalogue says.
    /// Dropped, nobody waits any longer.
    pub fn gather(
        self: &Arc<Self>,
        caller: &Caller,
        questions: Vec<Question>,
        within: Option<Duration>,
    ) -> BoxStream<'static, Gathered> {
        let asked = questions.into_iter().enumerate().map(|(index, question)| {
            let (exchange, caller) = (Arc::clone(self), caller.clone());
            let within = [question.within, within].into_iter().flatten().min();
            let question = Question { within, ..question };
            async move {
                let outcome = match exchange.ask(&caller, question).await {
                    Ok(answer) => Outcome::Answered(answer),
                    Err(refusal) if refusal.reason == Reason::AnswerLate => Outcome::Late,
                    Err(refusal) => Outcome::Refused(refusal),
                };
                Gathered { index, outcome }
            }
        });
        asked.collect::<FuturesUnordered<_>>().boxed()
    }
}
