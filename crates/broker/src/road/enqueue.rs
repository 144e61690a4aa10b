//! Last room: the message becomes durable, and its publisher gets a receipt.

use std::sync::Arc;

use wissel_bus::{Bus, BusError, Enqueue, Envelope};
use wissel_identifiers::InboxName;

use super::minimise::Minimised;
use crate::{Receipt, Refusal};

/// Gives the messages to the bus together, while they are put on record; one answer each,
/// in order. A message has a receipt when all of its copies are durable and it is on
/// record. One that is not on record may be durable nevertheless: published again it is
/// delivered again.
pub async fn enqueue(
    messages: Vec<Minimised>,
    bus: &dyn Bus,
    recording: impl Future<Output = Result<(), Refusal>>,
) -> Vec<Result<Receipt, Refusal>> {
    let mut items = Vec::with_capacity(messages.len());
    let mut pending = Vec::with_capacity(messages.len());
    for message in messages {
        let Minimised { admitted, claim, copies } = message;
        let inboxes: Arc<[InboxName]> =
            copies.iter().flat_map(|copy| copy.inboxes.iter().cloned()).collect();
        let copy_count = copies.len();
        for copy in copies {
            let envelope = Envelope {
                message_id: admitted.message_id,
                publisher: admitted.publisher,
                admitted_at: admitted.admitted_at,
                fields: copy.fields,
                event: copy.event,
            };
            items.push(Enqueue { envelope, inboxes: copy.inboxes });
        }
        let receipt = Receipt {
            message_id: admitted.message_id,
            source: admitted.event.source().to_owned(),
            id: admitted.event.id().to_owned(),
            admitted_at: admitted.admitted_at,
            inboxes,
            repeated: false,
            warnings: admitted.warnings,
        };
        pending.push((claim, receipt, copy_count));
    }

    // The bus first, so that messages come to it in the order of the calls.
    let (answers, recorded) = tokio::join!(enqueue_known(items, bus), recording);
    let mut answers = answers.into_iter();
    let mut outcomes = Vec::with_capacity(pending.len());
    for (claim, receipt, copy_count) in pending {
        let copies: Result<(), BusError> = answers.by_ref().take(copy_count).collect();
        outcomes.push(match (copies, &recorded) {
            (Ok(()), Ok(())) => {
                claim.complete(&receipt);
                Ok(receipt)
            }
            (Err(error), _) => Err(error.into()),
            (Ok(()), Err(refusal)) => Err(refusal.clone()),
        });
    }
    outcomes
}

/// Enqueues; an inbox that the bus lost is opened again, once, since routing
/// knows it to exist.
async fn enqueue_known(items: Vec<Enqueue>, bus: &dyn Bus) -> Vec<Result<(), BusError>> {
    if items.is_empty() {
        return Vec::new();
    }
    let again = items.clone();
    let mut answers = bus.enqueue(items).await;
    for (answer, item) in answers.iter_mut().zip(again) {
        let Err(BusError::UnknownInbox(lost)) = answer else {
            continue;
        };
        tracing::warn!(inbox = %lost, "the bus had lost an inbox; opening it again");
        *answer = reopen_and_enqueue(item, bus).await;
    }
    answers
}

async fn reopen_and_enqueue(item: Enqueue, bus: &dyn Bus) -> Result<(), BusError> {
    for inbox in &item.inboxes {
        bus.open_inbox(inbox).await?;
    }
    bus.enqueue(vec![item]).await.into_iter().collect()
}
