//! What has come to an inbox of a party, each message once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use uuid::Uuid;
use wissel_client::{ClientError, Delivery, Event, Oin, Receipt};

use crate::party::{PATIENCE, PAUSE, Party};

/// A message that came.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) message_id: Uuid,
    pub(crate) publisher: Oin,
    pub(crate) event: Event,
}

/// All that came so far. It goes on for as long as the play.
#[derive(Clone)]
pub(crate) struct Seen {
    party: &'static str,
    messages: Arc<Mutex<Vec<Received>>>,
}

impl Party {
    /// Receives and acknowledges what comes to an inbox, from now on.
    pub(crate) fn receives(&self, inbox: &str) -> Seen {
        let seen = Seen { party: self.name, messages: Arc::default() };
        let (party, inbox, all) = (self.clone(), format!("{}.{inbox}", self.oin), seen.clone());
        tokio::spawn(async move {
            loop {
                let _broken = all.fill(&party, &inbox).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        seen
    }
}

impl Seen {
    async fn fill(&self, party: &Party, inbox: &str) -> Result<(), ClientError> {
        let mut open = party.client.subscribe(inbox).open().await?;
        while let Some(delivery) = open.next().await? {
            self.keep(&delivery);
            // One that is not acknowledged in time comes again, and is kept once.
            let _again = delivery.acknowledge().await;
        }
        Ok(())
    }

    fn keep(&self, delivery: &Delivery) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.iter().any(|one| one.message_id == delivery.message_id()) {
            return;
        }
        messages.push(Received {
            message_id: delivery.message_id(),
            publisher: delivery.publisher(),
            event: delivery.event().clone(),
        });
    }

    /// Those that are wanted, in the order in which they came.
    pub(crate) fn all(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Received> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|one| wanted(&one.event)).cloned().collect()
    }

    /// How many different ones are wanted. After a kill the same one may come again as another
    /// message, which its source and id show.
    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        let all = self.all(wanted);
        let events = all.iter().map(|one| (one.event.source(), one.event.id()));
        events.collect::<BTreeSet<_>>().len()
    }

    /// The first that is wanted, once it is there.
    ///
    /// # Errors
    /// When it does not come: what did not.
    pub(crate) async fn wait(
        &self,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Received> {
        self.wait_until(what, || self.all(&wanted).into_iter().next()).await
    }

    /// The message of a receipt, once it is there.
    ///
    /// # Errors
    /// When it does not come: what did not.
    pub(crate) async fn wait_for(&self, what: &str, receipt: &Receipt) -> Result<Received> {
        let is_it = |one: &Received| one.message_id == receipt.message_id;
        self.wait_until(what, || self.all(|_| true).into_iter().find(is_it)).await
    }

    async fn wait_until(
        &self,
        what: &str,
        found: impl Fn() -> Option<Received>,
    ) -> Result<Received> {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if let Some(found) = found() {
                return Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("{what} does not come to {}", self.party)
    }

    /// Whether nothing that is wanted comes for a while.
    pub(crate) async fn none(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.all(wanted).is_empty()
    }
}
