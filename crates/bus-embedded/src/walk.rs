//! Walking over dead letters: they are in order on disk, so a key is all there is to remember.

use std::collections::{BTreeSet, VecDeque};

use async_trait::async_trait;
use wissel_bus::{Bus as _, BusError, DeadLetter, DeadLetterId, DeadLetterWalk, Selection};
use wissel_identifiers::InboxName;

use crate::bus::EmbeddedBus;
use crate::storage::keys::DeadKey;

/// A step ends with the dead letter with which it is so large.
const STEP_BYTES: usize = 8 << 20;

/// A walk over dead letters of an inbox.
pub(crate) struct Walk<'a> {
    bus: &'a EmbeddedBus,
    inbox: InboxName,
    ahead: Ahead,
}

/// What is still to be handed out.
enum Ahead {
    /// What is behind the one, up to the other.
    Range {
        after: Option<DeadKey>,
        last: Option<DeadKey>,
    },
    Named(VecDeque<DeadKey>),
}

impl<'a> Walk<'a> {
    pub(crate) async fn begin(
        bus: &'a EmbeddedBus,
        inbox: &InboxName,
        selection: &Selection,
    ) -> Result<Self, BusError> {
        let number = bus.inbox(inbox)?.number;
        let ahead = match selection {
            Selection::All => {
                let last = bus.read(move |storage| storage.youngest_dead(number)).await?;
                Ahead::Range { after: None, last }
            }
            Selection::These(ids) => {
                let keys = ids.iter().filter_map(|id| DeadKey::from_id(number, id));
                let keys: BTreeSet<DeadKey> = keys.collect();
                Ahead::Named(keys.into_iter().collect())
            }
        };
        Ok(Self { bus, inbox: inbox.clone(), ahead })
    }

    /// The keys of the next dead letters; of some there may be none any more.
    async fn keys(&self, limit: usize) -> Result<Vec<DeadKey>, BusError> {
        let number = self.bus.inbox(&self.inbox)?.number;
        match &self.ahead {
            Ahead::Named(keys) => Ok(keys.iter().take(limit).copied().collect()),
            Ahead::Range { last: None, .. } => Ok(Vec::new()),
            Ahead::Range { after, last: Some(last) } => {
                let (after, last) = (*after, *last);
                let entries = self
                    .bus
                    .read(move |storage| storage.dead_entries(number, after, limit))
                    .await?;
                Ok(entries.into_iter().map(|(key, _)| key).filter(|key| *key <= last).collect())
            }
        }
    }

    fn passed(&mut self, keys: &[DeadKey]) {
        match &mut self.ahead {
            Ahead::Range { after, .. } => *after = keys.last().copied().or(*after),
            Ahead::Named(ahead) => drop(ahead.drain(..keys.len().min(ahead.len()))),
        }
    }
}

#[async_trait]
impl DeadLetterWalk for Walk<'_> {
    async fn next(&mut self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        loop {
            let keys = self.keys(limit).await?;
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let read = keys.clone();
            let reading = self.bus.read(move |storage| storage.dead_letters_of(&read, STEP_BYTES));
            let (letters, looked_at) = reading.await?;
            self.passed(&keys[..looked_at]);
            if !letters.is_empty() {
                return Ok(letters);
            }
        }
    }

    async fn redrive(&mut self, ids: &[DeadLetterId], to: &InboxName) -> Result<u64, BusError> {
        self.bus.redrive(&self.inbox, &Selection::These(ids.to_vec()), to).await
    }

    async fn purge(&mut self, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        self.bus.purge_dead_letters(&self.inbox, &Selection::These(ids.to_vec())).await
    }

    async fn end(self: Box<Self>) {}
}
