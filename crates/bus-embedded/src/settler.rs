use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use wissel_bus::{BusError, DeliveryTag, Settle, Settlement};

use crate::inbox::{Inbox, Outcome};
use crate::shared::Shared;
use crate::writer::Command;

/// Settles deliveries of one consumer. When it is dropped, the consumer is gone.
pub(crate) struct Settler {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) consumer: u64,
}

#[async_trait]
impl Settle for Settler {
    async fn settle(
        &self,
        settlements: Vec<(DeliveryTag, Settlement)>,
    ) -> Vec<Result<(), BusError>> {
        let asked = settlements.len();
        let to_writer =
            settlements.iter().any(|(_, settlement)| *settlement != Settlement::Release);
        if !to_writer {
            let (answers, call_feeder) =
                self.inbox.settle(self.consumer, settlements, &mut Vec::new());
            self.call_feeder(call_feeder);
            return answers;
        }

        // Room first: from here to the queue nothing waits, so a caller that gives
        // up leaves no settlement half done.
        let cost = u32::try_from(asked / 16).unwrap_or(u32::MAX);
        let Ok(room) = self.shared.commands.reserve(cost).await else {
            return vec![Err(BusError::Closed); asked];
        };
        let mut to_write = Vec::with_capacity(asked);
        let (mut answers, call_feeder) =
            self.inbox.settle(self.consumer, settlements, &mut to_write);
        self.call_feeder(call_feeder);
        if to_write.is_empty() {
            return answers;
        }

        let must_be_durable =
            to_write.iter().any(|settled| !matches!(settled.outcome, Outcome::Done));
        let positions: Vec<usize> = to_write.iter().map(|settled| settled.position).collect();
        let (reply, answer) = oneshot::channel();
        let command = Command::Settle {
            inbox: Arc::clone(&self.inbox),
            consumer: self.consumer,
            settled: to_write,
            reply: must_be_durable.then_some(reply),
        };
        let outcome = match room.fill(command) {
            Ok(()) if must_be_durable => answer.await.unwrap_or(Err(BusError::Closed)),
            Ok(()) => Ok(()),
            Err(_) => Err(BusError::Closed),
        };
        if let Err(error) = outcome {
            for position in positions {
                answers[position] = Err(error.clone());
            }
        }
        answers
    }
}

impl Settler {
    fn call_feeder(&self, call: bool) {
        if call {
            self.shared.feeds.push(&self.inbox);
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        let call = self.inbox.detach(self.consumer);
        self.call_feeder(call);
    }
}
