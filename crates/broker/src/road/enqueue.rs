//! Last room: the message becomes durable, and its publisher gets a receipt.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use foldhash::fast::FixedState;
use smallvec::SmallVec;
use wissel_bus::{Burial, Bus, BusError, Enqueue, Envelope, FieldsKey, Outlives, Said};
use wissel_identifiers::InboxName;

use super::minimise::{Copy, Minimised};
use super::validate::Admitted;
use crate::direction::Destination;
use crate::questions::Questions;
use crate::{Receipt, Refusal, clock};

/// Gives the messages to the bus together, while they are put on record; one answer each,
/// in order. A message has a receipt when all of its copies are durable and it is on
/// record. One that is not on record may be durable nevertheless: published again it is
/// delivered again. What whoever waits here is told goes no way over the bus. `inboxes` are
/// those of which the receipt of each message tells.
pub(crate) async fn enqueue(
    messages: Vec<Minimised>,
    inboxes: Vec<Arc<[InboxName]>>,
    bus: &dyn Bus,
    questions: &Questions,
    recording: impl Future<Output = Result<(), Refusal>>,
) -> Vec<Result<Receipt, Refusal>> {
    let mut goods = Goods { items: Vec::with_capacity(messages.len()), burials: Vec::new() };
    let mut pending = Vec::with_capacity(messages.len());
    for (message, inboxes) in messages.into_iter().zip(inboxes) {
        let Minimised { admitted, claim, mut copies, reservations } = message;
        let answer = taken_here(&admitted, &mut copies, questions).map(Box::new);
        if matches!(admitted.destination, Destination::Asked(_)) {
            // Before anybody has it: who was not asked has no answer to give.
            questions.goes_to(&admitted.event, &inboxes);
        }
        let counts = goods.load(&admitted, copies);
        let receipt = Receipt {
            message_id: admitted.message_id,
            source: admitted.event.source().to_owned(),
            id: admitted.event.id().to_owned(),
            admitted_at: admitted.admitted_at,
            inboxes,
            repeated: false,
            warnings: admitted.warnings,
        };
        pending.push((claim, receipt, counts, answer, reservations));
    }

    // The bus first, so that messages come to it in the order of the calls.
    let Goods { items, burials } = goods;
    let (answers, buried, recorded) =
        tokio::join!(enqueue_known(items, bus), bury(burials, bus), recording);
    let now = clock::instant();
    let (mut answers, mut buried) = (answers.into_iter(), buried.into_iter());
    let mut outcomes = Vec::with_capacity(pending.len());
    for (claim, receipt, counts, answer, reservations) in pending {
        // All of its answers, so that those of the next message are its own.
        let items = answers.by_ref().take(counts.items);
        let all = items.chain(buried.by_ref().take(counts.burials));
        let all = all.fold(Ok(()), Result::and);
        drop(reservations);
        outcomes.push(match (all, &recorded) {
            (Ok(()), Ok(())) => {
                claim.complete(&receipt, now);
                answer.into_iter().for_each(|answer| questions.take(*answer));
                Ok(receipt)
            }
            (Err(error), _) => Err(error.into()),
            (Ok(()), Err(refusal)) => Err(refusal.clone()),
        });
    }
    outcomes
}

/// What goes to the bus for some messages.
struct Goods {
    items: Vec<Enqueue>,
    burials: Vec<Burial>,
}

/// How much of it is of one message.
struct Counts {
    items: usize,
    burials: usize,
}

