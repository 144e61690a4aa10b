//! Looking at what is not settled.

use wissel_bus::{Attempt, Stand, Unsettled};

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
    /// At most `limit` deliveries of the inbox that are not settled: in the order of their
    /// places, then the retries that wait.
    pub(crate) fn browse(
        &self,
        inbox: u32,
        sight: &Sight,
        limit: usize,
    ) -> Result<Vec<Unsettled>, EmbeddedBusError> {
        let mut found = Vec::new();
        let mut reader = self.reader();
        let mut runs = sight.from().into_iter().flat_map(|from| self.runs(inbox, from));
        while found.len() < limit
            && let Some(run) = runs.next()
        {
            let run = run?;
            for slot in &run.slots {
                if let Some(stand) = sight.stand(slot.place)
                    && found.len() < limit
                {
                    let history = if slot.requeued { run.history()? } else { Vec::new() };
                    found.extend(unsettled(&mut reader, slot, stand, history)?);
                }
            }
        }
        if !sight.delayed {
            return Ok(found);
        }
        let mut retries = self.delayed.iter().map(Entry::into_inner).take(RETRIES_MAX);
        while found.len() < limit
            && let Some(entry) = retries.next()
        {
            let (key, value) = entry?;
            let key = DelayedKey::decode(&key)?;
            if key.inbox == inbox {
                let stand = Stand::Delayed(from_ms(key.due_ms));
                let slot = Slot::decode(key.place, &value)?;
                found.extend(unsettled(&mut reader, &slot, stand, decode_history(&value)?)?);
            }
        }
        Ok(found)
    }
}

/// None when it was settled meanwhile.
fn unsettled(
    reader: &mut Reader<'_>,
    slot: &Slot,
    stand: Stand,
    history: Vec<Attempt>,
) -> Result<Option<Unsettled>, EmbeddedBusError> {
    let Some(envelope) = reader.message(slot.message)? else { return Ok(None) };
    Ok(Some(Unsettled { envelope, attempt: slot.attempt, stand, history }))
}
