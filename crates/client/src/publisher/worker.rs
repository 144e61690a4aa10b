use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{FutureExt as _, TryFutureExt as _};
use futures::stream::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::time::DelayQueue;
use tonic::Response;
use wissel_proto::wissel::v1::{PublishStreamRequest, PublishStreamResponse};

use crate::publishing::{MAX_BATCH, framed_length, read_result};
use crate::retry::Delays;
use crate::{Client, ClientError, Receipt, Refusal};

/// A request holds about this many bytes at most, unless one message alone is
/// larger.
const BYTES_AT_ONCE: usize = 256 << 10;
/// How long the gateway has to end a stream that has no more to say.
const TIME_TO_END: Duration = Duration::from_secs(5);

/// A message without an outcome.
pub(super) struct Entry {
    pub(super) frame: Bytes,
    pub(super) outcome: oneshot::Sender<Result<Receipt, ClientError>>,
    /// Past this moment a failure is final.
    pub(super) give_up_at: Option<Instant>,
    /// Between attempts while the bus is unavailable for this message.
    pub(super) delays: Option<Delays>,
    /// Its place and its bytes among those in flight.
    pub(super) _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// The background task of a publisher. What it holds is bounded by the places in
/// flight.
pub(super) struct Worker {
    client: Client,
    accepted: mpsc::Receiver<Entry>,
    /// False when the publisher will hand over nothing more.
    is_open: bool,
    /// In the order of the stream. The first `sent` are on it.
    unsettled: VecDeque<Entry>,
    sent: usize,
    /// Of the next outcome on this stream.
    position: u64,
    /// Not taken by the bus; to be sent again later.
    waiting: DelayQueue<Entry>,
    arrived: Vec<Entry>,
}

/// A stream that ended too early.
struct Lost {
    error: ClientError,
    /// An outcome came over it.
    was_of_use: bool,
}

impl Worker {
    pub(super) fn new(client: Client, accepted: mpsc::Receiver<Entry>) -> Self {
        Self {
            client,
            accepted,
            is_open: true,
            unsettled: VecDeque::new(),
            sent: 0,
            position: 0,
            waiting: DelayQueue::new(),
            arrived: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut delays = self.client.settings().retry.delays();
        while self.wait_for_work().await {
            let Err(lost) = self.run_stream().await else {
                return;
            };
            self.sent = 0;
            self.position = 0;
            if lost.was_of_use {
                delays = self.client.settings().retry.delays();
            }
            self.fail_what_is_final(&lost.error);
            if !self.unsettled.is_empty() {
                let delay = delays.after(&lost.error);
                let unsettled = self.unsettled.len();
                tracing::warn!(error = %lost.error, ?delay, unsettled, "publish stream lost, opening it again");
                tokio::time::sleep(delay).await;
            }
        }
    }

    /// False when there is none and none will come.
    async fn wait_for_work(&mut self) -> bool {
        while self.unsettled.is_empty() {
            if self.is_drained() {
                return false;
            }
            self.take_in().await;
        }
        true
    }

    /// One stream, from its opening until it is lost, or all is done.
    async fn run_stream(&mut self) -> Result<(), Lost> {
        let (requests, outbound) = mpsc::channel(1);
        let request = self.client.request(ReceiverStream::new(outbound)).await;
        let request = request.map_err(|error| self.lost(error))?;
        let mut service = self.client.publishing(self.client.channel());
        let inbound = async move { service.publish_stream(request).await }
            .map(|opened| opened.map(Response::into_inner))
            .try_flatten_stream()
            .map_err(|status| ClientError::from_status(&status));
        tokio::pin!(inbound);

        while !self.is_drained() {
            tokio::select! {
                response = inbound.next() => {
                    let response = response.unwrap_or_else(|| Err(ClientError::stream_ended()));
                    response
                        .and_then(|response| self.settle(response))
                        .map_err(|error| self.lost(error))?;
                }
                Ok(room) = requests.reserve(), if self.sent < self.unsettled.len() => {
                    room.send(self.next_request());
                }
                () = self.take_in() => {}
            }
        }
        drop(requests);
        wait_for_end(inbound).await;
        Ok(())
    }

    /// Takes in what was handed over, or what has waited long enough. Never ends
    /// when nothing can come. Nothing is lost when this is dropped.
    async fn take_in(&mut self) {
        tokio::select! {
            count = self.accepted.recv_many(&mut self.arrived, MAX_BATCH), if self.is_open => {
                self.is_open = count > 0;
                self.unsettled.extend(self.arrived.drain(..));
            }
            Some(entry) = self.waiting.next(), if !self.waiting.is_empty() => {
                self.unsettled.push_back(entry.into_inner());
            }
            else => std::future::pending().await,
        }
    }

    fn is_drained(&self) -> bool {
        !self.is_open && self.unsettled.is_empty() && self.waiting.is_empty()
    }

    fn next_request(&mut self) -> PublishStreamRequest {
        let limit = self.client.settings().max_message_bytes;
        let most_bytes = BYTES_AT_ONCE.min(limit / 2);
        let mut events = Vec::new();
        let mut bytes = 0;
        for entry in self.unsettled.range(self.sent..) {
            bytes += framed_length(&entry.frame);
            let is_full = events.len() == MAX_BATCH || bytes > most_bytes;
            if is_full && !events.is_empty() {
                break;
            }
            events.push(entry.frame.clone());
        }
        self.sent += events.len();
        PublishStreamRequest { events }
    }

    fn settle(&mut self, response: PublishStreamResponse) -> Result<(), ClientError> {
        for outcome in response.outcomes {
            if outcome.position != self.position || self.sent == 0 {
                return Err(ClientError::protocol(format!(
                    "an outcome for position {}; expected one for {} of {} sent",
                    outcome.position, self.position, self.sent
                )));
            }
            let Some(entry) = self.unsettled.pop_front() else {
                return Err(ClientError::protocol("an outcome of nothing"));
            };
            self.position += 1;
            self.sent -= 1;
            match read_result(outcome.result) {
                Ok(Ok(receipt)) => entry.resolve(Ok(receipt)),
                Ok(Err(refusal)) if refusal.is_for_now() => {
                    self.wait_or_give_up(entry, refusal);
                }
                Ok(Err(refusal)) => entry.resolve(Err(refusal.into())),
                Err(error) => entry.resolve(Err(error)),
            }
        }
        Ok(())
    }

    fn wait_or_give_up(&mut self, mut entry: Entry, refusal: Refusal) {
        let error = ClientError::Unavailable(refusal);
        let retry = &self.client.settings().retry;
        let delay = entry.delays.get_or_insert_with(|| retry.delays()).after(&error);
        if entry.is_given_up_at(Instant::now() + delay) {
            entry.resolve(Err(error));
        } else {
            self.waiting.insert(entry, delay);
        }
    }

    /// After a stream was lost: everything fails when another stream would not do
    /// better; otherwise only what was tried for long enough.
    fn fail_what_is_final(&mut self, error: &ClientError) {
        let now = Instant::now();
        let unsettled = std::mem::take(&mut self.unsettled);
        for entry in unsettled {
            if error.is_retryable() && !entry.is_given_up_at(now) {
                self.unsettled.push_back(entry);
            } else {
                entry.resolve(Err(error.clone()));
            }
        }
    }

    fn lost(&self, error: ClientError) -> Lost {
        Lost { error, was_of_use: self.position > 0 }
    }
}

impl Entry {
    fn is_given_up_at(&self, moment: Instant) -> bool {
        self.give_up_at.is_some_and(|end| end <= moment)
    }

    fn resolve(self, outcome: Result<Receipt, ClientError>) {
        // Nobody may be waiting; the message was published all the same.
        let _ = self.outcome.send(outcome);
    }
}

/// Everything has its outcome: how the stream ends changes nothing.
async fn wait_for_end(inbound: impl Stream<Item = Result<PublishStreamResponse, ClientError>>) {
    let end = inbound.for_each(|_| std::future::ready(()));
    let _ = tokio::time::timeout(TIME_TO_END, end).await;
}