impl Goods {
    /// Adds the copies of a message, and the message as it came for the archive.
    fn load(&mut self, admitted: &Admitted, copies: Vec<Copy>) -> Counts {
        let (items, burials) = (self.items.len(), self.burials.len());
        // What is kept for replay is kept, whether or not somebody waits for an answer.
        let is_asked = matches!(admitted.destination, Destination::Asked(_));
        let outlives = if is_asked && admitted.archive_until.is_none() {
            Outlives::Process
        } else {
            Outlives::PowerLoss
        };
        let lane = lane_of(admitted);
        let mut to_archive = admitted.archive_until;
        for copy in copies {
            let Copy { fields, event, inboxes, full, watches } = copy;
            let envelope = envelope(admitted, fields, event);
            for inbox in full {
                let (envelope, reason) = (envelope.clone(), Said::InboxFull.to_string());
                self.burials.push(Burial { envelope, inbox, reason });
            }
            let archive_until = to_archive.take_if(|_| fields.is_none() && !watches);
            if !inboxes.is_empty() || archive_until.is_some() {
                self.items.push(Enqueue { envelope, inboxes, archive_until, outlives, lane });
            }
        }
        if to_archive.is_some() {
            let envelope = envelope(admitted, None, admitted.event.frame().clone());
            let (inboxes, archive_until) = (Vec::new(), to_archive);
            self.items.push(Enqueue { envelope, inboxes, archive_until, outlives, lane });
        }
        Counts { items: self.items.len() - items, burials: self.burials.len() - burials }
    }
}

/// What is of one subject keeps its order, and so does what has none.
fn lane_of(admitted: &Admitted) -> u64 {
    let subject = admitted.event.subject();
    subject.map_or(0, |subject| FixedState::default().hash_one(subject))
}

/// The answer, when the message is one and whoever waits for it does so here.
fn taken_here(
    admitted: &Admitted,
    copies: &mut Vec<Copy>,
    questions: &Questions,
) -> Option<Envelope> {
    let Destination::Target(_) = &admitted.destination else { return None };
    let is_taken =
        |copy: &Copy| matches!(&copy.inboxes[..], [inbox] if questions.is_taken_here(inbox));
    let position = copies.iter().position(is_taken)?;
    let Copy { fields, event, .. } = copies.swap_remove(position);
    Some(envelope(admitted, fields, event))
}

fn envelope(admitted: &Admitted, fields: Option<FieldsKey>, event: Bytes) -> Envelope {
    Envelope {
        message_id: admitted.message_id,
        publisher: admitted.publisher,
        admitted_at: admitted.admitted_at,
        fields,
        replayed: false,
        event,
    }
}

async fn bury(burials: Vec<Burial>, bus: &dyn Bus) -> Vec<Result<(), BusError>> {
    if burials.is_empty() { Vec::new() } else { bus.bury(burials).await }
}

/// Enqueues; an inbox that the bus lost is opened again, once, since routing
/// knows it to exist.
async fn enqueue_known(items: Vec<Enqueue>, bus: &dyn Bus) -> Vec<Result<(), BusError>> {
    if items.is_empty() {
        return Vec::new();
    }
    let again: Vec<Again> = items.iter().map(Again::of).collect();
    let mut answers = bus.enqueue(items).await;
    for (answer, again) in answers.iter_mut().zip(again) {
        let Err(BusError::UnknownInbox(lost)) = answer else {
            continue;
        };
        tracing::warn!(inbox = %lost, "the bus had lost an inbox; opening it again");
        *answer = reopen_and_enqueue(again.into_item(), bus).await;
    }
    answers
}

/// An item as it would be enqueued again. Nearly none is, so it takes no memory of its own for
/// a few inboxes.
struct Again {
    envelope: Envelope,
    inboxes: SmallVec<[InboxName; 4]>,
    archive_until: Option<SystemTime>,
    outlives: Outlives,
    lane: u64,
}

impl Again {
    fn of(item: &Enqueue) -> Self {
        let Enqueue { envelope, inboxes, archive_until, outlives, lane } = item;
        Self {
            envelope: envelope.clone(),
            inboxes: inboxes.iter().cloned().collect(),
            archive_until: *archive_until,
            outlives: *outlives,
            lane: *lane,
        }
    }

    fn into_item(self) -> Enqueue {
        let Self { envelope, inboxes, archive_until, outlives, lane } = self;
        Enqueue { envelope, inboxes: inboxes.into_vec(), archive_until, outlives, lane }
    }
}

async fn reopen_and_enqueue(item: Enqueue, bus: &dyn Bus) -> Result<(), BusError> {
    for inbox in &item.inboxes {
        bus.open_inbox(inbox).await?;
    }
    bus.enqueue(vec![item]).await.into_iter().collect()
}
