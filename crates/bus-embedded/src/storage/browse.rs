//! Looking at what is not settled.

use fjall::{Guard, UserValue};
use wissel_bus::{Stand, Unsettled};

use super::Storage;
use super::records::{
    DelayedKey, Slot, decode_body, decode_history, from_ms, message_key, parse_ready_key, ready_key,
};
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
        let places = sight.from().map(|from| ready_key(inbox, from)..=ready_key(inbox, u64::MAX));
        let mut entries = places.into_iter().flat_map(|places| self.ready.range(places));
        let mut entries = entries.by_ref().map(Guard::into_inner);
        while found.len() < limit
            && let Some(entry) = entries.next()
        {
            let (key, value) = entry?;
            let (_, place) = parse_ready_key(&key)?;
            if let Some(stand) = sight.stand(place) {
                found.extend(self.unsettled(place, &value, stand)?);
            }
        }
        if !sight.delayed {
            return Ok(found);
        }
        let mut retries = self.delayed.iter().map(Guard::into_inner).take(RETRIES_MAX);
        while found.len() < limit
            && let Some(entry) = retries.next()
        {
            let (key, value) = entry?;
            let key = DelayedKey::decode(&key)?;
            if key.inbox == inbox {
                let stand = Stand::Delayed(from_ms(key.due_ms));
                found.extend(self.unsettled(key.place, &value, stand)?);
            }
        }
        Ok(found)
    }

    /// None when it was settled meanwhile.
    fn unsettled(
        &self,
        place: u64,
        value: &UserValue,
        stand: Stand,
    ) -> Result<Option<Unsettled>, EmbeddedBusError> {
        let slot = Slot::decode(place, value)?;
        let Some(body) = self.messages.get(message_key(slot.message))? else { return Ok(None) };
        let history = decode_history(value)?;
        Ok(Some(Unsettled { envelope: decode_body(body)?, attempt: slot.attempt, stand, history }))
    }
}
