use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tonic::{Request, Response, Status};
use wissel_broker::Refusal;
use wissel_exchange::{Answer, Failure, FailureCode, Gathered, Outcome, Question};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::answer_failure::Code;
use wissel_proto::wissel::v1::answering_server::Answering;
use wissel_proto::wissel::v1::asking_server::Asking;

use crate::answers::AnswerStream;
use crate::calls::Calls;
use crate::fields::{duration, invalid};
use crate::status::{Refusals, to_status};
use crate::traced::Traced;

/// The most questions of one request.
const QUESTIONS_MAX: usize = 100;
/// The shortest and the longest that an asker may wait; the catalogue may say less.
const WITHIN: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(24);

pub(crate) struct AskingService(pub(crate) Arc<Calls>);
pub(crate) struct AnsweringService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Asking for AskingService {
    type GatherStream = AnswerStream<pb::GatherResponse>;

    async fn ask(
        &self,
        request: Request<pb::AskRequest>,
    ) -> Result<Response<pb::AskResponse>, Status> {
        let (traced, most) = (Traced::of(request.metadata()), self.0.broker.message_bytes_max());
        let ask = |caller, asked: pb::AskRequest| async move {
            let mut question = read_question(asked, "")?;
            question.event = traced.event(question.event, most);
            Ok(write_answer(self.0.exchange.ask(&caller, question).await?))
        };
        self.0.answer("Ask", request, ask).await
    }

    async fn gather(
        &self,
        request: Request<pb::GatherRequest>,
    ) -> Result<Response<Self::GatherStream>, Status> {
        let begun = self.0.begin("Gather", &request)?;
        let (traced, most) = (Traced::of(request.metadata()), self.0.broker.message_bytes_max());
        let (exchange, caller) = (Arc::clone(&self.0.exchange), begun.caller.clone());
        let asked = request.into_inner();
        Ok(self.0.stream(begun, move |answers| async move {
            let (mut questions, within) =
                read_questions(asked).map_err(|refusal| to_status(&refusal))?;
            for question in &mut questions {
                question.event = traced.event(std::mem::take(&mut question.event), most);
            }
            let mut gathered = exchange.gather(&caller, questions, within);
            let mut refusals = Refusals::default();
            loop {
                let next = tokio::select! {
                    next = gathered.next() => next,
                    // Who went away is not waited for, and its questions are over.
                    () = answers.closed() => return Ok(()),
                };
                let Some(next) = next else { return Ok(()) };
                if answers.send(write_gathered(next, &mut refusals)).await.is_err() {
                    return Ok(());
                }
            }
        }))
    }
}

#[tonic::async_trait]
impl Answering for AnsweringService {
    async fn answer(
        &self,
        request: Request<pb::AnswerRequest>,
    ) -> Result<Response<pb::AnswerResponse>, Status> {
        let (traced, most) = (Traced::of(request.metadata()), self.0.broker.message_bytes_max());
        let answer = |caller, asked: pb::AnswerRequest| async move {
            let result = match asked.result {
                Some(pb::answer_request::Result::Event(event)) => Ok(traced.event(event, most)),
                Some(pb::answer_request::Result::Failure(failure)) => Err(read_failure(failure)?),
                None => return Err(invalid("result", "expected `event` or `failure`")),
            };
            self.0.exchange.answer(&caller, &asked.reply_to, result).await?;
            Ok(pb::AnswerResponse {})
        };
        self.0.answer("Answer", request, answer).await
    }
}

fn read_questions(asked: pb::GatherRequest) -> Result<(Vec<Question>, Option<Duration>), Refusal> {
    let count = asked.questions.len();
    if !(1..=QUESTIONS_MAX).contains(&count) {
        let message = format!("{count}; expected 1 to {QUESTIONS_MAX}");
        return Err(invalid("questions", message));
    }
    let within = read_within("within", asked.within)?;
    let questions = asked.questions.into_iter().enumerate();
    let questions =
        questions.map(|(index, one)| read_question(one, &format!("questions[{index}].")));
    Ok((questions.collect::<Result<_, _>>()?, within))
}

fn read_question(asked: pb::AskRequest, place: &str) -> Result<Question, Refusal> {
    let to = Some(asked.to).filter(|to| !to.is_empty()).map(|to| {
        let wrong = |error| invalid(&format!("{place}to"), format!("{error}; expected an OIN"));
        to.parse().map_err(wrong)
    });
    Ok(Question {
        event: asked.event,
        to: to.transpose()?,
        within: read_within(&format!("{place}within"), asked.within)?,
    })
}

fn read_within(
    field: &str,
    within: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Refusal> {
    match within {
        None => Ok(None),
        Some(_) => duration(field, within, Duration::ZERO, WITHIN).map(Some),
    }
}

fn read_failure(failure: pb::AnswerFailure) -> Result<Failure, Refusal> {
    let code = match failure.code() {
        Code::NotFound => FailureCode::NotFound,
        Code::InvalidQuestion => FailureCode::InvalidQuestion,
        Code::Refused => FailureCode::Refused,
        Code::Unavailable => FailureCode::Unavailable,
        Code::Failed => FailureCode::Failed,
        Code::Unspecified => return Err(invalid("failure.code", "expected one that is known")),
    };
    Ok(Failure { code, message: failure.message })
}

fn write_gathered(gathered: Gathered, refusals: &mut Refusals) -> pb::GatherResponse {
    use pb::gather_response::Outcome as Written;
    let outcome = match gathered.outcome {
        Outcome::Answered(answer) => Written::Answer(write_answer(answer)),
        Outcome::Late => Written::Late(pb::Late {}),
        Outcome::Refused(refusal) => Written::Refusal(refusals.write(&refusal)),
    };
    let index = u32::try_from(gathered.index).unwrap_or(u32::MAX);
    pb::GatherResponse { index, outcome: Some(outcome) }
}

fn write_answer(answer: Answer) -> pb::AskResponse {
    use pb::ask_response::Result as Written;
    let result = match answer.result {
        Ok(event) => Written::Event(event),
        Err(failure) => Written::Failure(write_failure(failure)),
    };
    pb::AskResponse {
        answered_by: answer.by.to_string(),
        message_id: answer.message_id.to_string(),
        result: Some(result),
    }
}

fn write_failure(failure: Failure) -> pb::AnswerFailure {
    let code = match failure.code {
        FailureCode::NotFound => Code::NotFound,
        FailureCode::InvalidQuestion => Code::InvalidQuestion,
        FailureCode::Refused => Code::Refused,
        FailureCode::Unavailable => Code::Unavailable,
        FailureCode::Failed => Code::Failed,
    };
    pb::AnswerFailure { code: code.into(), message: failure.message }
}
