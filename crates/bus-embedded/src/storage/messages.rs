//! Reading messages, a pack at a time.

use wissel_bus::Envelope;

use super::Storage;
use super::engine::{Entry, UserValue};
use super::keys::message_key;
use super::pack::Pack;
use super::slot::Address;
use crate::EmbeddedBusError;

/// What is read in one go is at most this much together, or one entry. Less in tests, which so
/// meet several.
const READ_BYTES_MAX: usize = if cfg!(test) { 16 << 10 } else { 8 << 20 };

/// Reads messages, those of one pack at the price of one.
pub(crate) struct Reader<'a> {
    storage: &'a Storage,
    latest: Option<(u64, Pack)>,
}

impl Reader<'_> {
    /// The message at this address; none: there is none.
    pub(crate) fn message(&mut self, at: Address) -> Result<Option<Envelope>, EmbeddedBusError> {
        if let Some((entry, pack)) = &self.latest
            && *entry == at.entry
        {
            return pack.message(at.part);
        }
        let Some(value) = self.storage.messages.get(message_key(at.entry))? else {
            return Ok(None);
        };
        let (_, pack) = self.latest.insert((at.entry, Pack::read(value, at.part)?));
        pack.message(at.part)
    }
}

impl Storage {
    /// The messages at the first of these addresses: at all, unless together they
    /// are very large, and at one at least. None where there is no such message.
    pub(crate) fn read_messages(
        &self,
        addresses: &[Address],
    ) -> Result<Vec<Option<Envelope>>, EmbeddedBusError> {
        let mut entries: Vec<u64> = addresses.iter().map(|at| at.entry).collect();
        entries.dedup();
        let mut messages = Vec::with_capacity(addresses.len());
        let values = self.entries(&entries)?;
        let of_one_entry = addresses.chunk_by(|a, b| a.entry == b.entry);
        for (addresses, value) in of_one_entry.zip(values) {
            let Some(value) = value else {
                messages.extend(addresses.iter().map(|_| None));
                continue;
            };
            let pack = Pack::read(value, addresses[0].part)?;
            for at in addresses {
                messages.push(pack.message(at.part)?);
            }
        }
        Ok(messages)
    }

    /// Reads messages one after the other.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { storage: self, latest: None }
    }

    /// The values of the first of these entries.
    fn entries(&self, wanted: &[u64]) -> Result<Vec<Option<UserValue>>, EmbeddedBusError> {
        let mut values = Vec::with_capacity(wanted.len());
        let mut total = 0;
        if let Some((first, last)) = neighbours(wanted) {
            let mut entries = self
                .messages
                .range(message_key(first)..=message_key(last))
                .map(Entry::into_inner)
                .peekable();
            for &message in wanted {
                let key = message_key(message);
                while entries
                    .next_if(|entry| entry.as_ref().is_ok_and(|(found, _)| **found < key[..]))
                    .is_some()
                {}
                let value = match entries.next_if(|entry| match entry {
                    Ok((found, _)) => **found == key[..],
                    Err(_) => true,
                }) {
                    Some(entry) => Some(entry?.1),
                    None => None,
                };
                total += value.as_ref().map_or(0, |value| value.len());
                values.push(value);
                if total >= READ_BYTES_MAX {
                    break;
                }
            }
            return Ok(values);
        }
        for &message in wanted {
            let value = self.messages.get(message_key(message))?;
            total += value.as_ref().map_or(0, |value| value.len());
            values.push(value);
            if total >= READ_BYTES_MAX {
                break;
            }
        }
        Ok(values)
    }
}

/// The first and the last, when they ascend and lie so close together that one
/// pass over what is between them costs less than a search for each.
fn neighbours(entries: &[u64]) -> Option<(u64, u64)> {
    let (&first, &last) = (entries.first()?, entries.last()?);
    let count = u64::try_from(entries.len()).ok()?;
    let close = last.checked_sub(first)? < count.saturating_mul(2);
    (count > 2 && close && entries.is_sorted_by(|a, b| a < b)).then_some((first, last))
}
