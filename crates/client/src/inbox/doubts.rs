use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;
use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request;

use super::delivery::Hold;

/// How many messages of lost streams are known by their id. More are counted, and stay so.
const MOST_KNOWN: usize = 20_000;

/// The settlements of which it is not known that the gateway took them. It answers none; but it
/// has no more unsettled than the credit, takes settlements in their order, and ends a stream
/// that was closed in good order only when it has taken them all.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Those of the stream of now, by delivery id.
    settled: HashMap<u64, Uuid>,
    /// Delivery ids of what was sent, the oldest first. What is no longer in `settled` is in no
    /// doubt.
    sent: VecDeque<u64>,
    /// Messages that were settled by a stream that was lost, or when their lease had ended.
    lost: HashSet<Uuid>,
    /// How many there are besides.
    more_lost: u64,
}

impl Doubts {
    /// A delivery is settled. If that is what became of a message that came again, it is what
    /// counts.
    pub(super) fn settle(&mut self, hold: &Hold) {
        self.lost.remove(&hold.message_id);
        self.settled.insert(hold.delivery_id, hold.message_id);
    }

    /// This goes to the gateway next.
    pub(super) fn send(&mut self, request: &pb::SubscribeRequest) {
        let ids = match &request.request {
            Some(Request::Acknowledge(asked)) => &asked.delivery_ids,
            Some(Request::Retry(asked)) => &asked.delivery_ids,
            Some(Request::Reject(asked)) => &asked.delivery_ids,
            Some(Request::Open(_) | Request::ExtendLease(_)) | None => return,
        };
        self.sent.extend(ids);
    }

    /// So many are not settled at this side. The gateway took the oldest settlements, when
    /// otherwise it would have more unsettled than the credit allows; twice that, as it may tell
    /// of an ended lease after the delivery that takes its place.
    pub(super) fn hold(&mut self, unsettled: usize, credit: usize) {
        let most = credit.saturating_mul(2).saturating_sub(unsettled);
        while self.settled.len() > most
            && let Some(oldest) = self.sent.pop_front()
        {
            self.settled.remove(&oldest);
        }
    }

    /// The gateway no longer held this delivery, perhaps before it was settled.
    pub(super) fn lose(&mut self, delivery_id: u64) {
        if let Some(message_id) = self.settled.remove(&delivery_id) {
            self.lose_message(message_id);
        }
    }

    /// A settlement of this message was never sent.
    pub(super) fn lose_message(&mut self, message_id: Uuid) {
        if self.lost.len() < MOST_KNOWN || self.lost.contains(&message_id) {
            self.lost.insert(message_id);
        } else {
            self.more_lost += 1;
        }
    }

    /// The stream is lost.
    pub(super) fn lose_all(&mut self) {
        self.sent.clear();
        for message_id in std::mem::take(&mut self.settled).into_values() {
            self.lose_message(message_id);
        }
    }

    /// The stream ended in good order, after all that was settled had been sent.
    pub(super) fn all_taken(&mut self) {
        self.sent.clear();
        self.settled.clear();
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        let known = self.settled.len().saturating_add(self.lost.len());
        self.more_lost.saturating_add(u64::try_from(known).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledge(delivery_ids: Vec<u64>) -> pb::SubscribeRequest {
        let request = Request::Acknowledge(pb::Acknowledge { delivery_ids });
        pb::SubscribeRequest { request: Some(request) }
    }

    fn settle(doubts: &mut Doubts, id: u64) {
        doubts.settle(&Hold::new(id, Uuid::from_u128(id.into())));
    }

    #[test]
    fn what_the_credit_proves_to_be_taken_is_in_no_doubt() {
        let mut doubts = Doubts::default();
        (0..30).for_each(|id| settle(&mut doubts, id));
        // What was not sent cannot be taken.
        doubts.hold(0, 10);
        assert_eq!(doubts.count(), 30);
        doubts.send(&acknowledge((0..30).collect()));
        doubts.hold(0, 10);
        assert_eq!(doubts.count(), 20);
        doubts.hold(7, 10);
        assert_eq!(doubts.count(), 13);
        doubts.lose_all();
        assert_eq!(doubts.count(), 13);
        // The first of them were taken, and so the last are in doubt.
        (17..30).for_each(|id| settle(&mut doubts, id));
        doubts.all_taken();
        assert_eq!(doubts.count(), 0);
    }

    #[test]
    fn what_was_settled_too_late_is_in_doubt_until_it_is_settled_anew() {
        let mut doubts = Doubts::default();
        settle(&mut doubts, 1);
        doubts.send(&acknowledge(vec![1]));
        doubts.lose(1);
        doubts.lose(2);
        doubts.all_taken();
        assert_eq!(doubts.count(), 1);
        doubts.settle(&Hold::new(2, Uuid::from_u128(1)));
        doubts.all_taken();
        assert_eq!(doubts.count(), 0);
    }

    #[test]
    fn more_than_are_known_by_their_id_are_counted() {
        let mut doubts = Doubts::default();
        let most = MOST_KNOWN as u64;
        for _ in 0..2 {
            (0..most).for_each(|id| settle(&mut doubts, id));
            doubts.lose_all();
            assert_eq!(doubts.count(), most);
        }
        settle(&mut doubts, most);
        doubts.lose_all();
        assert_eq!(doubts.count(), most + 1);
    }
}
