use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::future::TryFutureExt as _;
use futures::stream::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tonic::{Code, Response, Streaming};
use wissel_proto::wissel::v1::{PublishStreamRequest, PublishStreamResponse};

use super::outbound::Taken;
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
    /// At some attempt it was sent, or may have been, and no answer said that it was not kept.
    pub(super) may_be_kept: bool,
    /// Why it waits to be sent again: the answer to the last attempt that had one.
    pub(super) refused_for_now: Option<Refusal>,
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
    /// Of this stream.
    taken: Taken,
    /// The gateway has begun to answer on this stream.
    is_begun: bool,
    /// What the last stream was lost to, when nothing has come since.
    failed_of: Option<ClientError>,
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
            taken: Taken::default(),
            is_begun: false,
            failed_of: None,
        }
    }

    /// Until all is done, or it is told that it took so long that it is given up.
    pub(super) async fn run(mut self, given_up: oneshot::Receiver<Duration>) {
        tokio::select! {
            () = self.work() => {}
            Ok(after) = given_up => self.give_up(after),
        }
    }

    async fn work(&mut self) {
        let mut delays = self.client.settings().retry.delays();
        while self.wait_for_work().await {
            let Err(error) = self.run_stream().await else {
                return;
            };
            let was_of_use = self.position > 0;
            let was_begun = std::mem::take(&mut self.is_begun);
            self.mark_what_may_be_kept(was_begun || !is_kept_out(&error));
            self.sent = 0;
            self.position = 0;
            if was_of_use {
                delays = self.client.settings().retry.delays();
            }
            // What a stream began with may be over; there may be a token that is not.
            let may_be_let_in = was_begun && error.is_unauthenticated();
            let is_final = !error.is_retryable() && !may_be_let_in;
            self.fail_what_is_final(&error, is_final);
            self.failed_of = Some(error.clone());
            if !self.unsettled.is_empty() {
                let delay = delays.after(&error);
                let unsettled = self.unsettled.len();
                tracing::warn!(%error, ?delay, unsettled, "publish stream lost, opening it again");
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
    async fn run_stream(&mut self) -> Result<(), ClientError> {
        let (requests, outbound) = mpsc::channel(1);
        let request = self.client.request(self.taken.clone().count(outbound)).await?;
        let mut service = self.client.publishing(self.client.channel());
        let opening = async move { service.publish_stream(request).await };
        let opening = opening.map_ok(Response::into_inner);
        tokio::pin!(opening);
        let mut inbound = None;

        while !self.is_drained() {
            tokio::select! {
                opened = &mut opening, if inbound.is_none() => {
                    inbound = Some(opened.map_err(|status| ClientError::from_status(&status))?);
                    self.is_begun = true;
                }
                response = next(&mut inbound) => self.settle(response?)?,
                Ok(room) = requests.reserve(), if self.sent < self.unsettled.len() => {
                    room.send(self.next_request());
                }
                () = self.take_in() => {}
            }
        }
        drop(requests);
        if let Some(inbound) = inbound {
            wait_for_end(inbound).await;
        }
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
        self.failed_of = None;
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
                Ok(Err(refusal)) => entry.refuse(refusal),
                Err(error) => entry.resolve(Err(ClientError::may_be_published(error))),
            }
        }
        Ok(())
    }

    fn wait_or_give_up(&mut self, mut entry: Entry, refusal: Refusal) {
        // Of a bus that is away nobody knows what it took.
        entry.may_be_kept |= refusal.code != Code::ResourceExhausted;
        entry.refused_for_now = Some(refusal.clone());
        let error = ClientError::Unavailable(refusal);
        let retry = &self.client.settings().retry;
        let delay = entry.delays.get_or_insert_with(|| retry.delays()).after(&error);
        if entry.is_given_up_at(Instant::now() + delay) {
            entry.fail(error);
        } else {
            self.waiting.insert(entry, delay);
        }
    }

    /// After a stream was lost: everything fails when another stream would not do
    /// better; otherwise only what was tried for long enough.
    fn fail_what_is_final(&mut self, error: &ClientError, is_final: bool) {
        let now = Instant::now();
        let unsettled = std::mem::take(&mut self.unsettled);
        for entry in unsettled {
            if !is_final && !entry.is_given_up_at(now) {
                self.unsettled.push_back(entry);
            } else {
                entry.fail(error.clone());
            }
        }
    }

    /// At the end of a stream: what was taken of it may have come to a gateway, if it was let in.
    fn mark_what_may_be_kept(&mut self, was_let_in: bool) {
        let settled = usize::try_from(self.position).unwrap_or(usize::MAX);
        let taken = std::mem::take(&mut self.taken).end().saturating_sub(settled);
        if was_let_in {
            self.unsettled.iter_mut().take(taken).for_each(|entry| entry.may_be_kept = true);
        }
    }

    /// Everything without an outcome fails: of the last answer to it, or of there being none.
    fn give_up(&mut self, after: Duration) {
        let before = self.failed_of.take().map(|error| error.to_string());
        let error = ClientError::DeadlineExceeded { after, before };
        self.mark_what_may_be_kept(true);
        self.accepted.close();
        while let Ok(entry) = self.accepted.try_recv() {
            self.arrived.push(entry);
        }
        while let Some(key) = self.waiting.peek() {
            self.arrived.push(self.waiting.remove(&key).into_inner());
        }
        let unsettled = std::mem::take(&mut self.unsettled).into_iter();
        for mut entry in unsettled.chain(std::mem::take(&mut self.arrived)) {
            let refused = entry.refused_for_now.take().map(ClientError::Unavailable);
            entry.fail(refused.unwrap_or_else(|| error.clone()));
        }
    }
}

