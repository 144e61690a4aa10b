//! Those who operate: an inbox is paused, dead letters are looked at.

use std::sync::Arc;

use wissel_bus::{DeadLetter, Page};
use wissel_store::WhenFull;

use super::Found;
use super::ledger::{Limit, Which};
use super::town::{self, PLACES, Rights};
use super::world::World;

const EVERYTHING: Page<wissel_bus::DeadLetterId> = Page { after: None, limit: 10_000 };

impl World {
    /// Sets each inbox as it is to be.
    pub(super) async fn furnish(&mut self) -> Result<(), Found> {
        for (place, as_it_is_to_be) in PLACES.iter().enumerate() {
            let broker = self.broker();
            let set = async move {
                let settings = as_it_is_to_be.settings();
                let who = town::operator();
                broker.set_inbox(&who, &town::inbox(place), |_| settings).await.map(|_| ())
            };
            self.wait_for(set).await??;
        }
        Ok(())
    }

    /// An inbox is paused, or goes on. All sessions hear of it, in an order of tokio's own: so
    /// that goes by before anything else happens.
    pub(super) async fn pause(&mut self, place: usize, paused: bool) -> Result<(), Found> {
        if !paused {
            self.at_most_one_waits(place);
        }
        self.log(|| format!("{} is paused: {paused}", PLACES[place].local));
        let broker = self.broker();
        let set = async move {
            let (who, inbox) = (town::operator(), town::inbox(place));
            let change = |settings| wissel_store::InboxSettings { paused, ..settings };
            broker.set_inbox(&who, &inbox, change).await.map(|_| ())
        };
        (self.paused[place], self.is_quiet[place]) = (paused, false);
        let set = self.wait_for(set).await?;
        self.settle_down().await?;
        self.collect()?;
        match set {
            Err(refusal) if !self.now().failed => Err(refusal.into()),
            _ => Ok(()),
        }
    }

    /// A catalogue of other rights comes into force.
    pub(super) async fn set_rights(&mut self, rights: Rights) -> Result<(), Found> {
        self.rest().await?;
        if self.now().failed || rights == self.ledger.rights {
            return Ok(());
        }
        // What was withheld is known before that is over.
        for place in 0..PLACES.len() {
            self.look_at_dead(place).await?;
        }
        self.log(|| format!("from now on there are {rights:?}"));
        let broker = self.broker();
        let catalogue = town::catalogue(rights);
        self.wait_for(async move { broker.replace_catalogue(catalogue).await }).await??;
        self.ledger.rights = rights;
        self.settle_down().await?;
        self.collect()
    }

    /// From now on an inbox may hold less, or more.
    pub(super) async fn limit_some(&mut self) -> Result<(), Found> {
        self.rest().await?;
        if self.now().failed {
            return Ok(());
        }
        let place = self.random.usize(..PLACES.len());
        let limit = Limit {
            deliveries: self.pick(&[None, Some(1), Some(2), Some(5), Some(20)]),
            bytes: self.pick(&[None, None, Some(1_000), Some(30_000)]),
            when_full: self.pick(&[WhenFull::Refuse, WhenFull::DeadLetter]),
        };
        self.limit(place, limit).await
    }

    /// Each inbox may hold as much as there is.
    pub(super) async fn limit_none(&mut self) -> Result<(), Found> {
        for place in 0..PLACES.len() {
            self.limit(place, Limit::default()).await?;
        }
        Ok(())
    }

    async fn limit(&mut self, place: usize, limit: Limit) -> Result<(), Found> {
        // What has found no room is known before that is another.
        self.look_at_dead(place).await?;
        self.log(|| format!("{} is limited: {limit:?}", PLACES[place].local));
        let broker = self.broker();
        let set = async move {
            let (who, inbox) = (town::operator(), town::inbox(place));
            let change = |settings| wissel_store::InboxSettings {
                max_deliveries: limit.deliveries,
                max_bytes: limit.bytes,
                when_full: Some(limit.when_full),
                ..settings
            };
            broker.set_inbox(&who, &inbox, change).await.map(|_| ())
        };
        self.wait_for(set).await??;
        self.ledger.limits[place] = limit;
        self.settle_down().await?;
        self.collect()
    }

    /// Who of several hears first that an inbox goes on is an order of tokio's own, which no
    /// seed decides. So the others give up waiting.
    fn at_most_one_waits(&mut self, place: usize) {
        let now = self.now();
        let here = self.subscribers.iter().filter(|one| one.place == place);
        for number in here.map(|one| one.number).skip(1).collect::<Vec<_>>() {
            self.cut(number, now);
        }
    }

    pub(super) async fn letters(&mut self, place: usize) -> Result<Vec<DeadLetter>, Found> {
        let broker = self.broker();
        let listing = async move {
            broker.dead_letters(&town::operator(), &town::inbox(place), EVERYTHING).await
        };
        Ok(self.wait_for(listing).await??)
    }

    /// Dead letters are looked at. Says which they are.
    pub(super) async fn look_at_dead(&mut self, place: usize) -> Result<Vec<Which>, Found> {
        let letters = self.letters(place).await?;
        let now = self.now();
        self.ledger.dead_letters(place, &letters, now)
    }

    /// The broker has time to end.
    pub(super) async fn shut_down(&mut self) -> Result<(), Found> {
        self.ending = true;
        let broker = self.broker();
        let patience = std::time::Duration::from_secs(20);
        let ending = tokio::spawn(async move { Arc::clone(&broker).shut_down(patience).await });
        let _ = self.wait_for(ending).await?;
        self.settle_down().await?;
        self.collect()
    }
}
