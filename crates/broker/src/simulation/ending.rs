//! The end of a round: everything that is left comes, and is compared.

use std::time::Duration;

use super::Found;
use super::town::{self, PLACES, Rights};
use super::world::World;
use crate::Verdict;

/// What is left at the end is gone after so many turns.
const TURNS: usize = 100;
/// A credit and a lease of which there is enough.
const ENOUGH: (u16, Duration) = (200, Duration::from_secs(600));

impl World {
    pub(super) async fn ends(&mut self, first: bool, weights: &[usize]) -> Result<(), Found> {
        self.begins(first).await?;
        // A life without a fault has its turn, too.
        self.is_used(weights, false).await?;
        self.rest().await?;
        for place in 0..PLACES.len() {
            if self.paused[place] {
                self.pause(place, false).await?;
            }
        }
        self.set_rights(Rights::ALL).await?;
        self.limit_none().await?;
        self.mendings_end().await?;
        self.replays_end().await?;
        while !self.subscribers.is_empty() {
            self.leave(true)?;
            self.rest().await?;
        }
        self.log(|| "what is left comes".to_owned());
        self.publish_what_is_unknown().await?;
        for place in 0..PLACES.len() {
            self.subscribe(place, ENOUGH.0, ENOUGH.1);
        }
        self.is_emptied().await?;
        self.is_compared().await?;
        for place in 0..PLACES.len() {
            self.redrive_all(place).await?;
        }
        self.is_emptied().await?;
        self.is_compared().await
    }

    /// All that waits comes, and is acknowledged.
    async fn is_emptied(&mut self) -> Result<(), Found> {
        for _ in 0..TURNS {
            self.rest().await?;
            for at in 0..self.subscribers.len() {
                self.settle_some(at, usize::MAX, &Verdict::Acknowledge);
            }
            self.rest().await?;
            if self.left().await? == 0 {
                return Ok(());
            }
            self.pass(Duration::from_secs(2)).await?;
        }
        Err(Found("what is left does not come".to_owned()))
    }

    /// How many deliveries are left.
    async fn left(&mut self) -> Result<u64, Found> {
        let mut left = 0;
        for place in 0..PLACES.len() {
            let broker = self.broker();
            let looking = async move { broker.inbox(&town::operator(), &town::inbox(place)).await };
            let state = self.wait_for(looking).await??.state;
            left += state.depth + state.in_flight;
        }
        Ok(left)
    }

    async fn is_compared(&mut self) -> Result<(), Found> {
        for place in 0..PLACES.len() {
            let dead = self.look_at_dead(place).await?;
            self.counts.dead_letters += dead.len() as u64;
            self.log.note((place, dead));
        }
        self.ledger.is_settled(self.now())
    }
}
