//! A party has messages of the archive come once more.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;
use wissel_filter::Filter;

use super::Found;
use super::ledger::{Message, Now};
use super::town::{self, PLACES};
use super::world::World;
use crate::{Refusal, ReplayOptions, Replayed};

/// No replay that has room takes longer.
const PATIENCE: usize = 60;

/// What came of replays, with when and of which call.
pub(super) type Replays = Arc<Mutex<Vec<(Instant, u64, Result<Replayed, Refusal>)>>>;

impl World {
    /// A part of the archive is replayed into an inbox.
    pub(super) async fn replay(&mut self) -> Result<(), Found> {
        self.rest().await?;
        // Not where dead letters come from elsewhere: of two that are replayed of one message
        // nobody could say which comes.
        let alone: Vec<usize> =
            (0..PLACES.len()).filter(|place| PLACES[*place].other.is_none()).collect();
        let (now, place) = (self.now(), self.pick(&alone));
        let is_replayed = self.ledger.replays.iter().any(|replay| replay.place == place);
        if now.failed || is_replayed {
            return Ok(());
        }
        // Moments of the archive are exact to the millisecond, as is the clock.
        let [ago, long] = [30_000, 60_000].map(|most| self.random.u64(..most));
        let until = now.wall - self.pick(&[Duration::ZERO, Duration::from_millis(ago)]);
        let from = self.pick(&[SystemTime::UNIX_EPOCH, until - Duration::from_millis(long)]);
        if from >= until {
            return Ok(());
        }
        let subject = self.random.bool().then(|| self.random.usize(..3));
        let filters = subject.map(|one| Filter::Sql(format!("subject = '{}'", town::subject(one))));
        let types = self.pick(&[&[][..], &[false], &[true], &[false, true]]);
        // What there is no grant for cannot be asked for.
        if types.contains(&true) && !self.ledger.rights.urgent {
            return Ok(());
        }
        let number = self.number();
        let is_wanted = |message: &Message| {
            subject.is_none_or(|one| one == message.subject)
                && (types.is_empty() || types.contains(&message.urgent))
        };
        if !self.ledger.replay(number, place, (from, until), is_wanted, now) {
            return Ok(());
        }
        let local = PLACES[place].local;
        self.log(|| {
            format!("replay {number} to {local}: {from:?} to {until:?}, {subject:?}, {types:?}")
        });
        let options = ReplayOptions {
            from,
            until,
            types: types.iter().map(|urgent| town::event_type(*urgent).to_owned()).collect(),
            filters: filters.into_iter().collect(),
        };
        let (broker, done) = (self.broker(), Arc::clone(&self.replays));
        let replaying = async move {
            let inbox = town::inbox(place);
            let outcome = broker.replay(&town::receiver(), &inbox, options, |_| ()).await;
            done.lock().push((Instant::now(), number, outcome));
        };
        self.replaying.push((number, tokio::spawn(replaying).abort_handle()));
        self.settle_down().await?;
        self.collect()
    }

    /// What was replayed is held against the ledger.
    pub(super) fn hear_of_replays(&mut self, now: Now) -> Result<(), Found> {
        let done = std::mem::take(&mut *self.replays.lock());
        for (at, number, outcome) in done {
            let then = now.back_at(self.passed + (at - self.begun));
            self.log(|| format!("replay {number} is done: {outcome:?}"));
            self.replaying.retain(|(one, _)| *one != number);
            self.ledger.replay_done(number, &outcome, then)?;
            let count = outcome.map_or(0, |done| done.replayed);
            self.log.note((number, count, then.passed.as_millis()));
            self.counts.replayed += count;
        }
        Ok(())
    }

    /// Whoever waits for a replay goes away, if there is one.
    pub(super) async fn give_up_replay(&mut self) -> Result<(), Found> {
        self.rest().await?;
        if let Some((number, task)) = self.replaying.pop() {
            self.log(|| format!("replay {number} is given up"));
            task.abort();
            self.ledger.replay_ends(number);
        }
        self.settle_down().await
    }

    /// Replays that waited for room are done.
    pub(super) async fn replays_end(&mut self) -> Result<(), Found> {
        for _ in 0..PATIENCE {
            if self.replaying.is_empty() {
                return Ok(());
            }
            self.pass(Duration::from_secs(1)).await?;
            self.collect()?;
        }
        Err(Found("a replay does not end".to_owned()))
    }
}
