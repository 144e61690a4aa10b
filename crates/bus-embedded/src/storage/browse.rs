//! Looking at what is not settled.

use wissel_bus::{Attempt, Shown, Stand, Unsettled};

use super::Storage;
use super::engine::Entry;
use super::keys::{DelayedKey, from_ms};
use super::messages::Reader;
use super::slot::{Slot, decode_history};
use crate::EmbeddedBusError;
use crate::inbox::Sight;

/// Retries are kept in the order of their moments, those of all inboxes together: at most
/// this many are looked through.
const RETRIES_MAX: usize = 100_000;

impl Storage {
    /// Deliveries of the inbox that are not settled, at most `limit`, as far as [`Shown`] goes:
    /// in the order of their places, then the retries that wait.
    pub(crate) fn browse(
        &self,
        inbox: u32,
        sight: &Sight,
        limit: usize,
    ) -> Result<Vec<Unsettled>, EmbeddedBusError> {
        let mut shown = Shown::new(limit);
        let mut reader = self.reader();
        let mut runs = sight.from().into_iter().flat_map(|from| self.runs(inbox, from));
        while !shown.is_full()
            && let Some(run) = runs.next()
        {
            let run = run?;
            for slot in &run.slots {
                if let Some(stand) = sight.stand(slot.place)
                    && !shown.is_full()
                {
                    let history = if slot.requeued { run.history()? } else { Vec::new() };
                    show(&mut shown, &mut reader, slot, stand, history)?;
                }
            }
        }
        if !sight.delayed {
            return Ok(shown.into_messages());
        }
        let mut retries = self.delayed.iter().map(Entry::into_inner).take(RETRIES_MAX);
        while !shown.is_full()
            && let Some(entry) = retries.next()
        {
            let (key, value) = entry?;
            let key = DelayedKey::decode(&key)?;
            if key.inbox == inbox {
                let stand = Stand::Delayed(from_ms(key.due_ms));
                let slot = Slot::decode(key.place, &value)?;
                show(&mut shown, &mut reader, &slot, stand, decode_history(&value)?)?;
            }
        }
        Ok(shown.into_messages())
    }
}

/// Shows it, unless it was settled meanwhile.
fn show(
    shown: &mut Shown,
    reader: &mut Reader<'_>,
    slot: &Slot,
    stand: Stand,
    history: Vec<Attempt>,
) -> Result<(), EmbeddedBusError> {
    if let Some(envelope) = reader.message(slot.message)? {
        shown.push(Unsettled { envelope, attempt: slot.attempt, stand, history });
    }
    Ok(())
}
