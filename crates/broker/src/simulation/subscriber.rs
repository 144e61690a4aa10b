//! One that receives, as a gateway serves it: a task with a session.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::town;
use crate::{Broker, Refusal, SessionEvent, SessionOptions, Verdict};

/// What a subscriber is to do.
pub(super) enum Order {
    Settle(Vec<u64>, Verdict),
    Extend(Vec<u64>, Duration),
    /// Whether it takes up what comes.
    Read(bool),
    /// What it settled is done first.
    Leave,
}

/// What a subscriber was told.
pub(super) enum Told {
    Opened,
    Refused(Refusal),
    Event(SessionEvent),
    Left,
}

/// What all subscribers were told, with when and who, in that order.
pub(super) type Seen = Arc<Mutex<Vec<(Instant, u64, Told)>>>;

pub(super) struct Subscriber {
    pub(super) number: u64,
    pub(super) place: usize,
    pub(super) credit: usize,
    pub(super) lease: Duration,
    pub(super) open: bool,
    pub(super) reading: bool,
    /// It settles nothing.
    pub(super) stalled: bool,
    orders: mpsc::UnboundedSender<Order>,
    task: tokio::task::AbortHandle,
}

impl Subscriber {
    pub(super) fn begin(
        broker: &Arc<Broker>,
        number: u64,
        place: usize,
        options: SessionOptions,
        seen: &Seen,
    ) -> Self {
        let (credit, lease) = (usize::from(options.credit), options.lease);
        let (orders, receiver) = mpsc::unbounded_channel();
        let (broker, seen) = (Arc::clone(broker), Arc::clone(seen));
        let serving = async move {
            let tell = |told| seen.lock().push((Instant::now(), number, told));
            serve(&broker, place, options, receiver, tell).await;
        };
        let task = tokio::spawn(serving).abort_handle();
        let (open, reading, stalled) = (false, true, false);
        Self { number, place, credit, lease, open, reading, stalled, orders, task }
    }

    pub(super) fn order(&self, order: Order) {
        // One that has ended hears nothing.
        let _ = self.orders.send(order);
    }

    /// It is gone without a word, in the middle of anything.
    pub(super) fn cut(&self) {
        self.task.abort();
    }
}

async fn serve(
    broker: &Arc<Broker>,
    place: usize,
    options: SessionOptions,
    mut orders: mpsc::UnboundedReceiver<Order>,
    tell: impl Fn(Told),
) {
    let opened = broker.open_session(&town::receiver(), &town::inbox(place), options).await;
    let mut session = match opened {
        Ok(session) => session,
        Err(refusal) => return tell(Told::Refused(refusal)),
    };
    tell(Told::Opened);
    let mut reading = true;
    loop {
        let event = async {
            if reading { session.next().await } else { SessionEvent::Ended(session.tend().await) }
        };
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Settle(ids, verdict)) => session.settle(&ids, &verdict),
                Some(Order::Extend(ids, lease)) => session.extend(&ids, lease),
                Some(Order::Read(read)) => reading = read,
                Some(Order::Leave) | None => {
                    session.settled().await;
                    drop(session);
                    return tell(Told::Left);
                }
            },
            event = event => {
                let ended = matches!(event, SessionEvent::Ended(_));
                tell(Told::Event(event));
                if ended {
                    return;
                }
            }
        }
    }
}
