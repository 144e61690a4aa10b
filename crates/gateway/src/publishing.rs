use std::sync::Arc;

use bytes::Bytes;
use futures::stream::FuturesOrdered;
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wissel_broker::{Broker, Caller, Receipt, Refusal};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publishing_server::Publishing;

use crate::fields::{invalid, timestamp};
use crate::gateway::Shared;
use crate::status::{to_rpc_status, to_status};

/// The most events of one request.
const EVENTS_MAX: usize = 1_000;
/// How many requests that are there already are taken up together.
const REQUESTS_AT_ONCE: usize = 256;
/// How many answers wait for a publisher that does not read. Then its messages are
/// no longer read.
const ANSWERS_WAITING: usize = 16;

pub(crate) struct PublishingService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Publishing for PublishingService {
    type PublishStreamStream = ReceiverStream<Result<pb::PublishStreamResponse, Status>>;

    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> Result<Response<pb::PublishResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let outcome = self
            .publish_all(caller, vec![request.into_inner().event])
            .await?
            .pop();
        match outcome.expect("one outcome for one event") {
            Ok(receipt) => Ok(Response::new(pb::PublishResponse {
                receipt: Some(to_receipt(receipt)),
            })),
            Err(refusal) => Err(to_status(&refusal)),
        }
    }

    async fn publish_batch(
        &self,
        request: Request<pb::PublishBatchRequest>,
    ) -> Result<Response<pb::PublishBatchResponse>, Status> {
        let caller = self.0.caller(&request)?;
        let events = request.into_inner().events;
        check_count(&events).map_err(|refusal| to_status(&refusal))?;
        let outcomes = to_outcomes(0, self.publish_all(caller, events).await?);
        Ok(Response::new(pb::PublishBatchResponse { outcomes }))
    }

    async fn publish_stream(
        &self,
        request: Request<Streaming<pb::PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let caller = self.0.caller(&request)?;
        let (answers, receiver) = mpsc::channel(ANSWERS_WAITING);
        let stream = PublishStream {
            broker: Arc::clone(&self.0.broker),
            caller,
            in_flight_max: self.0.options.in_flight_per_stream,
            answers,
        };
        let requests = request.into_inner().ready_chunks(REQUESTS_AT_ONCE);
        self.0.tasks.spawn(stream.run(requests));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl PublishingService {
    /// Runs as a task of its own: a caller that goes away does not leave a message
    /// durable and unknown to deduplication.
    async fn publish_all(
        &self,
        caller: Caller,
        events: Vec<Bytes>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, Status> {
        let publishing = self.0.tasks.spawn(self.0.broker.publish(caller, events));
        publishing
            .await
            .map_err(|_| Status::internal("the call was cut off"))
    }
}

/// One stream of messages, with its outcomes in order.
struct PublishStream {
    broker: Arc<Broker>,
    caller: Caller,
    in_flight_max: usize,
    answers: mpsc::Sender<Result<pb::PublishStreamResponse, Status>>,
}

type Requests = Vec<Result<pb::PublishStreamRequest, Status>>;

impl PublishStream {
    async fn run(self, mut requests: impl Stream<Item = Requests> + Unpin) {
        let stopping = self.broker.shutdown_token();
        let mut under_way = FuturesOrdered::new();
        let mut in_flight = 0;
        let mut position = 0;
        let mut reading = true;
        let mut last_word = None;
        while reading || !under_way.is_empty() {
            tokio::select! {
                biased;
                Some(outcomes) = under_way.next() => {
                    let outcomes: Vec<Result<Receipt, Refusal>> = outcomes;
                    in_flight -= outcomes.len();
                    let first = position;
                    position += outcomes.len() as u64;
                    let outcomes = to_outcomes(first, outcomes);
                    let answer = pb::PublishStreamResponse { outcomes };
                    // Who went away gets no answers; what was begun is finished.
                    reading &= self.answers.send(Ok(answer)).await.is_ok();
                }
                () = stopping.cancelled(), if reading => {
                    reading = false;
                    last_word = Some(to_status(&wissel_broker::SessionEnd::ShuttingDown.into()));
                }
                next = requests.next(), if reading && in_flight < self.in_flight_max => {
                    let (events, end) = gather(next);
                    if !events.is_empty() {
                        in_flight += events.len();
                        under_way.push_back(self.broker.publish(self.caller, events));
                    }
                    if let Some(end) = end {
                        reading = false;
                        last_word = end;
                    }
                }
            }
        }
        if let Some(status) = last_word {
            let _ = self.answers.send(Err(status)).await;
        }
    }
}

/// The events of the requests that are there, and how the stream ends, if it does.
fn gather(requests: Option<Requests>) -> (Vec<Bytes>, Option<Option<Status>>) {
    let Some(requests) = requests else {
        return (Vec::new(), Some(None));
    };
    let mut events = Vec::new();
    for request in requests {
        match request {
            Ok(request) => match check_count(&request.events) {
                Ok(()) => events.extend(request.events),
                Err(refusal) => return (events, Some(Some(to_status(&refusal)))),
            },
            Err(status) => return (events, Some(Some(status))),
        }
    }
    (events, None)
}

fn check_count(events: &[Bytes]) -> Result<(), Refusal> {
    if events.len() <= EVENTS_MAX {
        return Ok(());
    }
    Err(invalid(
        "events",
        format!("{} events; expected at most {EVENTS_MAX}", events.len()),
    ))
}

fn to_outcomes(first: u64, outcomes: Vec<Result<Receipt, Refusal>>) -> Vec<pb::PublishOutcome> {
    use pb::publish_outcome::Result as Outcome;
    let outcomes = (first..).zip(outcomes);
    outcomes
        .map(|(position, outcome)| {
            let result = Some(match outcome {
                Ok(receipt) => Outcome::Receipt(to_receipt(receipt)),
                Err(refusal) => Outcome::Refusal(to_rpc_status(&refusal)),
            });
            pb::PublishOutcome { position, result }
        })
        .collect()
}

fn to_receipt(receipt: Receipt) -> pb::Receipt {
    pb::Receipt {
        message_id: receipt.message_id.to_string(),
        source: receipt.source,
        id: receipt.id,
        admitted_at: timestamp(receipt.admitted_at),
        inboxes: receipt.inboxes.iter().map(ToString::to_string).collect(),
        repeated: receipt.repeated,
    }
}
