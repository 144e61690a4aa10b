//! Takes messages that nobody has out of packs that somebody still needs.
//!
//! A pack goes with its last message, so one inbox that nobody reads would keep all that was
//! written beside its own. Some seconds after messages were let go, those packs of which half
//! or more is for nobody are written again without it.

use std::time::{Duration, Instant};

use super::Writer;
use super::pending::Pending;
use crate::EmbeddedBusError;
use crate::storage::Shares;
use crate::storage::keys::message_key;
use crate::storage::pack::Pack;

/// From the moment at which messages were let go to that of looking: most packs are gone soon.
const REST: Duration = Duration::from_secs(10);
/// Between one look and the next, while there is more to look at.
const PAUSE: Duration = Duration::from_millis(100);
/// So many packs are looked at in one go (fewer in tests, which so meet several),
const LOOKS: usize = if cfg!(test) { 4 } else { 1024 };
/// and about so much of them is read, to be written again.
const BYTES: usize = if cfg!(test) { 128 << 10 } else { 4 << 20 };

/// How far it is.
pub(crate) struct Trimming {
    /// The next look, and the entry from which on; none: nothing is to be seen.
    pub(super) next: Option<(Instant, u64)>,
    /// Another pack has become worth a trim since the look began at the first entry.
    again: bool,
}

impl Trimming {
    pub(super) fn starting(now: Instant) -> Self {
        // What was let go before is unknown.
        Self { next: Some((now + REST, 0)), again: false }
    }

    /// Whether some pack has become worth a trim.
    pub(super) fn expect(&mut self, worth_a_trim: bool, now: Instant) {
        self.again |= worth_a_trim;
        if self.again && self.next.is_none() {
            self.next = Some((now + REST, 0));
            self.again = false;
        }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at)
    }
}

impl Writer {
    /// Trims some packs, when it is time. That need not be durable: if it is lost, they are
    /// as they were.
    pub(super) fn trim_packs(&mut self) {
        let Some((at, from)) = self.trimming.next else { return };
        let now = self.shared.clock.instant();
        if now < at || self.shared.failure().is_some() {
            return;
        }
        if from == 0 {
            self.trimming.again = false;
        }
        let mut pending = Pending::new(&self.storage);
        let next = match self.trim_from(&mut pending, from) {
            Ok(next) => next,
            Err(error) => return self.shared.fail(&error),
        };
        if self.commit(pending, false).0.is_ok() {
            let now = self.shared.clock.instant();
            self.trimming.next = next.map(|from| (now + PAUSE, from));
            self.trimming.expect(false, now);
        }
    }

    /// From which entry to go on; none: all were looked at.
    fn trim_from(&self, pending: &mut Pending, from: u64) -> Result<Option<u64>, EmbeddedBusError> {
        let mut read = 0;
        for (looked_at, pack) in self.storage.shares_from(from).enumerate() {
            let (entry, shares) = pack?;
            if looked_at == LOOKS || read >= BYTES {
                return Ok(Some(entry));
            }
            if shares.are_worth_a_trim() {
                read += self.trim(pending, entry, &shares)?;
            }
        }
        Ok(None)
    }

    /// How much was read for it.
    fn trim(
        &self,
        pending: &mut Pending,
        entry: u64,
        shares: &Shares,
    ) -> Result<usize, EmbeddedBusError> {
        let Some(value) = self.storage.messages.get(message_key(entry))? else { return Ok(0) };
        let read = value.len();
        let left = Pack::read(value, Some(0))?.keep(|part| shares.has(part));
        pending.batch.insert(&self.storage.messages, message_key(entry), left);
        let shares = shares.trimmed().encode();
        pending.batch.insert(&self.storage.shares, message_key(entry), shares);
        Ok(read)
    }
}
