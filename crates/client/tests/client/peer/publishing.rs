use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};
use wissel_client::{Event, Uuid};
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::publish_outcome::Result as Outcome;
use wissel_proto::wissel::v1::publishing_server::Publishing;

use super::{INBOX, Service, State, bus_unavailable, refusal};

/// What was published.
#[derive(Default)]
pub(crate) struct Log {
    receipts: HashMap<(String, String), pb::Receipt>,
    /// `id` of each message in the order of first admission.
    pub(crate) admitted: Vec<String>,
    /// How many events came over streams, repeats included.
    pub(crate) received: usize,
    /// How many requests came over streams.
    pub(crate) requests: usize,
    /// `id` and how many times the bus does not take it.
    pub(crate) not_now: HashMap<String, usize>,
    /// `id` of what comes too fast, for ever.
    pub(crate) too_fast: Vec<String>,
}

/// How a publish stream fails.
pub(crate) enum StreamFault {
    /// The cable is cut after this many outcomes.
    CutAfter(usize),
    /// The stream ends with this status after this many outcomes.
    EndAfter(usize, Status),
    /// Positions are counted from this number.
    CountFrom(u64),
}

impl State {
    /// Publishes as a gateway does: refused, or durable and known.
    fn publish(&self, frame: &Bytes) -> Result<pb::Receipt, Status> {
        let event = Event::from_frame(frame.clone())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        if event.event_type() == "nl.unknown" {
            let mut details = ErrorDetails::with_error_info("UNKNOWN_EVENT_TYPE", "wissel", []);
            details.add_bad_request_violation("type", "is not in the catalogue");
            return Err(Status::with_error_details(
                Code::FailedPrecondition,
                "unknown event type",
                details,
            ));
        }
        if event.event_type() == "nl.failing" {
            return Err(refusal(Code::Internal, "INTERNAL", "see the log"));
        }
        let mut log = self.log.lock().unwrap();
        if log.too_fast.iter().any(|id| id == event.id()) {
            let mut details = ErrorDetails::with_error_info("RATE_LIMITED", "wissel", []);
            details.set_retry_info(Some(Duration::from_millis(1)));
            let code = Code::ResourceExhausted;
            return Err(Status::with_error_details(code, "more than it may", details));
        }
        if let Some(times) = log.not_now.get_mut(event.id())
            && *times > 0
        {
            *times -= 1;
            return Err(bus_unavailable());
        }
        let key = (event.source().to_owned(), event.id().to_owned());
        if let Some(receipt) = log.receipts.get(&key) {
            let receipt = receipt.clone();
            return Ok(pb::Receipt { repeated: true, ..receipt });
        }
        let receipt = pb::Receipt {
            warnings: Vec::new(),
            message_id: Uuid::now_v7().to_string(),
            source: key.0.clone(),
            id: key.1.clone(),
            admitted_at: Some(SystemTime::now().into()),
            inboxes: vec![INBOX.to_owned()],
            repeated: false,
        };
        log.admitted.push(key.1.clone());
        log.receipts.insert(key, receipt.clone());
        Ok(receipt)
    }

    fn outcome(&self, position: u64, frame: &Bytes) -> pb::PublishOutcome {
        let result = match self.publish(frame) {
            Ok(receipt) => Outcome::Receipt(receipt),
            Err(status) => Outcome::Refusal(to_rpc(&status)),
        };
        pb::PublishOutcome { position, result: Some(result) }
    }
}

fn to_rpc(status: &Status) -> tonic_types::Status {
    use prost::Message as _;
    if status.details().is_empty() {
        return tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        };
    }
    tonic_types::Status::decode(status.details()).unwrap()
}

type Outcomes = mpsc::Sender<Result<pb::PublishStreamResponse, Status>>;

#[tonic::async_trait]
impl Publishing for Service {
    type PublishStreamStream = ReceiverStream<Result<pb::PublishStreamResponse, Status>>;

    async fn publish(
        &self,
        request: Request<pb::PublishRequest>,
    ) -> Result<Response<pb::PublishResponse>, Status> {
        self.begin(&request)?;
        let receipt = self.0.publish(&request.into_inner().event)?;
        Ok(Response::new(pb::PublishResponse { receipt: Some(receipt) }))
    }

    async fn publish_batch(
        &self,
        request: Request<pb::PublishBatchRequest>,
    ) -> Result<Response<pb::PublishBatchResponse>, Status> {
        self.begin(&request)?;
        let events = request.into_inner().events;
        let outcomes = (0..).zip(&events);
        let outcomes = outcomes.map(|(position, frame)| self.0.outcome(position, frame));
        Ok(Response::new(pb::PublishBatchResponse { outcomes: outcomes.collect() }))
    }

    async fn publish_stream(
        &self,
        request: Request<Streaming<pb::PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        self.authenticate(&request)?;
        let state = Arc::clone(&self.0);
        let (outcomes, responses) = mpsc::channel(16);
        tokio::spawn(async move {
            state.streams.fetch_add(1, Ordering::SeqCst);
            serve(&state, request.into_inner(), outcomes).await;
            state.streams.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

async fn serve(
    state: &State,
    mut requests: impl Stream<Item = Result<pb::PublishStreamRequest, Status>> + Unpin,
    outcomes: Outcomes,
) {
    use futures::StreamExt as _;
    let fault = state.stream_faults.lock().unwrap().pop_front();
    let mut position = match fault {
        Some(StreamFault::CountFrom(first)) => first,
        _ => 0,
    };
    let mut given = 0;
    while let Some(Ok(request)) = requests.next().await {
        {
            let mut log = state.log.lock().unwrap();
            log.requests += 1;
            log.received += request.events.len();
        }
        let mut response = pb::PublishStreamResponse::default();
        let mut end = None;
        for frame in &request.events {
            if state.outcomes_allowed.available_permits() == 0 {
                let ready = std::mem::take(&mut response);
                let _ = outcomes.send(Ok(ready)).await;
            }
            tokio::select! {
                permit = state.outcomes_allowed.acquire() => permit.unwrap().forget(),
                () = outcomes.closed() => return,
            }
            match &fault {
                Some(StreamFault::CutAfter(count)) if given == *count => {
                    end = Some(None);
                    break;
                }
                Some(StreamFault::EndAfter(count, status)) if given == *count => {
                    end = Some(Some(status.clone()));
                    break;
                }
                _ => {}
            }
            response.outcomes.push(state.outcome(position, frame));
            position += 1;
            given += 1;
        }
        let _ = outcomes.send(Ok(response)).await;
        match end {
            Some(Some(status)) => {
                let _ = outcomes.send(Err(status)).await;
                return;
            }
            Some(None) => {
                // Most outcomes arrive before the cut, some do not.
                tokio::time::sleep(Duration::from_millis(1)).await;
                state.wire.cut();
                return;
            }
            None => {}
        }
    }
}
