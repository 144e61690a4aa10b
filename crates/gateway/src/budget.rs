//! How much of published messages the gateway holds in memory, over all calls together.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of messages without an outcome. Who finds no room waits, and is not read meanwhile.
#[derive(Clone)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    all: u32,
}

/// A part of the budget; given back when dropped.
pub(crate) struct Spent {
    _bytes: OwnedSemaphorePermit,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { bytes: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Room for these messages, when it is there now.
    pub(crate) fn try_spend(&self, events: &[Bytes]) -> Option<Spent> {
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(self.cost(events));
        permit.ok().map(|permit| Spent { _bytes: permit })
    }

    /// Room for these messages, when it is there: in the order of those who wait.
    pub(crate) async fn spend(self, events: &[Bytes]) -> Spent {
        let cost = self.cost(events);
        let permit = self.bytes.acquire_many_owned(cost).await;
        Spent { _bytes: permit.expect("the budget is never closed") }
    }

    /// More than all there is takes all there is.
    fn cost(&self, events: &[Bytes]) -> u32 {
        let bytes: usize = events.iter().map(Bytes::len).sum();
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_spent_is_given_back_and_a_large_one_takes_all() {
        let budget = Budget::new(100);
        let (small, large) = ([Bytes::from(vec![0; 60])], [Bytes::from(vec![0; 1_000])]);
        let first = budget.try_spend(&small).unwrap();
        assert!(budget.try_spend(&small).is_none());
        let waiting = tokio::spawn(async move {
            let spent = budget.clone().spend(&large).await;
            (budget.try_spend(&[]).is_none(), spent)
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap().0);
    }
}