impl Entry {
    fn is_given_up_at(&self, moment: Instant) -> bool {
        self.give_up_at.is_some_and(|end| end <= moment)
    }

    /// It has no receipt, and none will come.
    fn fail(self, error: ClientError) {
        let error = match self.may_be_kept {
            true => ClientError::may_be_published(error),
            false => ClientError::not_published(error),
        };
        self.resolve(Err(error));
    }

    /// It has an answer, which is about this attempt.
    fn refuse(self, refusal: Refusal) {
        // Of a gateway that failed nobody knows what it did before.
        let may_be_kept = self.may_be_kept || refusal.code == Code::Internal;
        let error = ClientError::from(refusal);
        let error = match may_be_kept {
            true => ClientError::may_be_published(error),
            false => error,
        };
        self.resolve(Err(error));
    }

    fn resolve(self, outcome: Result<Receipt, ClientError>) {
        // Nobody may be waiting; the message was published all the same.
        let _ = self.outcome.send(outcome);
    }
}

/// Whether this says that nothing of a stream was read, on which no answer has begun: there was no
/// connection, or the gateway itself would not have the caller.
fn is_kept_out(error: &ClientError) -> bool {
    match error {
        ClientError::Untrusted { .. } | ClientError::CertificateRefused { .. } => true,
        // What stands before a gateway may say no after it has passed all on, and gives no reason.
        error => error.refusal().is_some_and(|refusal| !refusal.reason.is_empty()),
    }
}

/// Never, on a stream that is not open yet.
async fn next(
    inbound: &mut Option<Streaming<PublishStreamResponse>>,
) -> Result<PublishStreamResponse, ClientError> {
    match inbound {
        None => std::future::pending().await,
        Some(inbound) => match inbound.message().await {
            Ok(response) => response.ok_or_else(ClientError::stream_ended),
            Err(status) => Err(ClientError::from_status(&status)),
        },
    }
}

/// Everything has its outcome: how the stream ends changes nothing.
async fn wait_for_end(mut inbound: Streaming<PublishStreamResponse>) {
    let end = async { while let Ok(Some(_)) = inbound.message().await {} };
    let _ = tokio::time::timeout(TIME_TO_END, end).await;
}
