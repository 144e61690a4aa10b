use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wissel_bus::{Arrival, Attempt, Bus, BusError, Consumer, Credit, DeliveryTag, Settlement};
use wissel_identifiers::InboxName;

use super::WINDOW;
use super::receiver::ReceiverSettler;
use super::state::{Copy, Joining, State};

/// One ordered inbox.
#[derive(Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Told when a retry may be due earlier than before.
    earlier: Notify,
    /// One at a time begins to consume.
    beginning: tokio::sync::Mutex<()>,
}

impl Lanes {
    /// Adds a receiver; the first one begins to consume the inbox.
    pub(super) async fn consume(
        self: &Arc<Self>,
        bus: &Arc<dyn Bus>,
        inbox: &InboxName,
        credit: Credit,
        tasks: &TaskTracker,
    ) -> Result<Consumer, BusError> {
        let _one_at_a_time = self.beginning.lock().await;
        // One more for the word of an interruption.
        let (sender, arrivals) = mpsc::channel(usize::from(credit.deliveries.max(1)) + 1);
        let gone = CancellationToken::new();
        let joining: Joining = (sender.clone(), credit.deliveries, gone.clone());
        let joined = self.state.lock().join(joining.clone());
        let receiver = match joined {
            Some(receiver) => receiver,
            None => {
                let window = Credit { deliveries: WINDOW, ..credit };
                let consumer = bus.consume_alone(inbox, window).await?;
                self.begin(consumer, joining, tasks)
            }
        };
        let lanes = Arc::clone(self);
        tasks.spawn(async move {
            tokio::select! { () = gone.cancelled() => {}, () = sender.closed() => {} }
            lanes.leave(receiver);
        });
        let settler = ReceiverSettler { lanes: Arc::clone(self), receiver, tasks: tasks.clone() };
        Ok(Consumer { arrivals, settler: Arc::new(settler) })
    }

    fn begin(self: &Arc<Self>, consumer: Consumer, joining: Joining, tasks: &TaskTracker) -> u64 {
        let Consumer { arrivals, settler } = consumer;
        let stop = CancellationToken::new();
        let receiver = self.state.lock().begin(settler, stop.clone(), joining);
        tasks.spawn(Arc::clone(self).pump(arrivals, stop));
        receiver
    }

    /// Takes what the bus brings, and brings back what waited, until there is no receiver.
    async fn pump(self: Arc<Self>, mut arrivals: mpsc::Receiver<Arrival>, stop: CancellationToken) {
        loop {
            let due = self.state.lock().next_due();
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.earlier.notified() => {}
                () = due => self.state.lock().bring_back_due(),
                arrival = arrivals.recv() => {
                    let mut state = self.state.lock();
                    if stop.is_cancelled() {
                        // It was for receivers that are gone; others may have come since.
                        return;
                    }
                    match arrival {
                        Some(Arrival::Delivery(delivery)) => state.arrive(delivery),
                        Some(Arrival::Interrupted) => state.interrupted(),
                        None => {
                            // The inbox was removed, or the bus closed.
                            state.end();
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Settles what a receiver holds.
    pub(super) async fn settle(
        &self,
        receiver: u64,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>> {
        let mut answers = Vec::with_capacity(settlements.len());
        let mut to_bus = Vec::new();
        let mut numbers = Vec::new();
        let settler = {
            let mut state = self.state.lock();
            for (position, (tag, settlement)) in settlements.into_iter().enumerate() {
                let settled = state.settle(receiver, tag, settlement);
                answers.push(settled.map(|for_the_bus| {
                    if let Some((copy, tag_of_bus, settlement)) = for_the_bus {
                        to_bus.push((tag_of_bus, settlement));
                        numbers.push((position, tag.0, copy));
                    }
                }));
            }
            state.hand_out();
            state.settler()
        };
        self.earlier.notify_one();
        let Some(settler) = settler.filter(|_| !to_bus.is_empty()) else { return answers };
        let told = settler.settle(to_bus).await;
        let mut state = self.state.lock();
        for ((position, number, copy), answer) in numbers.into_iter().zip(told) {
            match answer {
                Ok(()) => state.done(number, copy),
                Err(error) => {
                    match error {
                        BusError::NotHeld(_) => state.void(number),
                        _ => state.hold_again(receiver, number),
                    }
                    answers[position] = Err(error);
                }
            }
        }
        state.hand_out();
        answers
    }

    /// As [`State::unheard`].
    pub(super) fn unheard(&self, copy: Copy) -> Vec<Attempt> {
        self.state.lock().unheard(copy)
    }

    /// As [`State::forget`], of several.
    pub(super) fn forget(&self, copies: impl Iterator<Item = Copy>) {
        let mut state = self.state.lock();
        copies.for_each(|copy| state.forget(copy));
    }

    pub(super) fn leave(&self, receiver: u64) {
        self.state.lock().remove_receiver(receiver);
    }
}
