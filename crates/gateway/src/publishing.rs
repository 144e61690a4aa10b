use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use uuid::Uuid;
use wissel_broker::{Broker, Caller, Receipt, Refusal, SessionEnd};
use wissel_bus::MessageId;
use wissel_message::Violation;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publishing_server::Publishing;

use crate::answers::{AnswerStream, Answers};
use crate::budget::{Budget, Spent};
use crate::calls::Calls;
use crate::fields::{invalid, timestamp, unreadable};
use crate::status::{Refusals, to_status};
use crate::traced::Traced;

/// The most events of one request.
const EVENTS_MAX: usize = 1_000;
/// How long what was read may take, and its caller to hear of it, once it is not known any more
/// who calls. Left in the middle, a message would be durable and unknown to deduplication.
const TIME_TO_FINISH: Duration = Duration::from_secs(10);

pub(crate) struct PublishingService(pub(crate) Arc<Calls>);

#[tonic::async_trait]
impl Publishing for PublishingService {
    type PublishStreamStream = AnswerStream<pb::PublishStreamResponse>;

    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> Result<Response<pb::PublishResponse>, Status> {
        let (traced, most) = (Traced::of(request.metadata()), self.0.broker.message_bytes_max());
        let publish = |caller, asked: pb::PublishRequest| async move {
            let event = traced.event(asked.event, most);
            let mut outcomes = self.publish_all(caller, vec![event]).await?;
            let receipt = outcomes.pop().expect("one outcome for one event")?;
            Ok(pb::PublishResponse { receipt: Some(to_receipt(receipt)) })
        };
        self.0.answer("Publish", request, publish).await
    }

    async fn publish_batch(
        &self,
        request: Request<pb::PublishBatchRequest>,
    ) -> Result<Response<pb::PublishBatchResponse>, Status> {
        let (traced, most) = (Traced::of(request.metadata()), self.0.broker.message_bytes_max());
        let publish = |caller, asked: pb::PublishBatchRequest| async move {
            check_count(&asked.events)?;
            let events = traced.events(asked.events, most);
            let outcomes = self.publish_all(caller, events).await?;
            Ok(pb::PublishBatchResponse { outcomes: to_outcomes(0, outcomes) })
        };
        self.0.answer("PublishBatch", request, publish).await
    }

    async fn publish_stream(
        &self,
        request: Request<Streaming<pb::PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let begun = self.0.begin("PublishStream", &request)?;
        let stream = PublishStream {
            broker: Arc::clone(&self.0.broker),
            caller: begun.caller.clone(),
            traced: Traced::of(request.metadata()),
            in_flight_max: self.0.options.in_flight_per_stream.max(1),
            budget: self.0.budget.clone(),
            waiting: VecDeque::new(),
            without_room: None,
            untold: VecDeque::new(),
            end: None,
        };
        let requests = request.into_inner();
        let run = |answers, unproven| stream.run(requests, answers, unproven);
        Ok(self.0.stream_until(begun, Some(TIME_TO_FINISH), run))
    }
}

impl PublishingService {
    /// Runs as a task of its own: a caller that goes away does not leave a message
    /// durable and unknown to deduplication.
    async fn publish_all(
        &self,
        caller: Caller,
        events: Vec<Bytes>,
    ) -> Result<Vec<Outcome>, Refusal> {
        let cut_off = self.0.cut_off.clone();
        let budget = self.0.budget.clone();
        let broker = Arc::clone(&self.0.broker);
        let publishing = async move {
            let publishing = async {
                let _spent = budget.spend(&events).await;
                Ok(broker.publish(&caller, events).await)
            };
            cut_off.unless_cut_off(publishing).await
        };
        let publishing = self.0.tasks.spawn(publishing.in_current_span());
        publishing.await.unwrap_or_else(|_| Err(self.0.cut_off.refusal()))
    }
}

type Outcome = Result<Receipt, Refusal>;

/// Messages, and what gives them room.
type WithoutRoom = BoxFuture<'static, (Vec<Bytes>, Spent)>;

/// One stream of messages, with its outcomes in order.
struct PublishStream {
    broker: Arc<Broker>,
    caller: Caller,
    /// For events that do not say themselves where they stand in a trace.
    traced: Traced,
    in_flight_max: usize,
    /// Messages of the latest request for which there was no room. Nothing is read
    /// until there is.
    waiting: VecDeque<Bytes>,
    /// Over all calls together.
    budget: Budget,
    /// Messages that wait for the budget.
    without_room: Option<WithoutRoom>,
    /// Outcomes that the caller has not read. They count as in flight, and hold no budget.
    untold: VecDeque<Vec<Outcome>>,
    /// How the reading ended, when it has.
    end: Option<Result<(), Status>>,
}

