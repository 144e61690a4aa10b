//! What is answered at this gateway, or comes to its inbox, handed to whoever waits for it.

use std::sync::Arc;

use wissel_broker::Refusal;
use wissel_bus::{Arrival, Consumer, Delivery, Envelope, Settlement};
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use super::answer::answered_question;
use crate::Exchange;
use crate::exchange::PAUSE;

impl Exchange {
    /// Takes answers, until the broker stops.
    pub(crate) async fn listen_for_answers(self: Arc<Self>) {
        let stopping = self.broker.shutdown_token();
        let listening = async {
            self.broker.prepared().await;
            loop {
                match self.listen().await {
                    Ok(()) => tracing::warn!("the inbox of answers was closed; opening it again"),
                    // Without an exchange in the catalogue there are no questions.
                    Err(refusal) => tracing::debug!(%refusal, "no answers are taken yet"),
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        stopping.run_until_cancelled(listening).await;
    }

    /// Says in which inbox answers come, and takes those that are given at this gateway.
    pub(crate) fn take_answers(self: &Arc<Self>) -> Result<InboxName, Refusal> {
        let inbox = self.answers_inbox()?;
        let exchange = Arc::downgrade(self);
        let take = move |answer| {
            if let Some(exchange) = exchange.upgrade() {
                exchange.hand_to_asker(answer);
            }
        };
        self.broker.take_answers(&inbox, take);
        Ok(inbox)
    }

    async fn listen(self: &Arc<Self>) -> Result<(), Refusal> {
        let inbox = self.take_answers()?;
        let Consumer { mut arrivals, settler } = self.broker.open_answers(&inbox).await?;
        tracing::info!(%inbox, "answers are taken");
        let mut arrived = Vec::new();
        while arrivals.recv_many(&mut arrived, 64).await > 0 {
            let mut settlements = Vec::new();
            for arrival in arrived.drain(..) {
                // What was taken back comes again, and nobody waits for it twice.
                if let Arrival::Delivery(Delivery { tag, envelope, .. }) = arrival {
                    self.hand_to_asker(envelope);
                    settlements.push((tag, Settlement::Acknowledge));
                }
            }
            for outcome in settler.settle(settlements).await {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "an answer is not acknowledged and will come again");
                }
            }
        }
        Ok(())
    }

    /// An answer for which nobody waits any more is worth nothing to anybody, and neither is one
    /// of a party that was not asked: given at another gateway, it is known for that only here.
    pub(super) fn hand_to_asker(&self, envelope: Envelope) {
        let view = EventView::decode(envelope.event.clone()).ok();
        let question = view.as_ref().and_then(answered_question);
        let open = question.and_then(|question| self.asking.open.lock().get(&question).cloned());
        let by = envelope.publisher;
        if question.and_then(|question| self.broker.is_asked(question, by)) == Some(false) {
            tracing::warn!(%by, "an answer from one who was not asked");
            return;
        }
        let handed = open.is_some_and(|open| open.answers.try_send(envelope).is_ok());
        if !handed {
            tracing::info!("an answer came for which nobody waits");
        }
    }
}
