use std::sync::Arc;

use wissel_bus::Envelope;

use crate::EmbeddedBusError;
use crate::inbox::{Inbox, Plan};
use crate::shared::Shared;
use crate::storage::Storage;
use crate::storage::keys::damaged;
use crate::storage::slot::{Address, Slot};

/// An inbox gets at most so many deliveries before it is another's turn. Fewer in tests, which
/// so meet several turns.
const CHUNK: usize = if cfg!(test) { 24 } else { 256 };

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
    if let Some(turn) = Turn::of(inbox)
        && let Some(fetched) = turn.fetch(storage)?
    {
        fetched.hand_out(shared);
    }
    Ok(())
}

/// An inbox's turn. Others write and settle between its parts.
pub(crate) struct Turn {
    inbox: Arc<Inbox>,
    plan: Plan,
}

/// What was read for it.
pub(crate) struct Fetched {
    inbox: Arc<Inbox>,
    read: Vec<Slot>,
    deliveries: Vec<(Slot, Envelope)>,
}

impl Turn {
    /// None when nothing can be handed out.
    pub(crate) fn of(inbox: &Arc<Inbox>) -> Option<Self> {
        let plan = inbox.plan(CHUNK)?;
        Some(Self { inbox: Arc::clone(inbox), plan })
    }

    /// None when the inbox was removed meanwhile.
    pub(crate) fn fetch(self, storage: &Storage) -> Result<Option<Fetched>, EmbeddedBusError> {
        let Self { inbox, plan } = self;
        let read = storage.ready_slots(inbox.number, plan.from, plan.limit)?;
        if read.len() < plan.limit && !inbox.is_removed() {
            return Err(damaged("ready", "a slot for each delivery that was counted"));
        }
        match with_messages(storage, &plan, &read) {
            Ok(deliveries) => Ok(Some(Fetched { inbox, read, deliveries })),
            // A removed inbox loses its messages while it is read.
            Err(_) if inbox.is_removed() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Fetched {
    pub(crate) fn hand_out(self, shared: &Shared) {
        if self.inbox.fed(&self.read, &self.deliveries) {
            shared.feeds.push(&self.inbox);
        }
    }
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
