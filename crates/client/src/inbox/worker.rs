use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_response::Response;

use super::delivery::{Delivery, Hold};
use super::doubts::Doubts;
use super::link::{Link, Opening, next_response};
use super::settlements::{Settlement, Settlements, Verdict};
use super::{Counts, HAND_OVER};
use crate::ClientError;

/// Settlements that have not been sent; more wait at the caller.
const MOST_UNSENT: usize = 4_096;
/// How long the gateway has to take the last settlements and end the stream.
const TIME_TO_END: Duration = Duration::from_secs(5);

/// The background task of an open inbox.
pub(super) struct Worker {
    opening: Opening,
    to_caller: mpsc::Sender<Result<Delivery, ClientError>>,
    from_caller: mpsc::Receiver<Settlement>,
    /// For each delivery to settle itself by.
    to_worker: mpsc::Sender<Settlement>,
    counts: Arc<Counts>,
    closing: CancellationToken,
    held: Held,
    /// Not yet handed to the caller; no more than are held.
    ready: VecDeque<Delivery>,
    unsent: Settlements,
    arrived: Vec<Settlement>,
    doubts: Doubts,
}

/// What this stream holds, by delivery id.
struct Held {
    holds: HashMap<u64, Hold>,
    counts: Arc<Counts>,
}

impl Worker {
    pub(super) fn new(
        opening: Opening,
        to_caller: mpsc::Sender<Result<Delivery, ClientError>>,
        counts: Arc<Counts>,
        closing: CancellationToken,
    ) -> Self {
        let (to_worker, from_caller) = mpsc::channel(HAND_OVER);
        let held = Held { holds: HashMap::new(), counts: Arc::clone(&counts) };
        Self {
            opening,
            to_caller,
            from_caller,
            to_worker,
            counts,
            closing,
            held,
            ready: VecDeque::new(),
            unsent: Settlements::default(),
            arrived: Vec::new(),
            doubts: Doubts::default(),
        }
    }

    /// Answers how many settlements are not known to have been taken.
    pub(super) async fn run(mut self, link: Link) -> u64 {
        self.carry(link).await;
        // What was settled when there was no stream any more.
        self.take_last_settlements();
        self.doubts.count()
    }

