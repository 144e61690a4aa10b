use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use wissel_client::{Event, Uuid};
use wissel_proto::wissel::v1 as pb;

use super::{PARTY, State};

/// The one inbox of the peer.
#[derive(Default)]
pub(crate) struct Queue {
    ready: VecDeque<Waiting>,
    pub(crate) settled: Vec<(Uuid, Settled)>,
    /// The most that one stream held.
    pub(crate) most_in_flight: usize,
}

/// How a message ended, or what else was done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    Acknowledged,
    Retried { after: Duration, reason: String },
    Rejected { reason: String },
}

#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) message_id: Uuid,
    frame: Bytes,
    attempt: u32,
    not_before: Instant,
}

impl State {
    pub(crate) fn enqueue(&self, event: &Event) -> Uuid {
        self.enqueue_frame(event.encode())
    }

    pub(crate) fn enqueue_frame(&self, frame: Bytes) -> Uuid {
        let message_id = Uuid::now_v7();
        self.queue.lock().unwrap().ready.push_back(Waiting {
            message_id,
            frame,
            attempt: 1,
            not_before: Instant::now(),
        });
        self.queue_changed.notify_waiters();
        message_id
    }

    /// What was done with a message, in order.
    pub(crate) fn settled(&self, message_id: Uuid) -> Vec<Settled> {
        let queue = self.queue.lock().unwrap();
        let of_message = queue.settled.iter().filter(|(id, _)| *id == message_id);
        of_message.map(|(_, settled)| settled.clone()).collect()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        let queue = self.queue.lock().unwrap();
        let settled = queue.settled.iter();
        settled.filter(|(_, settled)| *settled == Settled::Acknowledged).count()
    }
}

impl Queue {
    pub(super) fn take(&mut self) -> Option<Waiting> {
        let now = Instant::now();
        let due = self.ready.iter().position(|one| one.not_before <= now)?;
        self.ready.remove(due)
    }

    /// Given back as if it had not been handed out.
    pub(super) fn give_back(&mut self, waiting: Waiting) {
        self.ready.push_front(waiting);
    }

    pub(super) fn see_in_flight(&mut self, count: usize) {
        self.most_in_flight = self.most_in_flight.max(count);
    }

    pub(super) fn settle(&mut self, mut waiting: Waiting, settled: Settled) {
        if let Settled::Retried { after, .. } = &settled {
            waiting.attempt += 1;
            waiting.not_before = Instant::now() + *after;
            self.settled.push((waiting.message_id, settled));
            self.ready.push_back(waiting);
        } else {
            self.settled.push((waiting.message_id, settled));
        }
    }

    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }
}

impl Waiting {
    pub(super) fn to_proto(&self, delivery_id: u64, lease: Duration) -> pb::Delivery {
        pb::Delivery {
            traceparent: String::new(),
            delivery_id,
            event: self.frame.clone(),
            message_id: self.message_id.to_string(),
            publisher: PARTY.to_owned(),
            admitted_at: Some(SystemTime::now().into()),
            attempt: self.attempt,
            lease_ends_at: Some((SystemTime::now() + lease).into()),
            deadline: None,
            replayed: false,
        }
    }
}
