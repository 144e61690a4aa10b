//! How many replays there are at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use wissel_identifiers::Oin;

use crate::{Reason, Refusal};

/// The most replays into inboxes of one party. Another one is refused: one may last for hours,
/// and wait for room for longer.
const OF_ONE_PARTY: usize = 2;
/// How many go through a page of the archive at a time; others wait for their turn, which
/// comes soon.
const PAGES_AT_ONCE: usize = 4;
/// When to try again, for whoever was refused.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// The replays that are under way.
pub(crate) struct Replays {
    /// How many there are into inboxes of a party.
    of: Arc<Mutex<HashMap<Oin, usize>>>,
    turns: Semaphore,
}

/// One that is under way, until it is dropped.
pub(crate) struct Underway {
    of: Arc<Mutex<HashMap<Oin, usize>>>,
    owner: Oin,
}

impl Replays {
    /// Counts one more.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] when the party has as many as it may.
    pub(crate) fn begin(&self, owner: Oin) -> Result<Underway, Refusal> {
        let mut all = self.of.lock();
        let count = all.entry(owner).or_default();
        if *count >= OF_ONE_PARTY {
            let message = format!(
                "{OF_ONE_PARTY} replays into inboxes of party {owner} are under way, the most at a \
                 time; begin this one when one of them has ended"
            );
            let retry_after = Some(TRY_AGAIN);
            return Err(Refusal { retry_after, ..Refusal::new(Reason::RateLimited, message) });
        }
        *count += 1;
        Ok(Underway { of: Arc::clone(&self.of), owner })
    }

    /// Waits until it may go through a page, while what is returned is kept.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.ok()
    }
}

impl Default for Replays {
    fn default() -> Self {
        Self { of: Arc::default(), turns: Semaphore::new(PAGES_AT_ONCE) }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        if let Some(count) = all.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wissel_bus::{Bus as _, Enqueue, Envelope, MessageId};
    use wissel_bus_embedded::{EmbeddedBus, EmbeddedOptions};
    use wissel_catalogue::Catalogue;
    use wissel_identifiers::InboxName;
    use wissel_store::Store;

    use super::*;
    use crate::{Broker, BrokerOptions, Caller, InboxSettings, ReplayOptions};

    const PATIENCE: Duration = Duration::from_secs(20);
    const AT_ONCE: Duration = Duration::from_secs(3);
    const CATALOGUE: &str = r#"
party = [{ oin = "00000099000000002000", name = "Receiver" }]
[[subscription]]
name = "00000099000000002000.full"
[[subscription]]
name = "00000099000000002000.inbox"
"#;

    /// What goes through a page when it is stopped, or waits for something.
    #[tokio::test]
    async fn a_replay_that_waits_for_room_or_for_its_turn_ends_at_once_when_all_ends() {
        let directory = tempfile::tempdir().unwrap();
        let bus = Arc::new(EmbeddedBus::open(EmbeddedOptions::new(directory.path())).unwrap());
        let catalogue = Catalogue::from_toml("test", CATALOGUE).unwrap();
        let store = Store::in_memory().unwrap();
        let on = Arc::clone(&bus) as _;
        let broker = Broker::start(on, store, catalogue, BrokerOptions::default()).await.unwrap();
        broker.prepared().await;
        let caller = Caller::Party("00000099000000002000".parse().unwrap());
        let [full, inbox] = ["full", "inbox"]
            .map(|local| format!("00000099000000002000.{local}").parse::<InboxName>().unwrap());
        let settings = InboxSettings { max_deliveries: Some(1), ..InboxSettings::default() };
        broker.set_inbox(&caller, &full, |_| settings).await.unwrap();
        let message = Envelope {
            message_id: MessageId::now(),
            publisher: full.owner(),
            admitted_at: SystemTime::now(),
            fields: None,
            replayed: false,
            event: "it is full".into(),
        };
        bus.enqueue(vec![Enqueue::new(message, vec![full.clone()])]).await[0].clone().unwrap();
        // As others have it who look at the archive for long.
        let all = u32::try_from(PAGES_AT_ONCE).unwrap();
        let turns = broker.replays.turns.acquire_many(all).await.unwrap();
        let replay = |inbox: &InboxName| {
            let (broker, caller, inbox) = (Arc::clone(&broker), caller.clone(), inbox.clone());
            let (from, until) = (SystemTime::UNIX_EPOCH, SystemTime::now());
            let options = ReplayOptions { from, until, types: Vec::new(), filters: Vec::new() };
            tokio::spawn(async move { broker.replay(&caller, &inbox, options, |_| ()).await })
        };
        let (for_room, for_its_turn) = (replay(&full), replay(&inbox));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!for_its_turn.is_finished(), "it has no turn");
        // With its turn one is done, and the other, which has room to wait for, is not.
        drop(turns);
        let done = tokio::time::timeout(PATIENCE, for_its_turn).await.expect("it has its turn");
        assert_eq!(done.unwrap().unwrap().examined, 0);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!for_room.is_finished(), "it has no room");

        let turns = broker.replays.turns.acquire_many(all).await.unwrap();
        let replaying = [for_room, replay(&inbox)];
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(replaying.iter().all(|one| !one.is_finished()), "they wait");
        let stopping = tokio::time::timeout(AT_ONCE, broker.shut_down(PATIENCE));
        stopping.await.expect("nothing is waited for");
        for one in replaying {
            let refusal = one.await.unwrap().unwrap_err();
            assert_eq!(refusal.reason, Refusal::shutting_down().reason);
        }
        drop(turns);
    }
}