    async fn carry(&mut self, mut link: Link) {
        let closing = self.closing.clone();
        loop {
            let lost = tokio::select! {
                error = self.serve(&mut link) => error,
                () = closing.cancelled() => {
                    self.finish(link).await;
                    return;
                }
            };
            self.counts.is_cut_off.store(true, Ordering::Relaxed);
            drop(link);
            self.forget_everything();
            let opened = tokio::select! {
                opened = self.open_again(lost) => opened,
                () = closing.cancelled() => return,
            };
            link = match opened {
                Ok(link) => link,
                Err(error) => {
                    // The caller may be gone; then nobody needs to know.
                    let _ = self.to_caller.send(Err(error)).await;
                    return;
                }
            };
            self.counts.is_cut_off.store(false, Ordering::Relaxed);
            self.counts.reconnects.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Carries deliveries and settlements until the stream is lost, and says why
    /// it was. Nothing is lost when this is dropped.
    async fn serve(&mut self, link: &mut Link) -> ClientError {
        let to_caller = self.to_caller.clone();
        let Link { requests, responses } = link;
        loop {
            let may_take_more = self.unsent.len() < MOST_UNSENT;
            tokio::select! {
                response = next_response(responses) => {
                    if let Err(error) = response.and_then(|response| self.take(response)) {
                        return error;
                    }
                }
                Ok(room) = to_caller.reserve(), if !self.ready.is_empty() => {
                    if let Some(delivery) = self.ready.pop_front() {
                        room.send(Ok(delivery));
                    }
                    self.hand_over();
                }
                _ = self.from_caller.recv_many(&mut self.arrived, HAND_OVER), if may_take_more => {
                    self.take_settlements();
                }
                Ok(room) = requests.reserve(), if !self.unsent.is_empty() => {
                    if let Some(request) = self.unsent.next_request() {
                        self.doubts.send(&request);
                        room.send(request);
                    }
                }
            }
        }
    }

    fn take(&mut self, response: Response) -> Result<(), ClientError> {
        match response {
            Response::Opened(_) => Err(ClientError::protocol("`opened` a second time")),
            Response::Deliveries(deliveries) => {
                let mut deliveries = deliveries.deliveries.into_iter();
                deliveries.try_for_each(|delivery| self.take_delivery(delivery))
            }
            Response::LeaseLost(lost) => {
                for delivery_id in lost.delivery_ids {
                    self.held.lose(delivery_id);
                    self.doubts.lose(delivery_id);
                }
                self.ready.retain(|delivery| !delivery.is_lease_lost());
                Ok(())
            }
        }
    }

    fn take_delivery(&mut self, delivery: pb::Delivery) -> Result<(), ClientError> {
        // A lease that has just ended may be told of after the next delivery: so
        // up to twice the credit can be seen here, and more is a fault.
        let credit = usize::try_from(self.opening.credit).unwrap_or(usize::MAX);
        if self.held.holds.len() >= credit.saturating_mul(2) {
            return Err(ClientError::protocol(format!(
                "more deliveries than the credit of {credit} allows"
            )));
        }
        let delivery_id = delivery.delivery_id;
        match Delivery::read(delivery, self.to_worker.clone()) {
            Ok(delivery) => {
                self.held.holds.insert(delivery_id, delivery.hold().clone());
                self.doubts.hold(self.held.holds.len(), credit);
                self.ready.push_back(delivery);
            }
            Err(error) => {
                let inbox = &self.opening.inbox;
                tracing::error!(%inbox, delivery_id, %error, "delivery cannot be read, rejecting it");
                let reason = "the receiver's client could not read the delivery".to_owned();
                self.unsent.push(delivery_id, Verdict::Reject { reason });
            }
        }
        Ok(())
    }

    /// Hands over what the caller has room for.
    fn hand_over(&mut self) {
        while !self.ready.is_empty() {
            let Ok(room) = self.to_caller.try_reserve() else {
                return;
            };
            if let Some(delivery) = self.ready.pop_front() {
                room.send(Ok(delivery));
            }
        }
    }

    fn take_settlements(&mut self) {
        for Settlement { hold, verdict } in self.arrived.drain(..) {
            let is_final = !matches!(verdict, Verdict::Extend { .. });
            // One from a lost stream may bear the id of another delivery here.
            if hold.is_lost() {
                if is_final {
                    self.doubts.lose_message(hold.message_id);
                }
                continue;
            }
            if is_final {
                self.held.holds.remove(&hold.delivery_id);
                self.doubts.settle(&hold);
            }
            self.unsent.push(hold.delivery_id, verdict);
        }
    }

    /// The stream is lost: the gateway gives everything back.
    fn forget_everything(&mut self) {
        self.held.lose_all();
        self.ready.clear();
        self.unsent = Settlements::default();
        self.doubts.lose_all();
    }

    async fn open_again(&self, lost: ClientError) -> Result<Link, ClientError> {
        let inbox = &self.opening.inbox;
        let mut delays = self.opening.client.settings().retry.delays();
        // What the stream began with may be over; there may be a token that is not.
        let mut may_be_let_in = lost.is_unauthenticated();
        let mut error = lost;
        while error.is_retryable() || std::mem::take(&mut may_be_let_in) {
            let delay = delays.after(&error);
            tracing::warn!(%inbox, %error, ?delay, "delivery stream lost, opening it again");
            tokio::time::sleep(delay).await;
            match self.opening.open_once().await {
                Ok(link) => return Ok(link),
                Err(another) => error = another,
            }
        }
        Err(error)
    }

    fn take_last_settlements(&mut self) {
        self.from_caller.close();
        while let Ok(settlement) = self.from_caller.try_recv() {
            self.arrived.push(settlement);
        }
        self.take_settlements();
    }

    /// Sends the last settlements and ends the stream.
    async fn finish(&mut self, link: Link) {
        self.take_last_settlements();
        let Link { requests, responses } = link;
        let unsent = &mut self.unsent;
        let send = async move {
            while let Some(request) = unsent.next_request() {
                if requests.send(request).await.is_err() {
                    return false;
                }
            }
            true
        };
        let receive = receive_last(responses, &mut self.doubts);
        let both = async { tokio::join!(send, receive) };
        match tokio::time::timeout(TIME_TO_END, both).await {
            Ok((true, true)) => self.doubts.all_taken(),
            Ok(_) => {}
            Err(_) => {
                let inbox = &self.opening.inbox;
                tracing::warn!(%inbox, "the gateway did not end the stream in time");
            }
        }
    }
}

/// Reads what still comes, so that the gateway is not held up in sending it; what it hands out is
/// given back when the stream ends. Whether it ends in good order.
async fn receive_last(
    mut responses: Streaming<pb::SubscribeResponse>,
    doubts: &mut Doubts,
) -> bool {
    loop {
        match responses.message().await {
            Ok(Some(pb::SubscribeResponse { response: Some(Response::LeaseLost(lost)) })) => {
                lost.delivery_ids.into_iter().for_each(|id| doubts.lose(id));
            }
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

// === impl Held ===

impl Held {
    /// The gateway no longer holds it for this stream, and may have taken it back
    /// before a settlement reached it: it comes again in any case.
    fn lose(&mut self, delivery_id: u64) {
        self.counts.leases_lost.fetch_add(1, Ordering::Relaxed);
        if let Some(hold) = self.holds.remove(&delivery_id) {
            hold.lose();
        }
    }

    fn lose_all(&mut self) {
        let count = u64::try_from(self.holds.len()).unwrap_or(u64::MAX);
        self.counts.leases_lost.fetch_add(count, Ordering::Relaxed);
        for (_, hold) in self.holds.drain() {
            hold.lose();
        }
    }
}

impl Drop for Held {
    /// However the task ends, what it held is given back.
    fn drop(&mut self) {
        self.lose_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wissel_message::Event;

    use super::*;
    use crate::Client;

    fn delivery(delivery_id: u64) -> pb::Delivery {
        let event = Event::builder("1", "urn:nld:oin:00000001002220647000", "nl.brp.geboorte");
        pb::Delivery {
            traceparent: String::new(),
            delivery_id,
            event: event.build().unwrap().encode(),
            message_id: uuid::Uuid::now_v7().to_string(),
            publisher: "00000001002220647000".to_owned(),
            admitted_at: Some(SystemTime::now().into()),
            attempt: 1,
            lease_ends_at: Some(SystemTime::now().into()),
            deadline: None,
            replayed: false,
        }
    }

    #[tokio::test]
    async fn a_settlement_that_was_under_way_when_the_stream_was_lost_settles_nothing_else() {
        let opening = Opening {
            client: Client::builder("http://127.0.0.1:1").connect().unwrap(),
            inbox: "00000001002220647000.geboorten".parse().unwrap(),
            credit: 1,
            lease: Duration::from_secs(30),
        };
        let (to_caller, _deliveries) = mpsc::channel(1);
        let closing = CancellationToken::new();
        let mut worker = Worker::new(opening, to_caller, Arc::default(), closing);
        worker.take_delivery(delivery(7)).unwrap();
        let stale = worker.ready.pop_front().unwrap();
        stale.acknowledge().await.unwrap();

        worker.forget_everything();
        worker.take_delivery(delivery(7)).unwrap();
        worker.arrived.extend(worker.from_caller.try_recv());
        worker.take_settlements();
        assert!(worker.unsent.is_empty());
        assert!(worker.held.holds.contains_key(&7));
        assert!(!worker.ready[0].is_lease_lost());
        assert_eq!(worker.doubts.count(), 1);
    }
}
