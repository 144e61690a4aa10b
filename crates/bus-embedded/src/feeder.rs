use std::sync::Arc;

use wissel_bus::Envelope;

use crate::EmbeddedBusError;
use crate::inbox::{Inbox, Plan};
use crate::shared::Shared;
use crate::storage::Storage;
use crate::storage::keys::damaged;
use crate::storage::slot::{Address, Slot};

/// An inbox gets at most so many deliveries before it is another's turn.
const CHUNK: usize = 256;

/// Reads what waits on disk and hands it to consumers that have credit, one inbox
/// after the other, until the bus is closed.
pub(crate) fn run(shared: &Shared, storage: &Storage) {
    while let Some(inbox) = shared.feeds.take() {
        if let Err(error) = feed(shared, storage, &inbox) {
            tracing::error!(inbox = %inbox.name, %error, "cannot read deliveries");
            shared.fail(&error);
        }
    }
}

fn feed(shared: &Shared, storage: &Storage, inbox: &Arc<Inbox>) -> Result<(), EmbeddedBusError> {
    let Some(plan) = inbox.plan(CHUNK) else {
        return Ok(());
    };
    let read = storage.ready_slots(inbox.number, plan.from, plan.limit)?;
    if read.len() < plan.limit && !inbox.is_removed() {
        return Err(damaged("ready", "a slot for each delivery that was counted"));
    }
    let deliveries = match with_messages(storage, &plan, &read) {
        Ok(deliveries) => deliveries,
        // A removed inbox loses its messages while it is read.
        Err(_) if inbox.is_removed() => return Ok(()),
        Err(error) => return Err(error),
    };
    if inbox.fed(&read, &deliveries) {
        shared.feeds.push(inbox);
    }
    Ok(())
}

/// Adds the messages to the slots: to all, or to the first when they are large, or when there
/// is room for no more.
fn with_messages(
    storage: &Storage,
    plan: &Plan,
    read: &[Slot],
) -> Result<Vec<(Slot, Envelope)>, EmbeddedBusError> {
    let mut bytes = 0;
    let has_room = |slot: &&Slot| {
        let room = bytes < plan.bytes;
        bytes += u64::from(slot.length);
        room
    };
    let slots: Vec<Slot> = plan.at_hand.iter().chain(read).take_while(has_room).copied().collect();
    let addresses: Vec<Address> = slots.iter().map(|slot| slot.message).collect();
    let messages = storage.read_messages(&addresses)?;
    let found = slots.into_iter().zip(messages);
    found.map(|(slot, message)| Ok((slot, message.ok_or(missing())?))).collect()
}

fn missing() -> EmbeddedBusError {
    damaged("messages", "a message for each delivery")
}