impl PublishStream {
    async fn run(
        mut self,
        mut requests: impl Stream<Item = Result<pb::PublishStreamRequest, Status>> + Unpin,
        answers: Answers<pb::PublishStreamResponse>,
        unproven: CancellationToken,
    ) -> Result<(), Status> {
        let stopping = self.broker.shutdown_token();
        let mut under_way = FuturesOrdered::new();
        let mut in_flight = 0;
        let mut position = 0;
        loop {
            let room = (self.in_flight_max - in_flight).min(EVENTS_MAX);
            if self.without_room.is_none() {
                let events = self.take_waiting(room, &mut requests);
                if !events.is_empty() {
                    in_flight += events.len();
                    match self.budget.try_spend(&events) {
                        Some(spent) => under_way.push_back(self.publish(events, spent)),
                        None => self.without_room = Some(self.make_room(events)),
                    }
                    continue;
                }
            }
            let all_begun = self.waiting.is_empty() && self.without_room.is_none();
            let all_told = under_way.is_empty() && self.untold.is_empty();
            if self.end.is_some() && all_told && all_begun {
                return self.end.unwrap_or(Ok(()));
            }
            tokio::select! {
                biased;
                Some(outcomes) = under_way.next() => self.untold.push_back(outcomes),
                // What is under way goes on, whether the caller reads or not.
                place = answers.reserve(), if !self.untold.is_empty() => match place {
                    Ok(place) => {
                        let outcomes = self.untold.pop_front().unwrap_or_default();
                        in_flight -= outcomes.len();
                        let first = position;
                        position += outcomes.len() as u64;
                        place.send(pb::PublishStreamResponse { outcomes: to_outcomes(first, outcomes) });
                    }
                    Err(_) => {
                        // Who went away gets no answers; what was begun is finished.
                        in_flight -= self.untold.drain(..).map(|outcomes| outcomes.len()).sum::<usize>();
                        self.waiting.clear();
                        self.without_room = None;
                        self.end = Some(Ok(()));
                    }
                },
                () = stopping.cancelled(), if self.end.is_none() => {
                    self.end = Some(Err(to_status(&SessionEnd::ShuttingDown.into())));
                }
                () = unproven.cancelled(), if self.end.is_none() => {
                    // Whoever awaits this says why.
                    self.end = Some(Ok(()));
                }
                Some((events, spent)) = maybe(&mut self.without_room) => {
                    self.without_room = None;
                    under_way.push_back(self.publish(events, spent));
                }
                request = requests.next(), if self.end.is_none() && room > 0 && all_begun => {
                    self.take(request);
                }
            }
        }
    }

    /// Gives messages to the broker, in the order of the calls. Their part of the budget is
    /// given back with their outcomes.
    fn publish(
        &self,
        events: Vec<Bytes>,
        spent: Spent,
    ) -> impl Future<Output = Vec<Outcome>> + use<> {
        let publishing = self.broker.publish(&self.caller, events);
        async move {
            let outcomes = publishing.await;
            drop(spent);
            outcomes
        }
    }

    fn make_room(&self, events: Vec<Bytes>) -> WithoutRoom {
        let budget = self.budget.clone();
        Box::pin(async move {
            let spent = budget.spend(&events).await;
            (events, spent)
        })
    }

    /// The messages that there is room for: those that wait and, once one has come,
    /// those of further requests that are there already. Together they cost less.
    fn take_waiting(
        &mut self,
        room: usize,
        mut requests: impl Stream<Item = Result<pb::PublishStreamRequest, Status>> + Unpin,
    ) -> Vec<Bytes> {
        let mut events = Vec::new();
        while events.len() < room && !self.waiting.is_empty() {
            let count = self.waiting.len().min(room - events.len());
            events.extend(self.waiting.drain(..count));
            while self.waiting.is_empty() && events.len() < room && self.end.is_none() {
                match requests.next().now_or_never() {
                    Some(request) => self.take(request),
                    None => break,
                }
            }
        }
        events
    }

    /// Takes what was read: messages, or the end.
    fn take(&mut self, request: Option<Result<pb::PublishStreamRequest, Status>>) {
        match request {
            Some(Ok(request)) => match check_count(&request.events) {
                Ok(()) => {
                    let most = self.broker.message_bytes_max();
                    self.waiting.extend(self.traced.events(request.events, most));
                }
                Err(refusal) => self.end = Some(Err(to_status(&refusal))),
            },
            Some(Err(status)) => self.end = Some(Err(unreadable(status))),
            None => self.end = Some(Ok(())),
        }
    }
}

/// What is waited for, if anything is.
async fn maybe<F: Future + Unpin>(waited_for: &mut Option<F>) -> Option<F::Output> {
    match waited_for {
        Some(waited_for) => Some(waited_for.await),
        None => None,
    }
}

fn check_count(events: &[Bytes]) -> Result<(), Refusal> {
    if events.len() <= EVENTS_MAX {
        return Ok(());
    }
    Err(invalid("events", format!("{} events; expected at most {EVENTS_MAX}", events.len())))
}

fn to_outcomes(first: u64, outcomes: Vec<Outcome>) -> Vec<pb::PublishOutcome> {
    use pb::publish_outcome::Result as Said;
    let mut refusals = Refusals::default();
    let outcomes = (first..).zip(outcomes);
    outcomes
        .map(|(position, outcome)| {
            let result = Some(match outcome {
                Ok(receipt) => Said::Receipt(to_receipt(receipt)),
                Err(refusal) => Said::Refusal(refusals.write(&refusal)),
            });
            pb::PublishOutcome { position, result }
        })
        .collect()
}

fn to_receipt(receipt: Receipt) -> pb::Receipt {
    let Receipt { message_id, repeated, ref inboxes, .. } = receipt;
    tracing::debug!(%message_id, repeated, inboxes = inboxes.len(), "message durable");
    pb::Receipt {
        message_id: message_id_text(receipt.message_id),
        source: receipt.source,
        id: receipt.id,
        admitted_at: timestamp(receipt.admitted_at),
        inboxes: receipt.inboxes.iter().map(|inbox| inbox.as_str().to_owned()).collect(),
        repeated: receipt.repeated,
        warnings: receipt.warnings.iter().map(to_warning).collect(),
    }
}

/// As it is displayed, without what a formatter costs: there is one for each message.
fn message_id_text(message_id: MessageId) -> String {
    let mut buffer = Uuid::encode_buffer();
    message_id.0.hyphenated().encode_lower(&mut buffer).to_owned()
}

fn to_warning(warning: &Violation) -> pb::Warning {
    pb::Warning {
        field: warning.field.clone(),
        rule: warning.rule.name().to_owned(),
        description: format!("{}; expected {}", warning.fault, warning.expected),
    }
}

#[cfg(test)]
mod tests;
